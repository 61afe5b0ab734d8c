from pathlib import Path

import numpy as np
import pytest

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels
from hiddenstates.retrieval.validation import (
    Proposal,
    Rows,
    clustered_error,
    cross_validated,
    equally,
    group_of,
    led,
    shared_out,
)


def asked(entities: int, each: int = 2, sets: str = "ab") -> Task:
    """As many queries of each entity, the sets in turn."""
    rows = [
        {"id": f"q{i}", "set": sets[i % len(sets)], "entity": f"e{i // each}", "split": "dev"}
        for i in range(entities * each)
    ]
    kb = KnowledgeBase(table([{"id": "p"}], PASSAGE_COLUMNS), Path(), "r")
    return Task(kb, table(rows, QUERY_COLUMNS), Qrels({}))


class Best:
    """Takes the row with the best mean, as who trusts dev does."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.seen = values, list[np.ndarray]()

    def __call__(self, rows: Rows) -> Proposal:
        self.seen.append(rows)
        row = int(self.values[:, rows].mean(1).argmax())
        return Proposal(str(row), self.values[row])


def test_folds_are_of_whole_groups_and_of_one_size() -> None:
    groups = [f"e{i // 3}" for i in range(60)]
    fold_of = shared_out(groups, seed=0, folds=5)
    assert {len(set(fold_of[3 * i : 3 * i + 3])) for i in range(20)} == {1}
    assert np.bincount(fold_of).tolist() == [12] * 5
    assert (shared_out(groups, 1, 5) != fold_of).any()


def test_the_best_of_many_that_differ_by_luck_gains_on_dev_and_nothing_when_cross_validated() -> None:
    paid, seen, kept = 0, [], []
    for seed in range(20):
        values = np.random.default_rng(seed).normal(size=(300, 80))
        baseline = np.random.default_rng(seed + 1000).normal(size=80)
        found = cross_validated(Best(values), baseline, asked(40), ["a", "b"], seed)
        paid += found.pays
        seen.append((found.proposal.values - baseline).mean())
        kept.append(found.gain)
    assert np.mean(seen) > 0.2  # what trusting dev promises
    assert abs(np.mean(kept)) < 0.08
    assert paid <= 7  # a sixth of a normal distribution lies above one error


def test_what_is_surely_better_pays_and_every_fold_finds_it() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(50, 80))
    values[7] += 3
    found = cross_validated(Best(values), np.zeros(80), asked(40), ["a", "b"], 0)
    assert (found.pays, found.proposal.name, found.picks) == (True, "7", ("7",) * 5)
    assert found.gain == pytest.approx(values[7].mean())
    assert found.evidence()["picks"] == {"7": 5}


def test_no_query_scores_what_was_chosen_with_it() -> None:
    procedure = Best(np.random.default_rng(0).normal(size=(5, 80)))
    found = cross_validated(procedure, np.zeros(80), asked(40), ["a", "b"], 0)
    *folds, everything = procedure.seen
    assert everything.all()
    assert np.sum([~rows for rows in folds], axis=0).tolist() == [1] * 80
    for rows, pick in zip(folds, found.picks, strict=True):
        assert (found.differences[~rows] == procedure.values[int(pick)][~rows]).all()


def test_of_five_entities_nothing_is_chosen_however_good_it_looks() -> None:
    found = cross_validated(Best(np.ones((1, 10))), np.zeros(10), asked(5), ["a", "b"], 0)
    assert (found.pays, found.picks, found.gain) == (False, (), 0)
    assert cross_validated(Best(np.ones((1, 12))), np.zeros(12), asked(6), ["a", "b"], 0).gain == 1


def test_only_the_sets_asked_for_choose_and_count() -> None:
    values = np.tile([1.0, -5.0], 40)[None]
    found = cross_validated(Best(values), np.zeros(80), asked(40), ["a"], 0)
    assert found.gain == 1
    assert not np.any([rows[1::2] for rows in [found.weights]])


def test_each_set_weighs_the_same() -> None:
    weights = equally(asked(3, sets="aab"), ["a", "b"], np.ones(6, dtype=bool))
    assert weights.tolist() == pytest.approx([1 / 8, 1 / 8, 1 / 4, 1 / 8, 1 / 8, 1 / 4])


def test_the_error_of_a_mean_by_hand() -> None:
    differences, weights = np.array([1.0, 2.0, 3.0, 6.0]), np.full(4, 0.25)
    alone = clustered_error(differences, weights, np.arange(4))
    assert alone == pytest.approx(differences.std(ddof=1) / 2)
    # two groups, of sums 3 and 9 around 6: residuals -3/4 and 3/4, times 2 / (2 - 1)
    assert clustered_error(differences, weights, np.array([0, 0, 1, 1])) == pytest.approx(np.sqrt(2 * 2 * 0.75**2))
    assert clustered_error(differences, weights, np.zeros(4, dtype=int)) == np.inf


def test_gains_and_errors_of_many_are_those_of_each() -> None:
    random = np.random.default_rng(0)
    values, baseline, task = random.normal(size=(4, 80)), random.normal(size=80), asked(40)
    weights = equally(task, ["a", "b"], random.random(80) < 0.7)
    gains, errors = led(values, baseline, weights, group_of(task))
    for row, gain, error in zip(values, gains, errors, strict=True):
        assert gain == pytest.approx(weights @ (row - baseline))
        assert error == pytest.approx(clustered_error(row - baseline, weights, group_of(task)))
