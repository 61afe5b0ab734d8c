"""What the two ways cost, as arithmetic."""

import math
import time

import pytest

from hiddenstates.images import costs


def test_bytes_are_numbers_times_width_times_images() -> None:
    table = costs.projected_bytes(articles=1_500_000, passages=12_000_000)
    vector, boxes = table.loc[("CLIP, one vector of 512", "float32")], table.loc[("VL-T5, 36 boxes × 2048", "float16")]
    assert list(vector) == [512 * 4, 512 * 4 * 1.5e6 / 1e9, 512 * 4 * 12e6 / 1e9]
    assert list(boxes) == [36 * 2048 * 2, 36 * 2048 * 2 * 1.5e6 / 1e9, 36 * 2048 * 2 * 12e6 / 1e9]
    assert len(table) == 6


def test_storing_pays_once_its_reads_have_saved_what_it_took() -> None:
    by_name, stored = (0.0, 10.0), (2000.0, 2.0)
    assert costs.break_even(by_name, stored) == 2000 / (10 - 2)
    table = costs.seconds([0, 250, 1000], {"by name": by_name, "stored": stored})
    assert list(table["by name"]) == [0, 2.5, 10]
    assert list(table["stored"]) == [2, 2.5, 4]
    assert costs.break_even((0.0, 2.0), stored) == math.inf


def test_milliseconds_are_those_of_an_item_after_warming_up() -> None:
    calls: list[float] = []

    def call() -> None:
        calls.append(0.05 if not calls else 0.002)
        time.sleep(calls[-1])

    assert 0.2 <= costs.milliseconds(call, items=10) < 5
    assert len(calls) == 1 + 3


@pytest.mark.parametrize(("name", "width"), [("CLIP, one vector of 768", 768), ("VL-T5, 36 boxes × 2048", 73_728)])
def test_what_is_projected(name: str, width: int) -> None:
    assert costs.FEATURES[name] == width
