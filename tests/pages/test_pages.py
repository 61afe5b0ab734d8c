"""The pages of the executed notebooks, read in a real browser, without a network."""

from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from lab import needs_browser
from playwright.sync_api import Browser

from hiddenstates.cli import main
from hiddenstates.core.errors import LabError
from hiddenstates.pages.folder import write_pages
from hiddenstates.pages.notebooks import Executed, executed
from hiddenstates.report import figures

LONG = "a_name_that_goes_on_and_on = " + " + ".join(f"number_{i}" for i in range(60))


def left(folder: Path, title: str, verdict: str, figure: bool = True) -> None:
    """What a stage leaves of its notebook, with a wide line of code and a wide table."""
    folder.mkdir(parents=True)
    wide = nbformat.v4.new_output(
        "execute_result", {"text/html": "<table><tr>" + "<td>a wide cell</td>" * 60 + "</tr></table>"}
    )
    said = nbformat.v4.new_output("execute_result", {"text/markdown": verdict})
    cells = [
        nbformat.v4.new_markdown_cell(f"# {title}\n\nWhy we ask."),
        nbformat.v4.new_code_cell("seed = 27182", metadata={"tags": ["injected-parameters"]}),
        nbformat.v4.new_code_cell(LONG, outputs=[wide]),
        nbformat.v4.new_code_cell("stage.verdict(said)", outputs=[said]),
        nbformat.v4.new_markdown_cell("**What would overturn it.**"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "notebook.ipynb")
    if figure:
        (folder / "figures").mkdir()
        chart = figures.heatmaps({"a": figures_table()}, "share", "x", "y")
        figures.publish(chart, folder / "figures" / "first.png")


def figures_table() -> object:
    import pandas as pd

    return pd.DataFrame([[0.1, 0.2], [0.3, 0.4]])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    left(folder / "corpus", "What do we search?", "**Two passages.**", figure=False)
    left(folder / "strategies" / "mine", "Which layers?", "**Index `6/mean`**")
    left(folder / "index", "Which FAISS index?", "**`Flat` returns all.**")
    left(folder / "compare", "Text, image or both?", "| set | n |\n|---|---|\n| all | 9 |")
    (folder / "failed").mkdir()
    return folder


def test_every_notebook_has_a_page_and_the_front_page_every_verdict(out: Path, tmp_path: Path) -> None:
    assert [each.stage for each in executed(out)] == ["corpus", "strategies@mine", "index", "compare"]
    front = write_pages(out, tmp_path / "pages").read_text("utf-8")
    for said in ("<strong>Two passages.</strong>", "Which layers?", "<td>9</td>", "<strong><code>Flat</code> returns"):
        assert said in front
    assert front.index("<td>9</td>") < front.index("Two passages")
    assert front.count("data:image/png") == 3
    page = (tmp_path / "pages" / "stage-index.html").read_text("utf-8")
    assert "27182" in page
    assert {path.name for path in (tmp_path / "pages").iterdir()} == {
        "index.html",
        *(f"stage-{name}.html" for name in ("corpus", "strategies-mine", "index", "compare")),
    }


def test_of_a_stage_without_work_the_reason_is_told(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_markdown_cell(text) for text in ("# Which?", "The corpus has no pictures.")]
    (tmp_path / "images").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "images" / "notebook.ipynb")
    assert "The corpus has no pictures." in Executed("images", tmp_path / "images").verdict


def test_without_a_run_there_is_nothing_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path / "out"))
    refused = CliRunner().invoke(main, ["report"])
    assert (refused.exit_code, "Run `make repro` first" in refused.output) == (2, True)
    (tmp_path / "out" / "corpus").mkdir(parents=True)
    (tmp_path / "out" / "corpus" / "notebook.ipynb").write_text("{", "utf-8")
    with pytest.raises(LabError, match="Run the stage `corpus` again"):
        write_pages(tmp_path / "out", tmp_path / "pages")
    assert not (tmp_path / "pages").exists()


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_the_pages_open_on_a_telephone_with_every_link_and_no_error(
    out: Path, tmp_path: Path, browser: Browser, dark: bool
) -> None:
    front = write_pages(out, tmp_path / "pages")
    scheme = "dark" if dark else "light"
    page = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme).new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else told.append(asked.url))
    page.goto(front.as_uri())
    links = page.eval_on_selector_all("a", "all => all.map(a => a.href)")
    assert len(set(links)) == 5
    for link in dict.fromkeys(links):
        assert page.goto(link)
        assert page.title()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, link
        assert page.evaluate("Array.from(document.images).every(image => image.naturalWidth > 0)")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(22, 24, 28)" if dark else "rgb(255, 255, 255)")
    assert told == []
