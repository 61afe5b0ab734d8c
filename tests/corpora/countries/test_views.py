import numpy as np
from PIL import Image

from hiddenstates.core.draws import generator
from hiddenstates.corpora.countries.facts import read_countries
from hiddenstates.corpora.countries.flags import read_flag
from hiddenstates.corpora.countries.views import make_view


def pixels(image: Image.Image) -> np.ndarray:
    small = np.asarray(image.convert("RGB").resize((16, 16), Image.Resampling.BOX), dtype=float)
    return (small - small.mean()) / small.std()


def views(code: str, count: int) -> list[np.ndarray]:
    return [pixels(make_view(read_flag(code), generator(0, "view", code, number))) for number in range(count)]


def likeness(seen: list[np.ndarray], flag: np.ndarray) -> float:
    return float(np.mean([(view * flag).mean() for view in seen]))


def test_a_view_depends_on_its_generator_alone() -> None:
    flag = read_flag("PT")
    first, again, other = (make_view(flag, generator(0, number)) for number in (1, 1, 2))
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert (first.size, first.mode) == ((64, 64), "RGB")
    assert make_view(flag, generator(0, 1), size=32).size == (32, 32)


def test_a_view_is_never_mirrored() -> None:
    ireland, ivory_coast = pixels(read_flag("IE")), pixels(read_flag("CI"))
    irish, ivorian = views("IE", 40), views("CI", 40)
    assert likeness(irish, ireland) > likeness(irish, ivory_coast) + 0.1
    assert likeness(ivorian, ivory_coast) > likeness(ivorian, ireland) + 0.1


def test_raw_pixels_find_some_flags_but_few() -> None:
    flags = {country.code: pixels(read_flag(country.code)) for country in read_countries()[:100]}
    found = [max(flags, key=lambda other: likeness([view], flags[other])) for code in flags for view in views(code, 1)]
    share = np.mean([a == b for a, b in zip(found, flags, strict=True)])
    assert 0.05 < share < 0.4  # by chance: 0.01
