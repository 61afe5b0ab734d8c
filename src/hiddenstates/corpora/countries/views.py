"""A view of a picture, as a poor camera sees it: cropped, turned, blurred, noisy, badly lit, before some background.

Never mirrored: Ireland's flag in a mirror is that of Ivory Coast.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image, ImageFilter

VIEW = 64  # pixels, each way
SHEET = (96, 66)  # a picture is drawn this large before it is bent, for a view of `VIEW`
SQUARE = ((-1, -1), (1, -1), (1, 1), (-1, 1))  # clockwise from the upper left


@dataclass(frozen=True)
class Conditions:
    """How views are taken, all but the noise itself.

    corners:    where a picture's corners come to lie, clockwise from its upper left: x and y, the view being 1 × 1
    background: a few colours, blended into each other
    blur:       standard deviation, in pixels of a view of `VIEW`
    slope:      how much lighter it gets from the middle to the right and to the lower edge
    tint:       what the light makes of each channel
    noise:      standard deviation in grey levels, in a view of `VIEW`
    """

    corners: Float64[np.ndarray, "view 4 2"]
    background: UInt8[np.ndarray, "view 4 4 3"]
    blur: Float64[np.ndarray, " view"]
    slope: Float64[np.ndarray, "view 2"]
    tint: Float64[np.ndarray, "view 3"]
    noise: Float64[np.ndarray, " view"]


def draw_conditions(rng: np.random.Generator, aspect: float, n: int) -> Conditions:
    """Those of n views of pictures of this aspect, width to height."""
    return Conditions(
        corners=_corners(rng, aspect, n),
        background=rng.integers(20, 236, (n, 4, 4, 3), dtype=np.uint8),
        blur=rng.uniform(0.8, 2.2, n),
        slope=rng.uniform(-0.35, 0.35, (n, 2)),
        tint=rng.uniform(0.5, 1.2, (n, 1)) * rng.uniform(0.85, 1.15, (n, 3)),
        noise=rng.uniform(6, 24, n),
    )


def make_view(picture: Image.Image, rng: np.random.Generator, size: int = VIEW) -> Image.Image:
    """One view, RGB, `size` × `size`. The same generator state gives the same view.

    It is made at `VIEW` × `VIEW`, or at its own size if that is larger.
    """
    canvas = max(VIEW, size)
    drawn = draw_conditions(rng, picture.width / picture.height, 1)
    sheet = picture.convert("RGBA").resize(_sheet(canvas), Image.Resampling.BICUBIC)
    bend = _coefficients(drawn.corners[0], canvas)
    bent = sheet.transform((canvas, canvas), Image.Transform.PERSPECTIVE, bend, Image.Resampling.BICUBIC)
    view = Image.fromarray(drawn.background[0]).resize((canvas, canvas), Image.Resampling.BICUBIC)
    view.paste(bent, mask=bent.getchannel("A"))
    view = view.filter(ImageFilter.GaussianBlur(float(drawn.blur[0]) * canvas / VIEW))
    return _lit_and_noisy(view, drawn, rng).resize((size, size), Image.Resampling.BOX)


def _sheet(canvas: int) -> tuple[int, int]:
    """The size at which a picture is drawn before it is bent onto so large a canvas."""
    return SHEET[0] * canvas // VIEW, SHEET[1] * canvas // VIEW


def _corners(rng: np.random.Generator, aspect: float, n: int) -> Float64[np.ndarray, "view 4 2"]:
    width = rng.uniform(0.65, 1.2, n)
    angle = np.radians(rng.uniform(-25, 25, n))
    box = np.array(SQUARE) * (np.stack([width / 2, width / 2 / aspect], axis=-1)[:, None])
    box += rng.uniform(-0.12, 0.12, (n, 4, 2)) * width[:, None, None]  # too little to turn the flag over
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])  # 2 2 view
    return box @ np.moveaxis(turn, -1, 0) + rng.uniform(0.32, 0.68, (n, 1, 2))


def _coefficients(corners: Float64[np.ndarray, "4 2"], size: int) -> list[float]:
    """The eight numbers of Pillow's perspective transform: view (x, y) -> sheet ((ax+by+c)/(gx+hy+1), ...)."""
    sheet = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * _sheet(size)
    rows, values = [], []
    for (x, y), (u, v) in zip(corners * size, sheet, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(c) for c in np.linalg.solve(np.array(rows), np.array(values))]


def _lit_and_noisy(view: Image.Image, drawn: Conditions, rng: np.random.Generator) -> Image.Image:
    x, y = np.meshgrid(np.linspace(-1, 1, view.width), np.linspace(-1, 1, view.height))
    light = (1 + drawn.slope[0, 0] * x + drawn.slope[0, 1] * y)[..., None] * drawn.tint[0]
    noise = rng.normal(0, drawn.noise[0], (view.height, view.width, 3))
    seen = np.asarray(view, dtype=np.float64) * light + noise
    return Image.fromarray(seen.round().clip(0, 255).astype(np.uint8))
