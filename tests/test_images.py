from pathlib import Path

import pytest
from PIL import Image

from hiddenstates.core.errors import LabError
from hiddenstates.core.images import read_image


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_what_is_transparent_is_white(tmp_path: Path, name: str) -> None:
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (0, 0, 0, 0))
    picture.save(tmp_path / name)
    read = read_image(tmp_path / name)
    assert read.mode == "RGB"
    assert [read.getpixel((x, 0)) for x in range(2)] == [(255, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "I;16"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (3, 2)).save(path)
    assert (read_image(path).mode, read_image(path).size) == ("RGB", (3, 2))


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"a\.png: no such image\. Put the file there"):
        read_image(tmp_path / "a.png")


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture", "utf-8")
    with pytest.raises(LabError, match=r"a\.png: a broken image \(no such format\)\. Replace it by a whole one of GIF"):
        read_image(tmp_path / "a.png")
