"""A space of strategies: all sets of a pooling's states, summed and concatenated, the states prepared in one way.

States may be put through a layer norm and be whitened, each by itself, before they are combined: then they are other
states, and the same algebra holds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates, layer_normed
from hiddenstates.encoding.embeddings.whitening import Spectrum, Whitening, varies
from hiddenstates.retrieval.deep.best_first import members
from hiddenstates.retrieval.deep.listed import CONCAT, SUM, Named
from hiddenstates.retrieval.ranks.gram import COMBINES, Passages, Queries


@dataclass(frozen=True)
class Space:
    """All sets of these layers, prepared in one way.

    template: one of its strategies, of a single state
    steps:    of each layer, what whitens it; empty where nothing is whitened
    """

    layers: list[int]
    template: Strategy
    steps: list[Whitening]

    @property
    def size(self) -> int:
        """How many strategies it has: a single state is neither summed nor concatenated."""
        return 2 * ((1 << len(self.layers)) - 1) - len(self.layers)

    def of(self, states: PooledStates) -> Queries | Passages:
        """The states as they are combined."""
        values = states.values[self.template.pool]
        if len(self.layers) < len(values):  # else they stay where they are, in memory once
            values = values[self.layers]
        if self.template.layer_norm:
            values = layer_normed(values)
        if not self.steps:
            return values
        return np.stack([step.apply(vectors) for step, vectors in zip(self.steps, values, strict=True)])

    def strategies(self) -> Iterator[tuple[Strategy, int, int]]:
        """Each strategy once, with its place in the ranks; sum and mean over layers have the same cosine."""
        for subset in range(1, 1 << len(self.layers)):
            layers = tuple(layer for i, layer in enumerate(self.layers) if subset >> i & 1)
            for combine, name in enumerate(COMBINES if len(layers) > 1 else ["single"]):
                yield replace(self.template, layers=layers, combine=name), combine, subset

    def strategy(self, named: Named) -> Strategy:
        """What the search calls by its way to combine and by the places of its layers."""
        combine, chosen = named
        layers = tuple(layer for layer, here in zip(self.layers, chosen, strict=True) if here)
        return replace(self.template, layers=layers, combine=COMBINES[combine] if len(layers) > 1 else "single")

    def named(self, strategies: Sequence[Strategy]) -> list[Named]:
        """The other way round."""
        place = {layer: i for i, layer in enumerate(self.layers)}
        masks = [sum(1 << place[layer] for layer in strategy.layers) for strategy in strategies]
        kinds = [CONCAT if strategy.combine == COMBINES[CONCAT] else SUM for strategy in strategies]
        return list(zip(kinds, members(masks, len(self.layers)), strict=True))

    def holds(self, strategy: Strategy) -> bool:
        """Whether it is one of its strategies."""
        alone = replace(strategy, layers=self.template.layers, combine="single")
        return alone == self.template and set(self.layers).issuperset(strategy.layers) and strategy.combine != "mean"


def spaces(
    pool: str, layer_norm: bool, shrinkages: Sequence[float], passages: PooledStates, training: Sequence[str]
) -> Iterator[Space]:
    """Without whitening, then with it, in the order of the shrinkages.

    training: ids of the passages that whitenings are fitted on; states that do not vary over them are left out
    """
    template = Strategy((0,), "single", pool, layer_norm=layer_norm)
    plain = Space(list(range(len(passages.state_map))), template, [])
    yield plain
    if not shrinkages or not training:
        return
    fitted_on = replace(passages, values={pool: passages.values[pool]}).select(training)
    spectra = {layer: Spectrum.of(vectors) for layer, vectors in enumerate(plain.of(fitted_on)) if varies(vectors)}
    for shrinkage in shrinkages if spectra else ():
        steps = [spectrum.whitening(shrinkage) for spectrum in spectra.values()]
        yield Space(list(spectra), replace(template, layers=(min(spectra),), each=shrinkage), steps)
