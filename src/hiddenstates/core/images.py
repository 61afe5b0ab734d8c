"""Pictures from files that anybody may have made: bounded before they are decoded."""

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from hiddenstates.core.errors import LabError

MAX_PIXELS = 50_000_000
IMAGE_FORMATS = ("GIF", "JPEG", "PNG", "WEBP", "BMP", "TIFF")  # no EPS: Pillow would start Ghostscript for it


def read_image(path: Path) -> Image.Image:
    """The picture in RGB, white where it is transparent.

    Raises LabError for a file that is missing, that does not decode, or that is too large by its header alone.
    """
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            picture = image.convert("RGBA")
    except Image.DecompressionBombError:
        raise LabError(f"{path}: an image of more than {MAX_PIXELS / 1e6:g} megapixels. Make it smaller.") from None
    except FileNotFoundError:
        raise LabError(f"{path}: no such image. Put the file there, or empty the field that names it.") from None
    except Exception as error:  # decoders raise whatever they trip over
        reason = "no such format" if isinstance(error, UnidentifiedImageError) else error
        raise LabError(
            f"{path}: a broken image ({reason}). Replace it by a whole one of {', '.join(IMAGE_FORMATS)}."
        ) from None
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture).convert("RGB")
