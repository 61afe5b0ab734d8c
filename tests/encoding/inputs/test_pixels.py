import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessorPil, ViTImageProcessorPil

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.inputs.pixels import THIN, cropped, pixel_values

LEVEL = 1 / 255 / 0.26130258  # of 255, after normalisation by the smallest of CLIP's deviations


def clip_processor(edge: int, crop: int, **changes: object) -> CLIPImageProcessorPil:
    return CLIPImageProcessorPil(
        size={"shortest_edge": edge}, crop_size={"height": crop, "width": crop}, resample=3, **changes
    )


@pytest.mark.parametrize(("edge", "crop"), [(32, 32), (36, 32), (37, 30), (32, 40)])
@pytest.mark.parametrize("size", [(300, 7), (7, 300), (1000, 13), (101, 2001), (500, 3), (17, 1), (8000, 400)])
def test_a_thin_picture_is_cropped_to_what_the_processor_would_keep(
    edge: int, crop: int, size: tuple[int, int]
) -> None:
    processor = clip_processor(edge, crop)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    small = cropped(picture, processor, "a.png")
    assert small.size != picture.size
    assert max(small.size) <= max(edge, crop) + 2
    ours, theirs = (processor(images=[p], return_tensors="np")["pixel_values"] for p in (small, picture))
    assert ours.shape == theirs.shape == (1, 3, crop, crop)
    assert np.abs(ours - theirs).max() <= 2.01 * LEVEL


def test_a_thin_picture_takes_no_memory(tmp_path: Path) -> None:
    Image.new("RGB", (8000, 2), "red").save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < 200
    tracemalloc.start()
    pixels = pixel_values([tmp_path / "a.png"], clip_processor(224, 224))
    assert tracemalloc.get_traced_memory()[1] < 20e6  # 2.5 GB before
    tracemalloc.stop()
    assert pixels.shape == (1, 3, 224, 224)
    assert np.ptp(pixels[0, 0].numpy()) == 0


def test_other_pictures_and_processors_of_a_fixed_size_are_left_alone() -> None:
    square, thin = Image.new("RGB", (THIN * 5, 5)), Image.new("RGB", (8000, 2))
    assert cropped(square, clip_processor(32, 32), "a.png") is square
    assert cropped(thin, ViTImageProcessorPil(), "a.png") is thin
    assert cropped(thin, clip_processor(32, 32, do_resize=False), "a.png") is thin


def test_where_nothing_is_cropped_a_thin_picture_is_refused_by_name() -> None:
    with pytest.raises(LabError, match=r"a\.png: 2 × 8000 pixels are too thin for this model\. Crop the image"):
        cropped(Image.new("RGB", (2, 8000)), clip_processor(32, 32, do_center_crop=False), "a.png")
