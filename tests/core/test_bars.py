"""Progress bars: one door, nothing left behind."""

import re

import pytest
from tqdm import auto, notebook, std

from hiddenstates.core import bars
from hiddenstates.core.paths import NOTEBOOKS, ROOT
from hiddenstates.core.stage import WRITE_TO

pytestmark = pytest.mark.usefixtures("bars_at_once")


def test_it_counts_its_units_and_their_rate_and_leaves_an_empty_line(capsys: pytest.CaptureFixture[str]) -> None:
    with bars.bar(what="encode", total=5000, unit="tokens") as done:
        done.update(2500)
        done.refresh()
        assert re.search(r"encode: +50%.*2\.50k/5\.00k.*k? tokens/s", str(done))
    assert list(bars.bar(range(3), "sweep", unit="spaces")) == [0, 1, 2]
    told = capsys.readouterr()
    assert (told.out, told.err.split("\r")[-1].strip(), told.err.count("\n")) == ("", "", 0)


def test_what_is_through_at_once_shows_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bars, "DELAY", 60)
    assert sum(bars.bar(range(10), unit="views")) == 45
    monkeypatch.setattr(bars, "DELAY", 0)
    assert sum(bars.bar(range(10), unit="views", disable=True)) == 45
    assert capsys.readouterr() == ("", "")


def test_a_widget_by_hand_and_a_line_in_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "tqdm", notebook.tqdm)  # what it is in a notebook
    monkeypatch.delenv(WRITE_TO, raising=False)
    assert isinstance(bars.bar([], unit="views"), notebook.tqdm)
    monkeypatch.setenv(WRITE_TO, "out")
    assert type(bars.bar([], unit="views")) is std.tqdm


def test_a_process_that_a_notebook_started_writes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bars, "parent_process", object)
    monkeypatch.delenv(WRITE_TO, raising=False)
    assert sum(bars.bar(range(10), unit="epochs")) == 45
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv(WRITE_TO, "out")  # in the pipeline it is for the terminal
    assert sum(bars.bar(range(10), unit="epochs")) == 45
    assert "epochs" in capsys.readouterr().err


def test_there_is_one_door_to_tqdm() -> None:
    sources = [*(ROOT / "src").rglob("*.py"), *NOTEBOOKS.glob("*.ipynb")]
    named = {path.name for path in sources if re.search(r"(import|from) tqdm", path.read_text(encoding="utf-8"))}
    assert named == {"bars.py"}
