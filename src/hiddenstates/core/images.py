"""Pictures from files that anybody may have made: bounded before they are decoded, read as a viewer shows them."""

from contextlib import suppress
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError

from hiddenstates.core.colours import shown
from hiddenstates.core.errors import LabError

MAX_PIXELS = 50_000_000
IMAGE_FORMATS = ("GIF", "JPEG", "PNG", "WEBP", "BMP", "TIFF")  # no EPS: Pillow would start Ghostscript for it
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation (Exif 2.3, tag 274); 1 is upright already."""


def read_image(path: Path) -> Image.Image:
    """The picture in RGB as a viewer shows it: upright, in sRGB, the first frame or page, on white.

    Raises LabError for a file that is missing, that does not decode, that is too large by its header alone, or whose
    samples have no defined white.
    """
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            picture = _upright(image)
    except Image.DecompressionBombError:
        raise LabError(f"{path}: an image of more than {MAX_PIXELS / 1e6:g} megapixels. Make it smaller.") from None
    except FileNotFoundError:
        raise LabError(f"{path}: no such image. Put the file there, or empty the field that names it.") from None
    except Exception as error:  # decoders raise whatever they trip over
        reason = "no such format" if isinstance(error, UnidentifiedImageError) else error
        raise LabError(
            f"{path}: a broken image ({reason}). Replace it with an intact file: {', '.join(IMAGE_FORMATS)}."
        ) from None
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture).convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """Loaded, in RGBA. Pillow turns TIFF itself while it loads, and then takes the tag away."""
    tile = getattr(image, "tile", None)  # what Pillow will decode, and how
    rawmode = tile[0].args if tile else ""
    _forget_xmp(image)
    image.load()  # a PNG's EXIF may stand behind its pixels
    _forget_xmp(image)
    if str(rawmode).startswith("RGB;16") and "transparency" in image.info:
        image.info["transparency"] = tuple(value >> 8 for value in image.info["transparency"])
    picture, orientation = shown(image), 1
    with suppress(Exception):  # viewers ignore EXIF that cannot be read
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return picture.transpose(TURNS[orientation]) if orientation in TURNS else picture


def _forget_xmp(image: Image.Image) -> None:
    """Pillow would turn a picture by its XMP, too; viewers go by EXIF alone."""
    for key in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(key, None)
