"""One small model of each kind, with random weights, traced on the spot: what "the last hidden state" can mean."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inspection.small import save_small

KINDS = {
    "post-norm": "bert",
    "pre-norm, a final norm in the last state": "modernbert",
    "pre-norm, no final norm in the states": "clip_text_model",
    "shared layers": "albert",
    "parallel blocks": "gpt_neox",
    "causal": "qwen3",
    "vision with a class token": "vit",
    "vision without": "siglip_vision_model",
}
"""What a kind is called, and a model type of it."""


def shown_kinds() -> pd.DataFrame:
    """One row per kind: what made its first states and its last one, and what it can pool."""
    with TemporaryDirectory() as folder:
        return pd.DataFrame({kind: _row(_small(Path(folder, name), name)) for kind, name in KINDS.items()}).T


def _small(folder: Path, model_type: str) -> Encoder:
    return load_encoder(str(save_small(folder, model_type)))


def _row(encoder: Encoder) -> dict[str, object]:
    last = encoder.state_map[-1]
    return {
        "model type": encoder.model.config.model_type,
        "state 0": encoder.state_map[0].module,
        "state 1": encoder.state_map[1].module,
        "last state": last.module,
        "its norm": last.norm or "none",
        "causal": {True: "yes", False: "no", None: "–"}[encoder.seen.causal],
        "poolings": ", ".join(encoder.poolings),
    }
