from math import log2

import ir_measures
import numpy as np
import pandas as pd
import pytest
from ir_measures import RR, R, nDCG

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.retrieval.measures import correlate, evaluate, from_ranks, mean_score, parse_measure

NAMES = ["recall@10", "mrr@10", "ndcg@10"]


def scores(row: dict[str, float], grades: dict[str, int], names: list[str]) -> list[float]:
    return list(evaluate(Run({"q": row}), Qrels({"q": {p: float(g) for p, g in grades.items()}}), names).loc["q"])


def test_by_hand() -> None:
    run = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}
    grades = {"b": 3, "d": 1, "z": 2, "c": 0}  # z is never found, c was judged and is not relevant
    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert scores(run, grades, ["recall@1", "recall@2", "recall@4", "recall@100"]) == pytest.approx(
        [0, 1 / 3, 2 / 3, 2 / 3]
    )
    assert scores(run, grades, ["mrr@1", "mrr@2", "mrr@10"]) == pytest.approx([0, 1 / 2, 1 / 2])
    assert scores(run, grades, ["ndcg@1", "ndcg@2", "ndcg@4"]) == pytest.approx(
        [
            0,
            (3 / log2(3)) / (3 / log2(2) + 2 / log2(3)),
            (3 / log2(3) + 1 / log2(5)) / ideal,
        ]
    )


def test_a_perfect_run_scores_one() -> None:
    assert scores({"a": 0.2, "b": 0.1}, {"a": 2, "b": 1}, NAMES) == [1, 1, 1]


@pytest.mark.parametrize(
    ("run", "grades"),
    [({}, {"a": 1}), ({"b": 1.0}, {"a": 1}), ({"a": 1.0}, {}), ({"a": 1.0}, {"a": 0}), ({"a": 1.0}, {"a": -1})],
    ids=["nothing retrieved", "another retrieved", "nothing judged", "none relevant", "a negative grade"],
)
def test_what_is_not_found_scores_zero(run: dict[str, float], grades: dict[str, int]) -> None:
    assert scores(run, grades, NAMES) == [0, 0, 0]


def test_a_query_that_the_run_lacks_counts_as_zero() -> None:
    table = evaluate(Run({"q1": {"a": 1.0}}), Qrels({"q1": {"a": 1.0}, "q2": {"a": 1.0}}), ["mrr@10"])
    assert table["mrr@10"].to_dict() == {"q1": 1, "q2": 0}


def test_the_mean_is_over_the_queries_that_are_judged() -> None:
    run = Run({"q1": {"a": 1.0}, "unjudged": {"a": 1.0}})
    assert mean_score(run, Qrels({"q1": {"a": 1.0}, "q2": {"a": 1.0}}), "mrr@10") == 1 / 2


def test_a_tie_is_never_found() -> None:
    constant = {f"p{i}": 0.5 for i in range(20)}
    assert scores(constant, {"p0": 1}, NAMES) == [0, 0, 0]  # ranked last of 20
    four = {"a": 0.9, "b": 0.5, "c": 0.5, "d": 0.5}
    assert scores(four, {"b": 1}, ["mrr@10", "recall@3", "recall@4"]) == [1 / 4, 0, 1]
    assert scores(four, {"b": 2, "c": 1}, ["ndcg@10"]) == [
        pytest.approx((1 / log2(4) + 2 / log2(5)) / (2 / log2(2) + 1 / log2(3)))  # the less relevant first
    ]


@pytest.mark.parametrize("seed", range(20))
def test_ir_measures_says_the_same(seed: int) -> None:
    """Random runs without ties: graded judgements, queries with nothing relevant, with nothing retrieved."""
    random = np.random.default_rng(seed)
    run, qrels = {}, {}
    for q in range(6):
        found = random.permutation(30)[: random.integers(0, 30)]
        run[f"q{q}"] = {f"p{p}": float(s) for p, s in zip(found, random.permutation(1000), strict=False)}
        judged = random.permutation(30)[: random.integers(1, 8)]
        qrels[f"q{q}"] = {f"p{p}": int(random.integers(0, 4)) for p in judged}
    ours = evaluate(Run(run), Qrels({q: {p: float(g) for p, g in row.items()} for q, row in qrels.items()}), NAMES)
    theirs = pd.DataFrame(0.0, index=list(qrels), columns=NAMES)
    columns = dict(zip([R @ 10, RR @ 10, nDCG @ 10], NAMES, strict=True))
    for value in ir_measures.iter_calc(list(columns), qrels, run):
        theirs.loc[value.query_id, columns[value.measure]] = value.value
    pd.testing.assert_frame_equal(ours, theirs, atol=1e-9, rtol=0)


@pytest.mark.parametrize("measure", ["recall@3", "mrr@3", "mrr@10", "ndcg@3", "ndcg@10"])
def test_the_ranks_of_what_is_relevant_say_the_same_as_the_run(measure: str) -> None:
    """Two rankings of eight passages for three queries, the second without anything relevant."""
    random = np.random.default_rng(0)
    grades = {"q0": {"p0": 2.0, "p5": 1.0}, "q1": {"p3": 0.0}, "q2": {"p1": 1.0, "p2": 3.0, "p7": 2.0}}
    pairs = [(q, p, g) for q, row in grades.items() for p, g in row.items() if g > 0]
    runs = [{q: {f"p{i}": float(s) for i, s in enumerate(random.permutation(8))} for q in grades} for _ in "ab"]
    ranks = [[1 + sum(s > run[q][p] for s in run[q].values()) for q, p, _ in pairs] for run in runs]
    found = from_ranks(
        measure,
        np.array(ranks, dtype=np.int32),
        np.array([int(q[1]) for q, _, _ in pairs]),
        np.array([g for _, _, g in pairs]),
        np.array([2, 0, 3]),
    )
    for row, run in zip(found, runs, strict=True):
        assert list(row) == pytest.approx(list(evaluate(Run(run), Qrels(grades), [measure])[measure]), abs=1e-6)


@pytest.mark.parametrize(("name", "parsed"), [("ndcg@10", ("ndcg", 10)), ("recall@1", ("recall", 1))])
def test_a_measure_is_a_kind_and_a_depth(name: str, parsed: tuple[str, int]) -> None:
    assert parse_measure(name) == parsed


@pytest.mark.parametrize("name", ["ndcg", "ndcg@0", "map@10", "NDCG@10", "recall@-1", "recall@10 "])
def test_an_unknown_measure_is_refused(name: str) -> None:
    with pytest.raises(LabError, match=r"is not known\. Write recall@k, mrr@k, ndcg@k, say ndcg@10"):
        evaluate(Run({}), Qrels({}), [name])


def pairs(scores: list[float], grades: list[float]) -> dict[str, float]:
    run = Run({f"q{i}": {"p": score} for i, score in enumerate(scores)})
    return correlate(run, Qrels({f"q{i}": {"p": grade} for i, grade in enumerate(grades)}))


def test_correlations_by_hand() -> None:
    # ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * (0 + 1 + 1 + 0) / (4 * (16 - 1))
    # values less their means: (-2.75, -1.75, -0.75, 5.25) and (-1.5, 0.5, -0.5, 1.5)
    covariance = 2.75 * 1.5 - 1.75 * 0.5 + 0.75 * 0.5 + 5.25 * 1.5
    squares = (2.75**2 + 1.75**2 + 0.75**2 + 5.25**2) * (1.5**2 + 0.5**2 + 0.5**2 + 1.5**2)
    found = pairs([0, 1, 2, 8], [1, 3, 2, 4])
    assert found == {"spearman": pytest.approx(1 - 12 / 60), "pearson": pytest.approx(covariance / squares**0.5)}


def test_equal_ranks_share_their_mean() -> None:
    # ranks 1.5 1.5 3 against 1 2 3, less 2: (-.5)(-1) + (-.5)(0) + (1)(1) over sqrt(1.5 * 2)
    assert pairs([5, 5, 9], [1, 2, 3])["spearman"] == pytest.approx(1.5 / 3**0.5)


@pytest.mark.parametrize(("scores", "grades"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [2, 2, 2]), ([1], [1]), ([], [])])
def test_what_does_not_vary_correlates_with_nothing(scores: list[float], grades: list[float]) -> None:
    assert pairs(scores, grades) == {"spearman": 0, "pearson": 0}


def test_several_pairs_of_one_query_all_count() -> None:
    run = Run({"q": {"a": 1.0, "b": 2.0, "c": 3.0}})
    assert correlate(run, Qrels({"q": {"a": 3, "b": 2, "c": 1}}))["spearman"] == -1
