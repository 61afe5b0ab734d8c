"""Several views of each stored picture: the mean of their states is stored in the place of the picture's own.

What asks is a view, too: turned, cropped, badly lit. The clean picture is only one way to show a thing, and the mean of
several is nearer to all of them. It is one vector, as before; the views cost their embedding, once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from hiddenstates.core import draws
from hiddenstates.core.bars import bar
from hiddenstates.core.images import read_image
from hiddenstates.core.joined import AnyStrategy
from hiddenstates.core.relevance import Run
from hiddenstates.corpora.countries.views import make_view
from hiddenstates.encoding.embeddings.pooled import Embeddings, PooledStates
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.readers import ImageReader

PICTURES_AT_ONCE = 256  # pictures whose views lie on disk at once

Viewer = Callable[[Image.Image, np.random.Generator, int], Image.Image]


def crop(picture: Image.Image, rng: np.random.Generator, size: int) -> Image.Image:
    """A square part of the picture, three fifths of its shorter side or more, in other light. Never mirrored."""
    side = rng.uniform(0.6, 1) * min(picture.size)
    left, top = (rng.uniform(0, whole - side) for whole in picture.size)
    part = picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    lit = np.asarray(part, dtype=np.float64) * rng.uniform(0.7, 1.2) * rng.uniform(0.93, 1.07, 3)
    return Image.fromarray(lit.round().clip(0, 255).astype(np.uint8))


KINDS: Mapping[str, Viewer] = {"camera": make_view, "crop": crop}
"""camera: seen as a whole by a poor camera before some background; crop: a part of it, as suits photographs"""


@dataclass(frozen=True)
class Several:
    """What came of the views.

    means: count -> the mean of the states of the first so many views of each picture
    each:  the embeddings of each view in turn, under the strategy of the clean pictures
    """

    means: dict[int, PooledStates]
    each: list[Embeddings]


def several_views(
    encoder: Encoder,
    root: Path,
    clean: PooledStates,
    strategy: AnyStrategy,
    counts: Sequence[int],
    kind: str,
    seed: int,
) -> Several:
    """View and embed each stored picture as often as the highest count says.

    root:  of the pictures' files, whose names are the ids of `clean`, their own states
    seed:  with a picture's name and the view's number it makes the view; nothing else does
    """
    total = {pool: np.zeros(values.shape) for pool, values in clean.values.items()}  # float64
    means, each = {}, []
    for number in bar(range(max(counts, default=0)), "views", unit="views"):
        seen = _seen(encoder, root, clean, KINDS[kind], (seed, kind, number))
        each.append(seen.embed(strategy))
        for pool, values in seen.values.items():
            total[pool] += values
        if number + 1 in counts:
            mean = {pool: (values / (number + 1)).astype(np.float32) for pool, values in total.items()}
            means[number + 1] = replace(clean, values=mean)
    return Several(means, each)


def best_of(runs: Sequence[Run]) -> Run:
    """Each picture scores as the best of its views. runs: of whole lists, one for each view"""
    first, *others = (run.rows for run in runs)
    return Run(
        {
            query: {
                id: max(score, *(rows[query][id] for rows in others)) if others else score for id, score in row.items()
            }
            for query, row in first.items()
        }
    )


def _seen(encoder: Encoder, root: Path, clean: PooledStates, view: Viewer, key: tuple[object, ...]) -> PooledStates:
    """The states of one view of each picture, under the picture's name."""
    parts = list(_parts(encoder, root, clean, view, key))
    values = {pool: np.concatenate([part.values[pool] for part in parts], axis=1) for pool in clean.values}
    return replace(clean, values=values)


def _parts(
    encoder: Encoder, root: Path, clean: PooledStates, view: Viewer, key: tuple[object, ...]
) -> Iterator[PooledStates]:
    side = _side(encoder)
    for start in range(0, len(clean.ids), PICTURES_AT_ONCE):
        names = clean.ids[start : start + PICTURES_AT_ONCE]
        with TemporaryDirectory() as folder:
            files = [Path(folder, f"{i}.bmp") for i in range(len(names))]  # not packed: they are read at once
            for name, file in zip(names, files, strict=True):
                view(read_image(root / name), draws.generator("view", *key, name), side).save(file)
            yield encoder.pool(names, files, list(clean.values))


def _side(encoder: Encoder) -> int:
    """Pixels of the pictures that the encoder looks at."""
    assert isinstance(encoder.reader, ImageReader)
    return max(dict(encoder.reader.processor.size).values())
