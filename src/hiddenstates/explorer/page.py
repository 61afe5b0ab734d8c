"""A ranking as HTML, row by row: everything that comes from outside is escaped, images are inside it as data URIs."""

from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenstates.core.errors import LabError
from hiddenstates.core.images import read_image

STYLE = f"<style>{Path(__file__).with_name('page.css').read_text(encoding='utf-8')}</style>"
THUMBNAIL = (96, 64)  # pixels at most; a smaller image stays as it is
HEADINGS = {
    "rank": "passages of equal score share the last of their ranks",
    "moved": "against the strategy that it is compared with, without the image's score",
    "": "",
    "passage": "",
    "score": "what ranks: the text's cosine, or with an image the weighted sum of both",
    "text": "cosine of the passage's text and the question; where words count, with BM25's share",
    "image": "cosine of the passage's image and the question's",
}


def headings() -> str:
    """Above the rows of a ranking."""
    cells = "".join(f'<th title="{told}">{name}</th>' for name, told in HEADINGS.items())
    return f'<table class="hs-ranking"><thead><tr>{cells}</tr></thead></table>'


def row(found: Any, images: Path) -> str:
    """A row of the table that `Explorer.rank` gives, as `itertuples` has it; a table of its own, below which something
    may open. images: the folder that the image names are relative to
    """
    return f'<table class="hs-ranking"><tbody>{_row(found, images)}</tbody></table>'


def message(text: str) -> str:
    """A sentence that says what is wrong."""
    return f'<p class="hs-message" role="alert">{escape(text)}</p>'


def unfound(text: str) -> str:
    """A sentence that says why there is nothing to show."""
    return f'<p class="hs-told">{escape(text)}</p>'


def told(table: pd.DataFrame, passages: int, seconds: float, default: str) -> str:
    """What the ranking took, and where the right passage is, if one is known."""
    sentences = [f"Ranked {passages:,} passages in {seconds * 1000:.0f} ms."]
    if table["rank"].iloc[0] == passages:
        sentences.append("<b>Every passage has the same score:</b> this embedding tells none from another.")
    right = table[table["right"]]
    if len(right):
        best = right.iloc[0]
        sentences.append(f"The right passage is at rank <b>{best['rank']:,}</b>; by {default} at {best['before']:,}.")
    return f'<p class="hs-told">{" ".join(sentences)}</p>'


@lru_cache(512)
def picture(path: Path, alt: str = "") -> str:
    """An <img> that holds the image itself, made small; nothing for one that cannot be read."""
    try:
        image = read_image(path)
    except LabError:
        return ""
    sharp = " hs-pixels" if image.width < THUMBNAIL[0] else ""
    image.thumbnail(THUMBNAIL)
    data = BytesIO()
    image.save(data, "PNG")
    source = f"data:image/png;base64,{b64encode(data.getvalue()).decode()}"
    return f'<img class="hs-picture{sharp}" src="{source}" alt="{escape(alt)}">'


def _row(row: Any, images: Path) -> str:
    flag = picture(images / row.image, row.title) if row.image else ""
    mark = '<span title="the right passage">✓</span> ' if row.right else ""
    cells = "".join(f"<td>{cell}</td>" for cell in [*_cells(row, flag, mark), *_scores(row)])
    kind = ' class="hs-right"' if row.right else ""
    return f'<tr data-passage="{escape(row.Index)}"{kind}>{cells}</tr>'


def _cells(row: Any, flag: str, mark: str) -> Iterator[str]:
    yield f"{'=' * row.tied}{row.rank:,}"
    yield _moved(row.before - row.rank)
    yield flag
    yield f"{mark}<b>{escape(row.title)}</b><br>{escape(row.text)}"


def _scores(row: Any) -> Iterator[str]:
    for score in (row.score, row.by_text, row.by_image):
        yield "" if pd.isna(score) else f"{score:.3f}"


def _moved(places: int) -> str:
    if places == 0:
        return '<span class="hs-same">·</span>'
    return f'<span class="hs-up">▲ {places:,}</span>' if places > 0 else f'<span class="hs-down">▼ {-places:,}</span>'
