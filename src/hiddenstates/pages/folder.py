"""Pages of the executed notebooks in one folder: a front page with every verdict, and a page for each notebook."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape
from nbconvert.filters import markdown2html
from pygments.formatters import HtmlFormatter

from hiddenstates.core.files import whole_folder
from hiddenstates.pages.notebooks import executed

TITLE = "hiddenstates"
FRONT = "index.html"
ANSWER = "compare"
"""The stage whose verdict stands first: it says what to index."""


def write_pages(out: Path, folder: Path) -> Path:
    """The front page. The folder is put in place whole; one of an earlier run is replaced.

    out: where the stages wrote. Raises LabError where none has.
    """
    notebooks = executed(out)
    templates = Environment(loader=PackageLoader("hiddenstates.pages", "."), autoescape=select_autoescape(["html"]))
    templates.filters["html"] = markdown2html
    shared = {"title": TITLE, "style": _style(), "notebooks": notebooks, "front": FRONT}
    answer = next((each for each in notebooks if each.stage == ANSWER), None)
    with whole_folder(folder.absolute()) as staging:
        front = templates.get_template("front.html").render(**shared, answer=answer)
        (staging / FRONT).write_text(front, encoding="utf-8")
        for each in notebooks:
            page = templates.get_template("page.html").render(**shared, notebook=each)
            (staging / each.page).write_text(page, encoding="utf-8")
    return folder / FRONT


def _style() -> str:
    """Our sheet, and the colours of code by day and by night."""
    own = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    day, night = (HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("default", "github-dark"))
    return f"{own}\n{day}\n@media (prefers-color-scheme: dark) {{\n{night}\n}}\n"
