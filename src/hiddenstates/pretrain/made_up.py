"""Flags that nobody owns, drawn by a seed: an eye that learns to tell these apart has learned no country's."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float64
from PIL import Image, ImageDraw

from hiddenstates.corpora.countries.flags import SIZE

WIDTH, HEIGHT = DRAWN = (64, 44)  # pixels; reduced to `SIZE` at the end
Colour = tuple[int, int, int]
Painter = Callable[[ImageDraw.ImageDraw, Sequence[Colour], np.random.Generator], None]

COLOURS: Mapping[Colour, float] = {
    (200, 16, 46): 0.18,
    (0, 38, 100): 0.14,
    (255, 255, 255): 0.20,
    (0, 0, 0): 0.07,
    (0, 122, 61): 0.14,
    (252, 209, 22): 0.12,
    (255, 130, 0): 0.04,
    (0, 150, 200): 0.03,
    (117, 178, 221): 0.04,
    (128, 0, 32): 0.02,
    (120, 80, 40): 0.01,
    (230, 230, 230): 0.01,
}
"""The colours that flags are made of, and how often each is drawn."""

SPREAD = 14  # grey levels by which a drawn colour differs from the one above, standard deviation
APART = 120  # grey levels, summed over the channels, that two colours of one flag differ by at least


def made_up_flag(rng: np.random.Generator) -> Image.Image:
    """One flag, RGB, at the size of the real ones: a field, perhaps a triangle at the hoist, a border and figures."""
    colours = _colours(rng, 5)
    flag = Image.new("RGB", DRAWN, colours[0])
    draw = ImageDraw.Draw(flag)
    field = _one_of(FIELDS, rng)
    field(draw, colours, rng)
    if field is not _canton and rng.random() < 0.22:
        draw.polygon([(0, 0), (rng.uniform(0.3, 0.55) * WIDTH, HEIGHT / 2), (0, HEIGHT)], fill=colours[3])
    if rng.random() < 0.06:
        draw.rectangle((0, 0, WIDTH - 1, HEIGHT - 1), outline=colours[4], width=int(rng.integers(2, 7)))
    _figures(draw, colours, rng)
    return _framed(flag.resize(SIZE, Image.Resampling.BOX), rng)


def _colours(rng: np.random.Generator, n: int) -> list[Colour]:
    palette, weights = np.array(list(COLOURS)), list(COLOURS.values())
    found: list[Colour] = []
    while len(found) < n:
        drawn = (palette[rng.choice(len(palette), p=weights)] + rng.normal(0, SPREAD, 3)).clip(0, 255)
        if all(np.abs(drawn - other).sum() > APART for other in found):
            found.append(_colour(drawn))
    return found


def _colour(channels: Float64[np.ndarray, "3"]) -> Colour:
    red, green, blue = (int(channel) for channel in channels)
    return red, green, blue


def _one_of(weighted: Mapping[Painter, float], rng: np.random.Generator) -> Painter:
    return list(weighted)[rng.choice(len(weighted), p=list(weighted.values()))]


def _edges(rng: np.random.Generator, n: int) -> Float64[np.ndarray, " edge"]:
    """Where n bands begin and end, from 0 to 1: mostly of one breadth."""
    breadths = np.ones(n)
    if n == 3 and rng.random() < 0.35:
        breadths[1] = rng.uniform(0.3, 2.2)
    elif rng.random() < 0.15:
        breadths = rng.uniform(0.5, 1.5, n)
    return np.concatenate([[0], np.cumsum(breadths / breadths.sum())])


def _bands(draw: ImageDraw.ImageDraw, colours: Sequence[Colour], rng: np.random.Generator, down: bool) -> None:
    n = int(rng.choice([2, 3, 3, 3, 4, 5, 7, 9]))
    edges = _edges(rng, n)
    used = list(colours[: int(rng.integers(2, 4)) if n > 3 else n])
    if n == 3 and rng.random() < 0.3:
        used[2] = used[0]
    for i, (start, end) in enumerate(pairwise(edges)):
        box = (start * WIDTH, 0, end * WIDTH, HEIGHT) if down else (0, start * HEIGHT, WIDTH, end * HEIGHT)
        draw.rectangle(box, fill=used[i % len(used)])


def _bands_across(draw: ImageDraw.ImageDraw, colours: Sequence[Colour], rng: np.random.Generator) -> None:
    _bands(draw, colours, rng, down=False)


def _bands_down(draw: ImageDraw.ImageDraw, colours: Sequence[Colour], rng: np.random.Generator) -> None:
    _bands(draw, colours, rng, down=True)


def _cross(draw: ImageDraw.ImageDraw, colours: Sequence[Colour], rng: np.random.Generator) -> None:
    x, y, half = rng.choice([0.36, 0.5]) * WIDTH, HEIGHT / 2, rng.uniform(4, 9)
    for colour, part in zip(colours[1:3], (half, half / 2), strict=True):
        draw.rectangle((x - part, 0, x + part, HEIGHT), fill=colour)
        draw.rectangle((0, y - part, WIDTH, y + part), fill=colour)
        if rng.random() < 0.5:
            return


def _canton(draw: ImageDraw.ImageDraw, colours: Sequence[Colour], rng: np.random.Generator) -> None:
    if rng.random() < 0.4:
        n = int(rng.integers(5, 14))
        for i in range(1, n, 2):
            draw.rectangle((0, i * HEIGHT / n, WIDTH, (i + 1) * HEIGHT / n), fill=colours[1])
    right, low = rng.uniform(0.35, 0.55) * WIDTH, rng.uniform(0.45, 0.6) * HEIGHT
    draw.rectangle((0, 0, right, low), fill=colours[2])
    filled = rng.random()
    if filled < 0.4:
        draw.line((0, 0, right, low), fill=colours[3], width=5)
        draw.line((0, low, right, 0), fill=colours[3], width=5)
        for colour, half in zip(colours[3:5], (4, 2), strict=True):
            draw.rectangle((right / 2 - half, 0, right / 2 + half, low), fill=colour)
            draw.rectangle((0, low / 2 - half, right, low / 2 + half), fill=colour)
    elif filled < 0.75:
        draw.polygon(_star(right / 2, low / 2, rng.uniform(5, 9), 5, 0.4), fill=colours[3])


def _diagonal(draw: ImageDraw.ImageDraw, colours: Sequence[Colour], rng: np.random.Generator) -> None:
    rises = rng.random() < 0.5
    line = ((0, HEIGHT), (WIDTH, 0)) if rises else ((0, 0), (WIDTH, HEIGHT))
    draw.polygon([*line, (WIDTH, HEIGHT) if rises else (0, HEIGHT)], fill=colours[1])
    if rng.random() < 0.6:
        draw.line(line, fill=colours[2], width=int(rng.integers(4, 14)))


def _saltire(draw: ImageDraw.ImageDraw, colours: Sequence[Colour], rng: np.random.Generator) -> None:
    for line in ((0, 0, WIDTH, HEIGHT), (0, HEIGHT, WIDTH, 0)):
        draw.line(line, fill=colours[1], width=int(rng.integers(5, 11)))


def _plain(draw: ImageDraw.ImageDraw, colours: Sequence[Colour], rng: np.random.Generator) -> None:
    """One colour: the figures are all."""


FIELDS: Mapping[Painter, float] = {
    _bands_across: 0.33,
    _bands_down: 0.20,
    _cross: 0.09,
    _canton: 0.13,
    _diagonal: 0.08,
    _plain: 0.12,
    _saltire: 0.05,
}


def _figures(draw: ImageDraw.ImageDraw, colours: Sequence[Colour], rng: np.random.Generator) -> None:
    """Up to five; the first mostly in the middle."""
    n = int(rng.choice([0, 1, 2, 3, 5], p=[0.35, 0.42, 0.13, 0.05, 0.05]))
    middle = rng.random() < 0.6
    for i in range(n):
        x, y = rng.uniform(0.15, 0.9) * WIDTH, rng.uniform(0.15, 0.85) * HEIGHT
        if i == 0 and middle:
            x, y = WIDTH / 2, HEIGHT / 2
        size = rng.uniform(4, 15) if n <= 2 else rng.uniform(2.5, 6)
        figure = str(rng.choice(["disc", "star", "crescent", "emblem", "ring"], p=[0.3, 0.34, 0.13, 0.18, 0.05]))
        _figure(draw, figure, (x, y, size), colours[int(rng.integers(1, 5))], rng)


def _figure(
    draw: ImageDraw.ImageDraw,
    figure: str,
    place: tuple[float, float, float],
    colour: Colour,
    rng: np.random.Generator,
) -> None:
    """place: x and y of its middle, and how far it reaches"""
    x, y, size = place
    if figure == "disc":
        draw.ellipse(_around(x, y, size, size), fill=colour)
    elif figure == "ring":
        draw.ellipse(_around(x, y, size, size), outline=colour, width=max(2, int(size / 4)))
    elif figure == "star":
        draw.polygon(_star(x, y, size, int(rng.choice([5, 5, 5, 6, 7, 12])), rng.uniform(0.35, 0.6)), fill=colour)
    elif figure == "crescent":
        draw.polygon(_crescent(x, y, size, 1 if rng.random() < 0.7 else -1), fill=colour)
    else:
        for _ in range(rng.integers(3, 8)):
            shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
            half = rng.uniform(0.15, 0.6, 2) * size
            middle = np.array([x, y]) + rng.normal(0, 0.35, 2) * size
            shape(_around(*middle, *half), fill=_colours(rng, 1)[0])


def _around(x: float, y: float, across: float, down: float) -> tuple[float, float, float, float]:
    return (x - across, y - down, x + across, y + down)


def _star(x: float, y: float, size: float, points: int, inner: float) -> list[tuple[float, float]]:
    angles = np.pi * np.arange(2 * points) / points - np.pi / 2
    reach = size * np.where(np.arange(2 * points) % 2, inner, 1)
    return list(zip(x + reach * np.cos(angles), y + reach * np.sin(angles), strict=True))


def _crescent(x: float, y: float, size: float, side: int) -> list[tuple[float, float]]:
    """A disc less another one that lies to its side."""
    angles = np.linspace(0.2 * np.pi, 1.8 * np.pi, 24)
    outer = [(x + side * size * np.cos(a), y + size * np.sin(a)) for a in angles]
    (tip, top), middle, reach = outer[0], x + side * 0.3 * size, 0.75 * size
    inner = [(middle + side * reach * np.cos(a), y + reach * np.sin(a)) for a in angles[2:-2][::-1]]
    return [*outer, *inner, (tip, top)]


def _framed(flag: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As small pictures of flags are shaded: the outermost pixels darker, the next lighter, the upper half lighter."""
    pixels = np.asarray(flag, dtype=np.float64)
    dark, light, sheen = rng.uniform(0.5, 0.9), rng.uniform(0, 0.35), rng.uniform(0, 0.25)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width]
    ring = np.minimum.reduce([x, y, width - 1 - x, height - 1 - y])[..., None]  # 0 outermost
    pixels = pixels + (255 - pixels) * np.where(ring == 1, light, 0)
    pixels = pixels + (255 - pixels) * np.where((ring > 0) & (y[..., None] < height // 2), sheen, 0)
    return Image.fromarray((pixels * np.where(ring == 0, dark, 1)).clip(0, 255).astype(np.uint8))
