"""The procedure of choosing: which strategy some dev queries would take, among all that were swept or made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from hiddenstates.core.data import Task
from hiddenstates.core.joined import AnyStrategy, AnySystem, Fused, Joined, parse
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.fitting import fitted_all
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import Whitening, Whitenings
from hiddenstates.retrieval.choosing.limits import ANY, Limits
from hiddenstates.retrieval.strategies.joining import sweep_joined
from hiddenstates.retrieval.strategies.mixing import learn_weights
from hiddenstates.retrieval.strategies.sweep import Sweep, extended, picked
from hiddenstates.retrieval.validation import Proposal, Rows, Validation, Values, equally, group_of, led

CAUTION = 1.0
"""Standard errors that are taken off each strategy's gain over the default before the largest is taken."""

PARTNERS = 5
"""Strategies that the default is joined with: the leading ones."""

MIXED = 2
"""Spaces (a pooling, with a layer norm or without) for which weights of the layers are learned: the leading ones."""

LOOKED_AT = 100
"""Strategies that are looked at for these."""

Scored = tuple[Sweep, Float64[np.ndarray, " _"]]  # sweeps of any length side by side

RULE = (
    "the largest gain over the default less its standard error, "
    "if choosing so gains more than one standard error in five folds; else the default"
)


@dataclass(frozen=True, eq=False)
class Search:
    """Takes the strategy with the largest gain over the default, less the standard error of that gain.

    So of two that look alike, the one nearer to the default is taken, and the default where nothing surely gains.

    swept:    of the task's queries; the default is one of its strategies
    sets:     the query sets that choose, each weighing the same
    learn:    learn weights of the layers, too, each time from the queries that choose
    join:     join the default with others, too
    training: ids of the passages that whitenings are fitted on
    limits:   what is chosen costs no more. The default may: then it is what gains are measured from, and not chosen
    """

    swept: Sweep
    default: AnyStrategy
    states: TaskStates
    task: Task
    measure: str
    sets: Sequence[str]
    learn: bool
    join: bool
    training: Sequence[str]
    seed: int
    limits: Limits = ANY
    joined: dict[AnyStrategy, Sweep] = field(default_factory=dict, repr=False)
    fits: dict[str, Whitening] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        constant = set(self.swept.constant)
        useful = [_vector(one) for one in self.swept.strategies if one not in constant] if self.limits else []
        self.limits.check(useful, self.states.passages)

    def __call__(self, rows: Rows) -> Proposal:
        """What these queries alone would take."""
        strategy, values = self.best(rows)
        return Proposal(str(strategy), values)

    def best(self, rows: Rows) -> tuple[AnyStrategy, Values]:
        """The strategy, and each query's measure under it."""
        scored = self.scored(rows)
        part, scores = max(scored, key=lambda one: one[1].max(initial=-np.inf))  # of equals the first, the simplest
        row = int(np.argmax(scores))
        return _vector(part.strategies[row]), part.values[self.measure][row].astype(float)

    def scored(self, rows: Rows) -> list[Scored]:
        """All that is to choose from, the simplest first: each strategy's gain less its error."""
        scored = [self._of(self.swept, rows)]
        if self.learn:
            scored.append(self._of(self._learned(_leading(scored, self.default), rows), rows))
        partners = _leading(scored, self.default)[:PARTNERS] if self.join and self.allows(self.default) else []
        return scored + [self._of(part, rows) for part in self._joined(partners)]

    @property
    def baseline(self) -> Values:
        """Each query's measure under the default."""
        return self.swept.values[self.measure][self.swept.row(self.default)].astype(float)

    def whitening(self, strategies: Sequence[AnyStrategy]) -> Whitenings:
        """What these strategies whiten by; each step is fitted once, whichever strategies share it."""
        found = fitted_all(strategies, self._fitted_on, Whitenings(self.fits))
        self.fits.update(found.parts)
        return found

    @cached_property
    def _fitted_on(self) -> PooledStates:
        return self.states.passages.select(self.training)

    def allows(self, strategy: AnyStrategy) -> bool:
        """Whether it may be chosen, as far as its cost goes."""
        return not self.limits or self.limits.hold(strategy, self.states.passages)

    def _of(self, part: Sweep, rows: Rows) -> Scored:
        """With the gain of each strategy less its error; never of one that ranks nothing, or is beyond the limits."""
        weights = equally(self.task, self.sets, rows)
        gains, errors = led(part.values[self.measure], self.baseline, weights, group_of(self.task))
        left_out = set(part.constant)
        if self.limits:
            left_out |= {one for one in map(_vector, part.strategies) if not self.allows(one)}
        scores = np.round(gains - CAUTION * np.minimum(errors, 9.0), 9)
        scores[[i for i, strategy in enumerate(part.strategies) if strategy in left_out] if left_out else []] = -np.inf
        return part, scores

    def _learned(self, leading: Sequence[AnyStrategy], rows: Rows) -> Sweep:
        ids = self.task.queries["id"][:]
        train = self.task.within(self.task.kb.ids, [ids[i] for i in np.flatnonzero(rows)])
        plain = [s for s in leading if isinstance(s, Strategy) and s.each is None and s.reduced is None]
        spaces = list(dict.fromkeys((s.pool, s.layer_norm) for s in plain))[:MIXED]
        highest = self.limits.layers
        mixes = [learn_weights(self.states, train, *space, self.seed, self.sets, highest) for space in spaces]
        return self._alone([mix for mix in dict.fromkeys(mixes) if mix.weights])

    def _alone(self, strategies: Sequence[AnyStrategy]) -> Sweep:
        first = picked([self.default], self.swept)
        whole = extended(first, dict.fromkeys(strategies), self.states, self.task, list(first.values))
        return picked([_vector(one) for one in whole.strategies if one != self.default], whole)

    def _joined(self, partners: Sequence[AnyStrategy]) -> list[Sweep]:
        """Each partner is joined once, whichever folds ask for it."""
        for partner in partners:
            if partner not in self.joined and not isinstance(partner, Joined):
                pair = [self.default, partner]
                found = sweep_joined(self.states, self.task, pair, [self.measure], self.whitening(pair))
                self.joined[partner] = found
        return [self.joined[partner] for partner in partners if partner in self.joined]


def _leading(scored: Sequence[Scored], default: AnyStrategy) -> list[AnyStrategy]:
    """The best first, none of which is the default."""
    scores = np.concatenate([values for _, values in scored])
    strategies = [strategy for part, _ in scored for strategy in part.strategies]
    order = np.argsort(-scores, kind="stable")[:LOOKED_AT]
    return [strategies[i] for i in order if np.isfinite(scores[i]) and strategies[i] != default]


def _vector(system: AnySystem) -> AnyStrategy:
    """The sweeps of a search hold no words: those are tried beside what it chose."""
    if isinstance(system, Fused):
        raise TypeError(f"{system} is no strategy")
    return system


def decided(search: Search, found: Validation, margin: float) -> Choice:
    """What later stages use: what the procedure takes, if choosing pays, else the default. `found`: of this search

    A default beyond the limits is never used: then what the procedure takes is, whether it pays or not.
    """
    taken = found.pays or not search.allows(search.default)
    strategy = parse(found.proposal.name) if taken else search.default
    values = found.proposal.values if taken else search.baseline
    evidence = {
        "measure": search.measure,
        "split": "dev",
        "sets": list(search.sets),
        "score": float(found.weights @ values),
        "default": str(search.default),
        "proposed": found.proposal.name,
        "rule": RULE,
        "cross-validated": found.evidence(),
        "margin": margin,
    }
    if search.limits:
        evidence["limits"] = str(search.limits)
    whitening = search.whitening([strategy]) if strategy.whitened else None
    return Choice(strategy, search.states.passages.fingerprint, evidence, whitening)
