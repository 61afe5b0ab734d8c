import pandas as pd
import pytest

from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy
from hiddenstates.retrieval.choosing.best import choose, overall
from hiddenstates.retrieval.strategies.sweep import Sweep

SCORES = {
    #             a mrr, a ndcg, b mrr, b ndcg
    "0/first": (0.90, 0.90, 0.90, 0.90),  # the same vector for every passage
    "1/mean": (0.50, 0.60, 0.30, 0.20),
    "2/mean": (0.20, 0.10, 0.70, 0.50),
    "sum(0,1)/mean": (0.70, 0.10, 0.20, 0.20),
    "concat(0..2)/mean": (0.20, 0.10, 0.70, 0.60),
}


def swept() -> Sweep:
    columns = pd.MultiIndex.from_product([["a", "b"], ["mrr@10", "ndcg@10"]], names=["set", "measure"])
    means = pd.DataFrame(SCORES, index=columns).T.rename_axis("strategy")
    strategies = [Strategy.parse(name) for name in SCORES]
    return Sweep(strategies, means, {}, strategies[:1])


def test_every_set_weighs_the_same() -> None:
    scores = overall(swept(), "mrr@10")
    assert scores.to_dict() == pytest.approx(
        {"1/mean": 0.4, "2/mean": 0.45, "sum(0,1)/mean": 0.45, "concat(0..2)/mean": 0.45}
    )


def test_only_the_sets_asked_for_count() -> None:
    assert overall(swept(), "mrr@10", ["b"])["2/mean"] == 0.7
    assert overall(swept(), "ndcg@10", ["b", "a"])["concat(0..2)/mean"] == pytest.approx((0.6 + 0.1) / 2)


@pytest.mark.parametrize(
    ("measure", "sets", "best"),
    [
        ("ndcg@10", None, "1/mean"),  # .40 against .30, .15 and .35
        ("mrr@10", ["a"], "sum(0,1)/mean"),
        ("mrr@10", ["b"], "2/mean"),  # as good as concat(0..2)/mean, and simpler
        ("ndcg@10", ["b"], "concat(0..2)/mean"),
    ],
)
def test_the_best_is_chosen_the_simplest_of_equals(measure: str, sets: list[str] | None, best: str) -> None:
    choice = choose(swept(), measure, sets, "abc")
    assert (str(choice.strategy), choice.fingerprint) == (best, "abc")


def test_the_choice_says_why() -> None:
    evidence = choose(swept(), "ndcg@10", None, "abc").evidence
    assert evidence == {"measure": "ndcg@10", "split": "dev", "score": pytest.approx(0.4), "strategies": 4}


def test_a_constant_strategy_is_never_chosen_however_it_scores() -> None:
    assert "0/first" not in overall(swept(), "mrr@10")
    useless = Sweep(swept().strategies, swept().means, {}, [])
    assert str(choose(useless, "mrr@10", None, "abc").strategy) == "0/first"  # but for its being named


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(LabError, match=r"strategies\.measure: 'map' is not among what is reported: mrr@10, ndcg@10\."):
        choose(swept(), "map", None, "abc")


def test_unknown_sets_are_refused() -> None:
    with pytest.raises(LabError, match=r"strategies\.sets: no query set c, d\. Known: a, b\."):
        overall(swept(), "mrr@10", ["a", "d", "c"])
