from pathlib import Path

import pytest
from tiny import pooled_states

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.retrieval.fusion.shown import Shown

# Two facts of Monaco, one of Indonesia, whose flag is the same, one of Japan, one whose image is broken, one without.
PASSAGES = {"mc0": "mc.png", "mc1": "mc.png", "id0": "id.png", "jp0": "jp.png", "br0": "broken.png", "x0": ""}
QUERIES = {"q0": "v0.png", "q1": "v1.png", "q2": "", "q3": "lost.png"}
QRELS = Qrels({"q0": {"mc0": 1.0, "id0": 2.0, "jp0": 0.0}, "q1": {"jp0": 1.0}, "q2": {"x0": 1.0}, "q3": {"jp0": 1.0}})
NAMES = {"mc.png": "mc.png", "id.png": "mc.png", "jp.png": "jp.png"}


def named(ids: list[str]) -> PooledStates:
    states = pooled_states(len(ids))
    return PooledStates(ids, states.values, states.state_map, states.fingerprint)


@pytest.fixture
def task() -> Task:
    passages = table(({"id": id, "image": image} for id, image in PASSAGES.items()), PASSAGE_COLUMNS)
    queries = table(
        ({"id": id, "image": image, "set": "s", "split": "dev"} for id, image in QUERIES.items()), QUERY_COLUMNS
    )
    return Task(KnowledgeBase(passages, Path("images"), "test"), queries, QRELS)


@pytest.fixture
def shown(task: Task) -> Shown:
    return Shown.of(task, NAMES, named(["v0.png", "v1.png"]))


def test_only_what_has_states_is_joined(shown: Shown) -> None:
    assert shown.passages == {"mc0": "mc.png", "mc1": "mc.png", "id0": "mc.png", "jp0": "jp.png"}
    assert shown.queries == {"q0": "v0.png", "q1": "v1.png"}


def test_those_are_asked_that_show_an_image(shown: Shown, task: Task) -> None:
    assert shown.asked(task).queries["id"][:] == ["q0", "q1"]
    assert len(Shown({}, shown.queries).asked(task).queries) == 0  # no passage has one


def test_an_image_scores_as_its_best_passage(shown: Shown) -> None:
    run = Run({"q0": {"mc0": 0.1, "mc1": -0.4, "jp0": -0.3, "x0": 9.0}})
    assert shown.onto_images(run).rows == {"q0": {"mc.png": 0.1, "jp.png": -0.3}}


def test_what_is_sought_are_the_images_of_what_is_relevant(shown: Shown, task: Task) -> None:
    qrels = shown.for_images(task).qrels
    assert qrels.rows == {"q0": {"mc.png": 2.0}, "q1": {"jp.png": 1.0}, "q2": {}, "q3": {"jp.png": 1.0}}
