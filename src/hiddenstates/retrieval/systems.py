"""The ways to answer a question that shows an image, from whole lists: one list alone, late fusion, a filter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.encoding.clip import Clip
from hiddenstates.retrieval.fusion import cut, onto_passages, reciprocal_rank
from hiddenstates.retrieval.measures import evaluate
from hiddenstates.retrieval.shown import Shown, search_names
from hiddenstates.retrieval.soft_filter import SoftFilter, choose_soft_filter
from hiddenstates.retrieval.weighing import Weighting, choose_count, choose_weights


@dataclass(frozen=True)
class Lists:
    """Whole lists: where the right passage stands far down one of them, the other can still bring it up.

    text, image, name: passages, by the question's text, by its image, by its image's likeness to the passages' titles
    images: images by images, as `search_images` gives them
    """

    text: Run
    image: Run
    name: Run
    images: Run

    @classmethod
    def of(cls, task: Task, shown: Shown, text: Run, images: Run, clip: Clip) -> "Lists":
        """The lists of the questions that show an image."""
        titles = dict(zip(task.kb.ids, task.kb.passages["title"][:], strict=True))
        named = {passage: titles[passage] for passage in shown.passages}
        views = {image: task.kb.images / image for image in dict.fromkeys(shown.queries.values())}
        names = onto_passages(search_names(clip, views, list(named.values())), named, shown.queries)
        every = (text, shown.onto_passages(images), names)
        text, image, name = (task.searched(partial(_whole, run), len(titles)) for run in every)
        return cls(text, image, name, images)


def _whole(run: Run, _: int) -> Run:
    return run


@dataclass(frozen=True)
class Tuned:
    """What the systems leave open. count: of the nearest images whose passages the filter keeps"""

    weighting: Weighting
    count: int
    soft: SoftFilter


@dataclass(frozen=True)
class Systems:
    """Runs by the name of their system, and what was chosen on dev; both empty where no dev question shows an image."""

    runs: dict[str, Run]
    chosen: dict[str, Any]
    tuned: Tuned | None = None


def with_images(lists: Lists, shown: Shown, dev: Task, measure: str, counts: Sequence[int], depth: int) -> Systems:
    """Every system that looks at the image, over all queries of the lists.

    dev:    chooses the weights, their normalisation, how many of the nearest images the filter keeps, and the soft
            filter's temperatures
    counts: how many images the filter may keep
    depth:  passages that each run keeps
    """
    asked = shown.asked(dev).qrels
    if not asked:
        return Systems({}, {})
    both = {"text": lists.text, "image": lists.image}
    weighting = choose_weights(both, asked, measure)
    filtered = partial(shown.filtered, lists.text, lists.images)
    count, score = choose_count(filtered, counts, asked, measure)
    soft = choose_soft_filter(lists.text, lists.image, shown.passages, asked, measure)
    tuned = Tuned(weighting, count, soft)
    told = {"weights": weighting.weights, "norm": weighting.norm, "weighted on dev": weighting.score}
    told |= {"nearest images": count, "filtered on dev": score}
    told |= {"temperatures": {"image": soft.image, "text": soft.text}, "soft filter on dev": soft.score}
    return Systems(answers(lists, shown, tuned, depth), told, tuned)


def answers(lists: Lists, shown: Shown, tuned: Tuned, depth: int) -> dict[str, Run]:
    """Each system's run over all queries of the lists; `looking.look_everywhere` makes the same of lists on disk."""
    both = {"text": lists.text, "image": lists.image}
    return {
        "image": cut(lists.image, depth),
        "name": cut(lists.name, depth),
        "weighted": cut(tuned.weighting.fuse(both), depth),
        "reciprocal_rank": cut(reciprocal_rank(both), depth),
        "filtered": cut(shown.filtered(lists.text, lists.images, tuned.count), depth),
        "soft_filter": cut(tuned.soft.apply(lists.text, lists.image, shown.passages), depth),
    }


def oracles(lists: Lists, shown: Shown, runs: Mapping[str, Run], asked: Task, measure: str) -> dict[str, Run]:
    """What no system can know: which image is right, and which run is the best for each query."""
    if not asked.qrels:
        return {}
    right = {query: list(row) for query, row in shown.for_images(asked).qrels.rows.items()}
    return {
        "oracle: right image, then text": shown.allowing(lists.text.select(asked.qrels), right),
        "oracle: best system of each query": best_of_each(runs, asked.qrels, measure),
    }


def best_of_each(runs: Mapping[str, Run], qrels: Qrels, measure: str) -> Run:
    """For each query the run that does best at the measure, of equals the first."""
    values = pd.DataFrame({name: evaluate(run, qrels, [measure])[measure] for name, run in runs.items()})
    best = zip(values.index, values.to_numpy().argmax(1), strict=True)
    return Run({query: list(runs.values())[i].rows.get(query, {}) for query, i in best})


def read_joint(folder: Path, task: Task) -> dict[str, Run]:
    """The run `chosen` that an encoder of text and image left here, as `joint`; none unless it covers the queries."""
    path = folder / "chosen.run"
    run = Run.read(path) if path.is_file() else Run({})
    return {"joint": run.select(task.qrels)} if set(run) >= set(task.qrels) > set() else {}
