from functools import partial

import numpy as np
import pytest
from memory import taken
from numpy.testing import assert_allclose

from hiddenstates.encoding.inspection.geometry import alignment, crowding, lengths, nearest_alone, units

RANDOM = np.random.default_rng(0)


def states(*layers: list[list[float]]) -> np.ndarray:
    return np.array(layers, dtype=np.float32)


def test_lengths_by_hand() -> None:
    assert_allclose(lengths(states([[3, 4], [0, 1]], [[0, 0], [6, 8]])), [(5 + 1) / 2, (0 + 10) / 2])


def test_crowding_by_hand() -> None:
    # two items: every pair is the one pair
    assert_allclose(
        crowding(states([[1, 0], [7, 0]], [[1, 0], [0, 2]], [[1, 0], [-3, 0]], [[3, 4], [4, 3]])),
        [1, 0, -1, 24 / 25],
        atol=1e-6,
    )


def test_crowding_never_pairs_an_item_with_itself_and_is_the_same_twice() -> None:
    axes = np.eye(6, dtype=np.float32)[None]
    assert crowding(axes) == 0
    cloud = RANDOM.standard_normal((2, 50, 4)).astype("float32")
    assert_allclose(crowding(cloud), crowding(cloud), rtol=0)


def test_a_vector_without_length_is_no_nan() -> None:
    assert crowding(states([[0, 0], [1, 0]])) == 0


def test_alignment_sees_through_rotation_scale_and_shift() -> None:
    first = RANDOM.standard_normal((40, 5)).astype("float32")
    turn = np.linalg.qr(RANDOM.standard_normal((5, 5)))[0].astype("float32")
    other = RANDOM.standard_normal((40, 5)).astype("float32")
    found = alignment(np.stack([first, 3 * first @ turn + 7, other]))
    assert found[0, 1] == pytest.approx(1, abs=1e-5)
    assert found[0, 2] < 0.5
    assert_allclose(found, found.T)
    assert_allclose(np.diag(found), 1)


def test_alignment_by_hand() -> None:
    # centred columns (1, -1) and (1, -1): the same; a constant layer agrees with nothing
    found = alignment(states([[2, 0], [0, 0]], [[0, 9], [0, 5]], [[1, 1], [1, 1]]))
    assert found[0, 1] == pytest.approx(1)
    assert list(found[2]) == [0, 0, 0]


def test_units_by_hand() -> None:
    assert_allclose(units(states([3, 4], [0, -2], [0, 0])), [[0.6, 0.8], [0, -1], [0, 0]], rtol=1e-6)


def test_only_the_right_item_alone_is_found() -> None:
    items = states([1, 0], [0, 1], [0, 1])
    queries = states([2, 1], [2, 1], [1, 2], [1, 1])  # nearest: item 0; item 0; items 1 and 2; all three
    assert nearest_alone(queries, items, np.array([0, 1, 1, 0])).tolist() == [True, False, False, False]


def test_of_many_layers_two_are_in_memory_at_once() -> None:
    layers = np.random.default_rng(0).standard_normal((30, 3000, 64), dtype=np.float32)
    for measure in (lengths, crowding, alignment):
        assert taken(partial(measure, layers)) < layers.nbytes / 2
