"""The flags: read from django-countries (16×11 GIFs, MIT licence), and which of them nobody can tell apart."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageFilter

from hiddenstates.core.errors import LabError

SIZE = (16, 11)

# Of all pairs, some differ by 0 (the French tricolours; NO SJ) and some by 30 to 38 (ID MC, CO EC, FK MS, RO TD, JO PS,
# KG VN); then there are none until 45 (NI SV) and 47 (AX SE), which a person with good eyes can tell apart.
SAME = 41.0


def read_flag(code: str) -> Image.Image:
    """The flag of a country, RGBA, at its native size: 16×11 but for Switzerland's and Nepal's."""
    spec = find_spec("django_countries")  # found, not imported: it wants Django
    if spec is None or spec.origin is None:
        raise LabError("The flags are in the package django-countries, which is not installed: run `make test`.")
    path = Path(spec.origin).parent / "static" / "flags" / f"{code.lower()}.gif"
    with Image.open(path) as image:
        return image.convert("RGBA")


def flag_distance(a: Image.Image, b: Image.Image) -> float:
    """How far two flags differ where they differ most, in grey levels (0 to 255).

    Each is averaged over 3×3 pixels first. The mean over the whole flag would not do: it calls the reds of Monaco
    and Indonesia further apart than Mali and Senegal, who differ by a star.
    """
    return float(_distances(_blurred(a)[None], _blurred(b)[None])[0, 0])


def flag_classes(codes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Country code -> the codes of all countries, itself included, whose flags cannot be told from its own."""
    codes = sorted(codes)
    blurred = np.stack([_blurred(read_flag(code)) for code in codes])
    near = _distances(blurred, blurred) < SAME
    for _ in codes:  # what is near to near is in the class too
        wider = (near.astype(np.int64) @ near) > 0
        if (wider == near).all():
            break
        near = wider
    return {code: tuple(codes[j] for j in np.flatnonzero(near[i])) for i, code in enumerate(codes)}


def _blurred(flag: Image.Image) -> Float32[np.ndarray, "height width 3"]:
    paper = Image.new("RGBA", flag.size, "white")
    paper.alpha_composite(flag)
    small = paper.convert("RGB").resize(SIZE).filter(ImageFilter.BoxBlur(1))
    return np.asarray(small, dtype=np.float32)


def _distances(
    a: Float32[np.ndarray, "n height width 3"], b: Float32[np.ndarray, "m height width 3"]
) -> Float32[np.ndarray, "n m"]:
    return np.stack([np.sqrt(((b - one) ** 2).mean(-1)).max((1, 2)) for one in a])
