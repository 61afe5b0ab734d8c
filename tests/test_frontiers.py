import pandas as pd

from hiddenstates.report.figures import frontiers, served

TABLE = pd.DataFrame({"recall": [1.0, 0.8], "MB": [6.0, 0.4], "compared": [4000, 300]}, index=["Flat", "IVF64"])


def test_each_panel_shows_every_row_against_its_cost() -> None:
    left, right = frontiers(TABLE, "recall", ["MB", "compared"], wanted=0.95).axes
    for ax, cost in ((left, "MB"), (right, "compared")):
        line, *dots = ax.lines
        assert list(line.get_ydata()) == [0.95, 0.95]
        assert [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots] == list(
            zip(TABLE[cost], TABLE["recall"], strict=True)
        )
        assert (ax.get_xlabel(), ax.get_xscale()) == (cost, "log")
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["Flat", "IVF64"]


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
