"""Tiny encoders to export, and choices of a strategy as a stage leaves them."""

from pathlib import Path

from tiny import save_tiny

from hiddenstates.core.joined import parse
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.encoder import Encoder, load_encoder

WORDS = [
    "the",
    "capital",
    "of",
    "france",
    "is",
    "paris",
    "bern",
    "a",
    "red",
    "flag",
    "blue",
    "river",
    "italy",
    "rome",
    "city",
]
TEXTS = [" ".join(WORDS[(i + k) % len(WORDS)] for k in range(3 + i % 9)) for i in range(40)]
KINDS = {"bert": None, "t5": "encoder", "qwen3": None, "clip": "text"}


def tiny(folder: Path, kind: str, **settings: str) -> Encoder:
    return load_encoder(str(save_tiny(folder / kind, kind)), part=KINDS[kind], **settings)  # type: ignore[arg-type]


def chosen(encoder: Encoder, strategy: str) -> Choice:
    """As a stage leaves it, its whitening fitted."""
    wanted = parse(strategy)
    states = encoder.pool([str(i) for i in range(len(TEXTS))], TEXTS, wanted.pools)
    return Choice(wanted, encoder.fingerprint, {}, fitted(wanted, states))
