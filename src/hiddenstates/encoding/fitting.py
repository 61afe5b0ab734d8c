"""What a strategy's whitening steps need, fitted on pooled states."""

from dataclasses import replace

from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.pooled import PooledStates
from hiddenstates.encoding.whitening import Whitenings, fit


def fitted(strategy: Strategy, states: PooledStates) -> Whitenings:
    """The whitenings of the strategy, without any part where it does not whiten.

    states: of training passages (`training_passages`). The same states give the same numbers, wherever fitted.
    """
    found = Whitenings({})
    for step in strategy.resolve(len(states.state_map)).whitened:
        last = "each" if step.whiten is None else "whiten"
        before = replace(step, **{last: None}).unscaled
        found |= Whitenings({str(step): fit(states.embed(before, found).vectors, getattr(step, last))})
    return found
