"""Texts in, a file of vectors out: for `hiddenstates encode`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hiddenstates.core.joined import AnyStrategy
from hiddenstates.encoding.cutting import cuts
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.prompts import Side


def write_embeddings(
    texts: Sequence[str],
    output: Path,
    model: str,
    revision: str | None = None,
    part: str | None = None,
    strategy: AnyStrategy | None = None,
    side: Side = "passage",
) -> str:
    """One row of float32 per text, in a .npy file; what was written, and what was cut, in a sentence.

    strategy: None is the published embedding, or the convention of the kind of model
    side:     whose prompt stands before each text

    LabError for an encoder that reads no text, or cannot do the strategy.
    """
    encoder = load_encoder(model, revision, part=part)
    wanted: AnyStrategy = strategy or encoder.baseline.strategy
    wanted.resolve(len(encoder.state_map))
    encoder.check_poolings(wanted.pools)
    cut = cuts(encoder, texts)
    vectors = encoder.encode(texts, wanted, side=side).vectors
    np.save(output, vectors)
    return f"{output}: {vectors.shape[0]} × {vectors.shape[1]} by {wanted}; {cut}."
