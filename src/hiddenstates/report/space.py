"""What a sweep says about the space of strategies: which part is needed, who agrees, what cannot be told apart."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from hiddenstates.core.data import Task
from hiddenstates.core.joined import AnyStrategy, Joined, parse
from hiddenstates.core.strategy import Strategy
from hiddenstates.report.significance import told_apart
from hiddenstates.retrieval.choosing.best import overall
from hiddenstates.retrieval.strategies.sweep import Sweep
from hiddenstates.retrieval.validation import equally

BEST_ON_DEV = 200
"""Strategies whose scores on dev and test are drawn: the best on dev of all."""


def spaces(n_states: int) -> dict[str, Callable[[AnyStrategy], bool]]:
    """Ever smaller spaces of strategies, by name; none holds learned weights or whitening."""
    final = n_states - 1

    def plain(strategy: AnyStrategy) -> bool:
        return kind(strategy) == PLAIN

    def contiguous(strategy: AnyStrategy) -> bool:
        return plain(strategy) and strategy.layers[-1] - strategy.layers[0] == len(strategy.layers) - 1

    return {
        "all subsets": plain,
        "contiguous": contiguous,
        "last k": lambda strategy: contiguous(strategy) and strategy.layers[-1] == final,
        "one layer": lambda strategy: plain(strategy) and len(strategy.layers) == 1,
    }


PLAIN = "neither"


def kind(strategy: AnyStrategy) -> str:
    """What it has beyond a set of layers: learned weights, whitening, both or neither; or a partner."""
    if isinstance(strategy, Joined):
        return "joined with the default"
    return " and ".join(["learned weights"] * bool(strategy.weights) + ["whitening"] * strategy.fitted) or PLAIN


def kinds(points: pd.DataFrame) -> pd.DataFrame:
    """The best strategy on dev of each kind: strategies, strategy, dev, test, and what it gains over `PLAIN` on both.

    points: one row per strategy, columns dev and test; the latter may be missing where another of its kind is better
    """
    of = points.index.map(lambda name: kind(parse(name))).rename("kind")
    best = points.groupby(of, sort=False)["dev"].agg(strategies="size", strategy="idxmax")
    table = best.join(points.rename_axis(None), on="strategy")
    return table.join((table[["dev", "test"]] - table.loc[PLAIN, ["dev", "test"]]).add_prefix("gain on "))


def worth_asking(dev: Sweep, measure: str, sets: Sequence[str], n_states: int) -> list[AnyStrategy]:
    """Of which test's score is shown: the best on dev of each space, kind and query set; `BEST_ON_DEV` of all.

    sets: that choose
    """
    scores = overall(dev, measure, sets)
    by_set = dev.means.xs(measure, axis=1, level="measure")
    named = [
        *shrinking(dev, dev, measure, n_states)["strategy"],
        *kinds(pd.DataFrame({"dev": scores, "test": scores}))["strategy"],
        *(str(scored.idxmax()) for _, scored in by_set.items()),
        *scores.nlargest(BEST_ON_DEV).index,
    ]
    return [parse(str(name)) for name in dict.fromkeys(named)]


def weights(learned: Sequence[Strategy], n_states: int) -> pd.DataFrame:
    """The weight of each hidden state (columns) in each learned strategy (rows, by pooling)."""
    rows = {s.pool + "+ln" * s.layer_norm: dict(zip(s.layers, s.weights or (1.0,), strict=True)) for s in learned}
    table = pd.DataFrame.from_dict(rows or {"none learned": {0: 0.0}}, orient="index")
    return table.reindex(columns=range(n_states)).fillna(0.0)


def shrinking(dev: Sweep, test: Sweep, measure: str, n_states: int) -> pd.DataFrame:
    """In each space: the best dev score of each query set, and what that strategy scores on test.

    One row (set, space), columns strategies, strategy, dev, test.
    """
    on_dev, on_test = (swept.means.xs(measure, axis=1, level="measure") for swept in (dev, test))
    rows = {}
    for space, holds in spaces(n_states).items():
        inside = [str(s) for s in dev.strategies if isinstance(s, Strategy) and holds(s)]
        for name in dev.means.columns.unique("set"):
            best = str(on_dev[name].loc[inside].idxmax())
            rows[name, space] = (len(inside), best, on_dev[name][best], on_test[name][best])
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["strategies", "strategy", "dev", "test"])
    table.index = pd.MultiIndex.from_tuples(table.index, names=["set", "space"])
    return table.loc[list(dev.means.columns.unique("set"))]


def exchanged(chosen: Mapping[str, AnyStrategy], test: Sweep, measure: str) -> pd.DataFrame:
    """What the strategy that one set chose scores on the others: a row for each that chose, a column for each asked."""
    table = test.means.xs(measure, axis=1, level="measure")
    return pd.DataFrame({name: table.loc[str(strategy)] for name, strategy in chosen.items()}).T


def top(swept: Sweep, measure: str, sets: Sequence[str], n: int) -> dict[str, pd.Series]:
    """The n best strategies of each query set, best first."""
    table = swept.means.xs(measure, axis=1, level="measure")
    return {name: table[name].nlargest(n) for name in sets}


def not_told_apart(
    swept: Sweep,
    strategy: AnyStrategy,
    values: Float[np.ndarray, " query"],
    task: Task,
    measure: str,
    sets: Sequence[str],
    seed: int,
) -> int:
    """How many other strategies a paired randomization test cannot tell from this one, whichever of them one asks of.

    values: each query's measure under the strategy, which the sweep need not hold. Each query set weighs the same, as
    in the choice; queries about one entity get one sign.
    """
    weights = equally(task, sets, np.isin(task.queries["set"][:], list(sets)))
    groups = next(iter(task.clusters().values()))
    apart = told_apart(swept.values[measure], values, weights, groups, seed)
    others = np.array([other != strategy for other in swept.strategies])
    return int((others & ~apart).sum())


def short(strategy: AnyStrategy) -> str:
    """A strategy's name, its learned weights left out: `weighted(0–6)/mean`."""
    if isinstance(strategy, Joined):
        parts = zip(strategy.weights, strategy.parts, strict=True)
        return " & ".join(f"{weight:g}*{short(part)}" for weight, part in parts)
    if isinstance(strategy, Strategy) and strategy.weights:
        first, last = strategy.layers[0], strategy.layers[-1]
        whole = len(strategy.layers) == last - first + 1 > 2
        held = f"{first}–{last}" if whole else ",".join(map(str, strategy.layers))
        return f"weighted({held})/{strategy.pool}{strategy.steps}"
    return str(strategy)
