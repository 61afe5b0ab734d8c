"""Texts in, a file of vectors out: for `hiddenstates encode`."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import write_tensors
from hiddenstates.core.joined import AnyStrategy
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.inputs.prompts import Side
from hiddenstates.encoding.inspection.cutting import cuts

VECTOR = "vector"
FORMATS = (".npy", ".safetensors", ".parquet")


def check_output(path: Path) -> None:
    """LabError unless vectors can be written there, in a format that is known by its ending."""
    if path.suffix not in FORMATS or not path.absolute().parent.is_dir():
        raise LabError(f"--output {path}: name a .npy, .safetensors or .parquet file in a folder that exists.")


def write_embeddings(
    ids: Sequence[str],
    texts: Sequence[str],
    output: Path,
    model: str,
    revision: str | None = None,
    part: str | None = None,
    strategy: AnyStrategy | None = None,
    side: Side = "passage",
) -> str:
    """One row of float32 per text; what was written, and what was cut, in a sentence.

    output:   .npy, an array of texts × dimensions; .safetensors, the same as the tensor `vector`, the ids as JSON under
              `about` in its header; .parquet, a row per text with the columns id, text and vector
    strategy: None is the published embedding, or the convention of the kind of model
    side:     whose prompt stands before each text

    LabError for an encoder that reads no text, or cannot do the strategy.
    """
    check_output(output)
    encoder = load_encoder(model, revision, part=part)
    wanted: AnyStrategy = strategy or encoder.baseline.strategy
    wanted.resolve(len(encoder.state_map))
    encoder.check_poolings(wanted.pools)
    cut = cuts(encoder, texts)
    made = encoder.encode(texts, wanted, ids, side=side)
    _write(made, texts, output)
    return f"{output}: {made.vectors.shape[0]} × {made.vectors.shape[1]} by {wanted}; {cut}."


def _write(made: Embeddings, texts: Sequence[str], output: Path) -> None:
    try:
        if output.suffix == ".npy":
            np.save(output, made.vectors)
        elif output.suffix == ".safetensors":
            write_tensors({VECTOR: made.vectors}, output, about=json.dumps({"ids": made.ids}))
        else:
            rows = pa.FixedSizeListArray.from_arrays(pa.array(made.vectors.ravel()), made.vectors.shape[1])
            pq.write_table(pa.table({"id": made.ids, "text": list(texts), VECTOR: rows}), output)
    except OSError as error:
        output.unlink(missing_ok=True)
        raise LabError(f"{output}: cannot be written ({error}). Free some room, or name another file.") from error
