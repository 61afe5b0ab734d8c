from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.core.strategy import DEFAULT
from hiddenstates.encoding.clip import Clip
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.images.everything import HeldPictures
from hiddenstates.retrieval.fusion.lists import Lists, Looked
from hiddenstates.retrieval.fusion.shown import Shown
from hiddenstates.retrieval.fusion.systems import answers, best_of_each, oracles, read_joint, tune
from hiddenstates.retrieval.index import build_index
from hiddenstates.retrieval.measures import evaluate

PASSAGES = {f"{entity}/{topic}": f"{entity}.png" for entity in ("mc", "jp", "ch") for topic in ("capital", "money")}
VIEWS = {"d0": "view-mc.png", "d1": "view-jp.png", "t0": "view-ch.png"}
RIGHT = {"d0": "mc/money", "d1": "jp/money", "t0": "ch/money", "t1": "ch/capital"}
SHOWN = Shown(PASSAGES, VIEWS)


class Namer(Clip):
    """One to which all titles are alike."""

    def __init__(self) -> None:
        pass

    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.ones(len(texts), 1)

    def embed_images(self, images: Sequence[Path]) -> torch.Tensor:
        return torch.ones(len(images), 1)


def vectors(rows: dict[str, list[float]]) -> Embeddings:
    found = np.array(list(rows.values()), dtype=np.float32)
    return Embeddings(list(rows), found / np.linalg.norm(found, axis=1, keepdims=True), DEFAULT, "f")


def task() -> Task:
    passages = table(({"id": id, "image": image} for id, image in PASSAGES.items()), PASSAGE_COLUMNS)
    rows = (
        {"id": q, "set": "visual", "split": {"d": "dev", "t": "test"}[q[0]], "image": VIEWS.get(q, "")} for q in RIGHT
    )
    qrels = Qrels({query: {passage: 1.0} for query, passage in RIGHT.items()})
    return Task(KnowledgeBase(passages, Path(), "test"), table(rows, QUERY_COLUMNS), qrels)


@pytest.fixture
def lists() -> Lists:
    """The texts say what is asked, the views of which: each is nearest to its own picture."""
    money = {id: [0.8, 0.6] if id.endswith("money") else [0.3, 0.954] for id in PASSAGES}
    pictures = vectors({f"{entity}.png": np.eye(3)[i].tolist() for i, entity in enumerate(("mc", "jp", "ch"))})
    views = vectors({view: (0.2 + 0.8 * np.eye(3)[i]).tolist() for i, view in enumerate(VIEWS.values())})
    held = HeldPictures(pictures, {name: name for name in pictures.ids})
    looked = Looked(held, views, VIEWS, Namer())
    asked = SHOWN.asked(task())
    return Lists.of(asked, vectors({query: [1.0, 0.0] for query in VIEWS}), build_index(vectors(money)), looked)


def asked(split: str) -> Task:
    return SHOWN.asked(task().select(split=split))


def test_neither_list_finds_what_both_together_find(lists: Lists) -> None:
    tuned = tune(lists, asked("dev").qrels, "recall@1", [1, 2], depth=3)
    runs = answers(lists, tuned, depth=3)
    found = {name: evaluate(run, asked("test").qrels, ["recall@1"])["recall@1"].mean() for name, run in runs.items()}
    assert found == {"image": 0, "name": 0, "weighted": 1, "reciprocal_rank": 1, "filtered": 1, "soft_filter": 1}
    assert evaluate(lists.text(3), asked("test").qrels, ["recall@1"])["recall@1"].mean() == 0
    about = tuned.about()
    assert (about["nearest images"], about["weighted on dev"], about["filtered on dev"]) == (1, 1.0, 1.0)
    assert sum(about["weights"].values()) == pytest.approx(1)


def test_every_question_of_the_lists_is_answered_at_the_depth(lists: Lists) -> None:
    runs = answers(lists, tune(lists, asked("dev").qrels, "mrr@10", [1], depth=1), depth=1)
    assert all(set(run) == set(VIEWS) for run in runs.values())
    assert runs["weighted"]["t0"].keys() == {"ch/money"}


def test_only_the_questions_that_choose_choose(lists: Lists) -> None:
    wrong = replace(lists, texts=vectors({"d0": [1.0, 0.0], "d1": [1.0, 0.0], "t0": [0.0, 1.0]}))
    qrels = asked("dev").qrels
    assert tune(wrong, qrels, "mrr@10", [1, 2], 3) == tune(lists, qrels, "mrr@10", [1, 2], 3)


def test_oracles_know_the_image_and_the_best_system(lists: Lists) -> None:
    runs = {"text": lists.text(3), "filtered": Run({"t0": {"ch/money": 1.0}})}
    bounds = oracles(lists, SHOWN, runs, asked("test"), "mrr@10", 3)
    found = bounds["oracle: right image, then text"]["t0"]
    assert found == pytest.approx({"ch/money": 0.8, "ch/capital": 0.3}, abs=1e-3)
    assert bounds["oracle: best system of each query"].rows == {"t0": {"ch/money": 1.0}}


def test_the_best_of_each_takes_the_first_of_equals() -> None:
    first, second = Run({"q": {"a": 1.0}, "r": {"b": 1.0}}), Run({"q": {"a": 2.0}, "r": {"a": 1.0}})
    best = best_of_each({"first": first, "second": second}, Qrels({"q": {"a": 1.0}, "r": {"a": 1.0}}), "mrr@10")
    assert best.rows == {"q": {"a": 1.0}, "r": {"a": 1.0}}


def test_a_joint_run_counts_only_if_it_covers_the_questions(tmp_path: Path) -> None:
    asked = task().select(split="test")
    assert read_joint(tmp_path, asked) == {}
    Run({"t0": {"ch/money": 1.0}, "other": {"ch/money": 1.0}}).write(tmp_path / "chosen.run", "joint")
    assert read_joint(tmp_path, asked) == {}  # t1 is missing
    assert read_joint(tmp_path, SHOWN.asked(asked))["joint"].rows == {"t0": {"ch/money": 1.0}}
    assert read_joint(tmp_path, asked.select(split="dev")) == {}  # nothing to cover
