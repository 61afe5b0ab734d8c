"""What a strategy costs to serve: layers that are run for a text, bytes that a vector takes. The best of each cost."""

from collections.abc import Iterable

import pandas as pd

from hiddenstates.core.joined import AnyStrategy, parse
from hiddenstates.encoding.embeddings.costs import layers_run, vector_bytes
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.report.estimates import difference
from hiddenstates.report.significance import BETTER, EQUIVALENT
from hiddenstates.report.space import short
from hiddenstates.retrieval.choosing.limits import Limits

BEST = 5
"""Strategies, whatever they cost, that are tried with fewer dimensions."""


def leading(scores: pd.Series, passages: PooledStates, *further: AnyStrategy) -> list[AnyStrategy]:
    """These, the best of each cost and the best whatever they cost: each once. scores: by strategy, on dev."""
    named = [*_best_of_each(_costs(scores, passages), scores), *scores.nlargest(BEST).index]
    return list(dict.fromkeys([*further, *(parse(str(name)) for name in named)]))


def priced(scores: pd.Series, passages: PooledStates, kept: Iterable[AnyStrategy] = ()) -> pd.DataFrame:
    """The best of all that run no more layers or take no more bytes, and these; more is better.

    scores: by strategy, on dev -> a row each by strategy, the cheapest first; columns layers, bytes, dev
    """
    costs = _costs(scores, passages)
    best = _best_of_each(costs, scores)
    rows = costs.loc[[*dict.fromkeys([*best, *map(str, kept)])]].assign(dev=scores)
    return rows.sort_values(["bytes", "layers", "dev"]).rename_axis("strategy")


def _costs(scores: pd.Series, passages: PooledStates) -> pd.DataFrame:
    known = {str(name): parse(str(name)) for name in scores.index}
    rows = {name: (layers_run(one), vector_bytes(one, passages)) for name, one in known.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["layers", "bytes"])


def _best_of_each(costs: pd.DataFrame, scores: pd.Series) -> list[str]:
    return [name for limit in costs for name in _improving(scores, costs[limit])]


def _improving(scores: pd.Series, costs: pd.Series) -> list[str]:
    """The best within each cost, from the least on; none that a smaller cost reaches."""
    found: list[str] = []
    for cost in sorted(set(costs)):
        best = str(scores[costs <= cost].idxmax())
        if not found or scores[best] > scores[found[-1]]:
            found.append(best)
    return found


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
        return f"**Fewest {unit}**: dev shows nothing cheaper to be equivalent to its best, {_of(rows, best)}."
    told = on_test.to_dict("index")[least]
    return (
        f"**Fewest {unit}**: {_of(rows, least)} is equivalent on dev to its best, "
        f"{_of(rows, best)}; on test {difference(told)}, {told['verdict']}."
    )


def _of(rows: pd.DataFrame, name: str) -> str:
    row = rows.to_dict("index")[name]
    return f"`{short(parse(name))}` ({row['layers']} layers, {row['bytes']:,} bytes)"


def limited(limits: Limits, default: AnyStrategy, called: str, passages: PooledStates) -> str:
    """What the choice was limited to, and whether the default keeps to it; nothing where there is no limit."""
    if not limits:
        return ""
    if limits.hold(default, passages):
        return f"**Limits**: what is chosen takes {limits}."
    takes = f"{layers_run(default)} layers and {vector_bytes(default, passages):,} bytes"
    return f"**Limits**: what is chosen takes {limits}. The {called} takes {takes}: it is only what is compared with."
