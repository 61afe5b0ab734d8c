from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from random_states import MEASURES, TRAIN, states, task as wordless

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import Fused, parse
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.encoding.embeddings.fitting import fitted_all
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.retrieval.bm25 import Words, bm25_run, fuse
from hiddenstates.retrieval.choosing.words import PRIOR, choose_weight, search_words, sweep_words
from hiddenstates.retrieval.measures import correlate, evaluate
from hiddenstates.retrieval.search import search

STRATEGIES = [parse("2/mean"), parse("0.5*0/first+each.5 & 0.5*concat(1,2)/mean")]
WHITENING = fitted_all(STRATEGIES, states().passages.select(TRAIN))
VOCABULARY = ["bern", "paris", "rome", "river", "flag", "lake"]


def task(measure: str = "retrieval") -> Task:
    """That of the sweep, its texts of a few words; a query of none of them, and a passage without any."""
    plain, random = wordless(measure), np.random.default_rng(0)

    def text(i: int) -> str:
        return "" if i == 4 else " ".join(random.choice(VOCABULARY, 1 + i % 4))

    passages = [{"id": id, "text": text(i)} for i, id in enumerate(plain.kb.ids)]
    rows = zip(plain.queries["id"][:], plain.queries["set"][:], strict=True)
    queries = [{"id": id, "set": name, "text": text(i)} for i, (id, name) in enumerate(rows)]
    kb = KnowledgeBase(table(passages, PASSAGE_COLUMNS), Path(), "r")
    return Task(kb, table(queries, QUERY_COLUMNS), plain.qrels, measure)  # type: ignore[arg-type]


def brute_force(weight: float, strategy: object, measure: str = "retrieval") -> Run:
    """In float64, passage by passage, from BM25's run."""
    bm25 = bm25_run(task(), 90)
    asked = states().queries.select(task().queries["id"][:])
    queries, passages = (side.embed(strategy, WHITENING).vectors.astype(float) for side in (asked, states().passages))  # type: ignore[arg-type]
    rows = {}
    for query, vector in zip(asked.ids, queries / np.linalg.norm(queries, axis=1, keepdims=True), strict=True):
        cosines = passages @ vector / np.linalg.norm(passages, axis=1)
        best = max(bm25[query].values(), default=1.0)
        rows[query] = {
            id: weight * cosine + (1 - weight) * bm25[query].get(id, 0.0) / best
            for id, cosine in zip(states().passages.ids, cosines.tolist(), strict=True)
        }
    return Run(rows)


def test_every_weight_scores_as_brute_force_in_float64() -> None:
    weights = [0.2, 0.7, 1.0]
    found = sweep_words(states(), task(), STRATEGIES, Words.of(task().kb), MEASURES, WHITENING, weights)
    assert list(map(str, found.strategies[:3])) == ["0.2*(2/mean) & 0.8*bm25", "0.7*(2/mean) & 0.3*bm25", "2/mean"]
    pairs = [(strategy, weight) for strategy in STRATEGIES for weight in weights]
    for row, (strategy, weight) in enumerate(pairs):
        expected = evaluate(brute_force(weight, strategy), task().qrels, MEASURES)
        for measure in MEASURES:
            assert_allclose(found.values[measure][row], expected[measure], atol=1e-6)


def test_a_search_finds_what_the_sweep_scored() -> None:
    words = Words.of(task().kb)
    found = sweep_words(states(), task(), STRATEGIES, words, MEASURES, WHITENING, [0.7])
    for row, system in enumerate(found.strategies):
        assert isinstance(system, Fused)
        run = search_words(states(), task(), system, words, 90, WHITENING)
        searched = evaluate(run, task().qrels, MEASURES)
        for measure in MEASURES:
            assert_allclose(found.values[measure][row], searched[measure], atol=1e-6)
    assert {len(line) for line in search_words(states(), task(), system, words, 7, WHITENING).rows.values()} == {7}


def test_pairs_correlate_as_their_scores() -> None:
    pairs, words = task("similarity"), Words.of(task().kb)
    found = sweep_words(states(), pairs, STRATEGIES[:1], words, MEASURES, WHITENING, [0.7])
    run = search_words(states(), pairs, Fused(STRATEGIES[0], 0.7), words, 1, WHITENING)
    qrels = pairs.select(set="a").qrels
    assert_allclose(found.means.iloc[0]["a"]["spearman"], correlate(run, qrels)["spearman"], atol=1e-9)


def test_by_hand() -> None:
    cosines, bm25 = np.array([[0.5, 0.25, 1.0], [0.5, 0.25, 1.0]]), np.array([[4.0, 8.0, 0.0], [0.0, 0.0, 0.0]])
    assert_allclose(fuse(cosines, bm25, 0.75), [[0.5, 0.4375, 0.75], [0.375, 0.1875, 0.75]])


def test_a_query_without_a_known_word_goes_by_the_cosine() -> None:
    query = task().queries["id"][4]
    run = search_words(states(), task(), Fused(STRATEGIES[0], 0.4), Words.of(task().kb), 90)
    alone = search(states(), task(), STRATEGIES[0], 90)
    assert list(run[query]) == list(alone[query])


@pytest.mark.parametrize(("n", "chosen"), [(5, 0.8), (40, 0.8), (2000, 0.4)])
def test_few_queries_leave_the_weight_at_the_prior(n: int, chosen: float) -> None:
    assert choose_weight([0.56, 0.5, 0.5, 0.51], [0.4, 0.6, 0.8, 1.0], n) == chosen


@given(st.lists(st.floats(0, 1), min_size=9, max_size=9), st.integers(1, 1000))
def test_the_choice_lies_between_the_prior_and_the_best_on_dev_or_is_as_good(means: list[float], n: int) -> None:
    weights = [round(0.1 * i, 1) for i in range(1, 10)]
    chosen = choose_weight(means, weights, n)
    assert choose_weight([1.0] * 9, weights, n) == PRIOR
    assert means[weights.index(chosen)] >= means[weights.index(PRIOR)]


@given(
    st.integers(1, 99), st.sampled_from(["6/mean", "concat(0,6)/max+ln+each.5", "0.3*6/mean & 0.7*sum(0*0.5,1*2)/max"])
)
def test_a_fused_system_comes_back_from_its_string(hundredths: int, strategy: str) -> None:
    system = Fused(parse(strategy), hundredths / 100)
    assert Fused.parse(str(system)) == system


def test_words_come_back_from_their_file(tmp_path: Path) -> None:
    words = Words.of(task().kb)
    words.save(tmp_path / "words.safetensors")
    back = Words.load(tmp_path / "words.safetensors")
    assert_array_equal(back.scores(["river of paris", "unknown"]), words.scores(["river of paris", "unknown"]))
    assert (back.ids, back.language, back.fingerprint) == (words.ids, words.language, words.fingerprint)
    (tmp_path / "words.safetensors").write_bytes(b"no")
    with pytest.raises(LabError, match="no words can be read from it"):
        Words.load(tmp_path / "words.safetensors")


def test_passages_in_another_order_are_refused() -> None:
    other = Words(task().kb.ids[::-1], Words.of(task().kb).weights, {}, "english")
    with pytest.raises(LabError, match=r"not those of the states' passages in their order"):
        sweep_words(states(), task(), STRATEGIES, other, MEASURES, WHITENING)


@pytest.mark.parametrize("text", ["0.8*6/mean & 0.2*bm25", "0.8*(6/mean) & 0.3*bm25", "0*(6/mean) & 1*bm25"])
def test_what_is_no_fused_system_is_refused(text: str) -> None:
    with pytest.raises(LabError, match=r"is not understood|is not between"):
        Fused.parse(text)


def test_a_query_that_is_a_passage_neither_finds_itself_nor_sets_the_scale() -> None:
    """Queries under passages' ids and with their texts: as if each passage were not there for its own query."""
    plain = task()
    ids = {q: plain.kb.ids[7 * i % 83] for i, q in enumerate(plain.queries["id"][:])}
    texts = dict(zip(plain.kb.ids, plain.kb.passages["text"][:], strict=True))
    queries = table([{"id": id, "set": "a", "text": texts[id]} for id in ids.values()], QUERY_COLUMNS)
    qrels = Qrels({ids[q]: {p: g for p, g in row.items() if p != ids[q]} for q, row in plain.qrels.rows.items()})
    asked = replace(plain, queries=queries, qrels=qrels, ignore_identical_ids=True)
    renamed = replace(states().queries.select(ids), ids=list(ids.values()))
    sides, words = TaskStates(states().passages, renamed), Words.of(plain.kb)
    found = sweep_words(sides, asked, STRATEGIES[:1], words, MEASURES, None, [0.6])
    searched = evaluate(search_words(sides, asked, Fused(STRATEGIES[0], 0.6), words, 89), qrels, MEASURES)
    passages = sides.passages.embed(STRATEGIES[0]).vectors.astype(float)
    rows, told = {}, words.scores([texts[id] for id in renamed.ids]).astype(float)
    for id, vector, bm25 in zip(renamed.ids, renamed.embed(STRATEGIES[0]).vectors, told, strict=True):
        others = [i for i, passage in enumerate(plain.kb.ids) if passage != id]
        scores = fuse(passages[others] @ vector, bm25[others], 0.6)
        rows[id] = {plain.kb.ids[i]: score for i, score in zip(others, scores.tolist(), strict=True)}
    expected = evaluate(Run(rows), qrels, MEASURES)
    for measure in MEASURES:
        assert_allclose(found.values[measure][0], expected[measure], atol=1e-6)
        assert_allclose(searched[measure], expected[measure], atol=1e-6)
