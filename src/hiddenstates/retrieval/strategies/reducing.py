"""Strategies with fewer dimensions, each with what it is fitted to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from hiddenstates.core.joined import AnyStrategy
from hiddenstates.core.strategy import REDUCTIONS, Reduction, Strategy
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.whitening import Spectrum, Whitenings, varies


def reduced(
    strategies: Iterable[AnyStrategy], dimensions: Sequence[int], passages: PooledStates, training: Sequence[str]
) -> dict[AnyStrategy, Whitenings]:
    """Each strategy with fewer dimensions, in every way that `Reduction` knows; joined ones are left out.

    dimensions: how many; those that a strategy's vectors do not exceed, or the training passages do not fill, are not
                tried for it
    training:   ids of the passages that components are fitted on; none: only the first dimensions are tried
    """
    train = passages.select(training)
    found: dict[AnyStrategy, Whitenings] = {}
    for strategy in dict.fromkeys(strategies):
        if isinstance(strategy, Strategy) and strategy.reduced is None:
            found |= _reduced(strategy, dimensions, passages, train)
    return found


def _reduced(
    strategy: Strategy, dimensions: Sequence[int], passages: PooledStates, train: PooledStates
) -> Iterator[tuple[AnyStrategy, Whitenings]]:
    before = fitted(strategy, train)
    vectors = train.embed(strategy.unscaled, before).vectors
    spectrum = Spectrum.of(vectors) if varies(vectors) else None
    for way in REDUCTIONS:
        for one in (Reduction(way, k) for k in dimensions if k < vectors.shape[1] and (k > 1 or way != "white")):
            cut = replace(strategy, reduced=one)
            if not one.fitted:
                yield cut, before
            elif spectrum and one.dimensions <= len(spectrum.variances):
                yield cut, before | Whitenings({str(cut.scaled): spectrum.leading(one)})
