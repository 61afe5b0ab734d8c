import pandas as pd
import pytest
from vectors import PASSAGES, QUERIES, UNIT, by_hand, embeddings

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Run
from hiddenstates.retrieval.index import (
    agreement,
    build_index,
    candidates,
    grown,
    qualities,
    recommended,
    speeds,
    split,
    trainable,
)

EXACT = build_index(PASSAGES).search(QUERIES, 10)


def test_agreement_by_hand() -> None:
    passages, queries = by_hand([[1, 0], [0, 1], [0.6, 0.8]], UNIT), by_hand([[1, 0], [0, 1]], UNIT)
    exact = build_index(passages).search(queries, 2)  # a: a c; b: b c
    assert agreement(exact, exact) == 1
    assert agreement(Run({"a": {"b": 1.0, "c": 0.5}, "b": {"b": 1.0, "c": 0.5}}), exact) == 3 / 4


def test_two_factories_that_come_to_the_same_are_one() -> None:
    built = candidates(PASSAGES, ["IVF{cells},Flat", "IVF14,Flat", "Flat"])
    assert [candidate.bundle.factory for candidate in built] == ["IVF14,Flat", "Flat"]


def test_few_passages_train_no_cells_and_no_codes() -> None:
    few = by_hand([[1, 0], [0, 1], [0.6, 0.8]], UNIT)
    kinds = ["Flat", "IVF{cells},Flat", "IVF16,Flat", "HNSW8", "SQ8", "PQ1x4fs", "PQ1"]
    assert trainable(few, kinds) == ["Flat", "IVF{cells},Flat", "HNSW8", "SQ8"]
    assert trainable(PASSAGES, ["IVF16,Flat", "PQ8x4fs", "PQ8"]) == [
        "IVF16,Flat",
        "PQ8x4fs",
    ]  # 200 of them; PQ8 wants 256
    with pytest.raises(LabError, match="faiss cannot make 'Flot'"):
        trainable(few, ["Flot"])


def test_what_is_measured_of_each() -> None:
    built = candidates(PASSAGES, ["Flat", "SQ8", "IVF{cells},Flat nprobe=14", "IVF{cells},Flat", "HNSW8 efSearch=10"])
    table = qualities(built, QUERIES, EXACT, 10)
    assert list(table.columns) == ["recall@10", "megabytes", "compared"]
    assert table["recall@10"].iloc[[0, 2]].tolist() == [1, 1]
    assert table.loc["Flat", "megabytes"] == pytest.approx(200 * 16 * 4 / 1e6, rel=0.01)
    assert table.loc["SQ8", "megabytes"] == pytest.approx(200 * 16 / 1e6, rel=0.1)
    assert table["compared"].iloc[:3].tolist() == [200, 200, 200 + 14]  # every vector, and 14 centres
    assert 14 < table.loc["IVF14,Flat", "compared"] < 100
    assert 10 < table.loc["HNSW8 efSearch=10", "compared"] < 200
    assert qualities(built, QUERIES, EXACT, 10).equals(table)


def test_the_clock_runs() -> None:
    table = speeds(candidates(PASSAGES, ["Flat"]), QUERIES, 10)
    assert list(table.columns) == ["one by one, queries/s", "in a batch, queries/s", "build, s"]
    assert (table > 0).all(axis=None)


def test_the_smallest_that_finds_enough_and_fits_comes_first() -> None:
    measured = pd.DataFrame(
        {"recall@10": [1.0, 0.95, 0.94, 0.99], "megabytes": [6, 3, 1, 2]}, index=["Flat", "a", "b", "c"]
    )
    assert list(recommended(measured, 0.95, 5).index) == ["c", "a"]
    assert list(recommended(measured, 0.95, 6).index) == ["c", "a", "Flat"]
    assert recommended(measured, 1, 5).empty


@pytest.mark.parametrize(("n", "share", "parts"), [(200, 0.1, (180, 20)), (2, 0.1, (1, 1)), (2, 0.9, (1, 1))])
def test_a_split_parts_all(n: int, share: float, parts: tuple[int, int]) -> None:
    whole = embeddings(n)
    old, new = split(whole, share, seed=0)
    assert (len(old.ids), len(new.ids)) == parts
    row = {id: i for i, id in enumerate(whole.ids)}
    assert sorted(old.ids + new.ids) == sorted(whole.ids)
    for part in (old, new):
        assert (part.vectors == whole.vectors[[row[id] for id in part.ids]]).all()


def test_indexes_that_grew_say_their_recall() -> None:
    built = candidates(PASSAGES, ["Flat", "IVF{cells},Flat nprobe=3"])
    found = [agreement(b.search(QUERIES, 10), EXACT) for b in grown(built, *split(PASSAGES, 0.1, seed=0))]
    assert found[0] == 1
    assert 0.3 < found[1] < 1
