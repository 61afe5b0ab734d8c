from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.sharding.sharded import encode_sharded, pool_task
from hiddenstates.retrieval.bm25 import bm25_run
from hiddenstates.retrieval.everything import search_everything
from hiddenstates.retrieval.index import IndexBundle
from hiddenstates.retrieval.index.beside import Beside
from hiddenstates.retrieval.index.large import build_large
from hiddenstates.retrieval.index.streaming import search_shards
from hiddenstates.retrieval.pool import Pool, at_most, candidates, draw_pool, read_pool, too_many
from hiddenstates.retrieval.search import search, search_index

WORDS = ["bern", "paris", "rome", "the river", "the flag of italy", "red city", "blue city", "capital of france"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("tiny"))))


@pytest.fixture
def task(tmp_path: Path) -> Task:
    texts = [f"{a} {b}" for a in WORDS for b in WORDS]
    passages = table([{"id": f"p{i}", "text": text} for i, text in enumerate(texts)], PASSAGE_COLUMNS)
    queries = [
        {"id": f"q{i}", "set": "one", "split": split, "text": WORDS[i]}
        for i, split in enumerate(["train", "train", "dev", "dev", "dev", "test", "test", "test"])
    ]
    qrels = Qrels({f"q{i}": {f"p{i * 9}": 1.0} for i in range(8)})
    return Task(KnowledgeBase(passages, tmp_path, "r"), table(queries, QUERY_COLUMNS), qrels)


def test_judged_passages_come_first_then_the_lists_rank_by_rank_then_random_ones(task: Task) -> None:
    lists = [Run({"q2": {"p1": 3.0, "p2": 2.0}, "q3": {"p3": 3.0, "p0": 2.0}}), Run({"q2": {"p4": 1.0, "p1": 0.5}})]
    drawn, pool = draw_pool(task, 14, lists)
    judged = {f"p{i * 9}" for i in range(8)}
    assert pool == Pool(passages=64, judged=8, found=4, drawn=2, seed=0)
    assert judged | {"p1", "p2", "p3", "p4"} < set(drawn.kb.ids)
    assert len(pool) == len(drawn.kb.ids) == 14
    assert drawn.kb.ids == sorted(drawn.kb.ids, key=lambda id: int(id[1:])), "in the corpus's order"
    assert dict(drawn.qrels.rows) == dict(task.qrels.rows)
    assert drawn.queries["id"][:] == task.queries["id"][:]


def test_where_there_is_room_for_few_the_first_ranks_go_in(task: Task) -> None:
    lists = [Run({"q2": {"p1": 3.0, "p2": 2.0}}), Run({"q2": {"p3": 1.0, "p4": 0.5}})]
    drawn, pool = draw_pool(task, 10, lists)
    assert (pool.found, pool.drawn) == (2, 0)
    assert {"p1", "p3"} < set(drawn.kb.ids)


def test_all_judged_passages_are_in_a_pool_that_is_too_small_for_them(task: Task) -> None:
    drawn, pool = draw_pool(task, 3, [Run({"q2": {"p1": 1.0}})])
    assert drawn.kb.ids == [f"p{i * 9}" for i in range(8)]
    assert (pool.judged, pool.found, pool.drawn) == (8, 0, 0)


def test_the_seed_draws_the_random_ones(task: Task) -> None:
    drawn = [set(draw_pool(task, 30, [], seed)[0].kb.ids) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_corpus_that_fits_is_no_pool_nor_are_sentence_pairs(task: Task) -> None:
    assert [too_many(task, most) for most in (63, 64, None)] == [True, False, False]
    assert not too_many(Task(task.kb, task.queries, task.qrels, "similarity"), 3)


def test_at_most_so_many_passages_are_read_where_no_search_is_to_be_judged(task: Task) -> None:
    assert at_most(task, None) is at_most(task, 64) is task
    part = at_most(task, 20, seed=3)
    assert part.kb.ids == draw_pool(task, 20, [], seed=3)[0].kb.ids
    assert len(part.kb.ids) == 20
    assert dict(part.qrels.rows) == dict(task.qrels.rows)


def test_a_pool_comes_back_as_it_was(tmp_path: Path) -> None:
    pool = Pool(passages=64, judged=8, found=4, drawn=2, seed=7)
    pool.save(tmp_path)
    assert read_pool(tmp_path) == pool
    assert str(pool) == (
        "a pool of 14 of 64 passages: 8 judged, 4 that BM25 or the published embedding ranks high, 2 at random"
    )


def test_without_its_file_there_is_no_pool_and_a_spoilt_one_is_refused(tmp_path: Path) -> None:
    assert read_pool(tmp_path) is None
    (tmp_path / "pool.json").write_text('{"passages": 64, "judged": "many"}')
    with pytest.raises(LabError, match=r"pool.json: no pool can be read from it \(judged: .*Run the stage `states`"):
        read_pool(tmp_path)


def test_candidates_are_the_best_of_all_passages_for_dev_and_test(task: Task, tiny: Encoder, tmp_path: Path) -> None:
    words, vectors = candidates(task, tiny, tmp_path)
    asked = [f"q{i}" for i in range(2, 8)]
    assert list(words) == list(vectors) == asked
    states = pool_task(tiny, task, ["mean"])
    wanted = search(states, task.select(split=("dev", "test")), states.default, 64)
    for query in asked:
        assert vectors[query] == pytest.approx(dict(wanted[query]), abs=1e-5)


@pytest.fixture
def shards(task: Task, tiny: Encoder, tmp_path: Path) -> Path:
    encode_sharded(tiny, task.kb, tiny.baseline.strategy, tmp_path / "shards", size=10)
    return tmp_path / "shards"


def test_shards_are_searched_as_all_in_memory(task: Task, tiny: Encoder, shards: Path) -> None:
    queries = tiny.encode(WORDS, tiny.baseline.strategy, task.queries["id"][:], "query")
    passages = tiny.encode(task.kb.texts(), tiny.baseline.strategy, task.kb.ids)
    cosines = queries.vectors @ passages.vectors.T
    for query, row in zip(queries.ids, cosines, strict=True):
        found = search_shards(shards, queries, 12)[query]
        assert list(found.values()) == pytest.approx(np.sort(row)[::-1][:12].tolist(), abs=1e-6)
        assert all(row[int(id[1:])] == pytest.approx(score, abs=1e-6) for id, score in found.items())


def test_no_more_are_found_than_there_are(tiny: Encoder, shards: Path) -> None:
    queries = tiny.encode(["bern"], tiny.baseline.strategy, ["q"], "query")
    assert sorted(search_shards(shards, queries, 100)["q"]) == sorted(f"p{i}" for i in range(64))


def test_queries_of_another_strategy_are_refused(tiny: Encoder, shards: Path) -> None:
    with pytest.raises(LabError, match=r"embeddings by .* the queries are by .*Encode both alike"):
        search_shards(shards, tiny.encode(["bern"], "0/mean", ["q"], "query"), 3)


@pytest.fixture
def everything(task: Task, tiny: Encoder, tmp_path: Path) -> Callable[[float], dict[str, Run]]:
    def ask(weight: float) -> dict[str, Run]:
        drawn, _ = draw_pool(task, 20, candidates(task, tiny, tmp_path / "published"))
        states: TaskStates = pool_task(tiny, drawn, ["mean"])
        choice = Choice(states.default, tiny.fingerprint, {}, weight=weight)
        words = Beside(task.kb, weight) if weight < 1 else None
        served = build_large(tmp_path / "published", tmp_path / "index", "Flat", words=words)
        return search_everything(choice, states, task, served, tmp_path / "published", 50)

    return ask


def test_everything_is_searched_though_the_states_are_of_a_pool(
    task: Task, tiny: Encoder, everything: Callable[[float], dict[str, Run]]
) -> None:
    runs = everything(1.0)
    test = task.select(split="test")
    assert list(runs) == ["bm25", "default", "chosen"]
    assert all(list(run) == ["q5", "q6", "q7"] for run in runs.values())
    assert dict(runs["bm25"].rows) == dict(bm25_run(test, 50).rows)
    whole = search(pool_task(tiny, task, ["mean"]), test, tiny.baseline.strategy.resolve(4), 50)
    for query in whole:
        best = sorted(whole[query].values(), reverse=True)
        assert list(runs["default"][query].values()) == pytest.approx(best, abs=1e-5)
        assert sorted(runs["chosen"][query].values(), reverse=True) == pytest.approx(best, abs=1e-5)


def test_words_stand_beside_the_vectors_of_all_passages(
    task: Task, tiny: Encoder, everything: Callable[[float], dict[str, Run]], tmp_path: Path
) -> None:
    runs = everything(0.5)
    test = task.select(split="test")
    asked = tiny.encode(test.queries["text"][:], tiny.baseline.strategy.resolve(4), test.queries["id"][:], "query")
    served = IndexBundle.load(tmp_path / "index", asked)
    assert search_index(served, asked, test, 50) == runs["fused"]
    for query, row in search_index(replace(served, words=None), asked, test, 50).rows.items():
        assert runs["chosen"][query] == pytest.approx(row, abs=1e-6)  # by the vectors alone
    for query, found in runs["fused"].rows.items():
        near, worded = runs["default"][query], runs["bm25"][query]
        first = next(iter(found))
        assert found[first] == pytest.approx(
            0.5 * near[first] + 0.5 * worded.get(first, 0.0) / max(worded.values()), abs=1e-5
        )
