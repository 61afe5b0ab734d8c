"""What the token task says, as tables and one sentence."""

from collections.abc import Mapping

import pandas as pd

from hiddenstates.report.significance import ALPHA, Comparison
from hiddenstates.tagging.features import Feature
from hiddenstates.tagging.probe import Tagger, TokenTask
from hiddenstates.tagging.scores import clusters, compare, f1, interval

PUBLISHED = {
    "embeddings": 91.0,
    "second-to-last": 95.6,
    "last": 94.9,
    "weighted sum of all layers": 95.5,
    "weighted sum of the last four": 95.9,
    "concat of the last four": 96.1,
}
"""Dev F1 in percent of BERT-base as a source of features on CoNLL-2003 (Devlin et al. 2019, Table 7)."""


def on_dev(task: TokenTask, taggers: Mapping[str, Tagger], seed: int) -> dict[str, pd.DataFrame]:
    """By pooling, a row a combination of states: value (F1), low, high (a 95% interval), and C."""
    groups = clusters(task.of("dev"))
    tables: dict[str, dict[str, tuple[float, ...]]] = {}
    for tagger in taggers.values():
        row = (f1(tagger.dev), *interval(tagger.dev, groups, seed), tagger.penalty)
        tables.setdefault(tagger.feature.pool, {})[tagger.feature.source] = row
    columns = ["value", "low", "high", "C"]
    return {pool: pd.DataFrame.from_dict(rows, orient="index", columns=columns) for pool, rows in tables.items()}


def not_told_apart(task: TokenTask, taggers: Mapping[str, Tagger], winner: Tagger, seed: int) -> list[str]:
    """The features whose paired difference to the winner on dev has an interval that holds 0."""
    groups = clusters(task.of("dev"))
    gains = {name: compare(winner.dev, t.dev, groups, seed) for name, t in taggers.items() if t is not winner}
    return [name for name, gain in gains.items() if gain.low <= 0 <= gain.high]


def beside_published(first: pd.DataFrame, n_states: int) -> pd.DataFrame:
    """Our dev F1 in percent beside the published one. first: `on_dev`'s table of the paper's pooling, `first`."""
    end = n_states - 1
    ours = {
        "embeddings": "0",
        "second-to-last": f"{end - 1}",
        "last": f"{end}",
        "weighted sum of all layers": f"mix(1..{end})",
        "weighted sum of the last four": f"mix({end - 3}..{end})",
        "concat of the last four": f"concat({end - 3}..{end})",
    }
    table = pd.DataFrame({"published": PUBLISHED, "states here": ours})
    table["here"] = [100 * first["value"].get(source, float("nan")) for source in ours.values()]
    return table


def verdict(winner: Feature, default: Feature, gain: Comparison, candidates: int) -> str:
    """A paragraph of Markdown: whether the winner on dev beats the default on test."""
    difference = f"{gain.difference:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}], p = {gain.p:.2g}"
    told = "better" if gain.difference > 0 else "worse"
    said = f"**{told}**" if gain.p < ALPHA else f"**not told apart: keep `{default}`**"
    return (
        f"Chosen on dev among {candidates}, `{winner}` against `{default}` on test: {said} "
        f"({difference}; {gain.n} sentences, {gain.clusters} clusters)."
    )
