"""The code behind a notebook: every module that it imports, read as text. Nothing is imported or run."""

import ast
import hashlib
import json
import tokenize
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path

PACKAGE = "hiddenstates"


@dataclass(frozen=True)
class Code:
    """The package's modules in a checkout. root: the folder that holds `src` and `notebooks`."""

    root: Path

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Every module's file by its dotted name, as in `hiddenstates.corpora.beir`."""
        source = self.root / "src"
        parts = {path: path.relative_to(source).with_suffix("").parts for path in source.rglob("*.py")}
        return {".".join(p[:-1] if p[-1] == "__init__" else p): path for path, p in sorted(parts.items())}

    @cached_property
    def graph(self) -> dict[str, set[str]]:
        """Module -> the package's modules that it imports, wherever in the file it does."""
        return {name: self.within(self.imported(path)) for name, path in self.modules.items()}

    def imported(self, path: Path) -> set[str]:
        """The dotted names that a module's file imports."""
        return imports(path.read_text("utf-8"))

    def within(self, names: set[str]) -> set[str]:
        """The package's modules among imported names; `hiddenstates.data.Task` is the module `hiddenstates.data`."""
        found = {name if name in self.modules else name.rpartition(".")[0] for name in names}
        return found & self.modules.keys() - {PACKAGE}

    def closure(self, names: set[str]) -> set[str]:
        """These modules, all that they import, and so on; a module brings the package that it lies in."""
        found: set[str] = set()
        waiting = set(names)
        while waiting:
            name = waiting.pop()
            found.add(name)
            package = name.rpartition(".")[0]
            waiting |= (self.graph[name] | {package} - {PACKAGE, ""}) - found
        return found

    def behind(self, notebook: Path) -> set[str]:
        """The modules that the notebook imports, and all that these import."""
        return self.closure(self.within(set().union(*(imports(source) for source in cells(notebook, "code")))))


def imports(source: str) -> set[str]:
    """The dotted names that a source imports; `from a import b` gives `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def cells(notebook: Path, kind: str | None = None) -> list[str]:
    """The source of each cell, of one kind (code or markdown) if asked."""
    found = json.loads(notebook.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if kind in (None, cell["cell_type"])]


def notebook_hash(notebook: Path) -> str:
    """16 hex digits of what the notebook says; its outputs and its metadata do not count."""
    return _digest("\0".join(cells(notebook)))


def module_hash(source: str) -> str:
    """16 hex digits of what the module does: comments, docstrings and blank lines do not count.

    By text, not by syntax tree: another version of Python prints the same tree in another way.
    """
    lines = source.splitlines()
    for start, end in _strings(source):
        lines[start - 1 : end] = [""] * (end - start + 1)
    for row, column in _comments("\n".join(lines)):
        lines[row - 1] = lines[row - 1][:column]
    return _digest("\n".join(line.rstrip() for line in lines if line.strip()))


def _strings(source: str) -> list[tuple[int, int]]:
    """First and last line of each string that stands alone, as docstrings do; none that shares a line with code."""
    alone = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    lines = source.splitlines()
    return [
        (node.lineno, node.end_lineno or node.lineno)
        for node in alone
        if isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and lines[node.lineno - 1].lstrip()[:1] in "\"'rR"
        and lines[(node.end_lineno or node.lineno) - 1].rstrip()[-1:] in "\"'"
    ]


def _comments(source: str) -> list[tuple[int, int]]:
    """Row and column of each comment."""
    try:
        tokens = list(tokenize.generate_tokens(StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):  # a body of nothing but a docstring is left without one
        return []
    return [token.start for token in tokens if token.type == tokenize.COMMENT]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
