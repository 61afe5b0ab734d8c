"""What a strategy costs to serve: layers that are run for it, numbers that a vector holds. The best of each cost."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import pandas as pd

from hiddenstates.core.joined import AnyStrategy, Joined, parse
from hiddenstates.encoding.costs import layers_run, vector_bytes
from hiddenstates.encoding.pooled import PooledStates
from hiddenstates.report.estimates import difference
from hiddenstates.report.significance import BETTER, EQUIVALENT
from hiddenstates.retrieval.limits import Limits

BEST = 5
"""Strategies, whatever they cost, that are tried with fewer dimensions."""


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


def _improving(scores: pd.Series, costs: Mapping[str, int]) -> list[str]:
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


def leading(scores: pd.Series, width: int, *further: AnyStrategy) -> list[AnyStrategy]:
    """The best of each cost as in `cheapest`, the best whatever they cost, and these: each once."""
    named = [*cheapest(scores, width)["strategy"], *scores.nlargest(BEST).index]
    return list(dict.fromkeys([*further, *(parse(str(name)) for name in named)]))


def priced(scores: pd.Series, passages: PooledStates, kept: Iterable[AnyStrategy] = ()) -> pd.DataFrame:
    """The best of all that run no more layers or take no more bytes, and these; more is better.

    scores: by strategy, on dev -> a row each by strategy, the cheapest first; columns layers, bytes, dev
    """
    known = {str(name): parse(str(name)) for name in scores.index}
    costs: dict[str, Callable[[AnyStrategy], int]] = {
        "layers": layers_run,
        "bytes": partial(vector_bytes, states=passages),
    }
    by_cost = {limit: {name: cost(one) for name, one in known.items()} for limit, cost in costs.items()}
    best = [name for limit in costs for name in _improving(scores, by_cost[limit])]
    rows = pd.DataFrame(by_cost).loc[[*dict.fromkeys([*best, *map(str, kept)])]].assign(dev=scores)
    return rows.sort_values(["bytes", "layers", "dev"]).rename_axis("strategy")


def shortest(rows: pd.DataFrame, on_dev: pd.DataFrame, on_test: pd.DataFrame, best: str) -> str:
    """Which strategy takes the fewest bytes, and which runs the fewest layers, of those equivalent to the best on dev.

    rows: as `priced` has them; on_dev, on_test: `corrected`'s rows against the best, by strategy
    """
    shown = on_dev.index[on_dev["verdict"].isin([BETTER, EQUIVALENT])]
    cheaper = rows.loc[[best, *(name for name in rows.index if name in shown)]]
    return " ".join(_least(cheaper, cost, on_test, best) for cost in ("bytes", "layers"))


def _least(rows: pd.DataFrame, cost: str, on_test: pd.DataFrame, best: str) -> str:
    what = {"bytes": "per passage", "layers": "run"}[cost]
    unit = f"{cost} {what}"
    least = str(rows.sort_values([cost, "dev"], ascending=[True, False]).index[0])
    if rows[cost].to_dict()[least] == rows[cost].to_dict()[best]:
        return (
            f"**Fewest {unit}**: dev shows nothing cheaper to be equivalent to its best, `{best}` ({_of(rows, best)})."
        )
    told = on_test.to_dict("index")[least]
    return (
        f"**Fewest {unit}**: `{least}` ({_of(rows, least)}) is equivalent on dev to its best, `{best}` "
        f"({_of(rows, best)}); on test {difference(told)}, {told['verdict']}."
    )


def _of(rows: pd.DataFrame, name: str) -> str:
    row = rows.to_dict("index")[name]
    return f"{row['layers']} layers, {row['bytes']:,} bytes"


def limited(limits: Limits, default: AnyStrategy, called: str, passages: PooledStates) -> str:
    """What the choice was limited to, and whether the default keeps to it; nothing where there is no limit."""
    if not limits:
        return ""
    if limits.hold(default, passages):
        return f"**Limits**: what is chosen takes {limits}."
    takes = f"{layers_run(default)} layers and {vector_bytes(default, passages):,} bytes"
    return f"**Limits**: what is chosen takes {limits}. The {called} takes {takes}: it is only what is compared with."
