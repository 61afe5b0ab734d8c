"""What the token task says, as tables and one sentence."""

from collections.abc import Mapping, Sequence

import pandas as pd

from hiddenstates.report.estimates import written
from hiddenstates.report.significance import ALPHA, Comparison
from hiddenstates.report.written import table
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
    found = pd.DataFrame({"published": PUBLISHED, "states here": ours})
    found["here"] = [100 * first["value"].get(source, float("nan")) for source in ours.values()]
    return found


def verdict(winner: Feature, default: Feature, gain: Comparison, candidates: int) -> str:
    """The answer in a sentence: whether to tag with the winner on dev or with the default, by what they do on test."""
    told = "better" if gain.difference > 0 else "worse"
    said = f"**{told}**" if gain.p < ALPHA else "**not told apart** from it"
    pays = gain.difference > 0 and gain.p < ALPHA
    advised = f"Tag with `{winner}`, not with `{default}`" if pays else f"Keep `{default}`"
    if winner == default:
        return f"**Keep `{default}`**: it is itself the best on dev of {candidates} features."
    return (
        f"**{advised}**: chosen on dev among {candidates} features, `{winner}` is on test {said}, F1 "
        f"{gain.difference:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}], p = {gain.p:.2g} "
        f"({gain.n} sentences, {gain.clusters} clusters)."
    )


def numbers(
    features: Mapping[str, Feature], on_test: Mapping[str, Sequence[float]], tables: Mapping[str, pd.DataFrame]
) -> str:
    """A Markdown table: F1 on dev and test of what was compared, then on dev the best of each pooling and state 0.

    on_test: F1 and its interval by the same names as the features; tables: `on_dev`'s
    """
    rows = [
        [name, f"`{one}`", _interval(tables[one.pool], one.source), "{:.3f} [{:.3f}, {:.3f}]".format(*on_test[name])]
        for name, one in features.items()
    ]
    for pool, scores in tables.items():
        best = str(scores["value"].idxmax())
        rows.append([f"best by {pool}", f"`{best}/{pool}`", _interval(scores, best), "–"])
    embedded = max(tables, key=lambda pool: float(tables[pool]["value"]["0"]))
    rows.append(["embeddings alone", f"`0/{embedded}`", _interval(tables[embedded], "0"), "–"])
    return table(["", "feature", "F1 on dev", "F1 on test"], rows)


def _interval(scores: pd.DataFrame, source: str) -> str:
    return written(scores.to_dict("index")[source])
