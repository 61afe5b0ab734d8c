from dataclasses import replace

import numpy as np
import pytest
from random_states import asked, states

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import Joined, parse
from hiddenstates.core.strategy import Strategy
from hiddenstates.retrieval.choosing.limits import ANY, Limits
from hiddenstates.retrieval.choosing.procedure import Search, decided
from hiddenstates.retrieval.measures import evaluate
from hiddenstates.retrieval.search import search
from hiddenstates.retrieval.strategies.sweep import picked, sweep
from hiddenstates.retrieval.validation import cross_validated

DEFAULT = Strategy.parse("2/mean")


def procedure(learn: bool = False, join: bool = False, limits: Limits = ANY) -> Search:
    swept = sweep(states(), asked(), ["mrr@10"], (False,), (0.5,), [f"p{i}" for i in range(40)])
    training = [f"p{i}" for i in range(40)]
    return Search(swept, DEFAULT, states(), asked(), "mrr@10", asked().sets, learn, join, training, 0, limits)


@pytest.fixture(scope="module")
def plain() -> Search:
    return procedure()


def test_it_takes_the_largest_gain_less_its_error(plain: Search) -> None:
    rows = np.ones(len(asked().queries), dtype=bool)
    strategy, values = plain.best(rows)
    expected = {}
    for other in plain.swept.strategies:
        gains = plain.swept.values["mrr@10"][plain.swept.row(other)].astype(float) - plain.baseline
        sets = np.array(asked().queries["set"][:])
        weights = sum((sets == s) / 2 / (sets == s).sum() for s in asked().sets)
        residuals = weights * (gains - weights @ gains)
        expected[other] = weights @ gains - np.sqrt(residuals @ residuals * len(gains) / (len(gains) - 1))
    assert strategy == max(expected, key=lambda one: round(expected[one], 9))
    assert (values == plain.swept.values["mrr@10"][plain.swept.row(strategy)]).all()


def test_what_joins_and_learns_is_scored_as_it_is_searched() -> None:
    found = procedure(learn=True, join=True)
    _, *scored = found.scored(np.ones(len(asked().queries), dtype=bool))
    made = [part for part, _ in scored]
    strategies = [strategy for part in made for strategy in part.strategies]
    assert {type(strategy) for strategy in strategies} >= {Joined}
    for part in made:
        for i, strategy in list(enumerate(part.strategies))[::4]:
            run = search(states(), asked(), strategy, 90, found.whitening([strategy]))
            expected = evaluate(run, asked().qrels, ["mrr@10"])["mrr@10"].to_numpy(np.float32)
            assert (part.values["mrr@10"][i] == expected).all(), strategy


def test_the_default_stays_unless_choosing_pays(plain: Search) -> None:
    found = cross_validated(plain, plain.baseline, asked(), asked().sets, 0)
    kept = decided(plain, replace(found, error=9.0), 0.01)
    assert (kept.strategy, kept.whitening) == (DEFAULT, None)
    taken = decided(plain, replace(found, differences=found.differences + 9, error=0.1), 0.02)
    assert taken.strategy == parse(found.proposal.name)
    assert taken.evidence["margin"] == 0.02
    assert taken.evidence["cross-validated"]["queries"] == len(asked().queries)
    assert taken.evidence["score"] == pytest.approx(float(found.weights @ found.proposal.values))


def test_the_rows_of_some_strategies(plain: Search) -> None:
    some = plain.swept.strategies[5:2:-1]
    found = picked(some, plain.swept)
    assert found.strategies == some
    assert list(found.means.index) == list(map(str, some))
    assert (found.values["mrr@10"] == plain.swept.values["mrr@10"][5:2:-1]).all()


@pytest.mark.parametrize("limits", [Limits(layers=1), Limits(bytes=32), Limits(1, 32), Limits(layers=0)])
def test_nothing_beyond_the_limits_is_chosen_joined_or_learned(limits: Limits) -> None:
    found, passages = procedure(learn=True, join=True, limits=limits), states().passages
    rows = np.ones(len(asked().queries), dtype=bool)
    for part, scores in found.scored(rows):
        for strategy, score in zip(part.strategies, scores, strict=True):
            assert limits.hold(strategy, passages) or score == -np.inf  # type: ignore[arg-type]
    assert limits.hold(found.best(rows)[0], passages)


def test_of_what_is_within_the_limits_the_same_is_taken_as_if_there_were_nothing_else(plain: Search) -> None:
    rows = np.ones(len(asked().queries), dtype=bool)
    (_, whole), *_ = plain.scored(rows)
    kept = [one.layers[-1] <= 1 for one in plain.swept.strategies]  # type: ignore[union-attr]
    first = plain.swept.strategies[int(np.argmax(np.where(kept, whole, -np.inf)))]
    assert procedure(limits=Limits(layers=1)).best(rows)[0] == first


def test_a_default_beyond_the_limits_is_compared_with_and_never_kept() -> None:
    limited = procedure(limits=Limits(layers=1))
    found = cross_validated(limited, limited.baseline, asked(), asked().sets, 0)
    taken = decided(limited, replace(found, error=9.0), 0.01)
    assert str(taken.strategy) == found.proposal.name
    assert max(taken.strategy.layers) <= 1
    assert (taken.evidence["default"], taken.evidence["limits"]) == ("2/mean", "at most 1 layer")
    within = procedure(limits=Limits(layers=2))
    assert decided(within, replace(found, error=9.0), 0.01).strategy == DEFAULT


def test_limits_that_nothing_keeps_to_are_refused_with_the_least_that_is_possible() -> None:
    width = states().passages.values["mean"].shape[-1]
    with pytest.raises(
        LabError, match=rf"strategies\.bytes_at_most: 4, .* takes {4 * width} bytes\. Allow {4 * width}"
    ):
        procedure(limits=Limits(bytes=4))
    with pytest.raises(LabError, match=rf"strategies\.bytes_at_most: 4, .* Allow {4 * width} or more"):
        procedure(limits=Limits(1, 4))
    kept = [one for one in procedure().swept.strategies if min(one.layers) > 0]  # type: ignore[union-attr]
    with pytest.raises(LabError, match=r"strategies\.layers_at_most: 0, .* fewer layers than 1\. Allow 1 or more"):
        Limits(layers=0).check(kept, states().passages)  # type: ignore[arg-type]
