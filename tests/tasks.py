"""Small tasks, made on the spot: of any kind, about some entities, with images to ask by."""

from pathlib import Path

from PIL import Image

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels


def make_task(images: Path, passage_image: str = "", query_image: str = "") -> Task:
    """Two passages (one without words); two sets of one dev and one test query each, all after the first passage."""
    passages = table([{"id": "p0", "text": "a", "image": passage_image}, {"id": "p1", "text": " "}], PASSAGE_COLUMNS)
    names = [(s, split) for s in ("named", "visual") for split in ("dev", "test")]
    rows = [{"id": f"{s}-{p}", "set": s, "split": p, "text": "?", "image": query_image} for s, p in names]
    qrels = Qrels({f"{s}-{p}": {"p0": 1.0, "p1": 0.0} for s, p in names})
    return Task(KnowledgeBase(passages, images, "made"), table(rows, QUERY_COLUMNS), qrels)


def task_of(rows: list[tuple[str, str]]) -> Task:
    """A task that asks about these entities in these splits."""
    queries = [{"id": str(i), "entity": e, "split": s} for i, (e, s) in enumerate(rows)]
    kb = KnowledgeBase(table([], PASSAGE_COLUMNS), Path("images"), "test")
    return Task(kb, table(queries, QUERY_COLUMNS), Qrels({}))


def asked(tmp_path: Path) -> Task:
    """Two facts of Monaco, one of Indonesia, whose flag is the same file, one of Japan, and one without an image."""
    for name, colour in {"mc": "red", "id": "red", "jp": "white"}.items():
        Image.new("RGB", (4, 3), colour).save(tmp_path / f"{name}.png")
    passages = [
        {"id": f"{name}{i}", "entity": name, "image": f"{name}.png"} for name, i in [("mc", 0), ("mc", 1), ("id", 0)]
    ]
    passages += [{"id": "jp0", "entity": "jp", "image": "jp.png"}, {"id": "x0", "entity": "x"}]
    queries = [
        {"id": "q0", "image": "v0.png", "split": "dev", "set": "visual", "text": "Which capital?"},
        {"id": "q1", "image": "v0.png", "split": "dev", "set": "visual", "text": "Which money?"},
        {"id": "q2", "image": "v1.png", "split": "test", "set": "visual"},
        {"id": "q3", "text": "Where is Japan?", "split": "test", "set": "named"},
    ]
    qrels = Qrels({"q0": {"mc0": 1.0}, "q1": {"id0": 1.0}, "q2": {"jp0": 2.0, "x0": 1.0}, "q3": {"jp0": 1.0}})
    kb = KnowledgeBase(table(passages, PASSAGE_COLUMNS), tmp_path, "test")
    return Task(kb, table(queries, QUERY_COLUMNS), qrels)
