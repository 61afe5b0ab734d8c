"""Systems that look at an image, over all passages, from lists on disk: what their definitions say."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from tiny import save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.clip import Clip, load_clip
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.sharding.sharded import encode_sharded
from hiddenstates.images import everything as images_everything
from hiddenstates.images.everything import StoredPictures, embed_everything
from hiddenstates.images.several import several_views
from hiddenstates.retrieval.fusion import lists
from hiddenstates.retrieval.fusion.lists import Lists, Looked
from hiddenstates.retrieval.fusion.runs import weighted
from hiddenstates.retrieval.fusion.soft_filter import SoftFilter
from hiddenstates.retrieval.fusion.systems import Tuned, answers, tune
from hiddenstates.retrieval.index import IndexBundle, build_index, large
from hiddenstates.retrieval.index.large import build_large
from hiddenstates.retrieval.pool import draw_pool

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


def tuned_on_a_pool(task: Task, bert: Encoder, questions: Embeddings, looked: Looked) -> Tuned:
    drawn, pool = draw_pool(task, 30, [])
    assert (pool.judged, pool.drawn) == (10, 20)
    index = build_index(bert.encode(drawn.kb.texts(), TEXT, drawn.kb.ids))
    return tune(Lists.of(drawn, questions, index, looked), task.select(split="dev").qrels, "mrr@10", [1, 2, 3], DEPTH)


def by_hand(task: Task, questions: Embeddings, index: IndexBundle, looked: Looked, tuned: Tuned) -> dict[str, Run]:
    """Every system's whole list of each question, from its definition, a question at a time."""
    names = looked.pictures.names
    of = zip(task.kb.ids, task.kb.passages["image"][:], strict=True)
    image_of = {id: names[image] for id, image in of if image in names}
    (pictures,) = looked.pictures.parts()
    title_of = dict(zip(task.kb.ids, task.kb.passages["title"][:], strict=True))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for query, view in looked.shown.items():
        own = query if task.ignore_identical_ids else None
        text = {p: s for p, s in index.search(questions, len(index.ids))[query].items() if p != own}
        asking = looked.views.vectors[looked.views.ids.index(view)].astype(float)
        likeness = dict(zip(pictures.ids, (pictures.vectors.astype(float) @ asking).tolist(), strict=True))
        image = {p: likeness[picture] for p, picture in image_of.items() if p != own}
        named = looked.clip.embed_images([task.kb.images / view]) @ looked.clip.embed_texts(PLACES).T
        name = {p: float(named[0, PLACES.index(title_of[p])]) for p in image}
        runs = {"text": Run({query: text}), "image": Run({query: image})}
        near = sorted(likeness, key=likeness.__getitem__, reverse=True)[: tuned.count]
        rows = {
            "image": image,
            "name": name,
            "weighted": dict(weighted(runs, tuned.weighting.weights, tuned.weighting.norm)[query]),
            "reciprocal_rank": {
                p: sum(1 / (60 + sum(other >= row[p] for other in row.values())) for row in (text, image) if p in row)
                for p in text | image
            },
            "filtered": {p: score for p, score in text.items() if image_of.get(p) in near},
            "soft_filter": softly(text, image, image_of, tuned.soft),
        }
        for system, row in rows.items():
            found.setdefault(system, {})[query] = row
    return {system: Run(rows) for system, rows in found.items()}


def softly(
    text: dict[str, float], image: dict[str, float], image_of: dict[str, str], soft: SoftFilter
) -> dict[str, float]:
    held = [text[p] for p in image if p in text]
    lowest, mean, deviation = min(held), np.mean(held), np.std(held)
    by_text = {p: (text.get(p, lowest) - mean) / deviation / soft.text for p in image}
    looks = {p: (score - np.mean([*image.values()])) / np.std([*image.values()]) for p, score in image.items()}
    of_image = {image_of[p]: score / soft.image for p, score in looks.items()}
    shared = {picture: logsumexp([by_text[p] for p in image if image_of[p] == picture]) for picture in of_image}
    whole = logsumexp(list(of_image.values()))
    return {p: float(of_image[image_of[p]] - whole + by_text[p] - shared[image_of[p]]) for p in image}


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat nprobe=2"])
def test_over_all_passages_each_system_finds_what_its_definition_says_though_a_pool_chose(
    factory: str,
    task: Task,
    bert: Encoder,
    questions: Embeddings,
    looked: Looked,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(large, "SHARDS_A_PART", 2)
    monkeypatch.setattr(lists, "ON_DISK", 4 * 54)
    monkeypatch.setattr(lists, "SCORES_AT_ONCE", 3 * 54)
    monkeypatch.setattr(lists, "TITLES", 2)
    encode_sharded(bert, task.kb, TEXT, tmp_path / "shards", size=10)
    served = build_large(tmp_path / "shards", tmp_path / "index", factory)
    tuned = tuned_on_a_pool(task, bert, questions, looked)
    found = answers(Lists.of(task, questions, served, looked), tuned, DEPTH)
    index = build_index(bert.encode(task.kb.texts(), TEXT, task.kb.ids), factory)
    wanted = by_hand(task, questions, index, looked, tuned)
    assert list(found) == list(wanted)
    for system, run in wanted.items():
        assert list(found[system]) == list(run) == task.queries["id"][:]
        for query, row in run.rows.items():
            ranked = sorted(row.values(), reverse=True)[:DEPTH]
            ours = found[system][query]
            assert list(ours.values())[:DEPTH] == pytest.approx(ranked, abs=5e-4), (system, query)
            assert ours == pytest.approx({p: row[p] for p in ours}, abs=5e-4), (system, query)


def test_lists_that_fit_on_disk_at_once_say_the_same(
    task: Task, bert: Encoder, questions: Embeddings, looked: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = build_index(bert.encode(task.kb.texts(), TEXT, task.kb.ids))
    tuned = tuned_on_a_pool(task, bert, questions, looked)
    whole = Lists.of(task, questions, index, looked)
    once = answers(whole, tuned, DEPTH) | {"text": whole.text(DEPTH)}
    monkeypatch.setattr(lists, "ON_DISK", 54)
    again = answers(whole, tuned, DEPTH) | {"text": whole.text(DEPTH)}
    for system, run in once.items():
        for query, row in run.rows.items():
            assert again[system][query] == pytest.approx(row, abs=5e-4), (system, query)


@pytest.mark.usefixtures("looked")
def test_every_picture_is_stored_once_and_what_is_broken_named(task: Task, eye: Encoder, tmp_path: Path) -> None:
    stored = StoredPictures.load(tmp_path / "pictures")
    assert list(stored.ids()) == ["bern.png", "italy.png", "france.png", "the city.png"]
    assert stored.names["paris.png"] == "bern.png"
    assert list(stored.faults) == ["rome.png"]
    some = stored.select({"the city.png", "bern.png"}).embeddings
    assert some.ids == ["bern.png", "the city.png"]
    assert_allclose(some.vectors, eye.encode([task.kb.images / id for id in some.ids], LOOK).vectors, atol=1e-6)


def test_where_views_gained_their_mean_is_stored(
    task: Task, eye: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images_everything, "PICTURES_PER_SHARD", 3)
    choice = Choice(LOOK.resolve(4), eye.fingerprint, {"views": 2, "kind": "crop"})
    stored = embed_everything(eye, task.kb, choice, 5, tmp_path / "views")
    names = list(stored.ids())
    clean = eye.pool(names, [task.kb.images / name for name in names], ["first"])
    mean = several_views(eye, task.kb.images, clean, LOOK, [2], "crop", 5).means[2]
    assert_allclose(stored.select(names).embeddings.vectors, choice.embed(mean).vectors, atol=1e-6)
    assert np.abs(stored.select(names).embeddings.vectors - choice.embed(clean).vectors).max() > 1e-3


def test_pictures_that_are_not_there_are_asked_of_the_stage(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"no pictures can be read from it .*Run the stage `images` again"):
        StoredPictures.load(tmp_path)
