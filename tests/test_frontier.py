import pandas as pd

from hiddenstates.core.joined import parse
from hiddenstates.report import frontier

SCORES = pd.Series(
    {
        "0/mean": 0.2,
        "1/mean": 0.5,
        "2/mean": 0.5,
        "sum(0,1)/mean": 0.4,
        "concat(0,1)/mean": 0.6,
        "concat(0,1,2)/mean": 0.55,
        "sum(1,3)/mean+ln": 0.7,
    }
)


def test_what_a_strategy_costs() -> None:
    costs = {
        "0/mean": (0, 1),
        "sum(0,3)/mean": (3, 1),
        "concat(1,2)/first": (2, 2),
        "concat(0,1)/first,mean": (1, 4),
        "0.5*2/mean & 0.5*concat(0,1)/max": (2, 3),
    }
    for name, cost in costs.items():
        assert (frontier.layers_run(parse(name)), frontier.states_wide(parse(name))) == cost


def test_the_best_within_each_cost_and_none_that_costs_more_for_less() -> None:
    rows = frontier.cheapest(SCORES, 384)
    by_layers = rows[rows["limit"] == "layers"]
    assert by_layers["strategy"].tolist() == ["0/mean", "concat(0,1)/mean", "sum(1,3)/mean+ln"]
    assert by_layers["layers"].tolist() == [0, 1, 3]
    assert by_layers["numbers"].tolist() == [384, 768, 384]
    assert rows[rows["limit"] == "numbers"]["strategy"].tolist() == ["sum(1,3)/mean+ln"]


def told(**verdicts: str) -> pd.DataFrame:
    names = {"zero": "0/mean", "one": "concat(0,1)/mean", "three": "sum(1,3)/mean+ln"}
    rows = {names[k]: {"difference": 0.01, "low": -0.002, "high": 0.02, "verdict": v} for k, v in verdicts.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def test_the_answer_is_chosen_on_dev_and_told_on_test() -> None:
    rows = frontier.cheapest(SCORES, 384)
    dev = told(zero="worse", one="equivalent", three="better")
    test = told(zero="worse", one="undecided", three="better")
    said = frontier.answer(rows, dev, test, 3, "the published one")
    assert said == (
        "**Fewer layers**: `concat(0,1)/mean` runs 1 of 3 and dev shows it to be equivalent; "
        "on test +0.010 [-0.002, +0.020], undecided."
    )
    nobody = told(zero="worse", one="undecided", three="better")
    assert "no strategy with fewer than 3" in frontier.answer(rows, nobody, test, 3, "the published one")
