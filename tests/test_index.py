import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.pooled import Embeddings
from hiddenstates.retrieval.index import IndexBundle, Metric, agreement, build_index

UNIT, RAW = Strategy.parse("2/mean"), Strategy.parse("2/mean+raw")


def embeddings(n: int, seed: int = 0, strategy: Strategy = UNIT, name: str = "p") -> Embeddings:
    vectors = np.random.default_rng(seed).standard_normal((n, 16)).astype("float32")
    if strategy.normalize:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embeddings([f"{name}{i}" for i in range(n)], vectors, strategy, "abc")


def by_hand(vectors: list[list[float]], strategy: Strategy = RAW) -> Embeddings:
    return Embeddings(list("abcde")[: len(vectors)], np.array(vectors, dtype="float32"), strategy, "abc")


PASSAGES = embeddings(200)
QUERIES = embeddings(20, seed=1, name="q")


@pytest.mark.parametrize("factory", ["Flat", "HNSW32"])
def test_a_search_finds_what_a_matrix_product_does(factory: str) -> None:
    found = build_index(PASSAGES, factory).search(QUERIES, depth=7)
    scores = QUERIES.vectors @ PASSAGES.vectors.T
    for i, query in enumerate(QUERIES.ids):
        best = np.argsort(-scores[i])[:7]
        assert list(found[query]) == [f"p{j}" for j in best]
        assert list(found[query].values()) == pytest.approx(list(scores[i, best]), abs=1e-6)


@pytest.mark.parametrize(
    ("metric", "scores"),
    [
        ("inner product", {"b": 3.0 + 3.0, "a": 1.0 + 1.0, "c": -1.0 + 2.0}),
        ("euclidean", {"a": -0.0, "c": -(2.0**2 + 1.0**2), "b": -(2.0**2 + 2.0**2)}),
    ],
)
def test_larger_is_better_whatever_the_metric(metric: Metric, scores: dict[str, float]) -> None:
    passages = by_hand([[1, 1], [3, 3], [-1, 2]])
    found = build_index(passages, metric=metric).search(by_hand([[1, 1]]), depth=3)["a"]
    assert list(found.items()) == list(scores.items())


def test_no_more_is_found_than_there_is() -> None:
    assert len(build_index(by_hand([[1, 0], [0, 1]], UNIT)).search(by_hand([[1, 0]], UNIT), 100)["a"]) == 2


def test_cells_that_hold_too_little_give_a_short_list() -> None:
    found = build_index(PASSAGES, "IVF64,Flat").search(QUERIES, depth=100)
    assert all(0 < len(found[query]) < 100 for query in found)
    assert 0 < agreement(found, PASSAGES, QUERIES, depth=100) < 0.5


def test_agreement_by_hand() -> None:
    passages, queries = by_hand([[1, 0], [0, 1], [0.6, 0.8]], UNIT), by_hand([[1, 0], [0, 1]], UNIT)
    exact = build_index(passages).search(queries, 2)  # a: a c; b: b c
    assert agreement(exact, passages, queries, 2) == 1
    other = type(exact)({"a": {"b": 1.0, "c": 0.5}, "b": {"b": 1.0, "c": 0.5}})
    assert agreement(other, passages, queries, 2) == 3 / 4


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (replace(QUERIES, fingerprint="xyz"), "its vectors are of model abc, the queries of xyz"),
        (replace(QUERIES, strategy=Strategy.parse("1/mean")), "were made by 2/mean, the queries by 1/mean"),
        (replace(QUERIES, strategy=RAW), r"were made by 2/mean, the queries by 2/mean\+raw"),
        (replace(QUERIES, vectors=QUERIES.vectors * np.nan), r"20 vector\(s\) hold NaN or infinity, first 'q0'"),
    ],
)
def test_a_query_that_does_not_match_is_refused(queries: Embeddings, message: str) -> None:
    with pytest.raises(LabError, match=message):
        build_index(PASSAGES).search(queries, 10)


def with_infinity() -> Embeddings:
    vectors = PASSAGES.vectors.copy()
    vectors[17, 3] = np.inf
    return replace(PASSAGES, vectors=vectors)


@pytest.mark.parametrize(
    ("passages", "factory", "message"),
    [
        (with_infinity(), "Flat", r"1 vector\(s\) hold NaN or infinity, first 'p17'\. faiss would never find them"),
        (embeddings(0), "Flat", r"there is nothing to index\. Give it at least one passage"),
        (embeddings(5, strategy=RAW), "Flat", r"the vectors of 2/mean\+raw are not of length 1\. Drop \+raw"),
        (PASSAGES, "Flt", r"index\.factory: faiss cannot make 'Flt' .*could not parse index string Flt.*Write Flat"),
        (PASSAGES, "IVF4,PQ3", r"cannot make 'IVF4,PQ3' of 200 vectors of 16 dimensions \(.*multiple of the number"),
        (embeddings(10), "IVF64,Flat", r"'IVF64,Flat' of 10 vectors .*at least as large as number of clusters \(64\)"),
    ],
    ids=["infinity", "empty", "not normalized", "unknown", "width", "too few"],
)
def test_what_cannot_be_indexed_is_refused(passages: Embeddings, factory: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        build_index(passages, factory)


def test_a_saved_index_comes_back(tmp_path: Path) -> None:
    bundle = build_index(PASSAGES)
    bundle.save(tmp_path / "index")
    back = IndexBundle.load(tmp_path / "index")
    assert (back.ids, back.strategy, back.fingerprint, back.metric) == (PASSAGES.ids, UNIT, "abc", "cosine")
    assert back.search(QUERIES, 10) == bundle.search(QUERIES, 10)


def test_the_same_vectors_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        build_index(PASSAGES).save(tmp_path / name)
    for file in ("index.faiss", "index.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("spoilt", ["index.faiss tampered", "index.faiss gone", "index.json gone", "index.json cut"])
def test_a_spoilt_index_is_refused(tmp_path: Path, spoilt: str) -> None:
    build_index(PASSAGES).save(tmp_path)
    name, how = spoilt.split()
    whole = (tmp_path / name).read_bytes()
    if how == "gone":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(whole[:-40] if how == "cut" else whole[:-1] + b"!")
    expected = "is not the file that index.json describes" if how == "tampered" else "no index can be read from it"
    with pytest.raises(LabError, match=rf"{expected}.* Build the index again"):
        IndexBundle.load(tmp_path)


def test_a_manifest_that_lacks_a_key_is_refused(tmp_path: Path) -> None:
    build_index(PASSAGES).save(tmp_path)
    about = json.loads((tmp_path / "index.json").read_text("utf-8"))
    del about["ids"]
    (tmp_path / "index.json").write_text(json.dumps(about), "utf-8")
    with pytest.raises(LabError, match=r"no index can be read from it \('ids'\)"):
        IndexBundle.load(tmp_path)
