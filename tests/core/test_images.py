import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageColor

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
    with pytest.raises(
        LabError, match=r"a\.png: a broken image \(no such format\)\. Replace it with an intact file: GIF"
    ):
        read_image(tmp_path / "a.png")


CORNERS = ("red", "lime", "blue", "white")
"""Top left, top right, bottom left, bottom right."""
# where the corners of the upright picture are stored, by EXIF orientation (Exif 2.3, 4.6.4)
STORED = {1: "0123", 2: "1032", 3: "3210", 4: "2301", 5: "0213", 6: "1302", 7: "3120", 8: "2031"}


def corners(names: Sequence[str], size: tuple[int, int] = (32, 16)) -> Image.Image:
    picture = Image.new("RGB", size)
    halves = (size[0] // 2, size[1] // 2)
    for i, name in enumerate(names):
        place = (i % 2 * halves[0], i // 2 * halves[1])
        picture.paste(name, (*place, place[0] + halves[0], place[1] + halves[1]))
    return picture


def nearest(picture: Image.Image) -> tuple[str, ...]:
    """The colour of each quarter's middle, JPEG's losses set right."""
    width, height = picture.size
    seen = [picture.getpixel((width * x // 4, height * y // 4)) for y in (1, 3) for x in (1, 3)]
    return tuple(min(CORNERS, key=lambda c: np.abs(np.subtract(ImageColor.getrgb(c), pixel)).sum()) for pixel in seen)


@pytest.mark.parametrize("suffix", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_photograph_is_upright_whatever_its_format(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    size = (32, 16) if orientation < 5 else (16, 32)
    path = tmp_path / f"a.{suffix}"
    corners([CORNERS[int(i)] for i in STORED[orientation]], size).save(path, exif=exif, quality=95)
    read = read_image(path)
    assert read.size == (32, 16)
    assert nearest(read) == CORNERS


def test_orientation_by_xmp_alone_is_ignored_as_viewers_do(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for name in ("a.jpeg", "a.webp", "a.png"):
        corners(CORNERS).save(tmp_path / name, xmp=xmp, quality=95)
        assert read_image(tmp_path / name).size == (32, 16)


def test_exif_that_cannot_be_read_is_ignored(tmp_path: Path) -> None:
    corners(CORNERS).save(tmp_path / "a.jpeg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\x01")
    assert nearest(read_image(tmp_path / "a.jpeg")) == CORNERS


def test_sixteen_bits_keep_their_high_byte_in_every_format(tmp_path: Path) -> None:
    grey = Image.fromarray(np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16))
    for name in ("a.png", "a.tiff"):
        grey.save(tmp_path / name)
        assert np.asarray(read_image(tmp_path / name))[0, :, 1].tolist() == [0, 0, 1, 128, 255]


def tiff(bits: int, photometric: int, strip: bytes, width: int, kind: int = 1) -> bytes:
    """A TIFF of one row and one channel, little-endian."""
    tags = [(256, width), (257, 1), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 1)]
    tags += [(279, len(strip)), (339, kind)]
    strip += b"\0" * (len(strip) % 2)
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + struct.pack("<H", len(tags)) + entries + b"\0" * 4


@pytest.mark.parametrize(
    ("made", "greys"),
    [
        (tiff(16, 1, struct.pack("<4H", 0, 256, 32768, 65535), 4), [0, 1, 128, 255]),
        (tiff(16, 0, struct.pack("<4H", 0, 256, 32768, 65535), 4), [255, 254, 127, 0]),  # 0 is white
        (tiff(8, 0, bytes([0, 1, 128, 255]), 4), [255, 254, 127, 0]),
        (tiff(12, 1, bytes([0x00, 0x08, 0x00, 0xFF, 0xF0, 0x10]), 4), [0, 128, 255, 1]),  # 0, 0x800, 0xfff, 0x010
        (tiff(4, 1, bytes([0x08, 0xF1]), 4), [0, 136, 255, 17]),
        (tiff(1, 0, bytes([0b01010000]), 4), [255, 0, 255, 0]),
    ],
)
def test_grey_tiffs_of_every_depth(tmp_path: Path, made: bytes, greys: list[int]) -> None:
    (tmp_path / "a.tiff").write_bytes(made)
    assert np.asarray(read_image(tmp_path / "a.tiff"))[0, :, 0].tolist() == greys


@pytest.mark.parametrize(
    "made",
    [
        tiff(32, 1, struct.pack("<2I", 0, 2**31), 2),
        tiff(32, 1, struct.pack("<2f", 0, 0.5), 2, kind=3),
        tiff(16, 1, struct.pack("<2h", -5, 5), 2, kind=2),
    ],
)
def test_samples_without_a_defined_white_are_refused_by_name(tmp_path: Path, made: bytes) -> None:
    (tmp_path / "a.tiff").write_bytes(made)
    with pytest.raises(LabError, match=r"a\.tiff: a broken image \(samples .* no defined white; save it with 8 or 16"):
        read_image(tmp_path / "a.tiff")


@pytest.mark.parametrize(
    ("mode", "colour", "name", "seen"),
    [
        ("1", 1, "a.png", (255, 255, 255)),
        ("L", 90, "a.png", (90, 90, 90)),
        ("LA", (90, 0), "a.png", (255, 255, 255)),
        ("LA", (90, 51), "a.tiff", (222, 222, 222)),  # 90 × .2 + 255 × .8
        ("RGBA", (0, 100, 200, 255), "a.webp", (0, 100, 200)),
        ("RGBX", (0, 100, 200, 0), "a.tiff", (0, 100, 200)),
        ("PA", (0, 0), "a.tiff", (255, 255, 255)),
        ("CMYK", (255, 0, 0, 0), "a.tiff", (0, 255, 255)),
        ("CMYK", (0, 255, 255, 0), "a.jpeg", (255, 0, 0)),  # Adobe writes it inverted
        ("CMYK", (0, 0, 0, 0), "a.jpeg", (255, 255, 255)),
        ("YCbCr", (76, 85, 255), "a.tiff", (254, 0, 0)),
        ("LAB", (255, 128, 128), "a.tiff", (255, 255, 255)),
        ("LAB", (0, 128, 128), "a.tiff", (0, 0, 0)),
        ("LAB", (153, 158, 108), "a.tiff", (183, 125, 181)),  # L* 60, a* 30, b* -20
    ],
)
def test_every_mode_becomes_its_colour(
    tmp_path: Path, mode: str, colour: tuple[int, ...], name: str, seen: tuple[int, int, int]
) -> None:
    options = {"lossless": True} if name.endswith("webp") else {"quality": 100}
    Image.new(mode, (16, 16), colour).save(tmp_path / name, **options)
    read = read_image(tmp_path / name).getpixel((3, 3))
    assert np.abs(np.subtract(read, seen)).max() <= 1


@pytest.mark.parametrize(
    ("mode", "colours", "hidden"),
    [("RGB", [(255, 0, 0), (0, 0, 9)], (0, 0, 9)), ("L", [200, 9], 9), ("I;16", [0x6400, 0x0009], 9), ("P", [0, 1], 1)],
)
def test_a_single_transparent_colour_is_white(tmp_path: Path, mode: str, colours: list[int], hidden: int) -> None:
    picture = Image.new(mode, (2, 1))
    if mode == "P":
        picture.putpalette([10, 20, 30, 0, 0, 9])
    for x, colour in enumerate(colours):
        picture.putpixel((x, 0), colour)
    picture.save(tmp_path / "a.png", transparency=hidden)
    first = {"RGB": (255, 0, 0), "L": (200,) * 3, "I;16": (100,) * 3, "P": (10, 20, 30)}[mode]
    assert [read_image(tmp_path / "a.png").getpixel((x, 0)) for x in range(2)] == [first, (255, 255, 255)]


def png(chunks: Sequence[tuple[bytes, bytes]], depth: int, kind: int, row: bytes, width: int) -> bytes:
    """A PNG of one row with further chunks before its pixels."""
    header = struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    told = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(told)


def test_sixteen_bits_of_three_colours_with_a_transparent_one(tmp_path: Path) -> None:
    row = struct.pack(">6H", 0x6400, 0, 0xFFFF, 0x0100, 0x0200, 0x0300)
    made = png([(b"tRNS", struct.pack(">3H", 0x0100, 0x0200, 0x0300))], 16, 2, row, 2)
    (tmp_path / "a.png").write_bytes(made)
    assert [read_image(tmp_path / "a.png").getpixel((x, 0)) for x in range(2)] == [(100, 0, 255), (255, 255, 255)]


@pytest.mark.parametrize(
    ("chunks", "seen"),
    [
        ([(b"gAMA", struct.pack(">I", 100_000))], 186),  # linear: 255 × (128 / 255) ** (1 / 2.2) = 186.4
        ([(b"gAMA", struct.pack(">I", 45_455))], 128),  # what sRGB says of itself
        ([(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000))], 128),
        ([(b"gAMA", struct.pack(">I", 0))], 128),
    ],
)
def test_a_gamma_is_undone(tmp_path: Path, chunks: list[tuple[bytes, bytes]], seen: int) -> None:
    (tmp_path / "a.png").write_bytes(png(chunks, 8, 0, bytes([128]), 1))
    assert read_image(tmp_path / "a.png").getpixel((0, 0)) == (seen,) * 3


def swapped_profile() -> bytes:
    """sRGB with red and green exchanged, under another name."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = data.index(b"rXYZ", 128), data.index(b"gXYZ", 128)
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    name = "sRGB".encode("utf-16-be")
    while name in data:
        place = data.index(name)
        data[place : place + len(name)] = "Swap".encode("utf-16-be")
    return bytes(data)


@pytest.mark.parametrize("name", ["a.png", "a.jpeg", "a.webp", "a.tiff"])
def test_a_colour_profile_is_applied(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name.endswith("webp") else {"quality": 100, "subsampling": 0}
    Image.new("RGB", (16, 16), (255, 0, 0)).save(tmp_path / name, icc_profile=swapped_profile(), **options)
    assert np.abs(np.subtract(read_image(tmp_path / name).getpixel((3, 3)), (0, 255, 0))).max() <= 3


def test_a_profile_keeps_what_is_transparent(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (255, 0, 0, 0))
    picture.save(tmp_path / "a.png", icc_profile=swapped_profile())
    read = read_image(tmp_path / "a.png")
    assert np.abs(np.subtract([read.getpixel((x, 0)) for x in range(2)], [(0, 255, 0), (255, 255, 255)])).max() <= 1


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_profile_of_another_kind_of_colours_or_a_broken_one_is_ignored(tmp_path: Path, mode: str) -> None:
    for found in (swapped_profile(), b"no profile"):
        Image.new(mode, (4, 4)).save(tmp_path / "a.tiff", icc_profile=found)
        assert read_image(tmp_path / "a.tiff").getpixel((0, 0)) == ((0,) * 3 if mode == "L" else (255,) * 3)


def test_pixels_in_srgb_stay_to_the_last_bit(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8))
    noise.save(tmp_path / "a.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert read_image(tmp_path / "a.png").tobytes() == noise.tobytes()


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tiff"])
def test_of_several_frames_or_pages_the_first_is_read(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    assert read_image(tmp_path / name).getpixel((1, 1)) == (255, 0, 0)
