"""What a strategy's whitening steps need, fitted on pooled states."""

from collections.abc import Iterable
from dataclasses import replace

from hiddenstates.core.joined import AnyStrategy
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.whitening import Whitening, Whitenings, fit, fit_leading


def fitted_all(strategies: Iterable[AnyStrategy], states: PooledStates, known: Whitenings | None = None) -> Whitenings:
    """The whitenings of several strategies together; each embeds by those that it needs. known: as for `fitted`"""
    found = Whitenings({})
    for strategy in strategies:
        found |= fitted(strategy, states, found | (known or found))
    return found


def fitted(strategy: AnyStrategy, states: PooledStates, known: Whitenings | None = None) -> Whitenings:
    """The whitenings of the strategy, without any part where it does not whiten.

    states: of training passages (`training_passages`). The same states give the same numbers, wherever fitted.
    known:  fitted on the same states before, and not fitted again
    """
    found = Whitenings({})
    for step in strategy.resolve(len(states.state_map)).whitened:
        if known and str(step) in known.parts:
            found |= known.only([step])
            continue
        found |= Whitenings({str(step): _fit(step, states, found)})
    return found


def _fit(step: Strategy, states: PooledStates, known: Whitenings) -> Whitening:
    """What the last step of the strategy does, fitted to what those before it make of the states."""
    if step.reduced:
        before = replace(step, reduced=None)
        return fit_leading(states.embed(before.unscaled, known).vectors, step.reduced)
    shrinkage, before = _undone(step)
    return fit(states.embed(before.unscaled, known).vectors, shrinkage)


def _undone(step: Strategy) -> tuple[float, Strategy]:
    """The shrinkage of the last whitening, and the strategy without it."""
    if step.whiten is not None:
        return step.whiten, replace(step, whiten=None)
    return step.each or 0.0, replace(step, each=None)
