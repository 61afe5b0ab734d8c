import numpy as np
import pandas as pd
import pytest

from hiddenstates.core.joined import parse
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.report.choosing import answer, by_set, costs, validated, words
from hiddenstates.report.space import short
from hiddenstates.retrieval.validation import Proposal, Validation

DEFAULT = "published embedding, `2/mean`"


def found(gain: float, error: float, picks: tuple[str, ...] = ("1/max",) * 5) -> Validation:
    differences = np.full(40, gain)
    return Validation(Proposal("1/max", differences), differences, np.full(40, 1 / 40), error, picks)


def choice(name: str) -> Choice:
    return Choice(Strategy.parse(name), "abc", {"measure": "mrr@10", "default": "2/mean"})


def test_the_answer_is_what_was_chosen() -> None:
    assert answer(choice("1/max"), found(0.07, 0.03), 7396, DEFAULT, "1/max") == (
        "**Index `1/max` instead of the published embedding, `2/mean`**: choosing among 7,396 strategies, "
        "cross-validated on 40 dev queries, gains mrr@10 +0.070 ± 0.030."
    )
    kept = answer(choice("2/mean"), found(0.004, 0.056), 7396, DEFAULT, "2/mean")
    assert kept.startswith("**Keep the published embedding, `2/mean`**: choosing among 7,396 strategies")
    assert kept.endswith("gains mrr@10 +0.004 ± 0.056, which is not above one standard error.")
    itself = answer(choice("2/mean"), found(0.05, 0.01), 7396, DEFAULT, "2/mean")
    assert itself.endswith("gains mrr@10 +0.050 ± 0.010, but on all of dev takes this one itself.")
    assert "too few" in answer(choice("2/mean"), found(0.0, 0.0, ()), 9, DEFAULT, "2/mean")


def gains() -> pd.DataFrame:
    rows = {"named": (-0.1, "worse"), "alias": (0.2, "better")}
    return pd.DataFrame.from_dict(
        {
            name: {"n": 9, "difference": d, "low": d - 0.05, "high": d + 0.05, "verdict": v}
            for name, (d, v) in rows.items()
        },
        orient="index",
    )


def test_what_a_set_loses_is_said_and_how_to_choose_for_fewer() -> None:
    own = {"named": found(0.0, 0.1), "alias": found(0.2, 0.1)}
    assert costs(gains(), own) == (
        "The choice for all sets costs named (-0.100 [-0.150, -0.050]). Choosing for a set alone pays, on dev, for "
        "alias (`1/max`, +0.200). To choose for fewer sets, name them: `strategies.sets`."
    )
    assert costs(gains(), {"named": own["named"]}) == ""


def test_the_table_has_a_row_for_each_set() -> None:
    columns = pd.MultiIndex.from_product([["named", "alias"], ["mrr@10"]])
    means = pd.DataFrame([[0.9, 0.3], [0.8, 0.5]], index=["default", "chosen"], columns=columns)
    assert by_set(gains(), means, "mrr@10").splitlines()[2:] == [
        "| named | 9 | 0.900 | 0.800 | -0.100 [-0.150, -0.050] | worse |",
        "| alias | 9 | 0.300 | 0.500 | +0.200 [+0.150, +0.250] | better |",
    ]


def test_validated_choices_side_by_side() -> None:
    table = validated({"all": found(0.07, 0.03), "few": found(0.0, 0.0, ())})
    assert table.loc["all"].tolist() == [40, pytest.approx(0.07), 0.03, True, "5 of 5", "1/max"]
    assert table.loc["few", ["pays", "folds that agree"]].tolist() == [False, "0 of 0"]


def test_words_are_advised_where_they_gain() -> None:
    assert words(0.8, found(0.04, 0.01), "mrr@10").endswith("Index both.")
    assert words(1.0, found(-0.04, 0.01), "mrr@10").endswith("Index the embedding alone.")
    assert "left out" in words(1.0, None, "spearman")
    assert "too few" in words(1.0, found(0.0, 0.0, ()), "mrr@10")


def test_learned_weights_have_a_short_name() -> None:
    names = {
        "sum(0*0.1,1*0.2,2*0.7)/mean+ln": "weighted(0–2)/mean+ln",
        "sum(0*0.1,2*0.9)/max": "weighted(0,2)/max",
        "0.25*6/mean & 0.75*sum(0*0.1,1*0.2,2*0.7)/mean": "0.25*6/mean & 0.75*weighted(0–2)/mean",
        "concat(0,6)/mean": "concat(0,6)/mean",
    }
    assert {name: short(parse(name)) for name in names} == names
