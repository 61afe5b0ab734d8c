from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vectors import embeddings

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.errors import LabError
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.retrieval.bm25 import Words, fuse
from hiddenstates.retrieval.index import IndexBundle, added, beside, build_index

N = 60
PASSAGES, QUERIES = embeddings(N), embeddings(3, seed=1, name="q")
TEXTS = ["rome", "rivers bern", "unknown"]
ROWS = [{"id": id, "text": ["bern", "paris rome", "river", ""][i % 4]} for i, id in enumerate(PASSAGES.ids)]
KB = KnowledgeBase(table(ROWS[::-1], PASSAGE_COLUMNS), Path(), "r")  # in another order than the index


def bundle(factory: str = "Flat", passages: Embeddings = PASSAGES) -> IndexBundle:
    return build_index(passages, factory, kb=KB).with_words(KB, 0.75)


def expected() -> np.ndarray:
    kb = KnowledgeBase(table(ROWS, PASSAGE_COLUMNS), Path(), "r")
    return fuse(QUERIES.vectors.astype(float) @ PASSAGES.vectors.T, Words.of(kb).scores(TEXTS).astype(float), 0.75)


@pytest.mark.parametrize("factory", ["Flat", "L2norm,Flat", "HNSW32 efSearch=64"])
def test_vectors_and_words_together_find_the_best_of_their_sum(factory: str) -> None:
    found = bundle(factory).search(QUERIES, 7, TEXTS)
    for scores, (query, row) in zip(expected(), found.rows.items(), strict=True):
        best = np.argsort(-scores)[:7]
        assert list(row) == [PASSAGES.ids[i] for i in best], query
        assert list(row.values()) == pytest.approx(scores[best].tolist(), abs=1e-6)


def test_what_only_the_words_bring_is_compared_by_its_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "REACH", 5)
    found = bundle().search(QUERIES, 5, TEXTS)["q0"]
    scores, bm25 = expected()[0], bundle()._asked_words().scores(TEXTS[:1])[0]
    near = np.argsort(-(PASSAGES.vectors @ QUERIES.vectors[0]))[:5]
    offered = {*near.tolist(), *np.argsort(-bm25, kind="stable")[:5].tolist()}
    best = sorted(offered, key=lambda i: -scores[i])[:5]
    assert list(found) == [PASSAGES.ids[i] for i in best]
    assert set(best) - set(near.tolist())


def test_cells_that_cannot_give_a_vector_back_still_answer() -> None:
    found = bundle("IVF7,Flat nprobe=1").search(QUERIES, 10, TEXTS)
    assert [len(row) for row in found.rows.values()][:2] == [10, 10]


def test_without_texts_the_vectors_answer_alone() -> None:
    assert bundle().search(QUERIES, 7) == build_index(PASSAGES).search(QUERIES, 7)


def test_an_index_with_words_comes_back(tmp_path: Path) -> None:
    bundle().save(tmp_path / "index")
    back = IndexBundle.load(tmp_path / "index", QUERIES, KB)
    assert back.search(QUERIES, 9, TEXTS) == bundle().search(QUERIES, 9, TEXTS)
    assert (back.weight, back._asked_words().language) == (0.75, "english")


def test_spoilt_words_are_refused(tmp_path: Path) -> None:
    bundle().save(tmp_path / "index")
    Words.of(KB).save(tmp_path / "index" / "words.safetensors")
    with pytest.raises(LabError, match=r"words\.safetensors is not the file that index\.json describes"):
        IndexBundle.load(tmp_path / "index")


def test_words_grow_with_the_index() -> None:
    some = Embeddings(PASSAGES.ids[:40], PASSAGES.vectors[:40], PASSAGES.strategy, "abc")
    rest = Embeddings(PASSAGES.ids[40:], PASSAGES.vectors[40:], PASSAGES.strategy, "abc")
    assert added(bundle(passages=some), rest, KB).search(QUERIES, 9, TEXTS) == bundle().search(QUERIES, 9, TEXTS)
    with pytest.raises(LabError, match=r"it has words, which weigh by all passages\. Give `added` the knowledge base"):
        added(replace(bundle(passages=some), rows=None), rest)


def test_texts_without_words_and_words_without_a_cosine_are_refused() -> None:
    with pytest.raises(LabError, match=r"it has no words\. Give it those"):
        build_index(PASSAGES).search(QUERIES, 7, TEXTS)
    with pytest.raises(LabError, match="words stand beside a cosine"):
        build_index(PASSAGES, metric="euclidean").with_words(KB, 0.8)
    with pytest.raises(LabError, match="under a weight between 0 and 1, not 1"):
        build_index(PASSAGES).with_words(KB, 1.0)
    fewer = KnowledgeBase(KB.passages.select(range(10)), Path(), "r")
    with pytest.raises(LabError, match="is no passage of the knowledge base"):
        build_index(PASSAGES).with_words(fewer, 0.8)
