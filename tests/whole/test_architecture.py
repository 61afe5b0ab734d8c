"""The house rules, held over the whole repository, and over a toy of one that breaks them."""

import json
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from architecture import PACKAGE, Repository, dependency_faults, imports, notebook_faults, stage_faults, writing_faults
from conftest import SLOW

from hiddenstates.core import params
from hiddenstates.core.paths import ROOT

HERE = Repository(ROOT)
TESTS = ROOT / "tests"

# From the ground up: a package imports from those before its own only, and from itself without a circle.
LAYERS = (
    "core",
    "corpora multimodal tokenizing",
    "encoding",
    "images",
    "retrieval",
    "report",
    "explorer pretrain tagging tying",
    "preview pipeline",
    "export pages run verify",
    "serving",
    "cli",
)
LAYER = {name: depth for depth, names in enumerate(LAYERS) for name in names.split()}

# Each of these packages enters through one module, or one package of ours.
DOORS = {
    "faiss": "retrieval.index",
    "matplotlib": "report.figures",
    "papermill": "run",
    "datasets": "core.data",
    "ray": "encoding.sharding.cluster",
}

MODULES = sorted(HERE.modules.keys() - {PACKAGE})


def unit(module: str) -> str:
    return module.split(".")[1]


def rooms(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Who imports whom, all modules of a room as one: `hiddenstates.retrieval.index.large` is in that of `index`."""
    found: dict[str, set[str]] = {}
    for module, imported in graph.items():
        room = _room(module)
        found.setdefault(room, set()).update({_room(other) for other in imported} - {room})
    return found


def _room(module: str) -> str:
    return ".".join(module.split(".")[:3])


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    assert unit(module) in LAYER, f"{unit(module)} is new: give it a place in LAYERS"
    foreign = {unit(imported) for imported in HERE.graph[module]} - {unit(module)}
    assert {name for name in foreign if LAYER[name] >= LAYER[unit(module)]} == set()


def test_imports_never_go_in_a_circle() -> None:
    TopologicalSorter(HERE.graph).prepare()  # raises CycleError, which names the circle


def test_rooms_import_one_way() -> None:
    """A room is a package in a package: two of them, or one and a module beside it, never import each other."""
    TopologicalSorter(rooms(HERE.graph)).prepare()


def test_rooms_that_import_each_other_are_named() -> None:
    modules = {"kit.saw.blade": {"kit.wood"}, "kit.wood": {"kit.saw.grip"}, "kit.saw.grip": set[str]()}
    graph = {f"{PACKAGE}.{name}": {f"{PACKAGE}.{other}" for other in others} for name, others in modules.items()}
    TopologicalSorter(graph).prepare()  # modules in no circle
    with pytest.raises(CycleError, match=r"kit\.saw"):
        TopologicalSorter(rooms(graph)).prepare()


def test_the_package_itself_imports_nothing() -> None:
    found = imports(HERE.modules[PACKAGE].read_text("utf-8"))
    assert {name.split(".")[0] for name in found} == {"importlib", "typing"}


@pytest.mark.parametrize(("package", "door"), DOORS.items())
def test_a_package_enters_through_one_door(package: str, door: str) -> None:
    texts = {module: HERE.modules[module].read_text("utf-8") for module in MODULES}
    importers = {m for m, text in texts.items() if package in {name.split(".")[0] for name in imports(text)}}
    door = f"{PACKAGE}.{door}"
    assert importers
    assert all(module == door or module.startswith(f"{door}.") for module in importers)


def test_one_name_in_five_places() -> None:
    assert list(stage_faults(HERE, set(params.SECTIONS))) == []


def test_what_starts_kernels_clones_or_browsers_is_slow() -> None:
    starts = re.compile(
        r"NotebookClient\(|start_stage\(|clone_with\(|Cluster\(|needs_browser$|\"benchmarks/", re.MULTILINE
    )
    found = {path.stem for path in TESTS.rglob("test_*.py") if starts.search(path.read_text("utf-8"))}
    assert found - {"test_architecture"} <= {f"test_{name}" for name in SLOW}


def test_tests_stand_in_the_folders_of_what_they_test() -> None:
    code = {path.parent.relative_to(ROOT / "src" / PACKAGE) for path in HERE.modules.values()}
    assert {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")} <= code | {Path("whole")}


def test_no_test_file_is_imported_by_another() -> None:
    found = {path.name: imports(path.read_text("utf-8")) for path in TESTS.rglob("*.py")}
    assert {name for name, imported in found.items() if any(other.startswith("test_") for other in imported)} == set()


def test_what_a_stage_runs_stands_in_its_deps() -> None:
    assert list(dependency_faults(HERE)) == []


@pytest.mark.parametrize("notebook", HERE.notebooks.values(), ids=lambda path: path.stem)
def test_a_notebook_asks_and_answers(notebook: Path) -> None:
    assert list(notebook_faults(notebook)) == []


@pytest.mark.parametrize("notebook", sorted(ROOT.glob("notebooks/[!0-9]*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_of_no_stage_is_written_alike(notebook: Path) -> None:
    assert list(writing_faults(notebook)) == []


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A sound repository of one stage, `ask`, whose notebook imports `top`, which imports `kit.saw`."""
    files = {
        "src/hiddenstates/__init__.py": "",
        "src/hiddenstates/run.py": "",
        "src/hiddenstates/spare.py": "",
        "src/hiddenstates/top.py": "from hiddenstates.kit.saw import blade",
        "src/hiddenstates/kit/__init__.py": "",
        "src/hiddenstates/kit/saw.py": "blade = 1",
        "params.yaml": "ask: {}",
        "dvc.yaml": json.dumps({"stages": {"ask": STAGE}}),
        "notebooks/01_ask.ipynb": json.dumps({"cells": CELLS}),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


STAGE = {
    "cmd": "python -m hiddenstates.run ask",
    "deps": ["out/inputs/ask.txt", "out/corpus/task"],
    "params": ["ask"],
    "outs": ["out/ask/notebook.ipynb"],
    "metrics": [{"out/ask/metrics.json": {"cache": False}}],
}
CELLS = [
    {"cell_type": "markdown", "source": ["# Why?"], "metadata": {}},
    {"cell_type": "code", "source": ["n = 3"], "metadata": {"tags": ["parameters"]}, "outputs": []},
    {"cell_type": "markdown", "source": ["Because:"], "metadata": {}},
    {
        "cell_type": "code",
        "source": ["from hiddenstates import top\n", 'top.blade * len(stage.upstream("corpus"))'],
        "metadata": {},
        "outputs": [],
    },
]


def test_a_sound_repository_has_no_faults(toy: Path) -> None:
    repository = Repository(toy)
    assert repository.graph["hiddenstates.top"] == {"hiddenstates.kit.saw"}
    assert [*stage_faults(repository, {"ask"}), *dependency_faults(repository)] == []
    assert list(notebook_faults(toy / "notebooks/01_ask.ipynb")) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"cmd": "python -m hiddenstates.run ask --quick"},
            "stage ask: cmd is 'python -m hiddenstates.run ask --quick'",
        ),
        ({"params": ["ask.n"]}, "stage ask: params is ['ask.n'], not its section"),
        ({"outs": ["out/other/a"]}, "stage ask: out/other/a is not under out/ask/"),
        ({"metrics": [{"metrics.json": {"cache": False}}]}, "stage ask: metrics.json is not under out/ask/"),
        ({"deps": STAGE["deps"][1:]}, "stage ask: out/inputs/ask.txt is missing in deps"),
        ({"deps": STAGE["deps"][:1]}, "stage ask: nothing of out/corpus is in deps"),
        ({"deps": [*STAGE["deps"], "out/index/index"]}, "stage ask: nothing of out/index is read"),
    ],
)
def test_a_stage_out_of_line_is_named(toy: Path, change: dict[str, object], fault: str) -> None:
    (toy / "dvc.yaml").write_text(json.dumps({"stages": {"ask": STAGE | change}}), "utf-8")
    assert fault in [*stage_faults(Repository(toy), {"ask"}), *dependency_faults(Repository(toy))]


def test_a_name_that_is_not_in_all_five_places_is_named(toy: Path) -> None:
    (toy / "params.yaml").write_text("ask: {}\naks: {}", "utf-8")
    (toy / "notebooks/02_more.ipynb").write_text("{}", "utf-8")
    assert list(stage_faults(Repository(toy), set())) == [
        "dvc.yaml has ['ask'], notebooks/ has ['ask', 'more']",
        "params.yaml and dvc.yaml differ in ['aks']",
        "params.SECTIONS and dvc.yaml differ in ['ask']",
    ]


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ({"source": ["def f(): pass"]}, "n.ipynb: f is defined here, move it to src"),
        (
            {"source": ["import a\n" * 7, "from b import c\n" * 5]},
            "n.ipynb: 13 statements import, more than 12: import modules of a room in one",
        ),
        ({"source": ["x.sample(8)"]}, "n.ipynb: it draws 8 rows, however few there are: draw min(8, len(…))"),
        ({"source": ["open('/data/x')"]}, "n.ipynb: '/data/x' is an absolute path"),
        ({"source": ["1"], "outputs": [{"output_type": "stream"}]}, "n.ipynb: outputs are stored, run `make lint`"),
        ({"source": ["1"], "metadata": {"tags": ["parameters"]}}, "n.ipynb: 2 cells are tagged `parameters`"),
    ],
)
def test_a_notebook_out_of_line_is_named(tmp_path: Path, cell: dict[str, object], fault: str) -> None:
    notebook = tmp_path / "n.ipynb"
    notebook.write_text(json.dumps({"cells": [*CELLS, {"cell_type": "code", "metadata": {}} | cell]}), "utf-8")
    assert list(notebook_faults(notebook)) == [fault]


def test_a_notebook_of_code_is_named(tmp_path: Path) -> None:
    notebook = tmp_path / "n.ipynb"
    notebook.write_text(json.dumps({"cells": CELLS[:2] + CELLS[3:]}), "utf-8")
    assert list(notebook_faults(notebook)) == ["n.ipynb: 1 of 3 cells are prose, less than 40%"]
