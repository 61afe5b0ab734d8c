"""The map: passages in two dimensions under the strategy, and among them the question and what it found."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import ipywidgets as widgets
import numpy as np

from hiddenstates.explorer.plane import Places, Plane
from hiddenstates.report.figures.style import INK, PALETTE, QUIET

AUTO = widgets.Layout(width="auto", align_self="flex-start")
WIDTH, HEIGHT, EDGE = 940, 520, 26  # pixels
COLOURS = PALETTE[:6]  # black is the question's
REST, NONE = "other", "none"
NEAR = 9  # pixels: marks that are nearer share a label


@dataclass(frozen=True)
class Spots:
    """What a map shows.

    plane:    of the drawn passages
    names:    of the drawn passages; groups: what each is coloured by, "" of all where there is nothing
    grouped:  what the groups are called: topic, entity; "" where there is nothing
    question: its place; found: those of the first passages of the ranking; titles: of these, with a mark if right
    passages: so many there are in all
    strategy: whose vectors these are
    """

    plane: Plane
    names: Sequence[str]
    groups: Sequence[str]
    grouped: str
    question: Places
    found: Places
    titles: Sequence[str]
    passages: int
    strategy: str


class QuestionMap:
    """A button that opens the map, and the map."""

    def __init__(self) -> None:
        self.shown = widgets.ToggleButton(False, description="map", icon="map-o", layout=AUTO)
        self.drawn = widgets.HTML()


def mapped(spots: Spots) -> str:
    """The map as HTML, and what it can say."""
    return told(spots) + drawing(spots)


def told(spots: Spots) -> str:
    """What is drawn, and what distances in it are worth."""
    plane, n = spots.plane, len(spots.names)
    what = f"{n:,} of {spots.passages:,} passages, drawn at random" if n < spots.passages else f"All {n:,} passages"
    one, two = (f"{share:.0%}" for share in plane.shares)
    said = (
        f"{what}, by the first two principal components under {spots.strategy}, which have {one} and {two} of the "
        f"variance. Distances here are not the cosines: of a passage’s {plane.of} nearest, {plane.kept:.0%} are among "
        "its nearest here. The map shows what the embedding sets apart most, not what answers the question."
    )
    return f'<p class="hs-told">{escape(said)}</p>'


def drawing(spots: Spots) -> str:
    """An SVG, white since the colours are made for that: the passages, rings around the first found, a cross."""
    scale = _scale(np.concatenate([spots.plane.places, spots.question, spots.found]))
    colours = colours_of(spots.groups)
    dots = "".join(_dots(spots, scale(spots.plane.places), colours))
    named = [f"{rank} {title}" for rank, title in enumerate(spots.titles, 1)]
    marks = "".join([*_found(scale(spots.found), named), _question(*scale(spots.question)[0])])
    rest = not colours.keys() >= set(spots.groups)
    label = escape(f"Map of {len(spots.names):,} passages; a cross: the question; rings: {', '.join(named)}")
    return (
        f'<svg class="hs-map" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}">'
        f'<rect width="100%" height="100%" fill="#fff" stroke="{QUIET}"/>{dots}{marks}</svg>'
        f'{_legend(spots.grouped, colours, rest)}<p class="hs-told">✚ question; ◯ {escape(", ".join(named))}</p>'
    )


def colours_of(groups: Sequence[str]) -> dict[str, str]:
    """A colour for each of the largest groups; all others are `REST`, drawn hollow."""
    often = Counter(groups)
    return dict(zip((name for name, _ in often.most_common()), COLOURS, strict=False))


def _scale(places: Places) -> Callable[[Places], Places]:
    low, high = places.min(0), places.max(0)
    size = np.array([WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE])
    by = float((size / np.maximum(high - low, 1e-12)).min())  # one scale for both axes
    middle = (low + high) / 2

    def scaled(points: Places) -> Places:
        return (points - middle) * by * np.array([1, -1]) + np.array([WIDTH, HEIGHT]) / 2

    return scaled


def _dots(spots: Spots, places: Places, colours: dict[str, str]) -> Iterator[str]:
    rows = zip(places.round(1).tolist(), spots.names, spots.groups, strict=True)
    for (x, y), name, group in rows:
        title = f"<title>{escape(f'{name} ({group})' if group else name)}</title>"
        colour = colours.get(group)
        look = f'fill="{colour}" fill-opacity=".55"' if colour else f'fill="none" stroke="{QUIET}"'
        yield f'<circle cx="{x}" cy="{y}" r="3" {look}>{title}</circle>'


def _found(places: Places, named: Sequence[str]) -> Iterator[str]:
    """A ring around each, and its rank beside it; those that lie on one another have one label."""
    labels: dict[tuple[float, float], list[str]] = {}
    for rank, ((x, y), name) in enumerate(zip(places.tolist(), named, strict=True), 1):
        ring = f'cx="{x:.1f}" cy="{y:.1f}" r="6" fill="transparent" stroke="{INK}" stroke-width="1.6"'
        yield f"<circle {ring}><title>{escape(name)}</title></circle>"
        near = next((at for at in labels if abs(at[0] - x) < 3 * NEAR and abs(at[1] - y) < NEAR), (x, y))
        labels.setdefault(near, []).append(str(rank))
    for (x, y), ranks in labels.items():
        yield _text(x + 9, y + 4, ", ".join(ranks))


def _question(x: float, y: float) -> str:
    cross = f"M{x - 7:.1f},{y:.1f}h14M{x:.1f},{y - 7:.1f}v14"
    return f'<path d="{cross}" stroke="#000" stroke-width="3"><title>question</title></path>'


def _text(x: float, y: float, text: str) -> str:
    """On a white rim, so that it is read on dots."""
    return f'<text x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _legend(grouped: str, colours: dict[str, str], rest: bool) -> str:
    if not grouped:
        return ""
    shown = ((escape(name) or NONE, colour) for name, colour in colours.items())
    named = [f'<span><i style="background: {colour}"></i>{name}</span>' for name, colour in shown]
    named += [f'<span><i class="hs-hollow"></i>{REST}</span>'] if rest else []
    return f'<p class="hs-told hs-groups">{escape(grouped)}: {" ".join(named)}</p>'
