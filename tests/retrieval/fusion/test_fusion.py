import math
import time

import numpy as np
import pytest

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Run
from hiddenstates.retrieval.fusion.runs import NORMS, align, by_rank, cut, onto_passages, otherwise, weighted

TEXT = Run({"q": {"a": 0.9, "b": 0.5, "c": 0.1}})
IMAGE = Run({"q": {"b": 8.0, "c": 4.0, "d": 0.0}})
RUNS = {"text": TEXT, "image": IMAGE}


def test_minmax_puts_scores_between_0_and_1_and_what_a_run_lacks_is_its_worst() -> None:
    fused = weighted(RUNS, {"text": 0.25, "image": 0.75}, "minmax")
    assert fused["q"] == pytest.approx(
        {"a": 0.25 * 1 + 0.75 * 0, "b": 0.25 * 0.5 + 0.75 * 1, "c": 0.25 * 0 + 0.75 * 0.5, "d": 0.0}
    )


def test_zscore_is_in_units_of_the_deviation_over_what_the_run_holds() -> None:
    fused = weighted(RUNS, {"text": 1.0, "image": 1.0}, "zscore")
    step = math.sqrt(3 / 2)  # of (0.9, 0.5, 0.1): mean 0.5, deviation 0.4 * sqrt(2 / 3); of (8, 4, 0) alike
    assert fused["q"] == pytest.approx({"a": step - step, "b": 0 + step, "c": -step + 0, "d": -step - step})


def test_without_a_norm_scores_are_summed_as_they_are() -> None:
    fused = weighted(RUNS, {"text": 2.0, "image": 1.0}, "none")
    assert fused["q"] == pytest.approx({"a": 2 * 0.9 + 0, "b": 2 * 0.5 + 8, "c": 2 * 0.1 + 4, "d": 2 * 0.1 + 0})


@pytest.mark.parametrize("norm", NORMS)
def test_one_run_alone_keeps_its_order_and_its_ties(norm: str) -> None:
    run = Run({"q": {"a": 0.2, "b": 0.9, "c": 0.2, "d": -1.0}})
    fused = weighted({"run": run}, {"run": 1.0}, norm)["q"]
    assert fused["b"] > fused["a"] == fused["c"] > fused["d"]


@pytest.mark.parametrize("norm", ["minmax", "zscore"])
def test_what_the_scale_and_the_origin_of_a_run_are_does_not_matter(norm: str) -> None:
    moved = Run({"q": {p: 3 * s - 7 for p, s in IMAGE["q"].items()}})
    ours, theirs = (weighted({"text": TEXT, "image": i}, {"text": 1.0, "image": 1.0}, norm) for i in (IMAGE, moved))
    assert ours["q"] == pytest.approx(theirs["q"])


@pytest.mark.parametrize("norm", NORMS)
def test_a_query_that_one_run_lacks_is_ranked_by_the_other(norm: str) -> None:
    runs = {"text": Run({"q": {"a": 1.0, "b": 0.0}, "r": {"a": 0.3, "b": 0.4}}), "image": Run({"q": {"b": 1.0}})}
    fused = weighted(runs, {"text": 0.5, "image": 0.5}, norm)
    assert fused["r"]["b"] > fused["r"]["a"]


@pytest.mark.parametrize("norm", ["minmax", "zscore"])
def test_a_run_that_prefers_nothing_changes_nothing(norm: str) -> None:
    flat = Run({"q": dict.fromkeys("abc", 0.1 + 0.2)})
    fused = weighted({"text": TEXT, "flat": flat}, {"text": 1.0, "flat": 9.0}, norm)
    assert fused["q"] == pytest.approx(dict(weighted({"text": TEXT}, {"text": 1.0}, norm)["q"]))


def test_reciprocal_rank_sums_one_over_60_and_the_rank() -> None:
    aligned = align(RUNS)
    assert aligned.fused(by_rank(aligned))["q"] == pytest.approx(
        {"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 63 + 1 / 62, "d": 1 / 63}
    )
    assert aligned.fused(by_rank(aligned, k=1))["q"]["a"] == 1 / 2


def test_equal_scores_share_the_last_of_their_ranks() -> None:
    tied = align({"tied": Run({"q": {"a": 1.0, "b": 1.0, "c": 0.0}})})
    assert tied.fused(by_rank(tied, k=0))["q"] == pytest.approx({"a": 1 / 2, "b": 1 / 2, "c": 1 / 3})


def test_each_passage_gets_the_score_of_its_image() -> None:
    images = Run({"view.png": {"mc.png": 0.8, "jp.png": 0.3}})
    passages = {"mc/capital": "mc.png", "mc/money": "mc.png", "jp/capital": "jp.png", "city": "lost.png"}
    run = onto_passages(images, passages, {"q0": "view.png", "q1": "view.png", "q2": "other.png"})
    scores = {"mc/capital": 0.8, "mc/money": 0.8, "jp/capital": 0.3}
    assert run.rows == {"q0": scores, "q1": scores, "q2": {}}
    assert onto_passages(images, passages).rows == {"view.png": scores}


def test_a_cut_does_not_choose_between_equals() -> None:
    run = Run({"q": {"a": 0.5, "b": 0.9, "c": 0.5, "d": 0.1}, "r": {}})
    assert cut(run, 1).rows == {"q": {"b": 0.9}, "r": {}}
    assert cut(run, 2).rows == {"q": {"a": 0.5, "b": 0.9, "c": 0.5}, "r": {}}
    assert cut(run, 9).rows == run.rows


@pytest.mark.parametrize("depth", [1, 2, 3, 9])
def test_the_best_of_aligned_lists_are_the_cut_of_all(depth: int) -> None:
    aligned = align({"run": Run({"q": {"a": 0.5, "b": 0.9, "c": 0.5, "d": 0.1}, "r": {"a": 0.2, "d": -0.3}})})
    best = aligned.best(aligned.scores[0], depth)
    assert best.rows == cut(aligned.fused(aligned.scores[0]), depth).rows
    assert [list(row) for row in best.rows.values()] == [["b", "a", "c", "d"][: len(best["q"])], ["a", "d"][:depth]]


def test_of_many_that_tie_at_the_end_some_are_kept() -> None:
    aligned = align({"run": Run({"q": {"first": 2.0} | {f"p{i}": 1.0 for i in range(50)}})})
    assert list(aligned.best(aligned.scores[0], 2)["q"]) == ["first", *(f"p{i}" for i in range(19))]


def test_where_a_run_has_nothing_the_fallback_answers() -> None:
    fallback = Run({"q": {"a": 1.0}, "r": {"b": 1.0}})
    assert otherwise(Run({"q": {"z": 2.0}}), fallback).rows == {"q": {"z": 2.0}, "r": {"b": 1.0}}


def test_bad_requests_are_refused() -> None:
    with pytest.raises(LabError, match=r"unknown norm 'softmax'\. Choose one of none, minmax, zscore"):
        weighted(RUNS, {"text": 1.0, "image": 1.0}, "softmax")
    with pytest.raises(LabError, match=r"weights of text for runs of text, image\. Give each run one"):
        weighted(RUNS, {"text": 1.0}, "minmax")
    with pytest.raises(LabError, match="there is no run to fuse"):
        align({})


def test_long_lists_are_fused_in_a_moment() -> None:
    random, names = np.random.default_rng(0), [f"p{i}" for i in range(2000)]
    rows = {f"q{i}": dict(zip(names, random.random(2000).tolist(), strict=True)) for i in range(50)}
    start = time.perf_counter()
    weighted({"text": Run(rows), "image": Run(rows)}, {"text": 0.5, "image": 0.5}, "zscore")
    assert time.perf_counter() - start < 2  # 0.05 s where nothing else runs
