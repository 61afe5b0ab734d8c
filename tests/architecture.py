"""Reads a repository as text, nothing is imported: who imports whom, and what dvc.yaml and the notebooks say."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from hiddenstates.pipeline.code import PACKAGE, Code, imports

__all__ = ["PACKAGE", "Repository", "imports"]
Json = dict[str, Any]

IMPORTS = 12
"""Statements that import, of a notebook at most: more is a list that nobody reads."""


@dataclass(frozen=True)
class Repository(Code):
    """A checkout of this repository, or a toy of one: its code, and what dvc.yaml and the notebooks say."""

    @cached_property
    def stages(self) -> dict[str, Json]:
        """Every stage that has a notebook by its name; of one that DVC repeats for each encoder, what it repeats."""
        stages: dict[str, Json] = yaml.safe_load((self.root / "dvc.yaml").read_text("utf-8"))["stages"]
        return {name: stage.get("do", stage) for name, stage in stages.items() if name != "inputs"}

    @cached_property
    def notebooks(self) -> dict[str, Path]:
        """The stages' notebooks: `03_strategies.ipynb` is that of `strategies`. One without a number is no stage."""
        return {path.stem.partition("_")[2]: path for path in sorted(self.root.glob("notebooks/[0-9][0-9]_*.ipynb"))}


def cells(notebook: Path) -> list[Json]:
    found: list[Json] = json.loads(notebook.read_text("utf-8"))["cells"]
    return found


def code(notebook: Path) -> list[str]:
    """The source of each code cell."""
    return ["".join(cell["source"]) for cell in cells(notebook) if cell["cell_type"] == "code"]


def paths(entries: list[str | Json]) -> list[str]:
    """The paths of a stage's deps, outs, metrics or plots, with or without options behind them."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def stage_faults(repository: Repository, sections: set[str]) -> Iterator[str]:
    """One name, five places: stage, notebook, section of params.yaml, its class, folder under out/."""
    written = yaml.safe_load((repository.root / "params.yaml").read_text("utf-8"))
    if list(repository.stages) != list(repository.notebooks):
        yield f"dvc.yaml has {list(repository.stages)}, notebooks/ has {list(repository.notebooks)}"
    for place, names in {"params.yaml": set(written), "params.SECTIONS": sections}.items():
        if names != repository.stages.keys():
            yield f"{place} and dvc.yaml differ in {sorted(names ^ repository.stages.keys())}"
    for name, stage in repository.stages.items():
        if stage["cmd"].removesuffix("@${key}") != f"python -m {PACKAGE}.run {name}":
            yield f"stage {name}: cmd is {stage['cmd']!r}"
        if stage.get("params") != [name]:
            yield f"stage {name}: params is {stage.get('params')}, not its section"
        made = paths(stage.get("outs", []) + stage.get("metrics", []) + stage.get("plots", []))
        yield from (f"stage {name}: {path} is not under out/{name}/" for path in made if _top(path) != f"out/{name}")


def dependency_faults(repository: Repository) -> Iterator[str]:
    """DVC does not see imports: a stage depends on its list of inputs, and on each stage that its notebook reads."""
    for name, stage in repository.stages.items():
        deps = paths(stage["deps"])
        if f"out/inputs/{name}.txt" not in deps:
            yield f"stage {name}: out/inputs/{name}.txt is missing in deps"
        source = "\n".join(code(repository.notebooks[name]))
        read = set(re.findall(r'upstream\("(\w+)"\)', source))
        named = {dep.split("/")[1] for dep in deps} - {"inputs"}
        yield from (f"stage {name}: nothing of out/{other} is in deps" for other in sorted(read - named))
        yield from (f"stage {name}: nothing of out/{other} is read" for other in sorted(named - read))


def notebook_faults(notebook: Path) -> Iterator[str]:
    """What holds for every notebook, and that a stage's has its parameters in one cell."""
    tags = [tag for cell in cells(notebook) for tag in cell["metadata"].get("tags", [])]
    if tags.count("parameters") != 1:
        yield f"{notebook.name}: {tags.count('parameters')} cells are tagged `parameters`"
    yield from writing_faults(notebook)


def writing_faults(notebook: Path) -> Iterator[str]:
    """A notebook asks and answers; what it calls lives in src. No outputs, so that a diff shows what was edited."""
    kinds = [cell["cell_type"] for cell in cells(notebook)]
    if kinds.count("markdown") < 0.4 * len(kinds):
        yield f"{notebook.name}: {kinds.count('markdown')} of {len(kinds)} cells are prose, less than 40%"
    if any(cell.get("outputs") or cell.get("execution_count") for cell in cells(notebook)):
        yield f"{notebook.name}: outputs are stored, run `make lint`"
    nodes = [node for source in code(notebook) for node in ast.walk(ast.parse(source))]
    statements = sum(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes)
    if statements > IMPORTS:
        yield f"{notebook.name}: {statements} statements import, more than {IMPORTS}: import modules of a room in one"
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{notebook.name}: {node.name} is defined here, move it to src"
        if isinstance(node, ast.Constant) and re.match(r"[/~][\w/]|[A-Za-z]:\\", str(node.value)):
            yield f"{notebook.name}: {node.value!r} is an absolute path"
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "sample":
            fixed = [a.value for a in [*node.args, *(k.value for k in node.keywords if k.arg == "n")] if _number(a)]
            if fixed:
                yield f"{notebook.name}: it draws {fixed[0]} rows, however few there are: draw min({fixed[0]}, len(…))"


def _number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def _top(path: str) -> str:
    return "/".join(path.split("/")[:2])


def _covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(dep.rstrip("/") + "/")
