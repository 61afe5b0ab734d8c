import numpy as np
import pandas as pd
import pytest

from hiddenstates.report.estimates import corrected, estimate, told, written
from hiddenstates.report.significance import Comparison, compare, interval

GAINS = pd.DataFrame(
    {"difference": [0.1, -0.2, 0.3], "low": [0.05, -0.3, -0.1], "high": [0.15, -0.1, 0.7], "p": [0.01, 0.02, 0.4]}
    | {"verdict": ["better", "worse", "undecided"]},
    index=["named", "alias", "visual"],
)


def test_a_mean_comes_with_its_number_and_its_interval() -> None:
    values, clusters = pd.Series([0.0, 1.0, 1.0, 0.0, 1.0]), {"entity": list("aabbc")}
    row = estimate(values, clusters, 0)
    assert (row["n"], row["value"]) == (5, pytest.approx(3 / 5))
    assert (row["low"], row["high"]) == interval(values, clusters, 0)


def test_p_values_are_corrected_for_all_the_rows() -> None:
    rows = {name: Comparison(9, 3, 0.1, 0.0, 0.2, p) for name, p in {"a": 0.01, "b": 0.04}.items()}
    table = corrected(rows)
    assert table["p"].tolist() == pytest.approx([2 * 0.01, 0.04])  # Holm: the smallest twice, the other once
    assert table.loc["a", ["n", "clusters"]].tolist() == [9, 3]


def test_test_interval_and_verdict_of_a_row_say_one_thing() -> None:
    random, queries = np.random.default_rng(0), {"query": [str(i) for i in range(200)]}
    values = {name: pd.Series(random.normal(effect, noise, 200)) for name, (effect, noise) in EFFECTS.items()}
    rows = {name: compare(value, 0 * value, queries, 0) for name, value in values.items()}
    table = corrected(rows, margin=0.03)
    assert ((table["p"] < 0.05) == ((table["low"] > 0) | (table["high"] < 0))).all()
    for row in table.itertuples():
        if row.verdict in ("better", "worse"):
            assert row.p < 0.05
            assert (row.verdict == "better") == (row.difference > 0)
        if row.verdict == "equivalent":
            assert abs(row.difference) < 0.03
    assert set(table["verdict"]) == {"better", "worse", "equivalent", "undecided"}
    narrow, wide = rows["up"], table.loc["up"]  # one of many: its interval is wider than alone
    assert wide["high"] - wide["low"] > narrow.high - narrow.low


EFFECTS = {"up": (0.2, 0.1), "down": (-0.1, 0.1), "nothing": (0.001, 0.1), "who knows": (0.02, 0.5)}


def test_no_rows_make_an_empty_table_of_the_same_columns() -> None:
    assert list(corrected({}).columns) == list(corrected({"a": Comparison(1, 1, 0.0, 0.0, 0.0, 1.0)}).columns)


def test_what_gains_what_loses_and_what_nobody_can_tell() -> None:
    assert told(GAINS) == (
        "**better** on named (+0.100 [+0.050, +0.150]); **worse** on alias (-0.200 [-0.300, -0.100]); "
        "**undecided** on visual (+0.300 [-0.100, +0.700])"
    )
    assert told(GAINS.iloc[:1], ("above", "below", "same", "unknown")) == "above named (+0.100 [+0.050, +0.150])"


def test_a_row_is_written_with_its_interval() -> None:
    assert written({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.500 [0.250, 0.750]"
