"""A view of a flag, as a poor camera sees it: cropped, turned, blurred, noisy, badly lit, before some background.

Never mirrored: Ireland's flag in a mirror is that of Ivory Coast.
"""

import numpy as np
from jaxtyping import Float64
from PIL import Image, ImageFilter

VIEW = 64  # pixels, each way
SHEET = (96, 66)  # the flag is drawn this large before it is bent


def make_view(flag: Image.Image, rng: np.random.Generator, size: int = VIEW) -> Image.Image:
    """One view, RGB, `size` × `size`. The same generator state gives the same view."""
    sheet = flag.convert("RGBA").resize(SHEET, Image.Resampling.BICUBIC)
    bend = _coefficients(_corners(rng, flag.width / flag.height), VIEW)
    bent = sheet.transform((VIEW, VIEW), Image.Transform.PERSPECTIVE, bend, Image.Resampling.BICUBIC)
    view = _background(rng)
    view.paste(bent, mask=bent.getchannel("A"))
    view = view.filter(ImageFilter.GaussianBlur(rng.uniform(0.8, 2.2)))
    return _lit_and_noisy(view, rng).resize((size, size), Image.Resampling.BOX)


def _corners(rng: np.random.Generator, aspect: float) -> Float64[np.ndarray, "4 2"]:
    """Where the flag's corners come to lie, clockwise from its upper left: x and y, the view being 1 × 1."""
    width = rng.uniform(0.65, 1.2)
    angle = np.radians(rng.uniform(-25, 25))
    box = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, width / 2 / aspect]
    box += rng.uniform(-0.12, 0.12, (4, 2)) * width  # too little to turn the flag over
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return box @ turn + rng.uniform(0.32, 0.68, 2)


def _coefficients(corners: Float64[np.ndarray, "4 2"], size: int) -> list[float]:
    """The eight numbers of Pillow's perspective transform: view (x, y) -> sheet ((ax+by+c)/(gx+hy+1), ...)."""
    sheet = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * SHEET
    rows, values = [], []
    for (x, y), (u, v) in zip(corners * size, sheet, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(c) for c in np.linalg.solve(np.array(rows), np.array(values))]


def _background(rng: np.random.Generator) -> Image.Image:
    patches = rng.integers(20, 236, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((VIEW, VIEW), Image.Resampling.BICUBIC)


def _lit_and_noisy(view: Image.Image, rng: np.random.Generator) -> Image.Image:
    x, y = np.meshgrid(np.linspace(-1, 1, VIEW), np.linspace(-1, 1, VIEW))
    slope = rng.uniform(-0.35, 0.35, 2)
    tint = rng.uniform(0.5, 1.2) * rng.uniform(0.85, 1.15, 3)
    light = (1 + slope[0] * x + slope[1] * y)[..., None] * tint
    noise = rng.normal(0, rng.uniform(6, 24), (VIEW, VIEW, 3))
    seen = np.asarray(view, dtype=np.float64) * light + noise
    return Image.fromarray(seen.round().clip(0, 255).astype(np.uint8))
