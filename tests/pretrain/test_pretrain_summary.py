import pandas as pd

from hiddenstates.pretrain.questions import VisualQuestion
from hiddenstates.pretrain.summary import across, by_kind


def test_by_kind_of_question_every_system_has_its_row() -> None:
    asked = [("CH", "capital"), ("FR", "capital"), ("CH", "currency")]
    questions = [VisualQuestion(i, code, kind, "?", "yes", frozenset({"yes"})) for i, (code, kind) in enumerate(asked)]
    found = {"model": pd.Series([1.0, 0.0, 1.0]), "majority": pd.Series([0.0, 0.0, 1.0])}
    tables = across(by_kind(questions, found, ["CH", "FR", "CH"], 0))
    assert {kind: table["value"].to_dict() for kind, table in tables.items()} == {
        "capital": {"model": 0.5, "majority": 0},
        "currency": {"model": 1, "majority": 1},
        "all": {"model": 2 / 3, "majority": 1 / 3},
    }
    assert [list(table.columns) for table in tables.values()] == [["value", "low", "high"]] * 3
