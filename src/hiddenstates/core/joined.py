"""`Joined`: several strategies in one vector, whose cosine is the weighted mean of theirs; `Fused`: with words beside.

Both round-trip to a string.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Self

from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy

AND = "&"
_EXAMPLE = "Write 0.3*6/mean & 0.7*concat(0,6)/max, say; the weights add up to 1"
_DIGITS = 6  # of a weight that is a product of others


@dataclass(frozen=True)
class Joined:
    """The unit vectors of several strategies side by side, each as long as the root of its weight.

    The vector is of length 1, and the inner product of two such vectors is the weighted mean of the parts' cosines.
    """

    parts: tuple[Strategy, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.parts) < 2 or len(self.parts) != len(self.weights):
            raise LabError(f"joined strategy: {len(self.parts)} part(s), {len(self.weights)} weight(s). {_EXAMPLE}.")
        if not all(isfinite(weight) and weight > 0 for weight in self.weights) or abs(sum(self.weights) - 1) > 1e-4:
            raise LabError(f"joined strategy: weights {self.weights} that are not above 0 or not 1 in all. {_EXAMPLE}.")
        if not all(part.normalize for part in self.parts):
            raise LabError(f"joined strategy {self}: every part is scaled to length 1. Leave +raw out.")
        if len(set(self.parts)) < len(self.parts):
            raise LabError(f"joined strategy {self} names a part twice. Add the weights up.")

    def __str__(self) -> str:
        weights = map(_weight, self.weights)
        return f" {AND} ".join(f"{weight}*{part}" for weight, part in zip(weights, self.parts, strict=True))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The strategy that a string such as `0.3*6/mean & 0.7*concat(0,6)/max+ln` names."""
        pairs = [term.partition("*")[::2] for term in text.replace(" ", "").split(AND)]
        try:
            weights = tuple(float(weight) for weight, _ in pairs)
        except ValueError as error:
            raise LabError(f"strategy {text!r}: {error}. {_EXAMPLE}.") from error
        return cls(tuple(Strategy.parse(part) for _, part in pairs), weights)

    @property
    def normalize(self) -> bool:
        """Its vectors are of length 1, always."""
        return True

    @property
    def unscaled(self) -> Self:
        """Itself: its parts are scaled before they are joined."""
        return self

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers of all its parts, ascending."""
        return tuple(sorted({layer for part in self.parts for layer in part.layers}))

    @property
    def pools(self) -> list[str]:
        """The poolings that it needs."""
        return list(dict.fromkeys(pool for part in self.parts for pool in part.pools))

    @property
    def whitened(self) -> list[Strategy]:
        """What the steps of its parts whiten, each once."""
        return list(dict.fromkeys(step for part in self.parts for step in part.whitened))

    def resolve(self, n_states: int) -> Self:
        """The same strategy with layers counted from 0; see `Strategy.resolve`."""
        return replace(self, parts=tuple(part.resolve(n_states) for part in self.parts))


AnyStrategy = Strategy | Joined


def parse(text: str) -> AnyStrategy:
    """The strategy of either kind that a string names."""
    return Joined.parse(text) if AND in text else Strategy.parse(text)


def terms(strategy: AnyStrategy) -> dict[Strategy, float]:
    """Each part and its weight; of one that is not joined, itself and 1."""
    if isinstance(strategy, Strategy):
        return {strategy: 1.0}
    return dict(zip(strategy.parts, strategy.weights, strict=True))


def join(parts: Iterable[tuple[AnyStrategy, float]]) -> AnyStrategy:
    """Strategies, joined or not, under these weights; a part of several of them has its weights added up."""
    total: Counter[Strategy] = Counter()
    for strategy, weight in parts:
        for part, share in terms(strategy).items():
            total[part] += weight * share  # type: ignore[assignment]
    if len(total) == 1:
        return next(iter(total))
    return Joined(tuple(total), tuple(round(weight, _DIGITS) for weight in total.values()))


WORDS = "bm25"


@dataclass(frozen=True)
class Fused:
    """A strategy's cosine and the words: the score is weight · cosine + (1 − weight) · BM25 / the query's best BM25."""

    strategy: AnyStrategy
    weight: float

    def __post_init__(self) -> None:
        if not 0 < self.weight < 1:
            raise LabError(f"fused system: the cosine's weight {self.weight} is not between 0 and 1. {_FUSED}.")
        if not self.strategy.normalize:
            raise LabError(f"fused system: {self.strategy} has no cosine. Leave +raw out.")

    def __str__(self) -> str:
        return f"{_weight(self.weight)}*({self.strategy}) & {_weight(round(1 - self.weight, _DIGITS))}*{WORDS}"

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers of its strategy."""
        return self.strategy.layers

    @classmethod
    def parse(cls, text: str) -> Self:
        """The system that a string such as `0.8*(6/mean) & 0.2*bm25` names."""
        found = _FUSED_FORM.fullmatch(text.replace(" ", ""))
        if not found or abs(float(found["cosine"]) + float(found["words"]) - 1) > 1e-4:
            raise LabError(f"system {text!r} is not understood. {_FUSED}.")
        return cls(parse(found["strategy"]), float(found["cosine"]))


_NUMBER = r"\d*\.?\d+(?:e-\d+)?"
_FUSED_FORM = re.compile(rf"(?P<cosine>{_NUMBER})\*\((?P<strategy>.+)\)&(?P<words>{_NUMBER})\*{WORDS}")
_FUSED = f"Write 0.8*(6/mean) & 0.2*{WORDS}, say; the weights add up to 1"

AnySystem = AnyStrategy | Fused


def fused(strategy: AnyStrategy, weight: float) -> AnySystem:
    """With the words; under weight 1 the strategy itself."""
    return strategy if weight == 1 else Fused(strategy, weight)


def _weight(weight: float) -> str:
    return repr(float(weight)).removesuffix(".0")
