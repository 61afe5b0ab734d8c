"""The best strategy of a sweep, and how sure one can be that it is the best."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import parse
from hiddenstates.encoding.choice import Choice
from hiddenstates.retrieval.strategies.sweep import Sweep


def overall(swept: Sweep, measure: str, sets: Sequence[str] | None = None) -> pd.Series:
    """The mean of the measure over the query sets, each weighing the same; constant strategies left out."""
    if measure not in swept.means.columns.unique("measure"):
        known = ", ".join(swept.means.columns.unique("measure"))
        raise LabError(f"strategies.measure: {measure!r} is not among what is reported: {known}. Name one of these.")
    table = swept.means.xs(measure, axis=1, level="measure")
    unknown = set(sets or ()) - set(table.columns)
    if unknown:
        raise LabError(
            f"strategies.sets: no query set {', '.join(sorted(unknown))}. Known: {', '.join(table.columns)}."
        )
    useful = table.drop(index=list(map(str, swept.constant)))
    return pd.Series(useful[list(sets or table.columns)].to_numpy().mean(axis=1), index=useful.index)


def choose(swept: Sweep, measure: str, sets: Sequence[str] | None, fingerprint: str) -> Choice:
    """The strategy with the best overall score; of equals, the one with the fewest layers.

    For sweeps that whiten nothing: `retrieval.choosing.procedure` chooses among those that do.
    """
    scores = overall(swept, measure, sets)
    best = parse(str(scores.index[int(np.argmax(scores.to_numpy()))]))
    evidence = {"measure": measure, "split": "dev", "score": float(scores.max()), "strategies": len(scores)}
    return Choice(best, fingerprint, evidence)
