from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tiny import pooled_states

from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.models.baseline import Baseline
from hiddenstates.encoding.models.head import Linear


def test_the_states_of_a_task_come_back(tmp_path: Path) -> None:
    states = TaskStates(pooled_states(4), pooled_states(2, seed=1))
    states.save(tmp_path / "pooled")
    back = TaskStates.load(tmp_path / "pooled")
    assert (len(back.passages.ids), len(back.queries.ids)) == (4, 2)
    assert_array_equal(back.queries.values["first"], states.queries.values["first"])
    assert list(back.queries.values) == ["first", "mean"]


def test_the_default_is_the_last_state_s_mean_by_convention() -> None:
    states = TaskStates(pooled_states(1), pooled_states(1))
    assert (str(states.default), states.published) == ("2/mean", False)
    assert states.origin == "convention: the mean of the last state"


def test_the_default_is_what_was_published(tmp_path: Path) -> None:
    published = Baseline(Strategy.parse("-1/first,mean"), True, "modules.json").then(Linear(np.eye(16, dtype="f4")[:3]))
    states = TaskStates(*(replace(pooled_states(3, seed), baseline=published) for seed in (0, 1)))
    states.save(tmp_path / "pooled")
    back = TaskStates.load(tmp_path / "pooled")
    assert (str(back.default), back.published, back.origin) == ("2/first,mean+head", True, "published: modules.json")
    expected = states.passages.values["first"][2][:, :3]  # the head keeps the first three dimensions of sixteen
    found = back.passages.select(["p2", "p0"]).embed(back.default)
    assert_allclose(found.vectors, (expected / np.linalg.norm(expected, axis=1, keepdims=True))[[2, 0]], rtol=1e-6)
    assert str(found.strategy) == "2/first,mean+head"


def test_a_folder_without_states_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"passages\.safetensors: no pooled states can be read .*Run the stage `states`"):
        TaskStates.load(tmp_path)
