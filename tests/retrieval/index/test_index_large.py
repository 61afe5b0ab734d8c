"""Indexes built from shards on disk, against those that are built of the same vectors in memory."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import faiss
import pytest
from full_disk import no_file_above
from vectors import PASSAGES, QUERIES, RAW, embeddings

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table, tables
from hiddenstates.core.errors import LabError
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.sharding.sharded import MANIFEST
from hiddenstates.encoding.sharding.shards import save_embeddings
from hiddenstates.retrieval.index import IndexBundle, added, agreement, beside, build_index, large, training
from hiddenstates.retrieval.index.beside import Beside
from hiddenstates.retrieval.index.large import build_large

MERGED = ["IVF{cells},Flat nprobe=7", "IVF14,SQ8 nprobe=7", "IVF14,PQ4x4 nprobe=7", "L2norm,IVF14,Flat nprobe=3"]
IN_PARTS = ["Flat", "SQ8", "L2norm,Flat"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "SHARDS_A_PART", 2)


def sharded(folder: Path, whole: Embeddings = PASSAGES, size: int = 32) -> Path:
    """As `encode_sharded` would leave them: 200 passages are 7 shards, and 4 parts."""
    folder.mkdir()
    names = []
    for first in range(0, len(whole.ids), size):
        rows = slice(first, first + size)
        names.append(f"{first:04}-{whole.fingerprint}.safetensors")
        save_embeddings(replace(whole, ids=whole.ids[rows], vectors=whole.vectors[rows]), folder / names[-1])
    (folder / MANIFEST).write_text(json.dumps({"shards": names}), "utf-8")
    return folder


@pytest.mark.parametrize("sampled", [100_000, 60], ids=["trained on all", "on a sample"])
@pytest.mark.parametrize("factory", MERGED + IN_PARTS)
def test_it_finds_what_the_index_in_memory_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str, sampled: int
) -> None:
    monkeypatch.setattr(training, "TRAINED_ON", sampled)
    build_large(sharded(tmp_path / "e"), tmp_path / "index", factory)
    whole = IndexBundle.load(tmp_path / "index", QUERIES)
    for depth in (10, 120):  # a part holds 64
        found, expected = whole.search(QUERIES, depth), build_index(PASSAGES, factory).search(QUERIES, depth)
        for query in expected:
            assert list(found[query]) == list(expected[query])
            # a product of another number of rows may end in another digit
            close = 0 if factory in MERGED else 1e-6
            assert list(found[query].values()) == pytest.approx(list(expected[query].values()), rel=0, abs=close)
    assert list(whole.ids) == PASSAGES.ids
    assert whole.ids[30:33] == ["p30", "p31", "p32"]


@pytest.mark.parametrize(
    "factory", ["HNSW16 efSearch=32", "PQ{pairs}x4fs,RFlat k_factor_rf=4", "IVF4,PQ8x4,RFlat nprobe=4,k_factor_rf=4"]
)
def test_parts_that_search_each_for_itself_find_as_much(tmp_path: Path, factory: str) -> None:
    found = build_large(sharded(tmp_path / "e"), tmp_path / "index", factory).search(QUERIES, 10)
    assert agreement(found, build_index(PASSAGES).search(QUERIES, 10)) > 0.9


def test_euclidean_scores_are_larger_where_better(tmp_path: Path) -> None:
    found = build_large(sharded(tmp_path / "e"), tmp_path / "index", "Flat", "euclidean").search(QUERIES, 10)
    expected = build_index(PASSAGES, metric="euclidean").search(QUERIES, 10)
    for query in expected:
        assert list(found[query]) == list(expected[query])
        assert found[query] == pytest.approx(expected[query], abs=1e-5)


@pytest.mark.parametrize("factory", ["Flat", "IVF{cells},Flat"])
def test_what_was_built_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str) -> None:
    shards, built = sharded(tmp_path / "e"), []
    build: Callable[..., object] = large._part

    def part(*arguments: object) -> object:
        if len(built) == 2:
            raise KeyboardInterrupt
        built.append(arguments)
        return build(*arguments)

    monkeypatch.setattr(large, "_part", part)
    with pytest.raises(KeyboardInterrupt):
        build_large(shards, tmp_path / "index", factory)
    assert not (tmp_path / "index").exists()
    (kept,) = tmp_path.glob(".index.*.parts")
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert {path.name for path in before} == {"start.faiss", "part-00000.faiss", "part-00001.faiss"}
    built.clear()
    build_large(shards, tmp_path / "index", factory)
    assert len(built) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"e", "index"}
    monkeypatch.setattr(large, "_part", None)
    build_large(shards, tmp_path / "index", factory)  # nothing is left to do
    monkeypatch.setattr(large, "_part", build)
    build_large(shards, tmp_path / "again", factory)
    for path in (tmp_path / "index").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_other_settings_are_another_index_in_its_place(tmp_path: Path) -> None:
    shards = sharded(tmp_path / "e")
    build_large(shards, tmp_path / "index", "Flat")
    assert build_large(shards, tmp_path / "index", "IVF4,Flat").factory == "IVF4,Flat"
    assert {path.name for path in (tmp_path / "index").iterdir()} == {
        "index.faiss", "index.json", "lists.ivfdata", "ids.arrow",
    }  # fmt: skip


def test_the_vectors_stay_on_disk_wherever_the_folder_goes(tmp_path: Path) -> None:
    build_large(sharded(tmp_path / "e"), tmp_path / "index", "IVF4,Flat")
    moved = (tmp_path / "index").rename(tmp_path / "moved")
    bundle = IndexBundle.load(moved)
    lists = faiss.downcast_InvertedLists(bundle.index.invlists)
    assert isinstance(lists, faiss.OnDiskInvertedLists)
    assert lists.filename == str(moved / "lists.ivfdata")
    assert lists.read_only


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (replace(QUERIES, fingerprint="xyz"), r"vectors are of model abc, these of xyz"),
        (replace(QUERIES, strategy=RAW), r"were made by 2/mean, these by 2/mean\+raw"),
        (replace(QUERIES, vectors=QUERIES.vectors[:, :8]), r"have 16 dimensions, these 8"),
        (replace(QUERIES, vectors=QUERIES.vectors * 2), r"20 vector\(s\) are not of length 1"),
    ],
)
@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat"])
def test_a_query_that_does_not_match_is_refused(
    tmp_path: Path, factory: str, queries: Embeddings, message: str
) -> None:
    build_large(sharded(tmp_path / "e"), tmp_path / "index", factory)
    with pytest.raises(LabError, match=message):
        IndexBundle.load(tmp_path / "index", queries)


@pytest.mark.parametrize("name", ["part-00002.faiss", "ids.arrow"])
def test_a_spoilt_file_is_refused(tmp_path: Path, name: str) -> None:
    build_large(sharded(tmp_path / "e"), tmp_path / "index", "Flat")
    (tmp_path / "index" / name).write_bytes(b"!")
    with pytest.raises(LabError, match=rf"{name} is not the file that index\.json describes\. Build the index again"):
        IndexBundle.load(tmp_path / "index")
    assert build_large(tmp_path / "e", tmp_path / "index", "Flat").search(QUERIES, 1)


def test_shards_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    shards = sharded(tmp_path / "e")
    save_embeddings(replace(embeddings(8), fingerprint="xyz"), shards / "0192-abc.safetensors")
    with pytest.raises(LabError, match=r"vectors are of model abc, these of xyz"):
        build_large(shards, tmp_path / "index", "Flat")
    with pytest.raises(LabError, match=r"there is nothing to index\. Encode at least one passage"):
        build_large(sharded(tmp_path / "none", embeddings(0)), tmp_path / "index")
    with pytest.raises(LabError, match=r"no embeddings can be read from it"):
        build_large(tmp_path, tmp_path / "index")


PARTS = [f"part-{i:05}.faiss" for i in range(4)]


@pytest.mark.parametrize(
    ("size", "kept"),
    [(100, []), (1_000, ["start.faiss"]), (6_000, [*PARTS, "start.faiss"])],
    ids=["at the start", "at a part", "where parts are joined"],
)
def test_on_a_full_disk_there_is_one_error_and_the_next_build_goes_on(
    tmp_path: Path, size: int, kept: list[str]
) -> None:
    shards = sharded(tmp_path / "e")
    said = r"index.*: the index cannot be written there \(.*File too large.*; .* MB are free\)\. Free some, or choose"
    with no_file_above(size), pytest.raises(LabError, match=said):
        build_large(shards, tmp_path / "index", "IVF4,Flat")
    (parts,) = tmp_path.glob(".*")
    assert sorted(path.name for path in parts.iterdir()) == kept
    assert not (tmp_path / "index").exists()
    assert build_large(shards, tmp_path / "index", "IVF4,Flat").search(QUERIES, 1)
    assert list(tmp_path.glob(".*")) == []


def test_a_spoilt_part_can_be_given_up(tmp_path: Path) -> None:
    shards = sharded(tmp_path / "e")
    with no_file_above(6_000), pytest.raises(LabError):
        build_large(shards, tmp_path / "index", "IVF4,Flat")
    (parts,) = tmp_path.glob(".*")
    (parts / PARTS[1]).write_bytes(b"")
    with pytest.raises(LabError, match=r"part-00001\.faiss.*where there is room, remove the \.parts folder"):
        build_large(shards, tmp_path / "index", "IVF4,Flat")
    shutil.rmtree(parts)
    assert build_large(shards, tmp_path / "index", "IVF4,Flat").search(QUERIES, 1)


def test_without_room_nothing_is_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """faiss would be ended by the system: it joins through mapped memory."""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=16_000))
    with pytest.raises(
        LabError, match=r"index: the index cannot be written there \(.*it takes 0\.016 MB; 0\.016 MB are free\)"
    ):
        build_large(sharded(tmp_path / "e"), tmp_path / "index", "IVF4,Flat")  # 3 parts of 5,035 bytes, one of 1,003
    assert not (tmp_path / "index").exists()


def test_it_takes_nothing_in(tmp_path: Path) -> None:
    bundle = build_large(sharded(tmp_path / "e"), tmp_path / "index", "Flat")
    with pytest.raises(LabError, match=r"read where it lies on disk\. Copy its folder"):
        bundle.save(tmp_path / "other")
    with pytest.raises(LabError, match=r"read where it lies on disk"):
        added(bundle, QUERIES)


ROWS = [{"id": id, "text": ["bern", "paris rome", "river", ""][i % 4]} for i, id in enumerate(PASSAGES.ids)]
KB = KnowledgeBase(table(ROWS, PASSAGE_COLUMNS), Path(), "r")
TEXTS = [["rome", "rivers bern", "unknown"][i % 3] for i in range(len(QUERIES.ids))]


@pytest.mark.parametrize("factory", ["Flat", "L2norm,Flat", *MERGED])
def test_words_beside_it_find_what_words_beside_the_index_in_memory_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str
) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 30)
    monkeypatch.setattr(beside, "REACH", 20)  # so that words bring what vectors do not
    build_large(sharded(tmp_path / "e"), tmp_path / "index", factory, words=Beside(KB, 0.6))
    assert len(list((tmp_path / "index").glob("words-*.safetensors"))) == 7
    whole = IndexBundle.load(tmp_path / "index", QUERIES)
    expected = build_index(PASSAGES, factory, kb=KB).with_words(KB, 0.6)
    for same in (False, True):
        found = whole.search(QUERIES, 15, TEXTS, ignore_identical_ids=same)
        for query, row in expected.search(QUERIES, 15, TEXTS, ignore_identical_ids=same).rows.items():
            assert list(found[query]) == list(row)
            assert list(found[query].values()) == pytest.approx(list(row.values()), rel=0, abs=1e-6)
    assert whole.weight == 0.6
    alone = whole.search(QUERIES, 15)
    assert [list(row) for row in alone.rows.values()] != [list(row) for row in found.rows.values()]


def test_words_and_their_weight_are_part_of_what_is_built(tmp_path: Path) -> None:
    shards = sharded(tmp_path / "e")
    names, other = set(), replace(KB, revision="s")
    for words in (None, Beside(KB, 0.6), Beside(KB, 0.7), Beside(KB, 0.7, None), Beside(other, 0.7)):
        build_large(shards, tmp_path / "index", "Flat", words=words)
        names.add(json.loads((tmp_path / "index" / "index.json").read_text("utf-8"))["plan"])
    assert len(names) == 5
    (tmp_path / "index" / "words-00000.safetensors").write_bytes(b"others")
    with pytest.raises(LabError, match=r"words-00000\.safetensors is not the file that index\.json describes"):
        IndexBundle.load(tmp_path / "index")


def test_words_of_other_passages_or_beside_another_metric_are_refused(tmp_path: Path) -> None:
    shards, turned = sharded(tmp_path / "e"), replace(KB, passages=KB.passages.select(range(199, -1, -1)))
    for kb in (turned, replace(KB, passages=KB.passages.select(range(199)))):
        with pytest.raises(LabError, match=r"not the passages that were encoded\. Give the same for words"):
            build_large(shards, tmp_path / "index", "Flat", words=Beside(kb, 0.6))
    for metric, weight in (("euclidean", 0.6), ("cosine", 1.0)):
        with pytest.raises(LabError, match="words stand beside a cosine under a weight between 0 and 1"):
            build_large(shards, tmp_path / "index", "Flat", metric, words=Beside(KB, weight))  # type: ignore[arg-type]
    assert not (tmp_path / "index").exists()
