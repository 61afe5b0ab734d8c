"""Which hidden states of an encoder, combined and pooled how, make the embedding to index?"""

import importlib
import importlib.metadata
from typing import Any

_HOMES = {
    "load_encoder": "hiddenstates.encoding.encoder",
    "Choice": "hiddenstates.encoding.choice",
    "Strategy": "hiddenstates.core.strategy",
    "IndexBundle": "hiddenstates.retrieval.index",
}
"""The names that most users want, and where they live: nothing is imported before it is asked for."""

__all__ = ["Choice", "IndexBundle", "Strategy", "__version__", "load_encoder"]  # noqa: F822 (by __getattr__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("hiddenstates")
    if name not in _HOMES:
        raise AttributeError(f"module 'hiddenstates' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
