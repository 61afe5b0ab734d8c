"""What counts as a change of code, and what does not."""

import json
from pathlib import Path

import pytest

from hiddenstates.pipeline.code import Code, cells, module_hash, notebook_hash

SOURCE = '''"""What it is for."""

LEAST = 3  # fewer say nothing
"""Of what there must be."""


def ask(n: int) -> str:
    """One question."""
    # twice, to be sure
    return f"{n} # no comment" * 2
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What it is for", "What else it is for"),
        ("  # fewer say nothing", ""),
        ("Of what there must be.", "How many\nthere must be."),
        ('"""One question."""', '"""One question.\n\n    n: which\n    """'),
        ("    # twice, to be sure\n", ""),
        ("\n\n\ndef", "\n\n\n\ndef"),
    ],
)
def test_a_comment_a_docstring_or_a_blank_line_is_no_change(old: str, new: str) -> None:
    assert old in SOURCE
    assert module_hash(SOURCE.replace(old, new)) == module_hash(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"), [("= 3", "= 4"), ("* 2", "* 3"), ("# no comment", "# a comment"), ("n: int", "n: str")]
)
def test_anything_else_is_one(old: str, new: str) -> None:
    assert module_hash(SOURCE.replace(old, new)) != module_hash(SOURCE)


def test_a_body_of_nothing_but_a_docstring_has_a_hash() -> None:
    bare = 'class Odd(Exception):\n    """It is odd."""\n'
    assert module_hash(bare) == module_hash(bare.replace("odd", "queer"))
    assert module_hash(bare) != module_hash(bare.replace("Exception", "ValueError"))


@pytest.fixture
def code(tmp_path: Path) -> Code:
    """A notebook that imports `top`, which imports `kit.saw`; nobody imports `spare`."""
    texts = {
        "__init__": "",
        "top": "from hiddenstates.kit.saw import blade",
        "spare": "",
        "kit/__init__": "",
        "kit/saw": "def cut():\n    import hiddenstates.kit.teeth",
        "kit/teeth": "",
    }
    (tmp_path / "src/hiddenstates/kit").mkdir(parents=True)
    for name, text in texts.items():
        (tmp_path / f"src/hiddenstates/{name}.py").write_text(text, "utf-8")
    return Code(tmp_path)


def notebook(folder: Path, source: str, **more: object) -> Path:
    cell = {"cell_type": "code", "source": [source], "metadata": {}} | more
    prose = {"cell_type": "markdown", "source": ["# Why?"], "metadata": {}}
    (folder / "n.ipynb").write_text(json.dumps({"cells": [prose, cell]}), "utf-8")
    return folder / "n.ipynb"


def test_behind_a_notebook_is_all_that_it_imports_and_all_that_this_imports(code: Code, tmp_path: Path) -> None:
    found = code.behind(notebook(tmp_path, "from hiddenstates import top"))
    assert found == {"hiddenstates.top", *(f"hiddenstates.kit{name}" for name in ("", ".saw", ".teeth"))}


def test_a_notebook_s_outputs_do_not_count(tmp_path: Path) -> None:
    bare = notebook_hash(notebook(tmp_path, "1"))
    assert notebook_hash(notebook(tmp_path, "1", outputs=[{"output_type": "stream"}])) == bare
    assert notebook_hash(notebook(tmp_path, "2")) != bare
    assert cells(tmp_path / "n.ipynb", "markdown") == ["# Why?"]
