"""Properties of what is read and written, and of the sweep's algebra, over inputs that nobody thought of."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from brute_force import CHANGES, Change, brute_ranks, corpus
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_array_equal
from tiny import STATES

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, SPLITS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.core.strategy import Strategy
from hiddenstates.corpora.checks import checked
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.retrieval.ranks.gram import subset_ranks

bounded = settings(derandomize=True, deadline=None, max_examples=60)

IDS = st.text(min_size=1, max_size=5).filter(lambda i: i.split() == [i] and not i.startswith("\ufeff"))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.dictionaries(IDS, st.dictionaries(IDS, NUMBERS, min_size=1, max_size=4), max_size=4)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | NUMBERS | st.text(), lambda j: st.lists(j, max_size=3))
SEEDS = st.integers(0, 2**32 - 1)
SHRINKAGE = st.none() | st.floats(0, 1)
FLAGS = {"normalize": st.booleans(), "layer_norm": st.booleans(), "each": SHRINKAGE, "whiten": SHRINKAGE}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One for all examples, which overwrite each other's files."""
    with TemporaryDirectory() as name:
        yield Path(name)


@st.composite
def strategies(draw: st.DrawFn, n_states: int = 999) -> Strategy:
    """Any strategy of a model of so many states, its layers counted from either end."""
    places = draw(st.lists(st.integers(0, n_states - 1), min_size=1, max_size=6, unique=True))
    layers = tuple(place - n_states * draw(st.booleans()) for place in places)
    combine = draw(st.sampled_from(("sum", "mean", "concat"))) if len(layers) > 1 else "single"
    weighted = combine == "sum" and draw(st.booleans())
    weights = tuple(draw(NUMBERS) for _ in layers) if weighted else ()
    flags = {name: draw(flag) for name, flag in FLAGS.items()}
    return Strategy(layers, combine, draw(st.sampled_from(("mean", "first", "max"))), weights=weights, **flags)


@st.composite
def tasks(draw: st.DrawFn, folder: Path) -> Task:
    """Texts, ids and grades of any characters."""
    passages = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    queries = draw(st.lists(IDS, max_size=4, unique=True))
    asked = [
        {"id": i, "text": draw(st.text()), "set": draw(st.text()), "split": draw(st.sampled_from(SPLITS))}
        for i in queries
    ]
    kb = table(({"id": i, "text": draw(st.text()), "title": draw(st.text())} for i in passages), PASSAGE_COLUMNS)
    grades = {i: draw(st.dictionaries(st.sampled_from(passages), NUMBERS)) for i in queries}
    knowledge = KnowledgeBase(kb, folder / "images", draw(st.text()))
    return Task(knowledge, table(asked, QUERY_COLUMNS), Qrels(grades), unjudged=draw(st.integers(0, 2**31)))


@given(rows=ROWS)
@bounded
def test_trec_files_come_back(folder: Path, rows: dict[str, dict[str, float]]) -> None:
    Qrels(rows).write(folder / "qrels")
    Run(rows).write(folder / "run", "tag")
    assert Qrels.read(folder / "qrels").rows == Run.read(folder / "run").rows == rows


@given(data=st.data())
@bounded
def test_tasks_come_back(folder: Path, data: st.DataObject) -> None:
    task = data.draw(tasks(folder))
    task.save(folder)
    again = Task.load(folder)
    assert again.kb.passages.to_dict() == task.kb.passages.to_dict()
    assert again.queries.to_dict() == task.queries.to_dict()
    assert again.qrels.rows == task.qrels.rows
    assert (again.kb.revision, again.kb.images, again.unjudged) == (task.kb.revision, task.kb.images, task.unjudged)


@given(data=st.data())
@bounded
def test_a_task_is_sound_or_refused_in_one_sentence(folder: Path, data: st.DataObject) -> None:
    task = data.draw(tasks(folder))
    try:
        assert checked(task, "here") is task
    except LabError as error:
        assert str(error).startswith("here")


@given(ids=st.lists(st.text(), max_size=4, unique=True), fingerprint=st.text(), data=st.data())
@bounded
def test_pooled_states_come_back_to_the_bit(
    folder: Path, ids: list[str], fingerprint: str, data: st.DataObject
) -> None:
    shape = (len(STATES), len(ids), data.draw(st.integers(1, 3)))
    poolings = data.draw(st.sets(IDS, min_size=1, max_size=2))
    values = {name: data.draw(arrays.arrays(np.float32, shape)) for name in poolings}
    PooledStates(ids, values, STATES, fingerprint).save(folder / "states")
    again = PooledStates.load(folder / "states")
    assert (again.ids, again.state_map, again.fingerprint) == (ids, STATES, fingerprint)
    assert {name: states.tobytes() for name, states in again.values.items()} == {
        name: states.tobytes() for name, states in values.items()
    }


@given(strategy=strategies(), fingerprint=st.text(), evidence=st.dictionaries(st.text(), JSON, max_size=3))
@bounded
def test_choices_come_back(folder: Path, strategy: Strategy, fingerprint: str, evidence: dict[str, object]) -> None:
    choice = Choice(replace(strategy, each=None, whiten=None), fingerprint, evidence)
    choice.save(folder)
    assert Choice.load(folder) == choice


@given(strategies())
@bounded
def test_a_strategy_is_its_string(strategy: Strategy) -> None:
    assert Strategy.parse(str(strategy)) == strategy


@given(st.text(alphabet="sumconatel/,.*()+-0123456789 rwhit") | st.text())
@bounded
def test_any_other_string_is_refused_in_one_sentence(text: str) -> None:
    try:
        assert Strategy.parse(str(Strategy.parse(text))) == Strategy.parse(text)
    except LabError as error:
        assert str(error).startswith("strategy")


@given(strategy=strategies(n_states=9))
@bounded
def test_resolving_names_the_same_states_from_zero(strategy: Strategy) -> None:
    resolved = strategy.resolve(9)
    assert resolved.layers == tuple(sorted({layer % 9 for layer in strategy.layers}))
    assert resolved.resolve(9) == resolved
    pairs = zip(strategy.layers, strategy.weights, strict=False)
    assert dict(zip(resolved.layers, resolved.weights, strict=False)) == {layer % 9: weight for layer, weight in pairs}


@given(changes=st.lists(st.sampled_from(CHANGES), max_size=3), n_passages=st.integers(1, 60), seed=SEEDS)
@settings(bounded, max_examples=12)
def test_the_sweep_ranks_as_a_float64_brute_force(changes: list[Change], n_passages: int, seed: int) -> None:
    """Near ties, twins, layers that are constant or zero, of very different size, and all of these at once."""

    def change(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
        for one in changes:
            one(queries, passages, random)

    queries, passages, pairs = corpus(change, n_passages, seed)
    ranks = subset_ranks(queries, passages, pairs)
    for combine, subset in np.ndindex(2, 1 << len(queries)):
        if subset:
            assert_array_equal(ranks[combine, subset], brute_ranks(queries, passages, pairs, combine, subset))
