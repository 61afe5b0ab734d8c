"""What a strategy costs to serve: layers that are run for it, numbers that a vector holds. The best of each cost."""

import pandas as pd

from hiddenstates.core.joined import AnyStrategy, Joined, parse
from hiddenstates.report.estimates import difference
from hiddenstates.report.significance import BETTER, EQUIVALENT


def layers_run(strategy: AnyStrategy) -> int:
    """The highest state that it uses: nothing above it is run. Layers counted from 0."""
    return max(strategy.layers)


def states_wide(strategy: AnyStrategy) -> int:
    """How many hidden states stand side by side in its vector."""
    if isinstance(strategy, Joined):
        return sum(map(states_wide, strategy.parts))
    return len(strategy.pools) * (len(strategy.layers) if strategy.combine == "concat" else 1)


def cheapest(scores: pd.Series, width: int) -> pd.DataFrame:
    """The best strategy of all that run no more layers, then of all that are no wider, where more is better.

    scores: by strategy, on dev; width: numbers of one state -> columns strategy, layers, numbers, dev; a row each
    """
    known = {name: parse(str(name)) for name in scores.index}
    rows = []
    for limit, cost in (("layers", layers_run), ("numbers", states_wide)):
        for best in _improving(scores, {name: cost(one) for name, one in known.items()}):
            one = known[best]
            rows.append((limit, best, layers_run(one), states_wide(one) * width, scores[best]))
    return pd.DataFrame(rows, columns=["limit", "strategy", "layers", "numbers", "dev"])


def _improving(scores: pd.Series, costs: dict[str, int]) -> list[str]:
    """The best within each cost, from the least on; none that a smaller cost reaches."""
    found: list[str] = []
    by_cost = pd.Series(costs)
    for cost in sorted(set(costs.values())):
        best = str(scores[by_cost <= cost].idxmax())
        if not found or scores[best] > scores[found[-1]]:
            found.append(best)
    return found


def answer(rows: pd.DataFrame, on_dev: pd.DataFrame, on_test: pd.DataFrame, n_layers: int, default: str) -> str:
    """Which strategy runs the fewest layers of those that dev shows to be no worse than the default; its test row.

    rows: as `cheapest` has them; on_dev, on_test: `corrected`'s rows, by strategy
    """
    shown = on_dev["verdict"].isin([BETTER, EQUIVALENT])
    fewer = rows[(rows["limit"] == "layers") & rows["strategy"].map(shown).fillna(False) & (rows["layers"] < n_layers)]
    if fewer.empty:
        return f"**Fewer layers**: dev shows no strategy with fewer than {n_layers} to be no worse than {default}."
    first = fewer.sort_values("layers").iloc[0]
    told = on_test.loc[first["strategy"]]
    return (
        f"**Fewer layers**: `{first['strategy']}` runs {first['layers']} of {n_layers} and dev shows it to be "
        f"{on_dev.loc[first['strategy'], 'verdict']}; on test {difference(told)}, {told['verdict']}."
    )
