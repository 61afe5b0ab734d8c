"""Means with their intervals and differences with their tests: as rows of a table, and as sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from hiddenstates.report.significance import ALPHA, Comparison, holm, interval

WORDS = ("**better** on", "**worse** on", "**not told apart** on")


def estimate(values: pd.Series, clusters: Mapping[str, Sequence[str]], seed: int) -> dict[str, float]:
    """n, value (the mean), low and high (a 95% interval, `interval`'s)."""
    low, high = interval(values, clusters, seed)
    return {"n": len(values), "value": float(values.mean()), "low": low, "high": high}


def corrected(rows: Mapping[Any, Comparison]) -> pd.DataFrame:
    """One row a comparison, `Comparison`'s columns, the p values by Holm over all the rows."""
    columns = [field.name for field in fields(Comparison)]
    table = pd.DataFrame.from_dict({name: asdict(row) for name, row in rows.items()}, orient="index", columns=columns)
    return table.assign(p=holm(list(table["p"])))


def told(gains: pd.DataFrame, words: tuple[str, str, str] = WORDS) -> str:
    """Which rows of `corrected`'s table gain, which lose, and which cannot be told apart from nothing.

    words: what stands before the names of each
    """
    real, above = gains["p"] < ALPHA, gains["difference"] > 0
    parts = zip(words, (gains[real & above], gains[real & ~above], gains[~real]), strict=True)
    return "; ".join(f"{word} {_listed(rows)}" for word, rows in parts if len(rows))


def written(row: Mapping[Any, float]) -> str:
    """`estimate`'s row as `0.287 [0.220, 0.351]`."""
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _listed(rows: pd.DataFrame) -> str:
    parts = zip(rows.index, rows["difference"], rows["low"], rows["high"], strict=True)
    return ", ".join(f"{name} ({gain:+.3f} [{low:+.3f}, {high:+.3f}])" for name, gain, low, high in parts)
