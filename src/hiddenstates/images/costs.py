"""What each of the two ways costs: embeddings made, bytes kept, and, where a clock says it, time."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter

import pandas as pd
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

FEATURES = {"CLIP, one vector of 512": 512, "CLIP, one vector of 768": 768, "VL-T5, 36 boxes × 2048": 36 * 2048}
"""Numbers an image: CLIP's projections (Radford et al. 2021, table 20), VL-T5's boxes (Cho et al. 2021)."""

BYTES = {"float32": 4, "float16": 2}


def projected_bytes(articles: int, passages: int) -> pd.DataFrame:
    """Arithmetic, nothing is measured: GB (1e9 bytes) of features for one image an article.

    One row (features, dtype), columns: bytes an image; GB stored once an article, and once a passage.
    """
    rows = {
        (name, dtype): (numbers * size, numbers * size * articles / 1e9, numbers * size * passages / 1e9)
        for name, numbers in FEATURES.items()
        for dtype, size in BYTES.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["bytes an image", *COLUMNS])
    table.index = pd.MultiIndex.from_tuples(table.index, names=["features", "dtype"])
    return table


COLUMNS = ("GB, once an article", "GB, once a passage")


def milliseconds(call: Callable[[], object], items: int, repeats: int = 3) -> float:
    """Milliseconds an item of a call that does `items` of them; the median of some repeats after one that warms up."""
    call()
    spent = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        spent.append(perf_counter() - start)
    return 1000 * median(spent) / items


def seconds(reads: Sequence[int], ways: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    """Seconds that each way (columns) takes for so many reads of an image's vector (rows).

    ways: name -> milliseconds before the first read, milliseconds a read
    """
    table = {name: [(once + each * n) / 1000 for n in reads] for name, (once, each) in ways.items()}
    return pd.DataFrame(table, index=pd.Index(reads, name="reads"))


def break_even(by_name: tuple[float, float], stored: tuple[float, float]) -> float:
    """The number of reads from which storing takes less time; infinity where it never does. Ways as in `seconds`."""
    (now_once, now_each), (once, each) = by_name, stored
    return (once - now_once) / (now_each - each) if now_each > each else float("inf")


def published_tower() -> Callable[[], object]:
    """One pass of `PICTURES_PER_PASS` pictures through a vision tower of the size of CLIP's ViT-B/32.

    Its weights are random: how long it takes does not depend on them.
    """
    tower = CLIPVisionModel(CLIPVisionConfig()).eval()
    pixels = torch.zeros(PICTURES_PER_PASS, 3, 224, 224)

    @torch.inference_mode()
    def call() -> object:
        return tower(pixel_values=pixels)

    return call


PICTURES_PER_PASS = 4
"""Pictures in a pass of `published_tower`."""
