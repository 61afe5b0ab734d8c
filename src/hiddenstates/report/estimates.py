"""Means with their intervals and differences with their tests: as rows of a table, and as sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hiddenstates.report.significance import (
    ALPHA,
    BETTER,
    MARGIN,
    UNDECIDED,
    VERDICTS,
    WORSE,
    Comparison,
    holm,
    holm_levels,
    interval,
)

COLUMNS = ("n", "clusters", "difference", "low", "high", "p", "verdict")
WORDS = ("**better** on", "**worse** on", "**equivalent** on", "**undecided** on")


def estimate(values: pd.Series, clusters: Mapping[str, Sequence[str]], seed: int) -> dict[str, float]:
    """n, value (the mean), low and high (a 95% interval, `interval`'s)."""
    low, high = interval(values, clusters, seed)
    return {"n": len(values), "value": float(values.mean()), "low": low, "high": high}


def corrected(rows: Mapping[Any, Comparison], margin: float = MARGIN) -> pd.DataFrame:
    """One row per comparison, columns `COLUMNS`: p by Holm over all the rows, and the interval and verdict that agree.

    low, high: where the true difference lies, for all rows at once with 95%
    verdict:   one of `VERDICTS`; margin: a smaller difference does not matter
    """
    raw = [row.p for row in rows.values()]
    told = zip(rows.values(), holm(raw), holm_levels(raw), strict=True)
    found = {name: dict(zip(COLUMNS, _row(*one, margin), strict=True)) for name, one in zip(rows, told, strict=True)}
    return pd.DataFrame.from_dict(found, orient="index", columns=list(COLUMNS))


def told(gains: pd.DataFrame, words: Sequence[str] = WORDS) -> str:
    """Which rows of `corrected`'s table gain, which lose, which make no difference that matters, which nobody can tell.

    words: what stands before the names of each, in the order of `VERDICTS`
    """
    parts = [(word, gains[gains["verdict"] == verdict]) for verdict, word in zip(VERDICTS, words, strict=True)]
    return "; ".join(f"{word} {_listed(rows)}" for word, rows in parts if len(rows))


def written(row: Mapping[Any, float]) -> str:
    """`estimate`'s row as `0.287 [0.220, 0.351]`."""
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def difference(row: Mapping[Any, float]) -> str:
    """A row of `corrected`'s table as `+0.021 [+0.002, +0.040]`."""
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def _row(row: Comparison, p: float, level: float, margin: float) -> tuple[object, ...]:
    if row.flips is None:
        low, high, verdict = row.low, row.high, UNDECIDED
        if p < ALPHA:
            verdict = BETTER if row.difference > 0 else WORSE
    else:
        low, high = row.flips.interval(level)
        verdict = row.flips.verdict(level, margin)
    return row.n, row.clusters, row.difference, low, high, p, verdict


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(f"{name} ({difference(row)})" for name, row in rows.to_dict("index").items())
