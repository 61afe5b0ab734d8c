"""The ways to answer a question that shows an image, from whole lists: one list alone, late fusion, a filter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.retrieval.fusion.lists import Block, Lists, one_run
from hiddenstates.retrieval.fusion.runs import by_rank
from hiddenstates.retrieval.fusion.shown import Shown
from hiddenstates.retrieval.fusion.soft_filter import SoftFilter, choose_soft_filter
from hiddenstates.retrieval.fusion.weighing import Weighting, choose_count, choose_weights
from hiddenstates.retrieval.measures import evaluate


@dataclass(frozen=True)
class Tuned:
    """What the systems leave open, as dev chose it.

    count:    of the nearest images whose passages the filter keeps
    filtered: the measure of the filter on dev
    """

    weighting: Weighting
    count: int
    filtered: float
    soft: SoftFilter

    def about(self) -> dict[str, Any]:
        """What to tell of it."""
        told = {"weights": self.weighting.weights, "norm": self.weighting.norm, "weighted on dev": self.weighting.score}
        told |= {"nearest images": self.count, "filtered on dev": self.filtered}
        heat = {"image": self.soft.image, "text": self.soft.text}
        return told | {"temperatures": heat, "soft filter on dev": self.soft.score}


def tune(lists: Lists, asked: Qrels, measure: str, counts: Sequence[int], depth: int) -> Tuned:
    """The weights and their normalisation, how many of the nearest images a filter keeps, the soft one's temperatures.

    asked:  what the questions that choose should find: dev's, of which there is one at least
    counts: how many images the filter may keep
    depth:  passages that a run keeps
    """
    weighting = choose_weights(["text", "image"], (block.both for block in lists.blocks(asked.rows)), asked, measure)
    kept = ({count: _filtered(block, count, depth) for count in counts} for block in lists.blocks(asked.rows))
    count, score = choose_count(kept, counts, asked, measure)
    return Tuned(
        weighting, count, score, choose_soft_filter((b.pictured for b in lists.blocks(asked.rows)), asked, measure)
    )


def answers(lists: Lists, tuned: Tuned, depth: int) -> dict[str, Run]:
    """The `depth` best of each question of the lists, by every system that looks at the image."""
    found = [_answers(block, tuned, depth) for block in lists.blocks()]
    return {system: one_run([runs[system] for runs in found]) for system in (found[0] if found else ())}


def _answers(block: Block, tuned: Tuned, depth: int) -> dict[str, Run]:
    pictured, images = block.pictured
    return {
        "image": block.image.best(block.image.scores[0], depth),
        "name": block.name.best(block.name.scores[0], depth),
        "weighted": block.both.best(tuned.weighting.scores(block.both), depth),
        "reciprocal_rank": block.both.best(by_rank(block.both), depth),
        "filtered": _filtered(block, tuned.count, depth),
        "soft_filter": pictured.best(tuned.soft.scores(pictured, images), depth),
    }


def _filtered(block: Block, count: int, depth: int) -> Run:
    kept = block.nearest(count)
    return kept.best(kept.scores[0], depth)


def oracles(
    lists: Lists, shown: Shown, runs: Mapping[str, Run], asked: Task, measure: str, depth: int
) -> dict[str, Run]:
    """What no system can know: which image is right, and which run is the best for each query."""
    right = {query: list(row) for query, row in shown.for_images(asked).qrels.rows.items()}
    return {
        "oracle: right image, then text": lists.text_of(right, depth),
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
