from pathlib import Path

import pytest
from numpy.testing import assert_array_equal
from tiny import pooled_states

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.states import TaskStates


def test_the_states_of_a_task_come_back(tmp_path: Path) -> None:
    states = TaskStates(pooled_states(4), pooled_states(2, seed=1))
    states.save(tmp_path / "pooled")
    back = TaskStates.load(tmp_path / "pooled")
    assert (len(back.passages.ids), len(back.queries.ids)) == (4, 2)
    assert_array_equal(back.queries.values["first"], states.queries.values["first"])
    assert list(back.queries.values) == ["first", "mean"]


def test_the_default_is_the_last_state_s_mean() -> None:
    assert str(TaskStates(pooled_states(1), pooled_states(1)).default) == "2/mean"


def test_a_folder_without_states_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"passages\.safetensors: no pooled states can be read .*Run the stage `states`"):
        TaskStates.load(tmp_path)
