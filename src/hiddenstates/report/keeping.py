"""The published embedding stays unless dev tells of a better one, where `choosing.procedure` would be too much."""

from dataclasses import replace

from hiddenstates.core.data import Task
from hiddenstates.core.joined import AnyStrategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.report.significance import BETTER
from hiddenstates.report.tables import pooled
from hiddenstates.retrieval.choosing.best import choose
from hiddenstates.retrieval.measures import mean_score
from hiddenstates.retrieval.search import search
from hiddenstates.retrieval.strategies.sweep import Sweep


def choose_or_keep(
    states: TaskStates, dev: Task, swept: Sweep, measure: str, default: AnyStrategy, depth: int, seed: int
) -> Choice:
    """The best strategy of the sweep if it is better than the default on dev by the test; else the default.

    The best of many owes some of its lead to luck, so a lead that the
    test would not even tell of two strategies named beforehand is not followed.
    """
    best = choose(swept, measure, None, states.queries.fingerprint)
    runs = {name: search(states, dev, one, depth) for name, one in (("default", default), ("best", best.strategy))}
    if (pooled(runs, "default", dev, measure, seed)["verdict"] == BETTER).all():
        return best
    evidence = best.evidence | {"score": mean_score(runs["default"], dev.qrels, measure), "best": str(best.strategy)}
    return replace(best, strategy=default.resolve(len(states.passages.state_map)), evidence=evidence)
