import pandas as pd

from hiddenstates.report.figures import frontiers, served

TABLE = pd.DataFrame({"recall": [1.0, 0.8], "MB": [6.0, 0.4], "compared": [4000, 300]}, index=["Flat", "IVF64"])


def test_every_kind_is_named_and_shown_in_each_panel_and_filled_where_it_finds_what_is_wanted() -> None:
    gain, *costs = frontiers(TABLE, "recall", ["MB", "compared"], wanted=0.95).axes
    assert dict(zip(gain.get_yticks(), (t.get_text() for t in gain.get_yticklabels()), strict=True)) == {
        1: "Flat",
        0: "IVF64",
    }
    for ax, column in zip((gain, *costs), TABLE, strict=True):
        dots = ax.lines[: len(TABLE)]
        assert [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots] == list(
            zip(TABLE[column], (1, 0), strict=True)
        )
        assert [dot.get_markerfacecolor() == "white" for dot in dots] == [False, True]
        assert (ax.get_xlabel(), ax.get_xscale()) == (column, "linear" if ax is gain else "log")
        assert not ax.get_legend()
    assert list(gain.lines[-1].get_xdata()) == [0.95, 0.95]
    assert [text.get_text() for text in gain.texts] == ["wanted: 0.95"]


def test_each_strategy_stands_at_its_cost_and_the_best_is_marked() -> None:
    rows = pd.DataFrame(
        {"layers": [1, 2], "bytes": [64, 256], "difference": [-0.1, None], "low": [-0.2, None], "high": [0.05, None]},
        index=["1/mean+pca16", "2/mean"],
    ).assign(verdict=["undecided", None])
    for ax, cost in zip(served(rows, "mrr@10", "2/mean", "1/mean", 0.01).axes, ("layers", "bytes"), strict=True):
        interval, dot, star, zero = ax.lines
        assert list(interval.get_ydata()) == [-0.2, 0.05]
        assert (dot.get_xdata()[0], dot.get_ydata()[0], dot.get_marker()) == (rows[cost].iloc[0], -0.1, "o")
        assert (star.get_xdata()[0], star.get_ydata()[0], star.get_marker()) == (rows[cost].iloc[1], 0, "*")
        assert list(zero.get_ydata()) == [0, 0]
