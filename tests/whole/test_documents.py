"""What the documents, and the prose of the notebooks, name is there."""

import re
from pathlib import Path

import pytest

from hiddenstates.core.paths import NOTEBOOKS, ROOT
from hiddenstates.pipeline.code import cells

DOCUMENTS = sorted(path for folder in (".", "docs", "benchmarks") for path in (ROOT / folder).glob("*.md"))
BASES = ROOT, ROOT / "src" / "hiddenstates"
"""Where a path may start: `docs/scale.md`, `encoding/choice.py`."""

PATH = re.compile(r"(?<![\w./-])(?:[\w-]+/)+[\w-]+\.(?:py|ipynb|md)\b")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def absent(text: str, folder: Path) -> list[str]:
    """What a text names and is not there: paths of code and documents, none of them made (`out/`), and links' targets.

    folder: where the document lies, for its links
    """
    named = [path for path in PATH.findall(text) if not path.startswith("out/")]
    lost = [path for path in named if not any((base / path).is_file() for base in BASES)]
    return lost + [link for link in LINK.findall(text) if not (folder / link).exists()]


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_what_a_notebook_names_is_there(notebook: Path) -> None:
    assert absent("\n".join(cells(notebook, "markdown")), notebook.parent) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_names_is_there(document: Path) -> None:
    assert absent(document.read_text("utf-8"), document.parent) == []


@pytest.mark.parametrize(
    "path", ["tests/test_gone.py", "`encoding/gone.py`", "[there](gone.md#part)", "(docs/gone.md)"]
)
def test_what_is_not_there_is_found(path: str) -> None:
    assert len(absent(f"See README.md and [the page](https://example.org/a/b.md), also {path}.", ROOT)) == 1
