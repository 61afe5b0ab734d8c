from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tiny import save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import DEFAULT
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.embeddings.whitening import Whitening, Whitenings
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.sharding.engines import LOCAL
from hiddenstates.encoding.sharding.shards import Work, load_embeddings, save_embeddings

TEXTS = ["bern", "paris is red", "the river", "rome", "the flag of italy"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def tiny(model: str) -> Encoder:
    return load_encoder(model)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Five passages in shards of two."""
    return Work(corpus(tmp_path, TEXTS), DEFAULT, tmp_path / "shards", size=2)


def corpus(images: Path, texts: list[str], image: str = "") -> KnowledgeBase:
    rows = [{"id": f"p{i}", "title": "", "text": text, "image": image} for i, text in enumerate(texts)]
    return KnowledgeBase(table(rows, PASSAGE_COLUMNS), images, "r")


def names(work: Work, encoder: Encoder) -> list[str]:
    return [work.shard(encoder, start).path.name for start in work.starts()]


def test_a_corpus_is_cut_in_its_order(work: Work, tiny: Encoder) -> None:
    shards = [work.shard(tiny, start) for start in work.starts()]
    assert [shard.ids for shard in shards] == [["p0", "p1"], ["p2", "p3"], ["p4"]]
    assert [shard.inputs for shard in shards] == [TEXTS[:2], TEXTS[2:4], TEXTS[4:]]


def test_a_corpus_without_passages_is_one_empty_shard(work: Work, tiny: Encoder, tmp_path: Path) -> None:
    work = replace(work, corpus=corpus(tmp_path, []))
    (path,) = LOCAL.make(tiny, work)
    assert load_embeddings(path).vectors.shape == (0, 32)


def test_a_shard_s_name_changes_with_what_is_in_it_alone(work: Work, tiny: Encoder, model: str, tmp_path: Path) -> None:
    before = names(work, tiny)
    assert names(work, load_encoder(model)) == before
    assert names(replace(work, folder=tmp_path / "elsewhere"), tiny) == before
    changed = replace(work, corpus=corpus(tmp_path, [*TEXTS[:2], "the city", *TEXTS[3:]]))
    assert [a == b for a, b in zip(names(changed, tiny), before, strict=True)] == [True, False, True]
    whitening = Whitenings({"-1/mean+white.5": Whitening(np.zeros(32, np.float32), np.eye(32, dtype=np.float32))})
    for other in (replace(work, wanted=("mean",)), replace(work, whitening=whitening)):
        assert set(names(other, tiny)).isdisjoint(before)
    assert set(names(work, load_encoder(model, max_tokens=4))).isdisjoint(before)


def test_a_shard_s_name_changes_with_the_prompt_of_its_side(work: Work, tiny: Encoder, model: str) -> None:
    before, asked = names(work, tiny), replace(work, side="query")
    assert names(asked, tiny) == before  # without prompts both sides are read alike
    told = load_encoder(model, query="red ")
    assert set(names(asked, told)).isdisjoint([*before, *names(work, told)])
    assert set(names(asked, load_encoder(model, query="blue "))).isdisjoint(names(asked, told))
    assert set(names(asked, load_encoder(model, query="red ", pool_prompt=False))).isdisjoint(names(asked, told))


def test_a_shard_s_name_changes_with_an_image_s_content(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path / "clip", "clip")), part="vision")
    work = Work(corpus(tmp_path, TEXTS, "a.png"), ("first",), tmp_path / "shards")
    found = [names(work, encoder) for seed in (1, 2, 1) if save_image(tmp_path / "a.png", seed=seed)]
    assert found[0] == found[2] != found[1]


def test_what_an_encoder_cannot_read_is_left_out(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path / "clip", "clip")), part="vision")
    save_image(tmp_path / "a.png", seed=1)
    rows = [{"id": f"p{i}", "image": name} for i, name in enumerate(["", "a.png", "", ""])]
    work = Work(KnowledgeBase(table(rows, PASSAGE_COLUMNS), tmp_path, "r"), ("first",), tmp_path / "shards", size=2)
    assert [work.shard(encoder, start).ids for start in work.starts()] == [["p1"], []]
    assert len(LOCAL.make(encoder, work)) == 2


def test_a_shard_that_is_there_is_not_made_again(work: Work, tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = LOCAL.make(tiny, work)
    made: list[list[str]] = []
    monkeypatch.setattr(Work, "make", lambda self, encoder, shard: made.append(shard.ids))
    assert LOCAL.make(tiny, work) == paths
    paths[1].unlink()
    LOCAL.make(tiny, work)
    assert made == [["p2", "p3"]]


@pytest.mark.parametrize("damage", [lambda whole: whole[:-8], lambda whole: b"", lambda whole: b"nothing of a shard"])
def test_a_damaged_shard_is_made_again(work: Work, tiny: Encoder, damage: object) -> None:
    path, *_ = LOCAL.make(tiny, work)
    whole = path.read_bytes()
    assert callable(damage)
    path.write_bytes(damage(whole))
    LOCAL.make(tiny, work)
    assert path.read_bytes() == whole


def test_a_shard_about_other_items_is_made_again(work: Work, tiny: Encoder) -> None:
    paths = LOCAL.make(tiny, work)
    whole = paths[0].read_bytes()
    paths[0].write_bytes(paths[1].read_bytes())
    LOCAL.make(tiny, work)
    assert paths[0].read_bytes() == whole


def test_of_a_shard_that_fails_nothing_stays(work: Work, tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hiddenstates.encoding.sharding.shards.save_embeddings", lambda made, path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        LOCAL.make(tiny, work)
    assert list(work.folder.iterdir()) == []


def test_embeddings_come_back(tmp_path: Path) -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    save_embeddings(Embeddings(["Ω", "b"], vectors, DEFAULT, "abc"), tmp_path / "e")
    back = load_embeddings(tmp_path / "e")
    assert (back.ids, back.strategy, back.fingerprint) == (["Ω", "b"], DEFAULT, "abc")
    assert_array_equal(back.vectors, vectors)


def test_a_file_that_is_no_shard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(b"no shard")
    with pytest.raises(LabError, match=r"e: no shard can be read from it .*Encode again"):
        load_embeddings(tmp_path / "e")


def test_an_encoder_that_nothing_loads_again_is_refused(work: Work, tiny: Encoder) -> None:
    with pytest.raises(LabError, match=r"changed since it was loaded\. Load it by load_encoder alone"):
        LOCAL.make(replace(tiny, source=None), work)
