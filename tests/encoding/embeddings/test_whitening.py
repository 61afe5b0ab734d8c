from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tiny import pooled_states

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.whitening import Whitenings, fit, training_passages, varies


def vectors(items: int, width: int = 6, seed: int = 0) -> np.ndarray:
    """Correlated dimensions of unequal width, away from the origin."""
    random = np.random.default_rng(seed)
    turned = random.standard_normal((items, width)) @ random.standard_normal((width, width))
    return (turned * 10.0 ** np.arange(-2, width - 2) + 3).astype(np.float32)


def covariance(x: np.ndarray) -> np.ndarray:
    return np.cov(x, rowvar=False, bias=True)


def test_what_it_was_fitted_on_becomes_a_ball_around_the_origin() -> None:
    random = np.random.default_rng(0)
    x = (random.standard_normal((500, 6)) @ random.standard_normal((6, 6)) + 3).astype(np.float32)
    whitened = fit(x).apply(x)
    assert_allclose(whitened.mean(0), 0, atol=1e-4)
    assert_allclose(covariance(whitened), np.eye(6), atol=1e-3)
    assert np.abs(covariance(x) - np.eye(6)).max() > 1


def test_by_hand() -> None:
    """Variances 4 and 1 around (1, 0): the axes are divided by 2 and by 1."""
    x = np.array([[3, 0], [-1, 0], [1, 2**0.5], [1, -(2**0.5)]], dtype=np.float32) * [1, 1]
    x[:2, 0] = [1 + 8**0.5, 1 - 8**0.5]
    found = fit(x.astype(np.float32))
    assert_allclose(found.mean, [1, 0], atol=1e-6)
    assert_allclose(found.matrix, [[1 / 2, 0], [0, 1]], atol=1e-6)


def test_shrinkage_by_hand() -> None:
    """Variances 4 and 1, on average 2.5: half way they are 3.25 and 1.75, all the way both 2.5."""
    x = np.array([[8**0.5, 0], [-(8**0.5), 0], [0, 2**0.5], [0, -(2**0.5)]], dtype=np.float32)
    assert_allclose(fit(x, 0.5).matrix, np.diag([3.25**-0.5, 1.75**-0.5]), rtol=1e-6)
    assert_allclose(fit(x, 1.0).matrix, np.diag([2.5**-0.5, 2.5**-0.5]), rtol=1e-6)


def test_with_fewer_vectors_than_dimensions_it_is_what_the_whole_covariance_gives() -> None:
    x = vectors(4)
    shrunk = 0.7 * covariance(x) + 0.3 * np.trace(covariance(x)) / 6 * np.eye(6)
    matrix = fit(x, 0.3).matrix.astype(np.float64)
    assert_allclose(matrix @ shrunk @ matrix.T, np.eye(6), atol=1e-4)


def test_a_direction_in_which_no_vector_differs_needs_shrinkage() -> None:
    x = np.repeat(vectors(50, 3), 2, axis=1)
    with pytest.raises(LabError, match=r"whitening: the vectors fill 3 of 6 dimensions\. Take a shrinkage above 0"):
        fit(x)
    with pytest.raises(LabError, match=r"whitening: the vectors fill 3 of 6 dimensions"):
        fit(vectors(4))
    assert np.isfinite(fit(x, 0.5).matrix).all()


@pytest.mark.parametrize("items", [1, 3])
def test_vectors_that_do_not_differ_are_refused(items: int) -> None:
    with pytest.raises(LabError, match=rf"whitening: {items} vector\(s\) that do not differ say nothing"):
        fit(np.ones((items, 4), dtype=np.float32), 0.5)


def test_a_file_that_holds_no_whitening_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    with pytest.raises(LabError, match=r"w\.safetensors: no whitening can be read from it .*Run the stage"):
        Whitenings.load(tmp_path / "w.safetensors")


def test_numbers_tell_whitenings_apart() -> None:
    assert fit(vectors(50), 0.1).fingerprint == fit(vectors(50), 0.1).fingerprint != fit(vectors(50), 0.2).fingerprint


@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_what_differs_by_rounding_alone_does_not_vary(noise: float) -> None:
    random = np.random.default_rng(0)
    x = (np.ones((30, 4)) * [1, 2, 3, 0] + noise * random.standard_normal((30, 4))).astype(np.float32)
    assert not varies(x)
    x[3, 2] += 1e-3
    assert varies(x)


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(LabError, match=r"whitening: fitted on 6 dimensions, the vectors have 5"):
        fit(vectors(50), 0.5).apply(vectors(3, 5))


def test_embedding_refuses_without_the_whitening_that_the_strategy_wants() -> None:
    with pytest.raises(LabError, match=r"strategy 2/mean\+white\.9: it whitens, and no whitening is given\. Embed by"):
        pooled_states(5).embed(Strategy.parse("-1/mean+white"))


def test_embedding_whitens_before_it_scales() -> None:
    states, strategy = pooled_states(50), Strategy.parse("sum(0*0.25,2*0.75)/mean+ln")
    raw = states.embed(strategy.unscaled).vectors
    whitening, whole = fit(raw, 0.2), replace(strategy, whiten=0.2)
    expected = (raw - whitening.mean) @ whitening.matrix
    given = Whitenings({str(whole): whitening})
    found = states.embed(whole, given)
    assert_allclose(found.vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5, atol=1e-7)
    assert_allclose(states.embed(whole.unscaled, given).vectors, expected, rtol=1e-5, atol=1e-5)
    assert found.fingerprint == f"abc+{given.fingerprint}"


PASSAGES = [{"id": f"{entity}{i}", "entity": entity} for entity in "abcd" for i in range(2)]


def asked(rows: list[tuple[str, str, list[str]]], passages: list[dict[str, str]]) -> Task:
    """A query a row: its split, its entity, what is judged for it."""
    queries = [{"id": f"q{i}", "set": "s", "split": split, "entity": e} for i, (split, e, _) in enumerate(rows)]
    qrels = Qrels({f"q{i}": dict.fromkeys(judged, 1.0) for i, (_, _, judged) in enumerate(rows)})
    kb = KnowledgeBase(table(passages, PASSAGE_COLUMNS), Path(), "r")
    return Task(kb, table(queries, QUERY_COLUMNS), qrels)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("train", "a", ["a0"])], ["a0", "a1"]),  # the entity's, judged or not
        ([("train", "a", ["b0"])], ["a0", "a1"]),
        ([("train", "a", ["a0"]), ("dev", "a", ["a1"])], []),  # asked about in dev, too
        ([("train", "a", ["a0"]), ("train", "b", ["b0"]), ("test", "b", ["b0"])], ["a0", "a1"]),
        ([("train", "a", ["a0"]), ("test", "c", ["a1"])], ["a0"]),  # another entity's, but sought in test
        ([("dev", "a", ["a0"])], ["b0", "b1", "c0", "c1", "d0", "d1"]),  # no train: what nobody asks about
    ],
)
def test_training_passages_are_of_entities_that_only_train_asks_about(
    rows: list[tuple[str, str, list[str]]], expected: list[str]
) -> None:
    assert training_passages(asked(rows, PASSAGES)) == expected


def test_without_entities_training_passages_are_judged_for_train_only() -> None:
    rows = [("train", "", ["a0", "b0"]), ("dev", "", ["b0"]), ("test", "", ["c0"])]
    assert training_passages(asked(rows, [{"id": row["id"]} for row in PASSAGES])) == ["a0"]


def test_without_train_queries_they_are_what_no_query_judges() -> None:
    rows = [("dev", "", ["a0", "b0"]), ("test", "", ["c0"])]
    free = training_passages(asked(rows, [{"id": row["id"]} for row in PASSAGES]))
    assert free == ["a1", "b1", "c1", "d0", "d1"]
    everything = [("dev", "", [row["id"] for row in PASSAGES])]
    assert training_passages(asked(everything, PASSAGES)) == []
