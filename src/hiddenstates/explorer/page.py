"""A ranking as HTML, row by row: everything that comes from outside is escaped, images are inside it as data URIs."""

from base64 import b64encode
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
COLUMNS = {
    "rank": ("rank", "passages of equal score share the last of their ranks"),
    "moved": ("moved", "against the strategy that it is compared with, without the image's score"),
    "flag": ("", ""),
    "passage": ("passage", ""),
    "score": ("score", "what ranks: the text's cosine, or with an image the weighted sum of both"),
    "text": ("text", "cosine of the passage's text and the question; where words count, with BM25's share"),
    "image": ("image", "cosine of the passage's image and the question's"),
}
"""By their class in page.css: the heading, and what it means."""
PICTURED = ("flag", "image")  # columns that are left out where no passage has a picture


def headings(pictured: bool) -> str:
    """Above the rows of a ranking."""
    shown = {column: about for column, about in COLUMNS.items() if pictured or column not in PICTURED}
    cells = [f'<th class="hs-{column}" title="{told}">{name}</th>' for column, (name, told) in shown.items()]
    return f'<table class="hs-ranking"><thead><tr>{"".join(cells)}</tr></thead></table>'


def row(found: Any, images: Path | None) -> str:
    """A row of the table that `Explorer.rank` gives, as `itertuples` has it; a table of its own, below which something
    may open. images: the folder that the image names are relative to; None where no passage has a picture
    """
    cells = _cells(found) | (_pictured(found, images) if images else {})
    told = "".join(f'<td class="hs-{column}">{cells[column]}</td>' for column in COLUMNS if column in cells)
    kind = ' class="hs-right"' if found.right else ""
    line = f'<tr data-passage="{escape(found.Index)}"{kind}>{told}</tr>'
    return f'<table class="hs-ranking"><tbody>{line}</tbody></table>'


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


def _cells(row: Any) -> dict[str, str]:
    mark = '<span title="the right passage">✓</span> ' if row.right else ""
    text = f'<div class="hs-lines" title="{escape(row.text)}">{escape(row.text)}</div>'
    return {
        "rank": f"{'=' * row.tied}{row.rank:,}",
        "moved": _moved(row.before - row.rank),
        "passage": f"{mark}<b>{escape(row.title)}</b>{text}",
        "score": _number(row.score),
        "text": _number(row.by_text),
    }


def _pictured(row: Any, images: Path) -> dict[str, str]:
    flag = picture(images / row.image, row.title) if row.image else ""
    return {"flag": flag, "image": _number(row.by_image)}


def _number(score: float) -> str:
    return "" if pd.isna(score) else f"{score:.3f}"


def _moved(places: int) -> str:
    if places == 0:
        return '<span class="hs-same">·</span>'
    return f'<span class="hs-up">▲ {places:,}</span>' if places > 0 else f'<span class="hs-down">▼ {-places:,}</span>'
