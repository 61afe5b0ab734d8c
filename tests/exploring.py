"""A small task for the explorer's tests, and what its widgets show."""

from collections.abc import Sequence
from pathlib import Path

from tiny import save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.explorer.pictures import CLASS_TOKEN, pictures_of
from hiddenstates.explorer.search import Explorer
from hiddenstates.explorer.view import ExplorerView
from hiddenstates.images.features import embed_images


def asked(folder: Path) -> Task:
    """Two passages of France under one flag, one of Italy, one city without an image; a question about each country."""
    for i, name in enumerate(("fr.png", "it.png", "view.png")):
        save_image(folder / name, i)
    passages = [
        {"id": "fr0", "entity": "fr", "title": "France", "text": "paris is the capital of france", "image": "fr.png"},
        {"id": "fr1", "entity": "fr", "title": "France", "text": "the flag of france is blue", "image": "fr.png"},
        {"id": "it0", "entity": "it", "title": "Italy", "text": "rome is the capital of italy", "image": "it.png"},
        {"id": "x0", "entity": "x", "title": "<b>Bern</b>", "text": "bern is the city of the river"},
    ]
    queries = [
        {"id": "q0", "set": "named", "split": "test", "text": "the capital of italy", "entity": "it"},
        {"id": "q1", "set": "visual", "split": "test", "text": "the flag", "entity": "fr", "view": "4"}
        | {"image": "view.png"},
    ]
    qrels = Qrels({"q0": {"it0": 1.0}, "q1": {"fr1": 1.0, "fr0": 0.0}})
    return Task(KnowledgeBase(table(passages, PASSAGE_COLUMNS), folder, "t"), table(queries, QUERY_COLUMNS), qrels)


def pooled(encoder: Encoder, task: Task, poolings: Sequence[str] = ("first", "mean")) -> TaskStates:
    passages = encoder.pool(task.kb.ids, task.kb.texts(), poolings)
    return TaskStates(passages, encoder.pool(task.queries["id"][:], task.queries["text"][:], poolings))


def explorer_in(folder: Path) -> Explorer:
    """Of the small task, by a tiny encoder of texts and one of images, which are saved in the folder."""
    task = asked(folder)
    encoder = load_encoder(str(save_tiny(folder / "bert")))
    vision = load_encoder(str(save_tiny(folder / "clip", "clip_vision_model")), part="vision")
    features = embed_images(vision, task.kb, ["first"], folder / "features")
    pictures = pictures_of(task.kb, features, vision, Choice(CLASS_TOKEN, vision.fingerprint, {}))
    return Explorer(task, pooled(encoder, task), encoder, pictures)


def ranked(view: ExplorerView) -> str:
    """The rows of the ranking, as HTML."""
    return "".join(row.children[0].children[0].value for row in view.findings.ranking.box.children[1:])
