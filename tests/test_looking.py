"""Image systems over all passages from lists on disk: what the lists in memory give, though a pool chose."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tiny import save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.clip import Clip, load_clip
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.pooled import Embeddings
from hiddenstates.encoding.sharded import encode_sharded
from hiddenstates.images import everything as images_everything
from hiddenstates.images.everything import StoredPictures, embed_everything
from hiddenstates.images.several import several_views
from hiddenstates.retrieval import looking
from hiddenstates.retrieval.index import IndexBundle, build_index, large
from hiddenstates.retrieval.index.large import build_large
from hiddenstates.retrieval.looking import Looked, look_everywhere
from hiddenstates.retrieval.pool import draw_pool
from hiddenstates.retrieval.shown import Shown, search_images
from hiddenstates.retrieval.systems import Lists, Tuned, answers, with_images

PLACES = ["bern", "paris", "rome", "italy", "france", "the city"]
FACTS = ["flag", "capital", "river of france", "red", "blue", "the city", "is red", "is the capital of", "of the city"]
TEXT, LOOK = Strategy.parse("3/mean"), Strategy.parse("2/first")
DEPTH = 12


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("bert"))))


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("clip"), "clip")


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> Clip:
    return load_clip(str(clip_folder))


@pytest.fixture(scope="module")
def eye(clip_folder: Path) -> Encoder:
    return load_encoder(str(clip_folder), part="vision")


@pytest.fixture(params=[False, True], ids=["questions", "questions that are passages"])
def task(request: pytest.FixtureRequest, tmp_path: Path) -> Task:
    """54 passages: nine of each place. The picture of `paris` is a copy of that of `bern`, that of `rome` is broken."""
    root = tmp_path / "images"
    root.mkdir()
    for seed, place in enumerate(PLACES):
        save_image(root / f"{place}.png", seed, size=(40, 30))
    shutil.copy(root / "bern.png", root / "paris.png")
    (root / "rome.png").write_bytes(b"no picture")
    passages = [
        {"id": f"p{i}", "title": place, "text": fact, "image": f"{place}.png" if fact != "blue" else ""}
        for i, (place, fact) in enumerate((place, fact) for place in PLACES for fact in FACTS)
    ]
    same = request.param
    asked = [0, 1, 9, 28, 29, 37, 38, 46, 47, 45]  # of places with a sound picture
    for i in asked:
        save_image(root / f"view{i}.png", 100 + i)
    queries = [
        {"id": f"p{i}" if same else f"q{i}", "set": "seen", "split": "dev" if n < 5 else "test", "text": FACTS[i % 9]}
        | {"image": f"view{i}.png"}
        for n, i in enumerate(asked)
    ]
    wanted = {query["id"]: {f"p{(i + 1) if same else i}": 1.0} for query, i in zip(queries, asked, strict=True)}
    kb = KnowledgeBase(table(passages, PASSAGE_COLUMNS), root, "r")
    return Task(kb, table(queries, QUERY_COLUMNS), Qrels(wanted), ignore_identical_ids=same)


@pytest.fixture
def questions(task: Task, bert: Encoder) -> Embeddings:
    return bert.encode(task.queries["text"][:], TEXT, task.queries["id"][:], "query")


@pytest.fixture
def looked(task: Task, eye: Encoder, clip: Clip, tmp_path: Path) -> Looked:
    stored = embed_everything(eye, task.kb, Choice(LOOK, eye.fingerprint, {}), 0, tmp_path / "pictures")
    images = task.queries["image"][:]
    views = eye.encode([task.kb.images / name for name in images], LOOK, images)
    return Looked(stored, views, dict(zip(task.queries["id"][:], images, strict=True)), clip)


def in_memory(task: Task, questions: Embeddings, index: IndexBundle, looked: Looked) -> tuple[Lists, Shown]:
    shown = Shown({}, looked.shown)
    names = looked.pictures.names
    of = zip(task.kb.ids, task.kb.passages["image"][:], strict=True)
    shown = Shown({id: names[image] for id, image in of if image in names}, looked.shown)
    images = search_images(looked.pictures.select(set(shown.passages.values())), looked.views)
    return Lists.of(task, shown, index.search(questions, len(index.ids)), images, looked.clip), shown


def tuned_on_a_pool(task: Task, bert: Encoder, questions: Embeddings, looked: Looked) -> Tuned:
    drawn, pool = draw_pool(task, 30, [])
    assert (pool.judged, pool.drawn) == (10, 20)
    index = build_index(bert.encode(drawn.kb.texts(), TEXT, drawn.kb.ids))
    lists, shown = in_memory(drawn, questions, index, looked)
    tuned = with_images(lists, shown, drawn.select(split="dev"), "mrr@10", [1, 2, 3], DEPTH).tuned
    assert tuned is not None
    return tuned


def whole_rows(run: Run) -> dict[str, dict[str, float]]:
    """Without those that tie at the end, of which not all are kept."""
    found = {}
    for query, row in run.rows.items():
        last = min(row.values(), default=0.0)
        tied = [p for p, score in row.items() if score == last] if len(row) >= DEPTH else []
        found[query] = {p: score for p, score in row.items() if p not in tied}
    return found


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat nprobe=2"])
def test_lists_on_disk_give_what_lists_in_memory_do(
    factory: str,
    task: Task,
    bert: Encoder,
    questions: Embeddings,
    looked: Looked,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(large, "SHARDS_A_PART", 2)
    monkeypatch.setattr(looking, "ON_DISK", 4 * 54)
    monkeypatch.setattr(looking, "AT_ONCE", 3 * 54)
    monkeypatch.setattr(looking, "TITLES", 2)
    encode_sharded(bert, task.kb, TEXT, tmp_path / "shards", size=10)
    served = build_large(tmp_path / "shards", tmp_path / "index", factory)
    tuned = tuned_on_a_pool(task, bert, questions, looked)
    found = look_everywhere(task, questions, served, looked, tuned, DEPTH)
    index = build_index(bert.encode(task.kb.texts(), TEXT, task.kb.ids), factory)
    wanted = answers(*in_memory(task, questions, index, looked), tuned, DEPTH)
    assert list(found) == list(wanted)
    for system, run in wanted.items():
        ours, theirs = whole_rows(found[system]), whole_rows(run)
        assert list(ours) == list(theirs) == task.queries["id"][:]
        for query, row in theirs.items():
            assert ours[query] == pytest.approx(row, abs=5e-4), (system, query)
            assert len(found[system][query]) >= min(DEPTH, len(run[query])), "as many, ties at the end or not"
    assert any(row for row in whole_rows(wanted["weighted"]).values())


def test_of_those_that_tie_at_the_end_as_many_are_kept_as_show_that_they_do(
    task: Task, bert: Encoder, questions: Embeddings, looked: Looked
) -> None:
    tuned = tuned_on_a_pool(task, bert, questions, looked)
    index = build_index(bert.encode(task.kb.texts(), TEXT, task.kb.ids))
    run = look_everywhere(task, questions, index, looked, tuned, 3)["image"]
    assert {len(row) for row in run.rows.values()} <= {6}, "a picture has eight passages or more: all of them tie"
    assert all(len(set(row.values())) == 1 for row in run.rows.values())


def test_every_picture_is_stored_once_and_what_is_broken_named(task: Task, eye: Encoder, looked: Looked) -> None:
    stored = StoredPictures.load(looked.pictures.folder)
    assert list(stored.ids()) == ["bern.png", "italy.png", "france.png", "the city.png"]
    assert stored.names["paris.png"] == "bern.png"
    assert list(stored.faults) == ["rome.png"]
    some = stored.select({"the city.png", "bern.png"})
    assert some.ids == ["bern.png", "the city.png"]
    assert_allclose(some.vectors, eye.encode([task.kb.images / id for id in some.ids], LOOK).vectors, atol=1e-6)


def test_where_views_gained_their_mean_is_stored(
    task: Task, eye: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images_everything, "AT_ONCE", 3)
    choice = Choice(LOOK.resolve(4), eye.fingerprint, {"views": 2, "kind": "crop"})
    stored = embed_everything(eye, task.kb, choice, 5, tmp_path / "views")
    names = list(stored.ids())
    clean = eye.pool(names, [task.kb.images / name for name in names], ["first"])
    mean = several_views(eye, task.kb.images, clean, LOOK, [2], "crop", 5).means[2]
    assert_allclose(stored.select(names).vectors, choice.embed(mean).vectors, atol=1e-6)
    assert np.abs(stored.select(names).vectors - choice.embed(clean).vectors).max() > 1e-3


def test_pictures_that_are_not_there_are_asked_of_the_stage(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"no pictures can be read from it .*Run the stage `images` again"):
        StoredPictures.load(tmp_path)
