import pandas as pd

from hiddenstates.report.figures import frontiers

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
