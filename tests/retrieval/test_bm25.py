from dataclasses import replace
from math import log
from pathlib import Path

import bm25s
import numpy as np
import pytest

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table, tables
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels
from hiddenstates.retrieval.bm25 import (
    AskedWords,
    StoredWords,
    Words,
    WordSearch,
    bm25_run,
    searchable,
    stored as of_stored,
    task as of_task,
    write_words,
)

PASSAGES = {"p0": "capital bern", "p1": "capital paris paris", "p2": "river nile", "p3": "river", "p4": ""}
QUERIES = {"q0": "Paris!", "q1": "nothing known", "q2": "the capital of bern", "q3": ""}


def task(measure: str = "retrieval") -> Task:
    passages = table([{"id": i, "text": text} for i, text in PASSAGES.items()], PASSAGE_COLUMNS)
    queries = table([{"id": i, "text": text} for i, text in QUERIES.items()], QUERY_COLUMNS)
    qrels = Qrels({"q0": {"p1": 1.0, "p0": 3.0}, "q1": {"p0": 1.0}, "q2": {"p2": 1.0}, "q3": {"p4": 1.0}})
    return Task(KnowledgeBase(passages, Path(), "r"), queries, qrels, measure)  # type: ignore[arg-type]


def test_the_score_is_lucene_s_by_hand() -> None:
    # one of five passages holds it: idf = ln(1 + (5 - 1 + .5) / (1 + .5)); tf 2, three words, 8 / 5 on average
    idf = log(1 + 4.5 / 1.5)
    saturated = 2 / (2 + 1.5 * (1 - 0.75 + 0.75 * 3 / (8 / 5)))
    assert bm25_run(task(), 10)["q0"] == {"p1": pytest.approx(idf * saturated, rel=1e-5)}


def test_the_best_come_first_and_those_without_a_common_word_not_at_all() -> None:
    run = bm25_run(task(), 10)
    assert list(run) == list(QUERIES)
    assert list(run["q2"]) == ["p0", "p1"]  # both words, then one; the stop words count for nothing
    assert (run["q1"], run["q3"]) == ({}, {})


def test_no_more_than_asked_for() -> None:
    assert list(bm25_run(task(), 1)["q2"]) == ["p0"]


def test_for_similarity_each_judged_pair_has_a_score() -> None:
    run = bm25_run(task("similarity"), 1)
    assert {query: set(run[query]) for query in run} == {"q0": {"p1", "p0"}, "q1": {"p0"}, "q2": {"p2"}, "q3": {"p4"}}
    assert run["q0"]["p1"] > 0
    assert run["q0"]["p0"] == run["q1"]["p0"] == run["q3"]["p4"] == 0


def test_a_query_that_is_a_passage_does_not_find_itself() -> None:
    queries = table([{"id": "p0", "text": PASSAGES["p0"]}], QUERY_COLUMNS)
    asked = replace(task(), queries=queries, qrels=Qrels({"p0": {"p1": 1.0}}))
    assert list(bm25_run(asked, 1)["p0"]) == ["p0"]
    assert list(bm25_run(replace(asked, ignore_identical_ids=True), 1)["p0"]) == ["p1"]


def test_endings_are_cut_off_in_english_and_stay_where_no_language_is_named() -> None:
    rows = [{"id": "a", "text": "walking rivers"}, {"id": "b", "text": "the river"}]
    kb = KnowledgeBase(table(rows, PASSAGE_COLUMNS), Path(), "r")
    stemmed, plain = Words.of(kb).scores(["river", "the"]), Words.of(kb, None).scores(["river", "the"])
    assert (stemmed > 0).tolist() == [[True, True], [False, False]]
    assert (plain > 0).tolist() == [[False, True], [False, True]]


def test_a_word_that_is_asked_twice_counts_twice() -> None:
    words = Words.of(task().kb)
    once, twice = words.scores(["paris", "paris paris"])
    np.testing.assert_allclose(twice, 2 * once)


def test_scores_are_those_of_bm25s() -> None:
    words, texts = Words.of(task().kb, None), ["capital of paris", "river river nile", "unknown"]
    retriever = bm25s.BM25()
    retriever.index(bm25s.tokenize(list(PASSAGES.values()), stopwords=[], show_progress=False), show_progress=False)
    asked = bm25s.tokenize(texts, stopwords=[], show_progress=False)
    found, scores = retriever.retrieve(asked, k=len(PASSAGES), show_progress=False)
    for ours, places, values in zip(words.scores(texts), found, scores, strict=True):
        np.testing.assert_allclose(ours[places], values, rtol=1e-6)


def test_passages_without_a_word_score_nothing() -> None:
    kb = KnowledgeBase(table([{"id": "a", "text": ""}], PASSAGE_COLUMNS), Path(), "r")
    assert Words.of(kb).scores(["paris"]).tolist() == [[0.0]]


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> KnowledgeBase:
    """Fifty passages, seven in memory at once."""
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 7)
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path))
    random, words = np.random.default_rng(0), ["bern", "paris", "rivers", "walked", "capital", "the", "nile", "sea"]
    texts = [" ".join(random.choice(words, random.integers(0, 12))) for _ in range(50)]
    return KnowledgeBase(
        table([{"id": f"p{i}", "text": t} for i, t in enumerate(texts)], PASSAGE_COLUMNS), tmp_path, "r"
    )


ASKED = ["bern by the sea", "rivers rivers nile", "unknown", "", "walking to Paris"]


def test_words_counted_in_parts_score_as_all_in_memory(corpus: KnowledgeBase) -> None:
    parts = list(AskedWords.of(corpus, ASKED).scored(ASKED))
    assert [first for first, _ in parts] == list(range(0, 50, 7))
    np.testing.assert_array_equal(
        np.concatenate([scores for _, scores in parts], axis=1), Words.of(corpus).scores(ASKED)
    )
    assert list(corpus.images.iterdir()) == [], "the files have no name any more"


def stored_words(kb: KnowledgeBase, folder: Path) -> StoredWords:
    folder.mkdir()
    write_words(kb, folder, "words", "english")
    return StoredWords.load(sorted(folder.iterdir()), kb.ids, "english")


def test_stored_words_score_as_all_in_memory_whatever_is_asked(corpus: KnowledgeBase, tmp_path: Path) -> None:
    found = stored_words(corpus, tmp_path / "words")
    assert len(list((tmp_path / "words").iterdir())) == 8
    assert found.at_once == 7
    for asked in (ASKED, ["capital"], ["unknown"], [""], ["sea of the nile", "nile walks"]):
        parts = list(found.scored(asked))
        assert [first for first, _ in parts] == list(range(0, 50, 7))
        scores = np.concatenate([scores for _, scores in parts], axis=1)
        np.testing.assert_array_equal(scores, Words.of(corpus).scores(asked))


def test_of_stored_words_a_question_reads_its_own(corpus: KnowledgeBase, tmp_path: Path) -> None:
    found = stored_words(corpus, tmp_path / "words")
    part, read = found.parts[0], found.asked(["bern", "unknown"]).parts[0]
    column = part["words"].tolist().index(of_stored._hash("bern"))
    rows = slice(part["indptr"][column], part["indptr"][column + 1])
    assert 0 < len(read["data"]) < len(part["data"])
    for name in ("data", "indices"):
        np.testing.assert_array_equal(read[name], part[name][rows])
    assert read["indptr"].tolist() == [0, len(read["data"]), len(read["data"])]  # nothing of the other


def test_parts_without_a_word_score_nothing(corpus: KnowledgeBase, tmp_path: Path) -> None:
    texts = ["", "the", *["bern"] * 12]  # stop words alone in the first part of seven: none is counted
    rows = [{"id": f"p{i}", "text": text} for i, text in enumerate(["", "the"] * 4 + texts)]
    kb = replace(corpus, passages=table(rows, PASSAGE_COLUMNS))
    scores = [scores for _, scores in stored_words(kb, tmp_path / "words").scored(["bern"])]
    np.testing.assert_array_equal(np.concatenate(scores, axis=1), Words.of(kb).scores(["bern"]))
    assert not scores[0].any()
    assert scores[-1].all()


def test_stored_words_of_other_passages_are_refused(corpus: KnowledgeBase, tmp_path: Path) -> None:
    stored_words(corpus, tmp_path / "words")
    files = sorted((tmp_path / "words").iterdir())
    with pytest.raises(LabError, match=r"words of 43 of 50 passages\. Build it again"):
        StoredWords.load(files[1:], corpus.ids, "english")
    files[0].write_bytes(b"nothing")
    with pytest.raises(LabError, match=r"no words can be read from it .*Build the index again"):
        StoredWords.load(files, corpus.ids, "english")


def test_words_counted_in_parts_find_the_same_in_the_same_order(corpus: KnowledgeBase, tmp_path: Path) -> None:
    ids = [f"q{i}" for i in range(len(ASKED))]
    wanted = Words.of(corpus).run(ids, ASKED, 9).rows
    each: list[WordSearch] = [AskedWords.of(corpus, ASKED), stored_words(corpus, tmp_path / "words")]
    for found in (words.run(ids, ASKED, 9).rows for words in each):
        assert [list(row.items()) for row in found.values()] == [list(row.items()) for row in wanted.values()]
        assert len(found["q0"]) == 9


def test_a_query_that_is_a_passage_shares_no_word_with_it_in_any_part(corpus: KnowledgeBase, tmp_path: Path) -> None:
    own = ["p3", "p45", "elsewhere", "p0", "p49"]
    wanted = np.array([[3, 4], [45, 0], [-1, 9], [0, 1], [49, 48]])
    for words in (AskedWords.of(corpus, ASKED), stored_words(corpus, tmp_path / "words"), Words.of(corpus)):
        _, known = words.best(ASKED, 9, own, wanted)
        scores = words.best(ASKED, 9, wanted=wanted)[1]
        assert known[[0, 1, 3, 4], 0].tolist() == [0.0] * 4
        assert known[2, 0] == 0.0, "no row"
        np.testing.assert_array_equal(known[:, 1], scores[:, 1])
        assert scores[0].any()


def test_a_word_that_was_not_counted_is_refused(corpus: KnowledgeBase) -> None:
    with pytest.raises(LabError, match=r"'capit' was not counted. Name all texts that will be asked"):
        next(AskedWords.of(corpus, ASKED).scored(["capital"]))


def test_a_large_corpus_is_counted_in_parts(corpus: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(searchable(corpus, ASKED), Words)
    monkeypatch.setattr(of_task, "IN_MEMORY", 49)
    assert isinstance(searchable(corpus, ASKED), AskedWords)
