"""For every test: shapes in annotations are checked, the network is out of reach, one thread a worker."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from lab import Lab
    from playwright.sync_api import Browser

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # the workers share the cores
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # else tokenizers warn in each test that starts a process

# Only where shapes are: beartype cannot check the methods of other modules that return Self.
SOURCE = Path(__file__).parents[1] / "src"
SHAPED = [path for path in sorted(SOURCE.rglob("*.py")) if "from jaxtyping import" in path.read_text("utf-8")]
MODULES = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SHAPED]
install_import_hook(MODULES, "beartype.beartype")

SLOWEST = ("test_notebooks", "test_kinds", "test_lab_browser", "test_explorer_browser", "test_readme", "test_export")
"""Files that take minutes start first: a worker that got one last would run alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: SLOWEST.index(item.path.stem) if item.path.stem in SLOWEST else len(SLOWEST))


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
