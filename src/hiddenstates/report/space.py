"""What a sweep says about the space of strategies: which part is needed, who agrees, what cannot be told apart."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from hiddenstates.core.data import Task
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.report.significance import ALPHA, holm, randomization
from hiddenstates.retrieval.sweep import Sweep


def spaces(n_states: int) -> dict[str, Callable[[Strategy], bool]]:
    """Ever smaller spaces of strategies, by name; none holds learned weights or whitening."""
    final = n_states - 1

    def plain(strategy: Strategy) -> bool:
        return kind(strategy) == PLAIN

    def contiguous(strategy: Strategy) -> bool:
        return plain(strategy) and strategy.layers[-1] - strategy.layers[0] == len(strategy.layers) - 1

    return {
        "all subsets": plain,
        "contiguous": contiguous,
        "last k": lambda strategy: contiguous(strategy) and strategy.layers[-1] == final,
        "one layer": lambda strategy: plain(strategy) and len(strategy.layers) == 1,
    }


PLAIN = "neither"


def kind(strategy: Strategy) -> str:
    """What it has beyond a set of layers: learned weights, whitening, both or neither."""
    return " and ".join(["learned weights"] * bool(strategy.weights) + ["whitening"] * bool(strategy.whitened)) or PLAIN


def kinds(points: pd.DataFrame) -> pd.DataFrame:
    """The best strategy on dev of each kind: strategies, strategy, dev, test, and what it gains over `PLAIN` on both.

    points: one row a strategy, columns dev and test
    """
    of = points.index.map(lambda name: kind(Strategy.parse(name))).rename("kind")
    best = points.groupby(of, sort=False)["dev"].agg(strategies="size", strategy="idxmax")
    table = best.join(points.rename_axis(None), on="strategy")
    return table.join((table[["dev", "test"]] - table.loc[PLAIN, ["dev", "test"]]).add_prefix("gain on "))


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
        inside = [str(s) for s in dev.strategies if holds(s)]
        for name in dev.means.columns.unique("set"):
            best = str(on_dev[name].loc[inside].idxmax())
            rows[name, space] = (len(inside), best, on_dev[name][best], on_test[name][best])
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["strategies", "strategy", "dev", "test"])
    table.index = pd.MultiIndex.from_tuples(table.index, names=["set", "space"])
    return table.loc[list(dev.means.columns.unique("set"))]


def exchanged(choices: Mapping[str, Choice], test: Sweep, measure: str) -> pd.DataFrame:
    """What the strategy that one set chose scores on the others: a row for each that chose, a column for each asked."""
    table = test.means.xs(measure, axis=1, level="measure")
    return pd.DataFrame({name: table.loc[str(choice.strategy)] for name, choice in choices.items()}).T


def top(swept: Sweep, measure: str, sets: Sequence[str], n: int) -> dict[str, pd.Series]:
    """The n best strategies of each query set, best first."""
    table = swept.means.xs(measure, axis=1, level="measure")
    return {name: table[name].nlargest(n) for name in sets}


def not_told_apart(swept: Sweep, choice: Choice, task: Task, measure: str, sets: Sequence[str], seed: int) -> int:
    """How many other strategies a paired randomization test cannot tell from the choice (Holm-corrected p >= 0.05).

    Each query set weighs the same, as in the choice; queries about one entity are flipped together.
    """
    of = np.array(task.queries["set"][:])
    weights = np.where(np.isin(of, sets), 1.0 / len(sets) / pd.Series(of).map(pd.Series(of).value_counts()), 0.0)
    values = swept.values[measure]
    differences = (values[swept.row(choice.strategy)] - values) * weights
    flips = int(2 * len(values) / ALPHA)  # fewer could not show a p that survives the correction
    p = holm(list(randomization(differences, next(iter(task.clusters().values())), seed, flips)))
    return sum(value >= ALPHA for value in p) - 1  # the choice itself differs from itself by nothing
