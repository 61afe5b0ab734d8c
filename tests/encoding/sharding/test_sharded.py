import json
from pathlib import Path

import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tiny import save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.sharding.sharded import encode_sharded, iter_embeddings, pool_corpus

TEXTS = ["bern", "paris is red", "the river", "rome", "the flag of italy"]
STRATEGY = Strategy.parse("concat(0,-1)/max+ln")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("tiny"))))


@pytest.fixture
def kb(tmp_path: Path) -> KnowledgeBase:
    rows = [{"id": f"p{i}", "title": "the", "text": text} for i, text in enumerate(TEXTS)]
    return KnowledgeBase(table(rows, PASSAGE_COLUMNS), tmp_path, "r")


def test_embeddings_come_shard_by_shard_in_the_corpus_s_order(tiny: Encoder, kb: KnowledgeBase, tmp_path: Path) -> None:
    encode_sharded(tiny, kb, STRATEGY, tmp_path / "e", size=2)
    shards = list(iter_embeddings(tmp_path / "e"))
    assert [shard.ids for shard in shards] == [["p0", "p1"], ["p2", "p3"], ["p4"]]
    assert {(str(shard.strategy), shard.fingerprint) for shard in shards} == {("concat(0,3)/max+ln", tiny.fingerprint)}
    whole = tiny.encode(kb.texts(), STRATEGY).vectors
    assert_allclose([vector for shard in shards for vector in shard.vectors], whole, rtol=1e-5, atol=1e-6)


def test_they_may_be_whitened(tiny: Encoder, kb: KnowledgeBase, tmp_path: Path) -> None:
    states = tiny.pool(kb.ids, kb.texts(), ["mean"])
    strategy = Strategy.parse("-1/mean+white.5")
    whitening = fitted(strategy, states)
    encode_sharded(tiny, kb, strategy, tmp_path / "e", whitening=whitening)
    (found,), wanted = iter_embeddings(tmp_path / "e"), states.embed(strategy, whitening)
    assert found.fingerprint == wanted.fingerprint
    assert_array_equal(found.vectors, wanted.vectors)


def test_a_second_strategy_takes_the_first_one_s_place_when_it_is_through(
    tiny: Encoder, kb: KnowledgeBase, tmp_path: Path
) -> None:
    encode_sharded(tiny, kb, STRATEGY, tmp_path / "e", size=2)
    (tmp_path / "e" / "left.partial").touch()
    encode_sharded(tiny, kb, Strategy.parse("-1/mean"), tmp_path / "e", size=3)
    assert [(len(shard.ids), str(shard.strategy)) for shard in iter_embeddings(tmp_path / "e")] == [
        (3, "3/mean"),
        (2, "3/mean"),
    ]
    assert not list((tmp_path / "e").glob("*.partial"))


def test_shards_in_memory_are_what_one_pass_gives(tiny: Encoder, kb: KnowledgeBase, tmp_path: Path) -> None:
    states = pool_corpus(tiny, kb, ["first", "mean"], tmp_path, size=2)
    whole = tiny.pool(kb.ids, kb.texts(), ["first", "mean"])
    assert (states.ids, states.state_map, list(states.values)) == (whole.ids, whole.state_map, ["first", "mean"])
    for name, values in whole.values.items():
        assert_allclose(states.values[name], values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "said"), [("9/mean", "there is no state 9"), ("-1/median", "unknown pooling 'median'")]
)
def test_a_strategy_that_cannot_be_is_refused_before_any_work(
    tiny: Encoder, kb: KnowledgeBase, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(LabError, match=said):
        encode_sharded(tiny, kb, Strategy.parse(text), tmp_path / "e")
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("manifest", [None, "", "[]", json.dumps({"shards": ["../elsewhere"]})])
def test_a_folder_that_is_not_through_is_refused(tmp_path: Path, manifest: str | None) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest, "utf-8")
    with pytest.raises(LabError, match=r"no embeddings can be read from it .*Encode again"):
        list(iter_embeddings(tmp_path))
