"""How good a run is: retrieval measures query by query, correlations over judged pairs. A tie is never found.

Definitions as in trec_eval: recall@k, MRR@k (reciprocal rank of the first relevant passage), nDCG@k (linear gain,
log2 discount). The tests hold them equal to ir-measures.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64, Int32, Int64
from scipy.stats import pearsonr, spearmanr

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run

_FORM = re.compile(r"(recall|mrr|ndcg)@([1-9]\d*)")


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str]) -> pd.DataFrame:
    """One row per query of the qrels, one column per measure such as `ndcg@10`, each between 0 and 1.

    A passage that the run does not hold counts as never found. Among equal scores the less relevant come first.
    """
    kinds = [parse_measure(name) for name in measures]
    rows = {}
    for query, grades in qrels.rows.items():
        gains = _gains(run.rows.get(query, {}), grades)
        ideal = np.array(sorted((g for g in grades.values() if g > 0), reverse=True), dtype=float)
        rows[query] = [_MEASURES[kind](gains, ideal, k) for kind, k in kinds]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(measures))


def mean_score(run: Run, qrels: Qrels, measure: str) -> float:
    """The mean of one measure over the queries of the qrels."""
    return float(evaluate(run, qrels, [measure])[measure].mean())


def correlate(run: Run, qrels: Qrels) -> dict[str, float]:
    """Spearman's and Pearson's correlation of score and grade over the judged pairs, each between -1 and 1.

    0 where all scores, or all grades, are equal: they tell nothing of each other.
    """
    pairs = [(run[query][passage], grade) for query, row in qrels.rows.items() for passage, grade in row.items()]
    scores, grades = np.array(pairs, dtype=float).reshape(-1, 2).T
    if len(np.unique(scores)) < 2 or len(np.unique(grades)) < 2:
        return {"spearman": 0.0, "pearson": 0.0}
    return {"spearman": float(spearmanr(scores, grades)[0]), "pearson": float(pearsonr(scores, grades)[0])}


def shares(
    rows: Float64[np.ndarray, "strategy pair"], truth: Float64[np.ndarray, " pair"]
) -> Float64[np.ndarray, "strategy pair"]:
    """Each pair's share of a row's Pearson correlation with the truth (of ranks: Spearman's); their mean is that.

    It is what the correlation depends on, pair by pair, to first order (its influence function, Devlin et al. 1975): a
    mean over pairs can be compared, resampled and cross-validated as a measure of queries can. 0 for a constant row.
    """
    rows, truth = _standard(rows), _standard(truth[None])[0]
    products = rows * truth
    correlation = products.mean(1, keepdims=True)
    found: Float64[np.ndarray, "strategy pair"] = products - correlation * (rows**2 + truth**2 - 2) / 2
    return np.where(rows.any(1, keepdims=True) & truth.any(), found, 0.0)


def _standard(rows: Float64[np.ndarray, "row pair"]) -> Float64[np.ndarray, "row pair"]:
    """Mean 0 and variance 1; 0 where all are equal."""
    centred = rows - rows.mean(1, keepdims=True)
    scale = np.sqrt(np.square(centred).mean(1, keepdims=True))
    differ = np.ptp(rows, axis=1, keepdims=True) > 0  # a mean's rounding is no difference
    return np.divide(centred, scale, out=np.zeros_like(centred), where=differ & (scale > 0))


def parse_measure(name: str) -> tuple[str, int]:
    """`ndcg@10` as ("ndcg", 10)."""
    found = _FORM.fullmatch(name)
    if not found:
        raise LabError(
            f"measure {name!r} is not known. Write {', '.join(f'{kind}@k' for kind in _MEASURES)}, say ndcg@10."
        )
    return found[1], int(found[2])


Gains = Float64[np.ndarray, " rank"]
Ideal = Float64[np.ndarray, " relevant"]


def _gains(scores: Mapping[str, float], grades: Mapping[str, float]) -> Gains:
    """The grades in the order of the run, best score first, the less relevant first among equals."""
    found = np.array([grades.get(passage, 0.0) for passage in scores], dtype=float)
    order = np.lexsort((found, -np.fromiter(scores.values(), dtype=float, count=len(scores))))
    return np.maximum(found[order], 0.0)


def _recall(gains: Gains, ideal: Ideal, k: int) -> float:
    return float((gains[:k] > 0).sum() / len(ideal)) if len(ideal) else 0.0


def _mrr(gains: Gains, ideal: Ideal, k: int) -> float:
    hits = np.flatnonzero(gains[:k] > 0)
    return 1.0 / (hits[0] + 1) if len(hits) else 0.0


def _ndcg(gains: Gains, ideal: Ideal, k: int) -> float:
    best = _dcg(ideal[:k])
    return _dcg(gains[:k]) / best if best else 0.0


def _dcg(gains: Gains) -> float:
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())


_MEASURES = {"recall": _recall, "mrr": _mrr, "ndcg": _ndcg}


def from_ranks(
    measure: str,
    ranks: Int32[np.ndarray, "strategy pair"],
    query: Int64[np.ndarray, " pair"],
    grade: Float64[np.ndarray, " pair"],
    n_relevant: Int64[np.ndarray, " query"],
) -> Float32[np.ndarray, "strategy query"]:
    """`evaluate`, for many strategies at once, from the rank of every relevant passage.

    query, grade: of each pair, sorted by query; n_relevant: pairs of each query, 0 scores 0
    """
    kind, k = parse_measure(measure)
    values = np.zeros((len(ranks), len(n_relevant)), dtype=np.float32)
    asked = np.flatnonzero(n_relevant)
    starts = np.searchsorted(query, asked)
    found = np.where(ranks <= k, _GAINS[kind](ranks, grade), 0.0)
    reduce = np.maximum if kind == "mrr" else np.add
    values[:, asked] = reduce.reduceat(found, starts, axis=1) / _best(kind, k, np.split(grade, starts[1:]))
    return values


_GAINS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "recall": lambda ranks, grade: np.ones(ranks.shape),
    "mrr": lambda ranks, grade: 1.0 / np.maximum(ranks, 1),
    "ndcg": lambda ranks, grade: grade / np.log2(ranks + 1.0),
}


def _best(kind: str, k: int, grades: Sequence[np.ndarray]) -> Float64[np.ndarray, " asked"]:
    """What each query would score if all that is relevant came first."""
    if kind == "mrr":
        return np.ones(len(grades))
    return np.array([len(g) if kind == "recall" else _dcg(np.sort(g)[::-1][:k]) for g in grades], dtype=float)
