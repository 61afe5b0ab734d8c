"""What a vision model's hidden states must beat: CLIP's own embedding, and pixels. Each as if it were one state."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image

from hiddenstates.core.data import Task
from hiddenstates.core.images import read_image
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.clip import Clip
from hiddenstates.encoding.families import State
from hiddenstates.encoding.pooled import PooledStates
from hiddenstates.encoding.states import TaskStates

ONLY = Strategy.parse("0/whole")
"""The strategy that takes the one state of a baseline as it is."""

PLAIN = 1e-3  # beside the pixels, so that a picture of one colour has a direction, too

Vectors = Float32[np.ndarray, "image width"]


def clip_states(clip: Clip, task: Task) -> TaskStates:
    """CLIP's own embedding of each image: last state, first token, post-norm, projection (Radford et al. 2021)."""
    return _task_states(task, lambda paths: clip.embed_images(paths).numpy(), "visual_projection")


def pixel_states(task: Task, side: int) -> TaskStates:
    """Every image at side × side pixels less its mean, so that the cosine is the correlation of two pictures.

    It needs no model, and lighter or darker light changes nothing.
    """
    return _task_states(task, lambda paths: _pixels(paths, side), "pixels")


def _task_states(task: Task, embed: Callable[[Sequence[Path]], Vectors], name: str) -> TaskStates:
    """task: of images, `image_task`, whose ids are the images' names"""
    passages, queries = (
        PooledStates(ids, {ONLY.pool: embed([task.kb.images / id for id in ids])[None]}, (State(name),), name)
        for ids in (task.kb.ids, list(task.queries["id"][:]))
    )
    return TaskStates(passages, queries)


def _pixels(paths: Sequence[Path], side: int) -> Vectors:
    sized = [read_image(path).resize((side, side), Image.Resampling.BOX) for path in paths]
    pixels = np.stack([np.asarray(picture, dtype=np.float32).ravel() / 255 for picture in sized])
    centred = pixels - pixels.mean(1, keepdims=True)
    return np.pad(centred, ((0, 0), (0, 1)), constant_values=PLAIN)
