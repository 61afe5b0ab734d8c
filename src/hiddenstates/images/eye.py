"""What looks at the images: the vision tower of a CLIP or SigLIP, or a model that sees and does nothing else."""

from collections.abc import Sequence

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inputs.readers import ImageReader
from hiddenstates.encoding.models.files import load_config, model_folder


def load_eye(name: str, revision: str | None = None) -> Encoder:
    """Of two towers the one that sees; by name as in `load_encoder`. LabError for one that reads no images alone."""
    towers = hasattr(load_config(model_folder(name, revision)), "vision_config")
    eye = load_encoder(name, revision, part="vision" if towers else None)
    if not isinstance(eye.reader, ImageReader):
        raise LabError(
            f"images.model: {name} reads no images alone. Name a CLIP, a SigLIP, or a vision model such as DINOv2."
        )
    return eye


def poolings_of(eye: Encoder, asked: Sequence[str]) -> list[str]:
    """Those of the poolings asked for that this eye can do, and what its published embedding takes.

    A tower without a class token has no `first` and no `patches`.
    """
    return list(dict.fromkeys([*(name for name in asked if name in eye.poolings), *eye.baseline.strategy.pools]))
