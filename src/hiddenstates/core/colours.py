"""Pixels as a viewer shows them: every mode and depth that Pillow opens, colour profiles and gamma, as RGBA in sRGB."""

from contextlib import suppress
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

DISPLAY_GAMMA = 2.2
VISIBLE = 0.05  # exponents nearer to 1 are not applied: libpng's threshold
BITS, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF
SRGB = ImageCms.createProfile("sRGB")


def shown(image: Image.Image) -> Image.Image:
    """The loaded picture in RGBA, 8 bits per channel, in sRGB.

    16-bit samples keep their high byte, as browsers show them. Raises ValueError for samples without a defined white:
    32-bit integers and floating point, which every viewer shows differently.
    """
    image = _eight_bits(image)
    profile = None if image.mode == "LAB" else image.info.get("icc_profile")
    managed = _lab(image) if image.mode == "LAB" else None
    if profile:
        with suppress(ImageCms.PyCMSError, OSError, ValueError):  # viewers ignore a profile that cannot be applied
            managed = _from_profile(image, profile)
    plain = _plain(image)
    if managed is not None:
        managed.putalpha(plain.getchannel("A"))
        return managed
    return plain if profile else _without_gamma(plain, image)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey samples of 12 or 16 bits as 8; `L`, or `LA` where one grey is transparent. Other modes as they are."""
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise ValueError("samples of 32 bits or floating point have no defined white; save it with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    tags = getattr(image, "tag_v2", {})
    values = np.asarray(image).astype(np.uint16)
    grey = (values >> (tags.get(BITS, (16,))[0] - 8)).astype(np.uint8)
    made = Image.fromarray(255 - grey if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else grey)
    if (hidden := image.info.get("transparency")) is not None:
        made.putalpha(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
    made.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return made


def _plain(image: Image.Image) -> Image.Image:
    """RGBA by Pillow's own conversion. The fourth channel of RGBX is padding, not transparency."""
    if image.mode == "LAB":
        return Image.new("RGBA", image.size, "black")
    return image.convert("RGB").convert("RGBA") if image.mode == "RGBX" else image.convert("RGBA")


def _lab(image: Image.Image) -> Image.Image | None:
    return ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), SRGB, outputMode="RGB")


def _from_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """The colours in sRGB; None where they are in it already, or where the profile is of another kind of colours."""
    source = ImageCms.getOpenProfile(BytesIO(profile))
    kind = source.profile.xcolor_space.strip()
    if kind != _kind(image.mode) or "sRGB" in ImageCms.getProfileDescription(source):
        return None
    channels = image if kind == "CMYK" else _plain(image).convert("L" if kind == "GRAY" else "RGB")
    return ImageCms.profileToProfile(channels, source, SRGB, outputMode="RGB")


def _kind(mode: str) -> str:
    """What ICC calls the colours of one of Pillow's modes."""
    return {"1": "GRAY", "L": "GRAY", "LA": "GRAY", "La": "GRAY", "CMYK": "CMYK"}.get(mode, "RGB")


def _without_gamma(picture: Image.Image, image: Image.Image) -> Image.Image:
    """A PNG's gAMA chunk undone for a display of 2.2, as the PNG specification says; an sRGB chunk overrides it."""
    gamma = image.info.get("gamma")
    if not gamma or "srgb" in image.info:
        return picture
    exponent = 1 / (gamma * DISPLAY_GAMMA)
    if abs(exponent - 1) <= VISIBLE:
        return picture
    curve = [round(255 * (value / 255) ** exponent) for value in range(256)]
    return picture.point([*curve * 3, *range(256)])
