"""What pieces cost: does the rank at which an entity is found go with what the tokenizer makes of its name?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.corpora.countries.names import key
from hiddenstates.report.estimates import estimate
from hiddenstates.report.significance import central, flipped, holm, resamples
from hiddenstates.retrieval.measures import evaluate

SEARCHED = 5_000  # names that are searched at most, those asked for among them
DRAWN = 5_000  # entities at most that an interval and a test draw from
Values = Float64[np.ndarray, " query"]
Weights = Float64[np.ndarray, "draw query"]


def names_of(task: Task) -> pd.Series:
    """By query, the name of what it should find: the title of the first of its best passages."""
    titles = dict(zip(task.kb.ids, task.kb.passages["title"][:], strict=True))
    best = {query: max(grades, key=grades.__getitem__) for query, grades in task.qrels.rows.items() if grades}
    return pd.Series({query: titles[passage] for query, passage in best.items()}, dtype=str)


def named_only(task: Task) -> Task:
    """The same task with only the queries whose best passage has a title."""
    names = names_of(task)
    return task.within(task.kb.ids, list(names.index[names.str.strip() != ""]))


def ranks(run: Run, qrels: Qrels) -> pd.Series:
    """By query, the rank of the first relevant passage; one more than the run's depth where it holds none."""
    depth = max((len(row) for row in run.rows.values()), default=0)
    reciprocal = evaluate(run, qrels, [f"mrr@{max(depth, 1)}"]).iloc[:, 0]
    return (1 / reciprocal.where(reciprocal > 0, 1 / (depth + 1))).round()


def correlations(runs: Mapping[str, Run], task: Task, counts: pd.Series, seed: int) -> pd.DataFrame:
    """Spearman's correlation of rank and count in each query set: one row (set, run), columns n, value, low, high.

    counts: by query, such as the pieces of its name. A value above 0: the more, the later it is found; all 0 where
    counts, or ranks, are equal and say nothing. The 95% interval draws clusters of queries.
    """
    rows = {}
    for name in task.sets:
        part = task.select(set=name)
        queries, weights = part.queries["id"][:], resamples(part.clusters(), seed)
        for system, run in runs.items():
            rows[name, system] = _row(ranks(run, part.qrels)[queries], counts[queries], weights)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["n", "value", "low", "high"])
    table.index = pd.MultiIndex.from_tuples(table.index, names=["set", "run"])
    return table.astype({"n": int})


def spearman(first: Values, second: Values, weights: Weights) -> Float64[np.ndarray, " draw"]:
    """Spearman's correlation of the items, each as often as it is drawn; 0 where either is constant."""
    ours, theirs = (_mid_ranks(values, weights) for values in (first, second))
    shares = weights / weights.sum(1, keepdims=True)
    ours, theirs = (ranked - (shares * ranked).sum(1, keepdims=True) for ranked in (ours, theirs))
    scale = np.sqrt((shares * ours**2).sum(1) * (shares * theirs**2).sum(1))
    return np.divide((shares * ours * theirs).sum(1), scale, out=np.zeros(len(weights)), where=scale > 1e-9)


def _row(found: pd.Series, counts: pd.Series, weights: Weights) -> tuple[int, float, float, float]:
    first, second = (values.to_numpy(float) for values in (found, counts))
    value = float(spearman(first, second, np.ones((1, len(first))))[0])
    return len(first), value, *central(spearman(first, second, weights))


def _mid_ranks(values: Values, weights: Weights) -> Weights:
    """The rank of each item in each draw; equal values share the middle of their places."""
    _, codes = np.unique(values, return_inverse=True)
    taken = weights @ np.eye(codes.max() + 1)[codes]  # [draw, level]
    middle: Weights = (taken.cumsum(1) - taken / 2)[:, codes]
    return middle


@dataclass(frozen=True)
class Asked:
    """Foreign names, each asked for the English name of its entity.

    names:   one row per question, named q0, q1, …
    english: by entity, the names to search
    qrels:   by question, the entities of that English name
    """

    names: pd.DataFrame
    english: pd.Series
    qrels: Qrels


def ask_names(names: pd.DataFrame, by: Sequence[str], each: int, seed: int) -> Asked:
    """At most `each` names of every group, none of them the English one, whatever its case and accents.

    Where every entity has but one name, that name asks for itself. At most `SEARCHED` names are searched.

    names: columns entity, name, english, and `by`, which make the groups; every name once
    """
    foreign = names[names["name"].map(key) != names["english"].map(key)]  # a tokenizer may take accents away
    asking = names if foreign.empty else foreign
    mixed = asking.sample(frac=1, random_state=seed)
    drawn = mixed.groupby(list(by), observed=True).head(each).sort_index()
    asked = drawn.set_index(pd.Index([f"q{i}" for i in range(len(drawn))], name="query"))
    english = _searched(names.drop_duplicates("entity").set_index("entity")["english"], asked["english"], seed)
    called = english.index.to_series().groupby(english.to_numpy()).agg(list)
    rows = zip(asked.index, asked["english"], strict=True)
    return Asked(asked, english, Qrels({query: dict.fromkeys(called[name], 1.0) for query, name in rows}))


def _searched(english: pd.Series, asked: pd.Series, seed: int) -> pd.Series:
    """Those that are asked for, and of the others as many as there is room for."""
    wanted = english.isin(set(asked))
    others = english[~wanted]
    room = min(max(SEARCHED - int(wanted.sum()), 0), len(others))
    kept = wanted | english.index.isin(others.sample(room, random_state=seed).index)
    return english[kept]


def found_by(values: pd.Series, kinds: pd.Series, entities: Sequence[str], seed: int) -> pd.DataFrame:
    """The mean of a measure over the questions of each kind: one row per kind, columns n, value, low, high (95%)."""
    owners = pd.Series(list(entities), index=values.index)
    rows = {}
    for kind in sorted(kinds.unique()):
        chosen = kinds == kind
        rows[kind] = estimate(values[chosen], {"entity": list(owners[chosen])}, seed)
    return pd.DataFrame.from_dict(rows, orient="index").astype({"n": int})


def between_places(audited: pd.DataFrame, entities: pd.Series, against: str, seed: int) -> pd.DataFrame:
    """How much more of the names are one token in each place than in the place `against`.

    One row (tokenizer, place): n (entities, at most `DRAWN`, each of which weighs the same, however many names it has),
    difference, low, high (95%), p (random signs of entities, by Holm over all the rows).

    audited:  `audit_names`'s table; entities: by name, whose it is
    """
    one = (audited["outcome"] == "one token").astype(float)
    keys = [audited["tokenizer"], audited["place"], audited["name"].map(entities).rename("entity")]
    means = one.groupby(keys, observed=True).mean().unstack("entity")
    drawn = means.T.sample(min(DRAWN, means.shape[1]), random_state=seed).T
    base = drawn.xs(against, level="place")
    gains = drawn.drop(index=against, level="place")
    gains = gains - base.reindex(gains.index.get_level_values("tokenizer")).to_numpy()
    flips = [flipped(row, {"entity": list(gains.columns)}, seed) for row in gains.to_numpy()]
    low, high = zip(*(one.interval() for one in flips), strict=True)
    p = holm([one.p() for one in flips])
    found = {"n": gains.shape[1], "difference": gains.mean(axis=1), "low": low, "high": high, "p": p}
    return pd.DataFrame(found, index=gains.index)


def share_of(audited: pd.DataFrame, outcome: str, seed: int) -> pd.DataFrame:
    """The share of names with this outcome, one row per tokenizer: n, value, low, high (95%, names drawn anew)."""
    hits = {name: table["outcome"].eq(outcome) for name, table in audited.groupby("tokenizer", observed=True)}
    rows = {name: estimate(hit.astype(float), {"name": list(map(str, hit.index))}, seed) for name, hit in hits.items()}
    return pd.DataFrame.from_dict(rows, orient="index").astype({"n": int})


def in_words(name: str, kind: pd.Series, table: pd.DataFrame, running: str, alone: str) -> str:
    """What a tokenizer makes of names, as a sentence to quote.

    kind: its row of `kinds`; table: of `shares`, by place; running, alone: the places that are told
    """
    row, bare = (table.loc[place].to_dict() for place in (running, alone))
    parts = [(row["one token"], "are one token"), (row["several pieces"], "are several pieces")]
    parts += [(row[other], words) for other, words in _RARER if row[other] > 0]
    model, origin = str(kind["model"]), str(kind["from"])
    made = f"{model}, {int(kind['entries']):,} entries, {origin}"
    return (
        f"**{name}** ({made}): of {row['names']:,.0f} names in a sentence "
        f"{', '.join(f'{share:.1%} {words}' for share, words in parts)}; alone, as the whole text, "
        f"{bare['one token']:.1%} are one token."
    )


_RARER = (
    ("with other letters", "share a token with what stands beside them"),
    ("unknown", "hold something unknown"),
    ("lost", "lose a letter without a trace"),
)
