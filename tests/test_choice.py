import json
from pathlib import Path

import pytest

from hiddenstates.core.choice import Choice
from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy

CHOICE = Choice(Strategy.parse("concat(3..6)/max"), "abc", {"measure": "mrr@10", "split": "dev", "score": 0.5})


def test_a_saved_choice_comes_back(tmp_path: Path) -> None:
    CHOICE.save(tmp_path / "choice.json")
    assert Choice.load(tmp_path / "choice.json") == CHOICE
    assert json.loads((tmp_path / "choice.json").read_text("utf-8"))["strategy"] == "concat(3..6)/max"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"strategy": "-1/mean", "fingerprint": "a"}', None])
def test_a_file_that_holds_no_choice_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "choice.json").write_text(text, "utf-8")
    with pytest.raises(LabError, match=r"choice\.json: no choice can be read .*Run the stage `strategies` again"):
        Choice.load(tmp_path / "choice.json")


def test_an_impossible_strategy_is_named(tmp_path: Path) -> None:
    CHOICE.save(tmp_path / "choice.json")
    spoilt = (tmp_path / "choice.json").read_text("utf-8").replace("concat(3..6)", "last")
    (tmp_path / "choice.json").write_text(spoilt, "utf-8")
    with pytest.raises(LabError, match="strategy 'last/max' is not understood"):
        Choice.load(tmp_path / "choice.json")
