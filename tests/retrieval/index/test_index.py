import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from full_disk import no_file_above
from vectors import PASSAGES, QUERIES, RAW, UNIT, by_hand, embeddings, knowledge

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.retrieval.index import IndexBundle, Metric, agreement, build_index


@pytest.mark.parametrize("factory", ["Flat", "HNSW32 efSearch=64", "L2norm,Flat", "IVF{cells},Flat nprobe=14"])
def test_a_search_finds_what_a_matrix_product_does(factory: str) -> None:
    found = build_index(PASSAGES, factory).search(QUERIES, depth=7)
    scores = QUERIES.vectors @ PASSAGES.vectors.T
    for i, query in enumerate(QUERIES.ids):
        best = np.argsort(-scores[i])[:7]
        assert list(found[query]) == [f"p{j}" for j in best]
        assert list(found[query].values()) == pytest.approx(list(scores[i, best]), abs=1e-6)


def test_one_query_at_a_time_finds_the_same() -> None:
    bundle = build_index(PASSAGES)
    together = bundle.search(QUERIES, 5)
    for i, query in enumerate(QUERIES.ids):
        alone = bundle.search(replace(QUERIES, ids=[query], vectors=QUERIES.vectors[i : i + 1]), 5)
        assert list(alone[query]) == list(together[query])


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


def test_an_index_that_scales_ranks_raw_vectors_by_cosine() -> None:
    found = build_index(by_hand([[3, 4], [0, 9]]), "L2norm,Flat").search(by_hand([[0, 2]]), 2)["a"]
    assert found == pytest.approx({"b": 1.0, "a": 4 / 5})


def test_no_more_is_found_than_there_is() -> None:
    assert len(build_index(by_hand([[1, 0], [0, 1]], UNIT)).search(by_hand([[1, 0]], UNIT), 100)["a"]) == 2


def test_cells_that_hold_too_little_give_a_short_list() -> None:
    found = build_index(PASSAGES, "IVF64,Flat").search(QUERIES, depth=100)
    assert all(0 < len(found[query]) < 100 for query in found)
    assert 0 < agreement(found, build_index(PASSAGES).search(QUERIES, depth=100)) < 0.5


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (replace(QUERIES, fingerprint="xyz"), r"vectors are of model abc, these of xyz\. Embed with the model"),
        (replace(QUERIES, strategy=Strategy.parse("1/mean")), r"were made by 2/mean, these by 1/mean\. Embed by the"),
        (replace(QUERIES, strategy=RAW), r"were made by 2/mean, these by 2/mean\+raw"),
        (replace(QUERIES, vectors=QUERIES.vectors[:, :8]), r"vectors have 16 dimensions, these 8\. Embed as"),
        (replace(QUERIES, vectors=QUERIES.vectors * np.nan), r"20 vector\(s\) hold NaN or infinity, first 'q0'"),
        (replace(QUERIES, vectors=QUERIES.vectors * 0), r"20 vector\(s\) have length 0, first 'q0': .*no direction"),
        (replace(QUERIES, vectors=QUERIES.vectors * 2), r"20 vector\(s\) are not of length 1, first 'q0': drop \+raw"),
    ],
    ids=["model", "strategy", "raw", "dimension", "NaN", "zero", "length"],
)
def test_a_query_that_does_not_match_is_refused(tmp_path: Path, queries: Embeddings, message: str) -> None:
    bundle = build_index(PASSAGES)
    with pytest.raises(LabError, match=message):
        bundle.search(queries, 10)
    bundle.save(tmp_path / "index")
    with pytest.raises(LabError, match=message):
        IndexBundle.load(tmp_path / "index", queries)


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (knowledge(["a", "c"]), r"of its 3 passages 1 are gone from the knowledge base and 0 have changed, first 'b'"),
        (knowledge(["a", "b", "c"], c="Else."), r"0 are gone .* 1 have changed, first 'c'\. .* build it again"),
        (knowledge(["c", "d", "b", "a"]), r"1 passages of the knowledge base are not in it, first 'd'\. Add them"),
    ],
    ids=["gone", "changed", "new"],
)
def test_another_knowledge_base_is_refused(tmp_path: Path, now: KnowledgeBase, message: str) -> None:
    passages = by_hand([[1, 0], [0, 1], [0.6, 0.8]], UNIT)
    build_index(passages, kb=knowledge(passages.ids)).save(tmp_path / "index")
    IndexBundle.load(tmp_path / "index", kb=knowledge(["b", "c", "a"]))  # the order is no matter
    with pytest.raises(LabError, match=message):
        IndexBundle.load(tmp_path / "index", kb=now)


def test_an_index_without_pins_says_so(tmp_path: Path) -> None:
    build_index(PASSAGES).save(tmp_path / "index")
    with pytest.raises(LabError, match=r"does not pin its passages\. Build it with `kb`"):
        IndexBundle.load(tmp_path / "index", kb=knowledge(PASSAGES.ids))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_datasets_searches_the_same_index(metric: Metric) -> None:
    kb = knowledge([*reversed(PASSAGES.ids)])
    bundle = build_index(PASSAGES, metric=metric, kb=kb)
    rows = bundle.attach(kb).passages
    sign = -1 if metric == "euclidean" else 1
    for i, query in enumerate(QUERIES.ids):
        scores, nearest = rows.get_nearest_examples("index", QUERIES.vectors[i], 5)
        assert dict(zip(nearest["id"], sign * scores, strict=True)) == pytest.approx(bundle.search(QUERIES, 5)[query])
        assert nearest["text"] == [f"About {id}." for id in nearest["id"]]
    assert kb.passages.list_indexes() == []


def test_a_saved_index_comes_back(tmp_path: Path) -> None:
    bundle = build_index(PASSAGES, "IVF{cells},Flat nprobe=5", kb=knowledge(PASSAGES.ids))
    bundle.save(tmp_path / "index")
    back = IndexBundle.load(tmp_path / "index", QUERIES, knowledge(PASSAGES.ids))
    assert replace(back, index=None) == replace(bundle, index=None)
    assert back.factory == "IVF14,Flat nprobe=5"
    assert back.search(QUERIES, 10) == bundle.search(QUERIES, 10)


def test_what_fails_while_it_is_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build_index(PASSAGES).save(folder)
    with pytest.raises(TypeError):
        replace(build_index(QUERIES), fingerprint=object()).save(folder)  # type: ignore[arg-type]
    assert IndexBundle.load(folder).ids == PASSAGES.ids
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_on_a_full_disk_there_is_one_error_and_the_old_one_stays(tmp_path: Path) -> None:
    small = build_index(embeddings(1))
    small.save(tmp_path / "index")
    said = (
        r"index: the index cannot be written there \(.*File too large; .* MB are free\)\. Free some, or choose another"
    )
    for size in (5_000, 12_800):  # of 12,845 bytes: faiss's own writer does not notice that the last are missing
        with no_file_above(size), pytest.raises(LabError, match=said):
            build_index(PASSAGES).save(tmp_path / "index")
    assert IndexBundle.load(tmp_path / "index").ids == small.ids
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("spoilt", ["index.faiss tampered", "index.faiss gone", "index.json gone", "index.json cut"])
def test_a_spoilt_index_is_refused(tmp_path: Path, spoilt: str) -> None:
    build_index(PASSAGES).save(tmp_path / "index")
    file, how = tmp_path / "index" / spoilt.split()[0], spoilt.split()[1]
    whole = file.read_bytes()
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(whole[:-40] if how == "cut" else whole[:-1] + b"!")
    expected = "is not the file that index.json describes" if how == "tampered" else "no index can be read from it"
    with pytest.raises(LabError, match=rf"{expected}.* Build the index again"):
        IndexBundle.load(tmp_path / "index")


def test_a_changed_manifest_is_refused(tmp_path: Path) -> None:
    build_index(PASSAGES).save(tmp_path / "index")
    path = tmp_path / "index" / "index.json"
    about = json.loads(path.read_text("utf-8"))
    about["ids"][:2] = reversed(about["ids"][:2])
    path.write_text(json.dumps(about), "utf-8")
    with pytest.raises(LabError, match=r"index\.json was changed after it was written\. Build the index again"):
        IndexBundle.load(tmp_path / "index")
    del about["seal"]
    path.write_text(json.dumps(about), "utf-8")
    with pytest.raises(LabError, match=r"no index can be read from it \('seal'\)"):
        IndexBundle.load(tmp_path / "index")
