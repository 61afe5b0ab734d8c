"""Every strategy scored from the same pooled states: all sets of layers, summed and concatenated, every pooling.

Retrieval goes by the ranks of gram.py, sentence similarity by the cosines of the judged pairs. One row per strategy.
Where a model has so many states that all sets are too many, deep/ searches among them; what it finds is scored here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32, Float64, Int32, Int64
from scipy.stats import rankdata

from hiddenstates.core.bars import bar
from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import let_go
from hiddenstates.core.joined import AnyStrategy, AnySystem
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.retrieval.deep.listed import SUM, Named
from hiddenstates.retrieval.deep.spaces import Guide, Ranked, Similar, search
from hiddenstates.retrieval.measures import from_ranks, parse_measure, shares
from hiddenstates.retrieval.ranks.gram import Pairs, Passages, Queries, subset_cosines, subset_ranks
from hiddenstates.retrieval.strategies.space import Space, spaces
from hiddenstates.retrieval.validation import equally

MOST = 20_000
"""Strategies of a space; of one with more, not all are scored. 13 states have 16,369."""

SMALL = 1_100
"""Strategies of a space that are scored sooner all together than some of them one by one. 9 states have 1,013."""


CORRELATIONS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "spearman": lambda cosines, grades: shares(rankdata(cosines, axis=1), rankdata(grades)),
    "pearson": shares,
}
"""What each pair has in the correlation of cosines [strategy, pair] with grades [pair]."""


@dataclass(frozen=True)
class Sweep:
    """Scores of every strategy.

    strategies: by number of layers, so that the first of equals is the simplest; then those that `extended` added.
                From `sweep_joined` they are joined ones, from `sweep_words` those with words beside them
    means:      one row per strategy, columns (set, measure)
    values:     by measure, for every strategy and query; of a correlation, the share that the query's pairs have in it
    constant:   strategies whose vector is the same for every passage: they rank nothing and are never chosen
    possible:   how many strategies the spaces have that were swept
    looked_at:  how many of these were looked at; fewer where a space was searched
    """

    strategies: list[AnySystem]
    means: pd.DataFrame
    values: dict[str, Float32[np.ndarray, "strategy query"]]
    constant: list[AnyStrategy]
    possible: int = 0
    looked_at: int = 0

    def row(self, strategy: AnySystem) -> int:
        return self.strategies.index(strategy)


def sweep(
    states: TaskStates,
    task: Task,
    measures: Sequence[str],
    layer_norms: Sequence[bool] = (False,),
    shrinkages: Sequence[float] = (),
    training: Sequence[str] = (),
    most: int = MOST,
    measure: str | None = None,
    sets: Sequence[str] | None = None,
) -> Sweep:
    """Score every strategy on the task's queries, and the default, should no set of layers under one pooling be it.

    A space of more than `most` strategies is searched instead; what is found is scored just as exactly.

    measures:    MRR alone takes a fraction of the time that nDCG and recall take where many passages are relevant
    layer_norms: whether to put each state through a layer norm before combining: without, with, or both
    shrinkages:  besides without, whiten each state before combining, with each of these; states that do not vary
                 over the training passages are left out of it
    training:    ids of the passages that whitenings are fitted on (`training_passages`); none: nothing is whitened
    most:        strategies of one pooling, prepared in one way; a search looks at about as many
    measure:     guides a search of retrieval; None is the first of the measures
    sets:        the query sets that guide it, each weighing the same; None is all
    """
    guided_by = measure or [*measures, ""][0]
    asked = _asked(states, task)
    every = [
        space
        for layer_norm in layer_norms
        for pool in asked.queries.values
        for space in spaces(pool, layer_norm, shrinkages, states.passages, training)
    ]
    parts = []
    for space in bar(every, "sweep", unit="spaces"):
        if space.size <= most:
            parts.append(_whole(space, asked, task, measures))
        else:
            parts.append(_searched(space, asked, task, measures, most, guided_by, sets or task.sets))
        let_go(asked.passages.values[space.template.pool])
    baseline: dict[AnyStrategy, None] = {states.default: None} if asked.queries.has_pooled(states.default) else {}
    return extended(_joined(parts), baseline, states, task, measures)


def sweep_again(
    swept: Sweep, states: TaskStates, task: Task, measures: Sequence[str], training: Sequence[str] = ()
) -> Sweep:
    """These strategies on other queries: none is searched for, so that what was found on dev is what test is asked.

    swept: as it came, or `picked` of it; training: as it was
    """
    asked = _asked(states, task)
    left = [strategy for strategy in swept.strategies if isinstance(strategy, Strategy)]
    kinds = dict.fromkeys((one.layer_norm, one.pool) for one in left if one.pool in asked.queries.values)
    shrinkages = sorted({one.each for one in left if one.each is not None})
    parts = []
    for layer_norm, pool in bar(kinds, "sweep", unit="kinds of state"):
        for space in spaces(pool, layer_norm, shrinkages, states.passages, training):
            some = [one for one in left if space.holds(one)]
            if len(some) == space.size:
                parts.append(_whole(space, asked, task, measures))
            elif some and space.size <= SMALL:
                parts.append(picked(some, _whole(space, asked, task, measures)))
            elif some:
                parts.append(_named(space, space.named(some), _scorer(space, asked, task), asked, task, measures))
    baseline: dict[AnyStrategy, None] = {states.default: None} if states.default in left else {}
    return extended(_joined(parts), baseline, states, task, measures)


def _asked(states: TaskStates, task: Task) -> TaskStates:
    """The states of the passages, and of the task's queries in their order. LabError for what nothing is ranked by."""
    check_order(states, task)
    queries = states.queries.select(task.queries["id"][:])
    _finite(queries)
    _finite(states.passages)
    return TaskStates(states.passages, queries)


def check_order(states: TaskStates, task: Task) -> None:
    """Qrels are read by row: in another order every score would be wrong, and nothing would say so."""
    if states.passages.ids != task.kb.ids:
        raise LabError(
            "sweep: the states are not those of the task's passages in their order. "
            "Take states.covered(task), and select the states by its ids."
        )


def _finite(states: PooledStates) -> None:
    for pool, values in states.values.items():
        for layer, rows in enumerate(values):
            bad = np.flatnonzero(~np.isfinite(rows).all(-1))
            if len(bad):
                raise LabError(
                    f"states: layer {layer} under {pool} holds NaN or infinity, first in {states.ids[bad[0]]!r}. "
                    "Nothing can be ranked by it: choose another model, or float32."
                )
        let_go(values)


def extended(
    swept: Sweep,
    strategies: Mapping[AnyStrategy, Whitenings | None],
    states: TaskStates,
    task: Task,
    measures: Sequence[str],
) -> Sweep:
    """The sweep with further strategies at its end, each with its whitening, scored just as exactly one by one."""
    check_order(states, task)
    known = set(swept.strategies)
    new = {strategy: whitening for strategy, whitening in strategies.items() if strategy not in known}
    if not new:
        return swept
    asked = TaskStates(states.passages, states.queries.select(task.queries["id"][:]))
    pairs = judged_pairs(task)
    added = [
        _single(strategy, whitening, asked, pairs, task, measures)
        for strategy, whitening in bar(new.items(), "extend", unit="strategies")
    ]
    return _stacked([swept, *added])


def picked(strategies: Sequence[AnySystem], swept: Sweep) -> Sweep:
    """The rows of these strategies of a sweep."""
    place = {strategy: i for i, strategy in enumerate(swept.strategies)}
    rows = [place[strategy] for strategy in strategies]
    values = {measure: table[rows] for measure, table in swept.values.items()}
    return Sweep(list(strategies), swept.means.iloc[rows], values, [s for s in swept.constant if s in set(strategies)])


def _single(
    strategy: AnyStrategy,
    whitening: Whitenings | None,
    states: TaskStates,
    pairs: Pairs,
    task: Task,
    measures: Sequence[str],
) -> Sweep:
    """The sweep of one strategy: its vectors are the only layer. states: of the task's queries, in their order."""
    queries = states.queries.embed(strategy, whitening).vectors[None]
    passages = states.passages.embed(strategy, whitening).vectors[None]
    constant = [strategy] * all(_still(passages))
    scorer, only = _kind(task).of(queries, passages, pairs), [(SUM, np.array([True]))]
    return _by_scorer(scorer, only, [strategy], constant, task, measures)


def _whole(space: Space, states: TaskStates, task: Task, measures: Sequence[str]) -> Sweep:
    """The sweep of all strategies of a space. states: of the task's queries, in their order."""
    queries, passages = space.of(states.queries), space.of(states.passages)
    named = list(space.strategies())
    strategies = [strategy for strategy, _, _ in named]
    where = tuple(np.array([(combine, subset) for _, combine, subset in named]).T)
    constant = _constant(strategies, space, _still(passages))
    scored = _scored(queries, passages, task, measures, strategies, where, constant)
    return replace(scored, possible=space.size, looked_at=space.size)


def _searched(
    space: Space, states: TaskStates, task: Task, measures: Sequence[str], most: int, measure: str, sets: Sequence[str]
) -> Sweep:
    """The sweep of what a search finds in a space, guided by the measure on these sets, each weighing the same."""
    scorer = _scorer(space, states, task)
    found = search(len(space.layers), _guide(scorer, task, measure, sets), most)  # what guides it takes room: let it go
    swept = _named(space, found.named, scorer, states, task, measures)
    return replace(swept, possible=space.size, looked_at=found.looked_at)


def _guide(scorer: Ranked | Similar, task: Task, measure: str, sets: Sequence[str]) -> Guide:
    weights = equally(task, sets, np.ones(len(task.queries), dtype=bool))
    if isinstance(scorer, Ranked):
        return scorer.guide(measure, weights)
    pairs = judged_pairs(task)
    return scorer.guide(pairs.grade, _set_of(task)[pairs.query], weights[pairs.query])


def _scorer(space: Space, states: TaskStates, task: Task) -> Ranked | Similar:
    """What scores strategies of a space that are named one by one."""
    return _kind(task).of(space.of(states.queries), space.of(states.passages), judged_pairs(task))


def _kind(task: Task) -> type[Ranked] | type[Similar]:
    return Similar if task.measure == "similarity" else Ranked


def _named(
    space: Space,
    named: Sequence[Named],
    scorer: Ranked | Similar,
    states: TaskStates,
    task: Task,
    measures: Sequence[str],
) -> Sweep:
    """The sweep of these strategies of a space."""
    strategies = [space.strategy(one) for one in named]
    still = scorer.passages.still.tolist() if isinstance(scorer, Ranked) else _still(space.of(states.passages))
    return _by_scorer(scorer, named, strategies, _constant(strategies, space, still), task, measures)


def _by_scorer(
    scorer: Ranked | Similar,
    named: Sequence[Named],
    strategies: Sequence[AnyStrategy],
    constant: Sequence[AnyStrategy],
    task: Task,
    measures: Sequence[str],
) -> Sweep:
    """named: what the scorer calls the strategies"""
    if isinstance(scorer, Similar):
        return from_cosines(scorer.cosines(named), task, measures, strategies, constant)
    return by_rank(scorer.ranks(named), scorer.pairs, task, measures, strategies, constant)


def _still(passages: Passages) -> Sequence[bool]:
    """Of each layer, whether its vectors are the same for every passage."""
    return [not np.ptp(layer, axis=0).any() for layer in passages]


def _constant(strategies: Sequence[Strategy], space: Space, still: Sequence[bool]) -> list[AnyStrategy]:
    """Those whose vector is the same for every passage."""
    layers = {layer for layer, one in zip(space.layers, still, strict=True) if one}
    return [strategy for strategy in strategies if layers.issuperset(strategy.layers)]


def _set_of(task: Task) -> Int64[np.ndarray, " query"]:
    """The number of each query's set."""
    numbers: Int64[np.ndarray, " query"] = np.unique(task.queries["set"][:], return_inverse=True)[1]
    return numbers


def _scored(
    queries: Queries,
    passages: Passages,
    task: Task,
    measures: Sequence[str],
    strategies: Sequence[AnySystem],
    where: tuple[np.ndarray, ...],
    constant: Sequence[AnyStrategy],
) -> Sweep:
    """where: the place of each strategy in the ranks, combine and subset."""
    pairs = judged_pairs(task)
    if task.measure == "similarity":
        return from_cosines(subset_cosines(queries, passages, pairs)[where], task, measures, strategies, constant)
    best = all(parse_measure(name)[0] == "mrr" for name in measures)
    ranks = subset_ranks(queries, passages, pairs, best)[where]
    return by_rank(ranks, pairs.where(pairs.counted(best)), task, measures, strategies, constant)


def by_rank(
    ranks: Int32[np.ndarray, "strategy pair"],
    pairs: Pairs,
    task: Task,
    measures: Sequence[str],
    strategies: Sequence[AnySystem],
    constant: Sequence[AnyStrategy],
) -> Sweep:
    """The sweep of strategies whose ranks of the judged pairs are known."""
    sought = np.isfinite(pairs.grade)
    ranks, pairs = ranks[:, sought], pairs.where(sought)
    n_relevant = np.bincount(pairs.query, minlength=len(task.queries))
    values = {name: from_ranks(name, ranks, pairs.query, pairs.grade, n_relevant) for name in measures}
    return Sweep(list(strategies), _means(values, task, strategies), values, list(constant))


def from_cosines(
    cosines: Float64[np.ndarray, "strategy pair"],
    task: Task,
    measures: Sequence[str],
    strategies: Sequence[AnySystem],
    constant: Sequence[AnyStrategy],
) -> Sweep:
    """The sweep of strategies whose cosines of the judged pairs are known, for similarity.

    measures: both correlations, where it names neither
    """
    wanted = [name for name in CORRELATIONS if name in measures] or list(CORRELATIONS)
    correlated = _correlated(cosines, task, wanted)
    single = {name: shared.astype(np.float32) for name, shared in correlated.items()}
    return Sweep(list(strategies), _means(correlated, task, strategies), single, list(constant))


def judged_pairs(task: Task) -> Pairs:
    """What counts as found, by rows; for similarity every judged pair, whatever its grade.

    Where a query is a passage itself, that pair is among them too, of grade minus infinity: it is not searched.
    """
    row = {name: i for i, name in enumerate(task.kb.ids)}
    judged = [
        (i, row[passage], grade)
        for i, query in enumerate(task.queries["id"][:])
        for passage, grade in task.qrels[query].items()
        if grade > 0 or task.measure == "similarity"
    ]
    if not judged:
        raise LabError(
            f"sweep: of {len(task.queries)} queries none has a relevant passage. Give the split more: corpus.shares."
        )
    if task.ignore_identical_ids:
        asked = {i: task.queries["id"][i] for i, _, _ in judged}
        own = ((i, row[name], -np.inf) for i, name in asked.items() if name in row)
        judged = sorted([*judged, *own], key=lambda pair: pair[0])
    query, passage, grade = zip(*judged, strict=True)
    return Pairs(np.array(query), np.array(passage), np.array(grade, dtype=float))


def _means(
    values: Mapping[str, Float[np.ndarray, "strategy query"]], task: Task, strategies: Sequence[AnySystem]
) -> pd.DataFrame:
    sets = np.array(task.queries["set"][:])
    columns = {(name, m): v[:, sets == name].mean(1, dtype=float) for name in task.sets for m, v in values.items()}
    return _table(columns, strategies)


def _correlated(
    cosines: Float64[np.ndarray, "strategy pair"], task: Task, measures: Sequence[str]
) -> dict[str, Float64[np.ndarray, "strategy query"]]:
    """What each query's pairs have in the correlation of its set, so that their mean is that correlation."""
    rows = [task.qrels[query] for query in task.queries["id"][:]]
    grades = np.array([grade for row in rows for grade in row.values()])
    query_of = np.repeat(np.arange(len(rows)), list(map(len, rows)))
    sets = np.array(task.queries["set"][:])
    found = {name: np.zeros((len(cosines), len(rows))) for name in measures}
    for name in task.sets:
        inside = sets[query_of] == name
        ours, truth, places = cosines[:, inside], grades[inside], query_of[inside]
        first = np.flatnonzero(np.diff(places, prepend=-1))
        weight = (sets == name).sum() / inside.sum()
        for measure in measures:
            part = CORRELATIONS[measure](ours, truth)
            found[measure][:, places[first]] = weight * np.add.reduceat(part, first, axis=1)
    return found


def _table(columns: dict[tuple[str, str], np.ndarray], strategies: Sequence[AnySystem]) -> pd.DataFrame:
    table = pd.DataFrame(columns, index=pd.Index(map(str, strategies), name="strategy"))
    return table.rename_axis(columns=("set", "measure"))


def _joined(parts: list[Sweep]) -> Sweep:
    """The parts as one, the simplest strategies first. The list is emptied on the way, so that parts can be let go."""
    about = _stacked([replace(part, values={}) for part in parts])
    strategies = about.strategies
    order = sorted(range(len(strategies)), key=lambda i: _simplicity(strategies[i]))
    place = np.argsort(order)
    values = {m: np.empty((len(place), table.shape[1]), table.dtype) for m, table in parts[0].values.items()}
    while parts:
        part = parts.pop()
        place, rows = np.split(place, [len(place) - len(part.strategies)])
        for measure, table in values.items():
            table[rows] = part.values[measure]
    return replace(about, strategies=[strategies[i] for i in order], means=about.means.iloc[order], values=values)


def _simplicity(strategy: AnySystem) -> tuple[int, int, str]:
    steps = strategy.steps if isinstance(strategy, Strategy) else ""
    return len(strategy.layers), len(steps), steps


def _stacked(parts: Sequence[Sweep]) -> Sweep:
    strategies = [strategy for part in parts for strategy in part.strategies]
    values = {m: np.concatenate([part.values[m] for part in parts]) for m in parts[0].values}
    means = pd.concat([part.means for part in parts])
    possible, looked_at = (sum(getattr(part, name) for part in parts) for name in ("possible", "looked_at"))
    return Sweep(list(strategies), means, values, [s for part in parts for s in part.constant], possible, looked_at)
