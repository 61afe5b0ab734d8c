from dataclasses import replace

from tiny import pooled_states

from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.retrieval.strategies.distinct import distinct


def twins(states: PooledStates) -> PooledStates:
    """`last` is `first`; `mean` is another."""
    return replace(states, values=states.values | {"last": states.values["first"].copy()})


def test_a_pooling_of_the_same_numbers_is_left_out_and_named() -> None:
    states = TaskStates(twins(pooled_states(4)), twins(pooled_states(3, seed=1)))
    found, same = distinct(states, ["mean"])
    assert same == {"last": "first"}
    assert set(found.passages.values) == set(found.queries.values) == {"first", "mean"}
    found, same = distinct(states, ["last"])  # the published embedding's stays
    assert same == {"first": "last"}
    assert set(found.passages.values) == {"last", "mean"}
    found, same = distinct(states, ["first", "last"])  # it has both: whatever it needs is kept
    assert same == {}
    assert set(found.passages.values) == {"first", "last", "mean"}


def test_poolings_that_differ_on_one_side_stay() -> None:
    states = TaskStates(twins(pooled_states(4)), twins(pooled_states(3, seed=1)))
    states.queries.values["last"][0, 0, 0] += 1
    assert distinct(states, ["mean"])[1] == {}
