"""The answer to the notes, decided by what was measured: return the text's vector, the image's, or both?"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Run
from hiddenstates.report.estimates import difference, written
from hiddenstates.report.significance import BETTER
from hiddenstates.report.tables import over_sets
from hiddenstates.report.written import beside, table
from hiddenstates.retrieval.measures import mean_score

TEXT = "chosen"
IMAGED = "**Questions that show an image.**"
NOTHING = (
    "**Images.** No question on dev shows an image that a passage has: the text's vector is all there is to return."
)
SYSTEMS = {
    TEXT: "the text's vector alone",
    "image": "the image's vector alone",
    "name": "CLIP's text vector of the title, searched by the image's",
    "weighted": "**both** vectors, their scores fused by weights",
    "reciprocal_rank": "**both** vectors, fused by ranks",
    "filtered": "**both** vectors: the nearest images' passages, ranked by text",
    "soft_filter": "**both** vectors: each image's passages, ranked by text, by how likely the image is the right one",
    "joint": "one vector that read text and image together",
}


def best_on(runs: Mapping[str, Run], task: Task, measure: str) -> str:
    """The run with the best mean of the measure over the task's queries, of equals the first."""
    means = {name: mean_score(run, task.qrels, measure) for name, run in runs.items()}
    return max(means, key=means.__getitem__)


def text(advised: str, weight: float, means: pd.DataFrame, gains: pd.DataFrame, measure: str, default: str) -> str:
    """What to index for questions of text: one sentence to quote, and a table.

    advised: `fused` or `chosen`; weight: of the cosine beside the words
    means:   a row per system, columns (set, measure), on test; gains: `paired`'s table
    default: what to call it
    """
    overall = over_sets(means, measure)
    what = (
        f"**both the embedding and the words**, {weight:g} to {1 - weight:.2g}"
        if weight < 1
        else "**the embedding alone**"
    )
    sentence = f"**Text.** Index {what}: {measure} {overall[advised]:.3f} on test, where the {default} has "
    return f"{sentence}{overall['default']:.3f} and BM25 {overall['bm25']:.3f}.\n\n{_table(means, gains, measure)}"


def _table(means: pd.DataFrame, gains: pd.DataFrame, measure: str) -> str:
    """A row per set: each system's mean, and of those that were compared with the default the difference's verdict."""
    lines = [f"| set | {' | '.join(means.index)} |", "|---" * (len(means) + 1) + "|"]
    for name in gains.index.unique("set"):
        told = gains.loc[name].to_dict("index")
        cells = [f"{means.loc[s, (name, measure)]:.3f}" + _told(told.get(s)) for s in means.index]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _told(row: Mapping[Any, Any] | None) -> str:
    return f", {row['verdict']} ({difference(row)})" if row else ""


def advice(best: str, scores: pd.DataFrame, gains: pd.DataFrame, rivals: pd.DataFrame, measure: str) -> str:
    """What to return where a question shows an image.

    best:   the system that dev chose
    scores: a row a system, `estimate`'s columns, on test
    gains:  each system against the text alone; rivals: each other against the best; `corrected`'s columns
    """
    rows, gain = scores.to_dict("index"), gains.to_dict("index").get(best)
    n = f"({rows[best]['n']} on test)"
    if gain is None or gain["verdict"] != BETTER:
        said = f"{IMAGED} Return **the text's vector alone**: nothing that looks at the image beats it for sure {n}."
        return f"{said}\n\n{beside({measure: scores}, {measure: gains}, 'against the text')}"
    said = f"{IMAGED} Return {SYSTEMS[best]} (`{best}`, the best on dev): {measure} {rows[best]['value']:.3f} {n}, "
    said += f"where the text alone has {rows[TEXT]['value']:.3f}."
    return f"{said}\n\n{beside({measure: scores}, {measure: rivals}, f'against `{best}`')}"


def limits(flags: Mapping[str, pd.DataFrame], best: str, possible: pd.DataFrame, seen: Mapping[str, str]) -> str:
    """Is it the eye that fails? How often the right image comes first, and what a perfect eye would be worth.

    flags:    by split, a row a system: recall@1 of the right image
    possible: a row an oracle; columns as `estimate` has them
    seen:     what to call the questions of a split, as `told_apart` does
    """
    groups = {seen[group]: flags[group].to_dict("index") for group in seen if group in flags}
    systems = [name for name in dict.fromkeys(("image", "name", best)) if all(name in rows for rows in groups.values())]
    top = ", ".join(f"{rows['image']['value']:.0%} of {called}" for called, rows in groups.items())
    rows = [[f"`{name}`", *(written(rows[name]) for rows in groups.values())] for name in systems]
    oracles = ", ".join(f"{name} {written(row)}" for name, row in possible.to_dict("index").items())
    eyes = table(["the right image first, recall@1", *groups], rows)
    return f"**The eye** puts the right image first for {top}. Could be reached on test: {oracles}.\n\n{eyes}"


def settings(chosen: Mapping[str, Any], passages: int, images: int) -> str:
    """What to index, and the fusion's settings, both chosen on dev."""
    weights = ", ".join(f"{weight:g} {name}" for name, weight in chosen["weights"].items())
    count, heat = chosen["nearest images"], chosen["temperatures"]
    near = "nearest image" if count == 1 else f"{count} nearest images"
    soft = f", the soft filter divides the image's scores by {heat['image']:g} and the text's by {heat['text']:g}"
    return (
        f"**To index**: a text's vector for each of {passages:,} passages, and an image's for each of {images} "
        f"different images. Weights chosen on dev: {weights}, normalisation `{chosen['norm']}`; the filter keeps the "
        f"{near}{soft}. A question without an image is answered by its text alone."
    )
