"""Many views at once, as tensors: the conditions of `corpora.countries.views`, a tenth of the time."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample, interpolate, pad

from hiddenstates.corpora.countries.views import SQUARE, VIEW, Conditions, draw_conditions

SHEET = (48, 33)  # a flag is drawn this large before it is bent
REACH = 3  # pixels of a view that the blur reaches to each side

Sheets = Float[Tensor, "flag 4 sheet_height sheet_width"]
Shown = Float[Tensor, "flag 3 height width"]


def as_sheets(flags: Sequence[Image.Image]) -> Sheets:
    """The flags, RGBA, in [0, 1], each colour times its alpha."""
    sized = [flag.convert("RGBA").resize(SHEET, Image.Resampling.BICUBIC) for flag in flags]
    sheets = _tensor(np.stack([np.asarray(sheet) for sheet in sized])).permute(0, 3, 1, 2) / 255
    return torch.cat([sheets[:, :3] * sheets[:, 3:], sheets[:, 3:]], dim=1)


def many_views(sheets: Sheets, aspect: float, rng: np.random.Generator, size: int) -> Shown:
    """One view of each flag, in [0, 1].

    They differ from `make_view`'s in how pixels are interpolated and blurred, at the size of the view instead of at 64
    pixels: too little to matter to who learns from them, too much to be asked about.
    """
    drawn = draw_conditions(rng, aspect, len(sheets))
    background = _tensor(drawn.background).permute(0, 3, 1, 2) / 255
    bent = grid_sample(pad(sheets, (1, 1, 1, 1)), _places(drawn, size), align_corners=False)
    below = interpolate(background, size=(size, size), mode="bicubic", align_corners=False)
    view = bent[:, :3] + below * (1 - bent[:, 3:])
    noise = _tensor(rng.standard_normal(view.shape, dtype=np.float32))
    strength = _tensor(drawn.noise / 255 * size / VIEW)[:, None, None, None]
    return (_blurred(view, _tensor(drawn.blur * size / VIEW)) * _light(drawn, size) + noise * strength).clamp(0, 1)


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values).float()


def _places(drawn: Conditions, size: int) -> Float[Tensor, "flag height width 2"]:
    """Where on the padded sheet each pixel of each view lies, as `grid_sample` counts: -1 to 1."""
    x, y = (part.ravel() for part in np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2))
    lines = _perspective(drawn.corners) @ np.stack([x, y, np.ones_like(x)])  # flag 3 pixel
    places = lines[:, :2] / lines[:, 2:]
    padded = np.array(SHEET) / (np.array(SHEET) + 2)
    return _tensor((places * padded[:, None]).transpose(0, 2, 1).reshape(-1, size, size, 2))


def _perspective(corners: np.ndarray) -> np.ndarray:
    """The matrices that take a view's homogeneous coordinates to the square of the sheet. [flag, 3, 3]"""
    x, y = corners[..., 0], corners[..., 1]  # flag corner
    u, v = np.broadcast_to(np.array(SQUARE).T[:, None], (2, *x.shape))
    one, none = np.ones_like(x), np.zeros_like(x)
    rows = [[x, y, one, none, none, none, -u * x, -u * y], [none, none, none, x, y, one, -v * x, -v * y]]
    equations = np.concatenate([np.stack(row, axis=-1) for row in rows], axis=1)  # flag 8 8
    solved = np.linalg.solve(equations, np.concatenate([u, v], axis=1)[..., None])[..., 0]
    return np.concatenate([solved, np.ones((len(solved), 1))], axis=1).reshape(-1, 3, 3)


def _blurred(view: Shown, deviation: Float[Tensor, " flag"]) -> Shown:
    """Each by its own Gaussian."""
    steps = torch.arange(-REACH, REACH + 1.0)
    kernels = torch.exp(-(steps**2) / (2 * deviation[:, None] ** 2))
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(3, 0)[:, None]  # channel 1 step
    flat = pad(view, (REACH,) * 4, mode="replicate").flatten(0, 1)[None]
    down = conv2d(flat, kernels[..., None], groups=len(kernels))
    return conv2d(down, kernels[..., None, :], groups=len(kernels)).view_as(view)


def _light(drawn: Conditions, size: int) -> Shown:
    along = torch.linspace(-1, 1, size)
    slope = _tensor(drawn.slope)[:, :, None, None]
    light = 1 + slope[:, :1] * along + slope[:, 1:] * along[:, None]
    return light * _tensor(drawn.tint)[:, :, None, None]
