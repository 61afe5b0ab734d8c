"""For every test: shapes in annotations are checked, the network is out of reach, one thread a worker."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from lab import Lab
    from playwright.sync_api import Browser

STARTUP = str(Path(__file__).parent / "startup")  # its sitecustomize.py says what it is for

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"  # the workers share the cores
os.environ["PYTHONPATH"] = os.pathsep.join([STARTUP, *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # else tokenizers warn in each test that starts a process

# Only where shapes are: beartype cannot check the methods of other modules that return Self.
SOURCE = Path(__file__).parents[1] / "src"
SHAPED = [path for path in sorted(SOURCE.rglob("*.py")) if "from jaxtyping import" in path.read_text("utf-8")]
MODULES = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SHAPED]
install_import_hook(MODULES, "beartype.beartype")

# fmt: off
SLOW = (
    "notebooks", "kinds", "by_hand", "lab_browser", "benchmarks", "cluster", "explorer_browser", "export",
    "published", "encoder", "pretrain_models", "kill", "exits", "pipeline_inputs", "model_types", "readers", "deep",
    "clip", "cli", "side_by_side", "readme", "run", "mixing", "procedure", "figures", "causality", "sweep",
    "made_up", "pretrain_data", "serving", "verify", "pages", "properties", "countries", "joining", "shards",
    "pool", "index_large", "eye", "tracing", "linear", "entity_names", "significance", "joined", "models",
    "pipeline_forks", "huggingface", "explorer_why", "explorer",
)
# fmt: on
"""Files that take more than seven seconds, the slowest first: they start kernels, clones or browsers, or they train.

They start in this order, because a worker that got a slow one last would run alone; `make check` leaves them out.
"""


KERNELS = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """One process for all workers, from which their tests' kernels are forked; the fast tests start hardly one."""
    from hiddenstates.pipeline import forks  # not before the hook above

    stack = config.stash[KERNELS] = ExitStack()
    if not hasattr(config, "workerinput") and config.option.markexpr != "not slow":
        os.environ |= stack.enter_context(forks.kernels(os.environ))


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[KERNELS].close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}": place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get(item.path.stem, len(SLOW)))
    for item in items:
        if item.path.stem in places:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def bars_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars are shown, and from the start: else a fast machine shows none."""
    from hiddenstates.core import bars  # not before the hook above

    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(bars, "DELAY", 0)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Lab]":
    """A running JupyterLab, on an empty folder."""
    from lab import running_lab  # not before the hook above

    with running_lab(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("copies")) as lab:
        yield lab


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from lab import running_browser

    with running_browser() as browser:
        yield browser
