"""An exported folder, read by sentence-transformers without running any code of the folder's."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer

from hiddenstates.core.errors import LabError, shortened
from hiddenstates.encoding.models.files import quiet as transformers_quiet
from hiddenstates.export.combined_states import CombinedStates


def read(folder: Path) -> SentenceTransformer:
    """The model of the folder, on the CPU. Where it names our own module, that is taken from here.

    Raises LabError where sentence-transformers cannot load it.
    """
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        own = [module["path"] for module in modules if module["type"].endswith(f".{CombinedStates.__name__}")]
        with quiet():
            return _own(folder, own[0]) if own else _native(folder)
    except Exception as error:  # sentence-transformers raises whatever it trips over
        raise LabError(
            f"{folder}: sentence-transformers cannot load it ({shortened(str(error))}). Export the embedding again."
        ) from error


def _native(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def _own(folder: Path, path: str) -> SentenceTransformer:
    about: dict[str, Any] = json.loads((folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    modules = [Transformer.load(str(folder)), CombinedStates.load(str(folder), subfolder=path)]
    prompts, default = about["prompts"], about["default_prompt_name"]
    return SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name=default, device="cpu")


@contextmanager
def quiet() -> Iterator[None]:
    """Without what transformers and sentence-transformers say of weights above the cut."""
    logger = logging.getLogger("sentence_transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with transformers_quiet():
            yield
    finally:
        logger.setLevel(level)
