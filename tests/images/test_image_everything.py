"""Every picture embedded once, in shards: a killed run goes on, what it left of other pictures stays behind."""

from pathlib import Path
from typing import Any

import pytest
from passes import watch_passes
from tiny import save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.images import everything
from hiddenstates.images.everything import StoredPictures, embed_everything

LOOK, SEED = Strategy.parse("2/first"), 3
EVIDENCE: dict[str, dict[str, Any]] = {"clean": {}, "views": {"views": 2, "kind": "crop"}}


@pytest.fixture(scope="module")
def eye(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("clip"), "clip")), part="vision")


@pytest.fixture
def kb(tmp_path: Path) -> KnowledgeBase:
    """Five passages, each with a picture of its own."""
    root = tmp_path / "images"
    root.mkdir()
    for seed in range(5):
        save_image(root / f"picture{seed}.png", seed)
    passages = table([{"id": f"p{i}", "image": f"picture{i}.png"} for i in range(5)], PASSAGE_COLUMNS)
    return KnowledgeBase(passages, root, "test")


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pictures that the eye looked at, in shards of two, without their views, which lie in passing files."""
    looked: list[str] = []
    watch_passes(monkeypatch, lambda inputs: looked.extend(p.name for p in inputs if p.name.startswith("picture")))
    monkeypatch.setattr(everything, "PICTURES_PER_SHARD", 2)
    return looked


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", EVIDENCE)
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    eye: Encoder, kb: KnowledgeBase, tmp_path: Path, embedded: list[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    choice = Choice(LOOK, eye.fingerprint, EVIDENCE[kind])
    expected = content(embed_everything(eye, kb, choice, SEED, tmp_path / "whole").folder)
    counting = Encoder.pool

    def killed(encoder: Encoder, ids: Any, inputs: Any, *more: Any) -> Any:
        if "picture4.png" in ids:
            raise KeyboardInterrupt
        return counting(encoder, ids, inputs, *more)

    monkeypatch.setattr(Encoder, "pool", killed)
    with pytest.raises(KeyboardInterrupt):
        embed_everything(eye, kb, choice, SEED, tmp_path / "kept")
    monkeypatch.setattr(Encoder, "pool", counting)
    embedded.clear()
    stored = embed_everything(eye, kb, choice, SEED, tmp_path / "kept")
    assert embedded == ["picture4.png"]  # the others were there
    assert content(stored.folder) == expected
    stored.move(tmp_path / "moved")
    assert content(tmp_path / "moved") == expected
    assert StoredPictures.load(tmp_path / "moved").folder == tmp_path / "moved"


@pytest.mark.parametrize("kind", EVIDENCE)
def test_shards_of_other_pictures_are_neither_read_nor_handed_on(
    eye: Encoder, kb: KnowledgeBase, tmp_path: Path, embedded: list[str], kind: str
) -> None:
    choice = Choice(LOOK, eye.fingerprint, EVIDENCE[kind])
    embed_everything(eye, kb, choice, SEED, tmp_path / "kept")
    save_image(kb.images / "picture3.png", 9)  # another picture under its name
    embedded.clear()
    stored = embed_everything(eye, kb, choice, SEED, tmp_path / "kept").move(tmp_path / "moved")
    assert embedded == ["picture2.png", "picture3.png"]  # a shard
    assert content(stored.folder) == content(embed_everything(eye, kb, choice, SEED, tmp_path / "anew").folder)


def test_shards_of_other_views_are_not_read(eye: Encoder, kb: KnowledgeBase, tmp_path: Path) -> None:
    found = [
        embed_everything(eye, kb, Choice(LOOK, eye.fingerprint, evidence), seed, tmp_path / "kept")
        for evidence, seed in [
            (EVIDENCE["clean"], SEED),
            (EVIDENCE["views"], SEED),
            (EVIDENCE["views"], SEED + 1),
            (EVIDENCE["views"] | {"views": 3}, SEED),
            (EVIDENCE["views"] | {"kind": "camera"}, SEED),
        ]
    ]
    assert {stored.folder for stored in found} == {tmp_path / "kept"}
    assert len(list((tmp_path / "kept").glob("*.safetensors"))) == len(found)
