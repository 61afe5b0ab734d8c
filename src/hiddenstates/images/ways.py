"""Image features by name and stored, side by side: the same numbers, another count of embeddings."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.readers import TextImage
from hiddenstates.encoding.models.boxes import StoredBoxes, TextImageReader, with_stored
from hiddenstates.images.features import ImageFeatures, embed_by_name

COLUMNS = ["embeddings, by name", "embeddings, stored", "bytes stored", "passages compared", "largest difference"]
COMPARED = 500  # passages that VL-T5 reads twice: their texts, too


def both_ways(
    features: ImageFeatures, vision: Encoder, boxes: Encoder, kb: KnowledgeBase, poolings: Sequence[str]
) -> pd.DataFrame:
    """CLIP's states of each passage's image, VL-T5's of its text and boxes, in both ways: one row per model.

    Columns: embeddings of images when each passage whose image can be read makes its own, and when each different image
    is embedded once; bytes that then are kept; passages compared, for VL-T5 the first `COMPARED`; the largest
    difference of any number of any of their states.
    """
    image_of = dict(zip(kb.ids, kb.passages["image"][:], strict=True))
    stored = features.of_items(kb.ids, list(image_of.values()))
    images = [image_of[id] for id in stored.ids]
    now = embed_by_name(vision, kb.images, stored.ids, images, list(stored.values))
    kept = sum(values.nbytes for values in features.states.values.values())
    counts = (len(images), len(features.states.ids), kept, len(images))
    rows = {
        "the image, one vector": (*counts, largest_difference(now, stored)),
        "VL-T5: text and boxes": _boxes(boxes, kb, images, stored.ids, poolings),
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS)


def largest_difference(one: PooledStates, other: PooledStates) -> float:
    """Between two numbers in the same place, under any pooling; 0 where all are equal to the last bit."""
    return max(float(np.abs(one.values[pool] - other.values[pool]).max(initial=0)) for pool in one.values)


def _boxes(
    encoder: Encoder, kb: KnowledgeBase, images: Sequence[str], ids: Sequence[str], poolings: Sequence[str]
) -> tuple[int, int, int, int, float]:
    """A row of `both_ways`."""
    paths = [kb.images / name for name in images]
    holding = replace(encoder, reader=with_stored(encoder.reader, paths))
    if not isinstance(holding.reader, TextImageReader) or not isinstance(holding.reader.boxes, StoredBoxes):
        raise LabError(f"model {encoder.name}: it makes no boxes of images. Name a VL-T5 or VL-BART in images.boxes.")
    text_of = dict(zip(kb.ids, kb.texts(), strict=True))
    read = [TextImage(text_of[id], path) for id, path in zip(ids[:COMPARED], paths, strict=False)]
    now, stored = (model.pool(ids[:COMPARED], read, poolings) for model in (encoder, holding))
    boxes = holding.reader.boxes.values
    kept = boxes.numel() * boxes.element_size()
    return len(ids), len(boxes), kept, len(read), largest_difference(now, stored)
