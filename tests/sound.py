"""One sound input of each kind that the lab reads, and the ways to spoil it, for the table of bad inputs."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from datasets import Dataset
from nbformat.v4 import new_code_cell, new_notebook
from safetensors.numpy import load_file, save_file
from tasks import make_task
from tiny import SIZES, pooled_states, save_image, save_tiny
from transformers import AutoModelForSeq2SeqLM

from hiddenstates.core.data import Task
from hiddenstates.core.files import sha256
from hiddenstates.core.images import read_image
from hiddenstates.core.params import Corpus, HuggingFace, load_params
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.core.strategy import Strategy
from hiddenstates.corpora import load_task
from hiddenstates.corpora.tagged import read_tagged
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.multimodal.authors import load_authors
from hiddenstates.multimodal.configuration import VLT5Config
from hiddenstates.retrieval.index import IndexBundle, build_index
from hiddenstates.run import check_parameters

Spoil = Callable[[Path], object]
"""What is done to a sound input's folder."""

WHITE = Strategy.parse("-1/mean+white")


@dataclass(frozen=True)
class Kind:
    """make: writes a sound input into a folder; read: what the lab does with it."""

    make: Spoil
    read: Callable[[Path], object]


def text(name: str, content: str | bytes) -> Spoil:
    """The file holds this instead."""
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def cut(name: str, end: int = -10) -> Spoil:
    """The file ends early, as a full disk or a killed copy leaves it."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:end])


class Harm:
    """Code in a pickle."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return pytest.fail, ("the code in a checkpoint was run",)


def gone(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def a_folder(name: str) -> Spoil:
    """A folder stands where the file should be."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()

    return spoil


def keys(name: str, drop: str = "", **changes: Any) -> Spoil:
    """A JSON object without a key, or with other values."""

    def spoil(folder: Path) -> None:
        found = {key: value for key, value in json.loads((folder / name).read_text("utf-8")).items() if key != drop}
        (folder / name).write_text(json.dumps(found | changes), "utf-8")

    return spoil


def rows(name: str, **changes: Any) -> Spoil:
    """Each row of a JSONL file with other values."""

    def spoil(folder: Path) -> None:
        found = [json.loads(line) | changes for line in (folder / name).read_text("utf-8").splitlines()]
        (folder / name).write_text("\n".join(map(json.dumps, found)), "utf-8")

    return spoil


def tensors(name: str, change: Callable[[dict[str, Any]], dict[str, Any]], header: str | None = None) -> Spoil:
    """A safetensors file with other tensors. header: what stands in it beside them."""

    def spoil(folder: Path) -> None:
        about = {"format": "pt"} if header is None else {"about": header}
        save_file(change(load_file(folder / name)), folder / name, metadata=about)

    return spoil


def described(name: str, manifest: str, spoil: Spoil) -> Spoil:
    """The file is spoilt, and the manifest has the hash of what it is now: only its content can betray it."""

    def both(folder: Path) -> None:
        spoil(folder)
        keys(manifest, sha256=sha256(folder / name))(folder)

    return both


def link(name: str, target: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return spoil


def _corpus(folder: Path) -> None:
    for name in ("qrels", "images"):
        (folder / name).mkdir()
    save_image(folder / "images" / "a.png", 0)
    passages = [{"_id": f"p{i}", "text": f"passage {i}", "image": "a.png"} for i in range(4)]
    queries = [{"_id": f"q{i}", "text": f"query {i}"} for i in range(4)]
    for name, lines in (("corpus", passages), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    grades = "".join(f"q{i}\tp{i}\t1\n" for i in range(4))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{grades}", "utf-8")


def _datasets(folder: Path) -> None:
    Dataset.from_list([{"text": f"passage {i}", "found": [i]} for i in range(4)]).save_to_disk(folder / "own")


def _from_datasets(folder: Path) -> Task:
    columns: dict[str, Any] = {"passage_columns": {"text": "text"}}
    columns |= {"query_columns": {"text": "text", "relevant": "found"}}
    own = {"passages": str(folder / "own"), "queries": str(folder / "own"), "splits": {"train": "test"}}
    return load_task(Corpus(source="huggingface", huggingface=HuggingFace(**own, **columns)), folder)


def _tagged(folder: Path) -> None:
    for name in ("train", "dev", "test"):
        (folder / f"{name}.txt").write_text("Bern B-LOC\nis O\n", "utf-8")


def _trec(folder: Path) -> None:
    Qrels({"q": {"p": 1.0}}).write(folder / "qrels.trec")
    Run({"q": {"p": 0.5}}).write(folder / "run.trec", "bm25")


def _choice(folder: Path) -> None:
    states = pooled_states(30)
    Choice(WHITE, states.fingerprint, {}, fitted(WHITE, states)).save(folder)


def _checkpoint(folder: Path) -> None:
    torch.save(AutoModelForSeq2SeqLM.from_config(VLT5).state_dict(), folder / "VLT5.pth")


def _index(folder: Path) -> None:
    build_index(pooled_states(5).embed(Strategy.parse("-1/mean"))).save(folder)


def _notebook(folder: Path) -> None:
    cell = new_code_cell("depth = 10", metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[cell]), folder / "07_index.ipynb")


VLT5 = VLT5Config(**SIZES["vlt5"])
KINDS = {
    "params": Kind(text("params.yaml", "index: {depth: 7}"), lambda f: load_params(f / "params.yaml")),
    "corpus": Kind(_corpus, lambda f: load_task(Corpus(source=str(f)), f)),
    "datasets": Kind(_datasets, _from_datasets),
    "tagged": Kind(_tagged, lambda f: read_tagged(f, 0, -1)),
    "task": Kind(lambda f: make_task(f / "images").save(f), Task.load),
    "qrels": Kind(_trec, lambda f: Qrels.read(f / "qrels.trec")),
    "run": Kind(_trec, lambda f: Run.read(f / "run.trec")),
    "image": Kind(lambda f: save_image(f / "a.png", 0), lambda f: read_image(f / "a.png")),
    "strategy": Kind(text("strategy", "-1/mean"), lambda f: Strategy.parse((f / "strategy").read_text("utf-8"))),
    "model": Kind(save_tiny, lambda f: load_encoder(str(f)).states(["bern"])),
    "vlt5": Kind(lambda f: save_tiny(f, "vlt5"), lambda f: load_encoder(str(f)).states(["bern"])),
    "checkpoint": Kind(_checkpoint, lambda f: load_authors(f / "VLT5.pth", VLT5)),
    "states": Kind(lambda f: pooled_states(3).save(f / "s.st"), lambda f: PooledStates.load(f / "s.st")),
    "choice": Kind(_choice, lambda f: Choice.load(f).embed(pooled_states(30))),
    "index": Kind(_index, IndexBundle.load),
    "notebook": Kind(_notebook, lambda f: check_parameters(f / "07_index.ipynb", {"depth": 7})),
}
