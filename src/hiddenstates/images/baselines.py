"""What a vision model's hidden states must beat: the same tower untrained, and pixels as if they were one state."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image

from hiddenstates.core.data import Task
from hiddenstates.core.images import read_image
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.forward.families import State

ONLY = Strategy.parse("0/whole")
"""The strategy that takes the one state of a baseline as it is."""

PLAIN = 1e-3  # beside the pixels, so that a picture of one colour has a direction, too

PIXELS = (State("pixels"),)

Vectors = Float32[np.ndarray, "image width"]


def embedded_by(eye: Encoder, task: Task) -> TaskStates:
    """What another eye's published embedding takes of the images. task: of images, `image_task`"""
    pools = eye.baseline.strategy.pools
    sides = (task.kb.ids, list(task.queries["id"][:]))
    return TaskStates(*(eye.pool(ids, [task.kb.images / id for id in ids], pools) for ids in sides))


def pixel_states(task: Task, side: int) -> TaskStates:
    """Every image at side × side pixels less its mean, so that the cosine is the correlation of two pictures.

    It needs no model, and lighter or darker light changes nothing.
    """
    passages, queries = (
        PooledStates(ids, {ONLY.pool: _pixels([task.kb.images / id for id in ids], side)[None]}, PIXELS, "pixels")
        for ids in (task.kb.ids, list(task.queries["id"][:]))
    )
    return TaskStates(passages, queries)


def _pixels(paths: Sequence[Path], side: int) -> Vectors:
    sized = [read_image(path).resize((side, side), Image.Resampling.BOX) for path in paths]
    pixels = np.stack([np.asarray(picture, dtype=np.float32).ravel() / 255 for picture in sized])
    centred = pixels - pixels.mean(1, keepdims=True)
    return np.pad(centred, ((0, 0), (0, 1)), constant_values=PLAIN)
