"""Fewer dimensions: held against the same arithmetic in float64, by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tiny import pooled_states

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import parse
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.embeddings.whitening import Whitenings

TRAIN, STATES = pooled_states(60), pooled_states(9, seed=1)


def concatenated(states: object) -> np.ndarray:
    values = states.values["mean"].astype(np.float64)  # type: ignore[attr-defined]
    return np.concatenate([values[0], values[2]], axis=1)


def scaled(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def components(kept: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, leading directions as rows, and their variances, by singular values."""
    train = concatenated(TRAIN)
    mean = train.mean(0)
    _, values, directions = np.linalg.svd(train - mean, full_matrices=False)
    directions *= np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])[:, None]
    return mean, directions[:kept], values[:kept] ** 2 / len(train)


@pytest.mark.parametrize("kept", [2, 5, 16])
def test_pca_is_the_projection_on_the_leading_components(kept: int) -> None:
    strategy = Strategy.parse(f"concat(0,2)/mean+pca{kept}")
    mean, directions, _ = components(kept)
    found = STATES.embed(strategy, fitted(strategy, TRAIN)).vectors
    assert_allclose(found, scaled((concatenated(STATES) - mean) @ directions.T), atol=1e-6)


@pytest.mark.parametrize("kept", [2, 5, 16])
def test_whitening_to_fewer_dimensions_gives_each_component_variance_1(kept: int) -> None:
    strategy = Strategy.parse(f"concat(0,2)/mean+white{kept}")
    whitening = fitted(strategy, TRAIN)
    mean, directions, variances = components(kept)
    found = STATES.embed(strategy, whitening).vectors
    assert_allclose(found, scaled((concatenated(STATES) - mean) @ directions.T / np.sqrt(variances)), atol=1e-6)
    own = TRAIN.embed(strategy.unscaled, whitening).vectors.astype(np.float64)
    assert_allclose(own.T @ own / len(own), np.eye(kept), atol=1e-5)


def test_the_first_dimensions_are_kept_and_scaled_and_nothing_is_fitted() -> None:
    strategy = Strategy.parse("concat(0,2)/mean+first11")
    assert fitted(strategy, TRAIN).parts == {}
    assert_allclose(STATES.embed(strategy).vectors, scaled(concatenated(STATES)[:, :11]), atol=1e-6)


def test_all_components_of_what_varies_about_its_mean_keep_all_cosines() -> None:
    strategy = Strategy.parse("concat(0,2)/mean+pca16")
    found = TRAIN.embed(strategy, fitted(strategy, TRAIN)).vectors.astype(np.float64)
    centred = scaled(concatenated(TRAIN) - concatenated(TRAIN).mean(0))
    assert_allclose(found @ found.T, centred @ centred.T, atol=1e-5)


def test_a_reduction_follows_the_whitening() -> None:
    strategy = Strategy.parse("concat(0,2)/mean+each.5+white.1+pca3")
    whitening = fitted(strategy, TRAIN)
    assert list(whitening.parts)[-2:] == [str(replace(strategy, reduced=None)), str(strategy)]
    before = STATES.embed(replace(strategy, reduced=None).unscaled, whitening).vectors
    last = whitening.parts[str(strategy)]
    assert last.matrix.shape == (16, 3)
    assert_array_equal(STATES.embed(strategy.unscaled, whitening).vectors, last.apply(before))


def test_the_parts_of_a_joined_one_are_reduced_each_by_itself() -> None:
    joined = parse("0.3*1/mean+first5 & 0.7*concat(0,2)/mean+pca4")
    whitening = fitted(joined, TRAIN)
    found = STATES.embed(joined, whitening).vectors
    assert found.shape == (9, 9)
    parts = [STATES.embed(part, whitening).vectors for part in joined.parts]  # type: ignore[union-attr]
    assert_allclose(found, np.hstack([parts[0] * np.sqrt(0.3), parts[1] * np.sqrt(0.7)]), rtol=1e-6)


def test_a_choice_comes_back_with_its_components(tmp_path: Path) -> None:
    strategy = Strategy.parse("concat(0,2)/mean+white3")
    choice = Choice(strategy, "abc", {}, fitted(strategy, TRAIN))
    choice.save(tmp_path)
    back = Choice.load(tmp_path)
    assert back.strategy == strategy
    assert_array_equal(back.embed(STATES).vectors, choice.embed(STATES).vectors)
    assert back.embed(STATES).fingerprint != STATES.fingerprint


def test_the_same_states_give_the_same_components_wherever_they_are_fitted() -> None:
    strategy = Strategy.parse("concat(0,2)/mean+pca3")
    again = TRAIN.select(TRAIN.ids)
    assert fitted(strategy, TRAIN).fingerprint == fitted(strategy, again).fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2/mean+pca9", r"\+pca9 keeps 9 dimensions, and .* fill 8 of 8\. Keep 8 at most"),
        ("2/mean+white9", r"\+white9 keeps 9 dimensions, and .* fill 8 of 8\. Keep 8 at most"),
    ],
)
def test_more_dimensions_than_there_are_cannot_be_fitted(text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        fitted(Strategy.parse(text), TRAIN)


def test_more_dimensions_than_the_passages_fill_cannot_be_fitted() -> None:
    with pytest.raises(LabError, match=r"\+pca7 .* fill 4 of 8\. Keep 4 at most"):
        fitted(Strategy.parse("2/mean+pca7"), pooled_states(5))


def test_no_more_first_dimensions_than_there_are() -> None:
    with pytest.raises(LabError, match=r"strategy 2/mean\+first9: its vectors have 8 dimensions\. Keep no more"):
        STATES.embed(Strategy.parse("2/mean+first9"))


def test_without_what_was_fitted_nothing_is_reduced() -> None:
    with pytest.raises(LabError, match=r"2/mean\+pca3: it whitens, and no whitening is given"):
        STATES.embed(Strategy.parse("2/mean+pca3"), Whitenings({}))
