from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
from vectors import PASSAGES, QUERIES, RAW, embeddings, knowledge

from hiddenstates.core.errors import LabError
from hiddenstates.core.threads import one_thread
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.retrieval.index import added, agreement, build_index, missing, training
from hiddenstates.retrieval.index.building import trainings_of
from hiddenstates.retrieval.index.training import REFINED, _train_on_few, filled

FACTORIES = [
    "Flat",
    "L2norm,Flat",
    "SQ8",
    "IVF{cells},Flat nprobe=7",
    "HNSW16 efSearch=32",
    "PQ{pairs}x4fs,RFlat k_factor_rf=4",
    "IVF{cells},PQ{pairs}x4fs,RFlat nprobe=7,k_factor_rf=4",
]
every_kind = pytest.mark.parametrize("factory", FACTORIES)


def with_infinity() -> Embeddings:
    vectors = PASSAGES.vectors.copy()
    vectors[17, 3] = np.inf
    return replace(PASSAGES, vectors=vectors)


@pytest.mark.parametrize("factory", [*FACTORIES, "NSG16"])
def test_the_same_vectors_are_the_same_bytes(tmp_path: Path, factory: str) -> None:
    faiss.omp_set_num_threads(4)
    for name in ("a", "b"):
        build_index(embeddings(400), factory).save(tmp_path / name)
    faiss.omp_set_num_threads(1)
    for file in ("index.faiss", "index.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("factory", [*FACTORIES, "PCA4,IVF{cells},Flat", "PQ{pairs}x4fs,Refine(SQ8)"])
def test_few_vectors_train_without_a_line_for_each_clustering(capfd: pytest.CaptureFixture[str], factory: str) -> None:
    build_index(embeddings(40), factory)
    assert capfd.readouterr().err == ""


def test_it_is_trained_on_rows_drawn_from_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rows are one topic: cells trained on them would leave all others in one cell."""
    monkeypatch.setattr(training, "TRAINED_ON", 20)
    drawn = training.sampled(PASSAGES.vectors, seed=0)
    rows = [int(np.flatnonzero((PASSAGES.vectors == vector).all(1))[0]) for vector in drawn]
    assert len(set(rows)) == 20
    assert max(rows) > 100
    assert (training.sampled(PASSAGES.vectors, seed=0) == drawn).all()
    assert not (training.sampled(PASSAGES.vectors, seed=1) == drawn).all()


def test_placeholders_by_hand() -> None:
    assert filled("IVF{cells},PQ{pairs}x4fs nprobe=8", 4071, 384) == "IVF64,PQ192x4fs nprobe=8"
    assert filled("Flat", 1, 1) == "Flat"


@pytest.mark.parametrize("factory", ["IVF{cell},Flat", "IVF{},Flat", "IVF{cells", "IVF{cells.x},Flat"])
def test_other_braces_are_refused(factory: str) -> None:
    with pytest.raises(LabError, match=r"index\.factories: 'IVF.*': braces that are not understood\. \{cells\} and"):
        build_index(PASSAGES, factory)


@pytest.mark.parametrize(
    ("passages", "factory", "message"),
    [
        (with_infinity(), "Flat", r"1 vector\(s\) hold NaN or infinity, first 'p17': faiss would never find them"),
        (replace(PASSAGES, vectors=PASSAGES.vectors * 0), "Flat", r"200 vector\(s\) have length 0, first 'p0'"),
        (embeddings(0), "Flat", r"there is nothing to index\. Give it at least one passage"),
        (embeddings(5, strategy=RAW), "Flat", r"5 vector\(s\) are not of length 1, first 'p0': drop \+raw, or choose"),
        (PASSAGES, "Flt", r"index\.factories: faiss cannot make 'Flt' .*could not parse index string Flt.*Write Flat"),
        (PASSAGES, "IVF4,PQ3", r"cannot make 'IVF4,PQ3' of 200 vectors of 16 dimensions \(.*multiple of the number"),
        (embeddings(10), "IVF64,Flat", r"'IVF64,Flat' of 10 vectors .*at least as large as number of clusters \(64\)"),
        (PASSAGES, "Flat nprobe=3", r"cannot make 'Flat nprobe=3' .*could not set parameter nprobe"),
        (PASSAGES, "IVF4,Flat nprobe", r"cannot make 'IVF4,Flat nprobe' .*could not convert string to float"),
    ],
    ids=["infinity", "zero", "empty", "raw", "unknown", "width", "too few", "setting", "value"],
)
def test_what_cannot_be_indexed_is_refused(passages: Embeddings, factory: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        build_index(passages, factory)


def test_a_passage_of_another_knowledge_base_is_refused() -> None:
    with pytest.raises(LabError, match=r"'p199' is no passage of the knowledge base\. Give the one"):
        build_index(PASSAGES, kb=knowledge(PASSAGES.ids[:-1]))


OLD, NEW = (
    replace(PASSAGES, ids=PASSAGES.ids[rows], vectors=PASSAGES.vectors[rows]) for rows in (slice(150), slice(150, None))
)


def test_a_flat_index_grows_into_what_a_fresh_build_is(tmp_path: Path) -> None:
    kb = knowledge(PASSAGES.ids)
    younger = build_index(OLD, kb=kb)
    assert missing(younger, kb) == NEW.ids
    added(younger, NEW, kb).save(tmp_path / "grown")
    build_index(PASSAGES, kb=kb).save(tmp_path / "fresh")
    for file in ("index.faiss", "index.json"):
        assert (tmp_path / "grown" / file).read_bytes() == (tmp_path / "fresh" / file).read_bytes()
    assert younger.ids == OLD.ids
    assert younger.index.ntotal == 150


@every_kind
def test_added_passages_are_found(factory: str) -> None:
    grown = added(build_index(OLD, factory), NEW)
    nearest = grown.search(replace(NEW, ids=[f"like {id}" for id in NEW.ids]), 1)
    assert [list(row) for row in nearest.rows.values()] == [[id] for id in NEW.ids]
    exact = build_index(PASSAGES).search(QUERIES, 10)
    assert agreement(grown.search(QUERIES, 10), exact) > 0.8


def test_what_cannot_be_added_is_refused() -> None:
    kb = knowledge(PASSAGES.ids)
    younger = build_index(OLD, kb=kb)
    with pytest.raises(LabError, match=r"150 passages are in it already, first 'p0'\. Give it `missing` ones"):
        added(younger, PASSAGES, kb)
    with pytest.raises(LabError, match=r"these of xyz"):
        added(younger, replace(NEW, fingerprint="xyz"), kb)
    with pytest.raises(LabError, match=r"it pins its passages\. Give `added` the knowledge base"):
        added(younger, NEW)


@pytest.mark.parametrize("now", [knowledge(PASSAGES.ids, p3="Else."), knowledge(PASSAGES.ids[1:])])
def test_a_passage_that_changed_or_went_is_refused(now: object) -> None:
    younger = build_index(OLD, kb=knowledge(PASSAGES.ids))
    for attempt in (lambda: missing(younger, now), lambda: added(younger, NEW, now)):  # type: ignore[arg-type]
        with pytest.raises(LabError, match=r"An index takes passages in, never back: build it again"):
            attempt()


@pytest.mark.parametrize(
    "factory",
    [
        "SQ8",
        "IVF9,Flat nprobe=3",
        "HNSW8 efSearch=20",
        "NSG16,Flat",
        "L2norm,PQ8x4fs,RFlat",
        "PQ8x4fs,Refine(SQ8)",
        "PQ8x4fs,RFlat k_factor_rf=4",
        "IVF5,PQ8x4fs,RFlat nprobe=3,k_factor_rf=4",
        "PCA8,PQ4x4fs,Refine(PQ8x4fs)",
    ],
)
def test_what_was_trained_for_another_kind_makes_the_very_index_that_faiss_makes(factory: str) -> None:
    structure, _, settings = factory.partition(" ")
    trainings = trainings_of(PASSAGES)
    others = [structure, REFINED.sub(r"\1", structure), f"{structure},RFlat", factory]
    for other in others:
        build_index(PASSAGES, other, trainings=trainings)
    with one_thread():
        wanted = faiss.index_factory(PASSAGES.vectors.shape[1], structure, faiss.METRIC_INNER_PRODUCT)
        _train_on_few(wanted)
        wanted.train(PASSAGES.vectors)
        wanted.add(PASSAGES.vectors)
    for setting in filter(None, settings.split(",")):
        name, _, value = setting.partition("=")
        faiss.ParameterSpace().set_index_parameter(wanted, name, float(value))
    found = build_index(PASSAGES, factory, trainings=trainings).index
    assert np.array_equal(faiss.serialize_index(found), faiss.serialize_index(wanted))
    assert trainings.spared > 0
