"""The table of bad inputs: each ends in one error of the lab's own, which names what is wrong and the way out.

A row is a kind of input, what is done to a sound one, and what the error must say of where it is wrong.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file
from sound import KINDS, Harm, Spoil, a_folder, cut, described, gone, keys, link, rows, tensors, text

from hiddenstates.core.errors import LabError

UTF16 = "corpus: {}".encode("utf-16")
HEADER = "query-id\tcorpus-id\tscore\n"
WORDS = "embeddings.word_embeddings.weight"
KNOBS = '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [%s]}'
WAY_OUT = re.compile(r"[.)] [A-Z]\w+ \S|; make |should (be|have|match)|Known: ")
"""A second sentence that says what to do, or what would be right."""


def params(written: str | bytes) -> Spoil:
    return text("params.yaml", written)


def corpus(line: str) -> Spoil:
    return text("corpus.jsonl", line)


BASELINE = {"strategy": "-1/mean", "published": False, "origin": "the mean of the last state"}


def state(**changes: object) -> Spoil:
    """The header of pooled states with other values, or without those that are None."""

    def spoil(folder: Path) -> None:
        sound = {"ids": ["p0", "p1", "p2"], "poolings": ["first", "mean"], "fingerprint": "abc"}
        about = sound | {"baseline": BASELINE} | {"state_map": [{"module": "a", "norm": ""}] * 3} | changes
        header = json.dumps({key: value for key, value in about.items() if value is not None})
        tensors("s.st", lambda found: found, header)(folder)

    return spoil


def not_a_number(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return weights | {WORDS: weights[WORDS] * np.nan}


def huge(folder: Path) -> None:
    """100 megapixels in a file of 15 kB."""
    Image.new("1", (10_000, 10_000)).save(folder / "a.png")


def saved(value: object) -> Spoil:
    """What torch.save writes of a value."""
    return lambda folder: torch.save(value, folder / "VLT5.pth")


OBLONG = {"w mean": np.ones(8), "w matrix": np.ones((8, 3))}


def other_whitening(**arrays: np.ndarray) -> Spoil:
    """Another whitening, as if choice.json described it."""
    write: Spoil = lambda folder: save_file(arrays, folder / "whitening.safetensors")  # noqa: E731
    return described("whitening.safetensors", "choice.json", write)


def other_index(content: bytes) -> Spoil:
    """Another index, whose hash stands in index.json."""
    return described("index.faiss", "index.json", text("index.faiss", content))


def of_another_model(folder: Path) -> None:
    """The weights of VL-T5 beside the configuration of BERT."""
    KINDS["vlt5"].make(folder / "vlt5")
    shutil.move(folder / "vlt5" / "model.safetensors", folder / "model.safetensors")


def notebook(content: str | bytes) -> Spoil:
    return text("07_index.ipynb", content)


# fmt: off
CASES: list[tuple[str, str, Spoil, str]] = [
    ("params", "not there", gone("params.yaml"), r"params\.yaml: cannot be read"),
    ("params", "a folder", a_folder("params.yaml"), r"params\.yaml: cannot be read"),
    ("params", "UTF-16", params(UTF16), r"params\.yaml: cannot be read"),
    ("params", "binary", params(b"\0\1"), r"params\.yaml: not YAML.*position 0"),
    ("params", "a tab", params("index:\n\tdepth: 7"), r"params\.yaml: not YAML.*line 2"),
    ("params", "two documents", params("index: {}\n---\nindex: {}"), r"params\.yaml: not YAML.*another document"),
    ("params", "a list", params("- index"), r"params\.yaml: expected sections, found list"),
    ("params", "a word", params("index"), r"params\.yaml: expected sections, found str"),
    ("params", "code", params("index: !!python/object/apply:os.abort []"), r"params\.yaml: not YAML.*os\.abort"),
    ("params", "an alias to itself", params("index: &a [*a]"), r"params\.yaml: index: .*valid dictionary"),
    ("params", "an unknown alias", params("index: *a"), r"params\.yaml: not YAML.*undefined alias 'a'"),
    ("params", "5000 brackets", params("index: " + "[" * 5000), r"params\.yaml: not YAML"),
    ("params", "5000 digits", params("index: {depth: " + "9" * 5000 + "}"), r"params\.yaml: not YAML.*5000 digits"),
    ("params", "no such section", params("idnex: {}"), r"params\.yaml: idnex: no such section"),
    ("params", "no such key", params("index: {dpeth: 7}"), r"params\.yaml: index\.dpeth: unknown key"),
    ("params", "a key twice", params("index: {depth: 1, depth: 2}"), r"params\.yaml: .*duplicate key 'depth'"),
    ("params", "a key that is a list", params("[a]: 1"), r"params\.yaml: not YAML.*unhashable"),
    ("params", "a word for a number", params("index: {depth: x}"), r"index\.depth: .*valid integer, .* found 'x'"),
    ("params", "half a passage", params("index: {depth: 1.5}"), r"index\.depth: .*found 1\.5"),
    ("params", "a number for a word", params("index: {factory: 3}"), r"index\.factory: .*valid string, found 3"),
    ("params", "nothing for a number", params("corpus: {seed: null}"), r"corpus\.seed: .*found None"),
    ("params", "a date", params("corpus: {seed: 2020-01-01}"), r"corpus\.seed: .*valid integer"),
    ("params", "a seed below 0", params("corpus: {seed: -1}"), r"corpus\.seed: .*greater than or equal to 0"),
    ("params", "a seed too large", params("corpus: {seed: 4294967296}"), r"corpus\.seed: .*less than 4294967296"),
    ("params", "no number", params("corpus: {dev_share: .nan}"), r"corpus\.dev_share: .*found nan"),
    ("params", "infinity", params("pretrain: {clip: {rate: .inf}}"), r"pretrain\.clip\.rate: .*finite.*found inf"),
    ("params", "no test split", params("corpus: {shares: {train: 0.5, dev: 0.5}}"), r"corpus\.shares: .*for test"),
    ("params", "no encoder", params("states: {encoders: {}}"), r"states\.encoders: .*at least 1 item"),
    ("params", "an encoder named ..", params("states: {encoders: {..: {}}}"), r"states\.encoders.*found '\.\.'"),
    ("params", "an unknown encoder", params("index: {encoder: t6}"), r"index\.encoder: no encoder 't6'"),
    ("params", "an unknown measure", params("compare: {report: [map]}"), r"compare\.report\.0: .*found 'map'"),
    ("params", "no measure", params("compare: {report: []}"), r"compare\.report: .*at least 1 item"),
    ("params", "a penalty below 0", params("tagging: {penalties: [-1]}"), r"tagging\.penalties\.0: .*greater than 0"),
    ("corpus", "not there", gone("corpus.jsonl"), r"corpus\.source is .*none of the layouts"),
    ("corpus", "empty", corpus(""), r": no passages"),
    ("corpus", "a folder", a_folder("queries.jsonl"), r"queries\.jsonl: cannot be read \(Is a directory\)"),
    ("corpus", "a link to itself", link("queries.jsonl", "queries.jsonl"), r"queries\.jsonl: cannot be read"),
    ("corpus", "UTF-16", text("corpus.jsonl", UTF16), r"corpus\.jsonl:1: UTF-16, not UTF-8"),
    ("corpus", "compressed", text("corpus.jsonl", b"\x1f\x8b\x08\0"), r"jsonl:1: compressed by gzip, not UTF-8"),
    ("corpus", "cut", cut("corpus.jsonl"), r"corpus\.jsonl:4: not JSON"),
    ("corpus", "a list", corpus("[]"), r"corpus\.jsonl:1: a list"),
    ("corpus", "an id of 5000 digits", corpus('{"_id": ' + "9" * 5000 + "}"), r"corpus\.jsonl:1: not JSON"),
    ("corpus", "half a character", corpus(r'{"_id": "\ud800", "text": ""}'), r'corpus\.jsonl:1: "_id" holds half a'),
    ("corpus", "one id for all", rows("corpus.jsonl", _id="p0"), r"passage ids that occur more than once: 'p0'"),
    ("corpus", "white space in ids", rows("corpus.jsonl", _id="p\u00a00"), r"passage ids .* white space: 'p\\xa00'"),
    ("corpus", "queries empty", text("queries.jsonl", ""), r"test\.tsv:2: no judgement is of a query and"),
    ("corpus", "grades empty", text("qrels/test.tsv", ""), r"qrels: 0 queries cannot be shared"),
    ("corpus", "a grade NaN", text("qrels/test.tsv", HEADER + "q0\tp0\tnan"), r'test\.tsv:2: "score" is \'nan\''),
    ("corpus", "a column twice", text("qrels/test.tsv", "score\t" + HEADER), r"test\.tsv:1: .* score twice"),
    ("corpus", "an absolute image", rows("corpus.jsonl", image="/etc/passwd"), r"image '/etc/passwd' leaves"),
    ("corpus", "an image above", rows("corpus.jsonl", image="../../a.png"), r"image '\.\./\.\./a\.png' leaves"),
    ("corpus", "an image linked", link("images/a.png", "/etc/passwd"), r"image 'a\.png' leaves"),
    ("corpus", "a zero byte", rows("corpus.jsonl", image="a\0.png"), r"images: 'a\\x00\.png' cannot be the name"),
    ("corpus", "an image gone", gone("images/a.png"), r"images: none of the 1 images .*no such file"),
    ("corpus", "an image cut", cut("images/a.png", 60), r"images: none of the 1 images .*'a\.png' \(a broken image"),
    ("datasets", "state cut", cut("own/state.json"), r"own: not a readable dataset"),
    ("datasets", "state a list", text("own/state.json", "[]"), r"own: not a readable dataset"),
    ("datasets", "data cut", cut("own/data-00000-of-00001.arrow", 50), r"own: not a readable dataset"),
    ("datasets", "data gone", gone("own/data-00000-of-00001.arrow"), r"own: not a readable dataset"),
    ("datasets", "unknown type", keys("own/dataset_info.json", features={"a": {"_type": "B"}}), r"own: not a readable"),
    ("datasets", "features a list", text("own/dataset_info.json", "[]"), r"own: not a readable dataset"),
    ("tagged", "a folder", a_folder("dev.txt"), r"dev\.txt: cannot be read \(Is a directory\)"),
    ("tagged", "gone", gone("dev.txt"), r"no file for dev"),
    ("tagged", "empty", text("train.txt", ""), r"train\.txt: no entity is tagged"),
    ("tagged", "UTF-16", text("train.txt", UTF16), r"train\.txt:1: UTF-16, not UTF-8"),
    ("tagged", "no tag", text("test.txt", "Bern\n"), r"test\.txt:1: word and tag are the same column"),
    ("task", "cut", cut("task.json"), r"no task can be read from it \(Invalid JSON"),
    ("task", "a list", text("task.json", "[]"), r"no task can be read from it"),
    ("task", "an unknown measure", keys("task.json", measure="vibes"), r"no task can be read from it \(measure: "),
    ("task", "a key gone", keys("task.json", "images"), r"no task can be read from it \(images: field required\)"),
    ("task", "passages cut", cut("passages.parquet"), r"no task can be read from it"),
    ("task", "other columns", lambda f: shutil.copy(f / "queries.parquet", f / "passages.parquet"), r"\(passages"),
    ("qrels", "a field short", text("qrels.trec", "q 0 p\n"), r"qrels\.trec:1: not a TREC line of 4 fields"),
    ("qrels", "a grade NaN", text("qrels.trec", "q 0 p 1\nq 0 r nan\n"), r"qrels\.trec:2: not a TREC line"),
    ("qrels", "a passage twice", text("qrels.trec", "q 0 p 1\nq 0 p 2\n"), r"qrels\.trec:2: .* 'p' twice"),
    ("run", "a score in words", text("run.trec", "q Q0 p 1 good tag\n"), r"run\.trec:1: not a TREC line of 6 fields"),
    ("run", "not UTF-8", text("run.trec", b"\xff"), r"run\.trec: cannot be read"),
    ("run", "a folder", a_folder("run.trec"), r"run\.trec: cannot be read"),
    ("image", "not there", gone("a.png"), r"a\.png: no such image"),
    ("image", "empty", text("a.png", b""), r"a\.png: a broken image"),
    ("image", "a program for Ghostscript", text("a.png", "%!PS-Adobe-3.0 EPSF-3.0\n"), r"a\.png: a broken image"),
    ("image", "a folder", a_folder("a.png"), r"a\.png: a broken image"),
    ("image", "huge by its header", huge, r"a\.png: an image of more than 50 megapixels"),
    ("strategy", "empty", text("strategy", ""), r"strategy '' is not understood"),
    ("strategy", "a billion layers", text("strategy", "sum(0..999999999)/mean"), r"'0\.\.999999999' is no layer"),
    ("strategy", "an endless weight", text("strategy", "sum(1*1e+999,2*1)/mean"), r"weights \(inf, 1\.0\)"),
    ("model", "config gone", gone("config.json"), r"no config\.json in it"),
    ("model", "config cut", cut("config.json"), r"model .*config.*not a valid JSON"),
    ("model", "config a list", text("config.json", "[]"), r"model .*Should have a `model_type` key"),
    ("model", "config null", text("config.json", "null"), r"model .*: transformers cannot load it"),
    ("model", "no such type", keys("config.json", model_type="own"), r"model type `own`"),
    ("model", "weights of another type", keys("config.json", model_type="gpt2"), r"weights are missing, first h\.0"),
    ("model", "a width in words", keys("config.json", hidden_size="wide"), r"'hidden_size' expected int"),
    ("model", "another width", keys("config.json", hidden_size=64), r"in the file, \(64,\) by config\.json"),
    ("model", "another vocabulary", keys("config.json", vocab_size=50), rf"{WORDS} is \(100, 32\) in the"),
    ("model", "more layers", keys("config.json", num_hidden_layers=9), r"weights are missing, first encoder\.layer\.3"),
    ("model", "weights gone", gone("model.safetensors"), r"no \*\.safetensors in it"),
    ("model", "weights cut", cut("model.safetensors"), r"model .*: transformers cannot load it .*incomplete metadata"),
    ("model", "weights empty", text("model.safetensors", b""), r"model .*: transformers cannot load it"),
    ("model", "endless header", text("model.safetensors", b"\xff" * 16), r"header too large"),
    ("model", "weights NaN", tensors("model.safetensors", not_a_number), rf"{WORDS} holds NaN"),
    ("model", "of another model", of_another_model, r"weights are missing, first embeddings"),
    ("model", "tokenizer a list", text("tokenizer.json", "[]"), r"model .*: transformers cannot load it"),
    ("model", "its settings a list", text("tokenizer_config.json", "[]"), r"model .*: transformers cannot load it"),
    ("vlt5", "boxes of another width", keys("config.json", feat_dim=16), r"in the file, \(.*16\) by config\.json"),
    ("vlt5", "boxes without weights", gone("vision/model.safetensors"), r"vision: transformers cannot load it"),
    ("vlt5", "no processor", text("vision/preprocessor_config.json", "[]"), r"vision: transformers cannot load it"),
    ("checkpoint", "not there", gone("VLT5.pth"), r"VLT5\.pth: not read \(FileNotFoundError\)"),
    ("checkpoint", "cut", cut("VLT5.pth"), r"VLT5\.pth: not read"),
    ("checkpoint", "text", text("VLT5.pth", "abc"), r"VLT5\.pth: not read"),
    ("checkpoint", "code", saved({"a": Harm()}), r"VLT5\.pth: not read \(UnpicklingError\)"),
    ("checkpoint", "a list", saved([1]), r"VLT5\.pth: not a plain state dict"),
    ("checkpoint", "numbered", saved({1: torch.zeros(2)}), r"VLT5\.pth: not a plain state dict"),
    ("checkpoint", "nothing in it", saved({}), r"VLT5\.pth: missing \['decoder"),
    ("states", "empty", text("s.st", b""), r"s\.st: no pooled states can be read from it"),
    ("states", "cut", cut("s.st"), r"s\.st: no pooled states"),
    ("states", "no header", tensors("s.st", lambda found: found), r"s\.st: no pooled states .*\(Invalid JSON"),
    ("states", "no ids", state(ids=None), r"s\.st: no pooled states .*\(ids: field required\)"),
    ("states", "too few ids", state(ids=["p0"]), r"s\.st: .*\(first: float32 of \(3, 3, 8\), for .*\(3, 1\)\)"),
    ("states", "an id twice", state(ids=["p0", "p0", "p1"]), r"s\.st: .*\(duplicate id\)"),
    ("states", "a pooling more", state(poolings=["max"]), r"s\.st: .*does not contain tensor max"),
    ("states", "no baseline", state(baseline=None), r"s\.st: .*\(baseline: field required\)"),
    ("states", "another head", state(baseline=BASELINE | {"head": [{"kind": "cnn"}]}), r"s\.st: .*step 0 .* 'cnn'"),
    ("states", "no weights", state(baseline=BASELINE | {"head": [{"kind": "linear"}]}), r"s\.st: .*step 0 .*weight"),
    ("states", "another state map", state(state_map=["a"]), r"s\.st: .*\(state_map\.0: "),
    ("choice", "cut", cut("choice.json"), r"choice\.json: no choice can be read"),
    ("choice", "a list", text("choice.json", "[]"), r"choice\.json: no choice can be read"),
    ("choice", "no strategy", keys("choice.json", "strategy"), r"choice\.json: .*\(strategy: field required\)"),
    ("choice", "a number", keys("choice.json", strategy=3), r"choice\.json: .*\(strategy: input should be a valid str"),
    ("choice", "of another model", keys("choice.json", fingerprint="x"), r"choice: made for model x"),
    ("choice", "whitening gone", gone("whitening.safetensors"), r"whitening\.safetensors"),
    ("choice", "another whitening", cut("whitening.safetensors"), r"whitening\.safetensors is not the file"),
    ("choice", "hash gone", keys("choice.json", "sha256"), r"whitening\.safetensors is not the file"),
    ("choice", "no mean", other_whitening(**{"w matrix": np.eye(8)}), r"no whitening .*'w mean'"),
    ("choice", "no square", other_whitening(**OBLONG), r"no whitening .*\(8, 3\)"),
    ("index", "manifest gone", gone("index.json"), r"no index can be read .*index\.json"),
    ("index", "manifest cut", cut("index.json"), r"input.*Build the index again"),
    ("index", "manifest a list", text("index.json", "[]"), r"no index can be read from it"),
    ("index", "manifest a text", text("index.json", '"index"'), r"no index can be read from it"),
    ("index", "no ids", keys("index.json", "ids"), r"input.*Build the index again"),
    ("index", "too few ids", keys("index.json", ids=["p0"]), r"input.*Build the index again"),
    ("index", "hash gone", keys("index.json", "sha256"), r"input.*Build the index again"),
    ("index", "another file", cut("index.faiss"), r"index\.faiss is not the file that index\.json describes"),
    ("index", "a file of its hash", other_index(b"hello"), r"input.*Build the index again"),
    ("notebook", "empty", notebook(""), r"07_index\.ipynb: not a notebook"),
    ("notebook", "not UTF-8", notebook(b"\xff\xfe"), r"07_index\.ipynb: not a notebook"),
    ("notebook", "a list", notebook("[]"), r"07_index\.ipynb: not a notebook"),
    ("notebook", "without cells", notebook('{"nbformat": 4}'), r"07_index\.ipynb: not a notebook"),
    ("notebook", "a word for a cell", notebook(KNOBS % '"a"'), r"07_index\.ipynb: not a notebook"),
    ("notebook", "no parameters", notebook(KNOBS % ""), r"07_index\.ipynb: no cell is tagged `parameters`"),
]
# fmt: on


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a sound input of a kind, made once."""
    root = tmp_path_factory.mktemp("sound")

    def folder(kind: str) -> Path:
        if not (root / kind).exists():
            (root / kind).mkdir()
            KINDS[kind].make(root / kind)
        return root / kind

    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_sound_is_read(kind: str, sound: Callable[[str], Path]) -> None:
    KINDS[kind].read(sound(kind))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("kind", "spoil", "message"),
    [pytest.param(kind, spoil, message, id=f"{kind}: {name}") for kind, name, spoil, message in CASES],
)
def test_what_is_spoilt_ends_in_one_error(
    kind: str, spoil: Spoil, message: str, sound: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(sound(kind), tmp_path / "input"))
    spoil(folder)
    with pytest.raises(LabError, match=f"(?s){message}") as caught:
        KINDS[kind].read(folder)
    assert WAY_OUT.search(str(caught.value)), caught.value
