"""`Strategy`: which hidden states, combined and pooled how, make the embedding. Round-trips to a short string."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from math import isfinite
from typing import Self

from hiddenstates.core.errors import LabError

COMBINES = ("single", "sum", "mean", "concat")
WHITE = 0.9  # the shrinkage of a bare `+white`
REDUCTIONS = ("first", "pca", "white")
_SHRINKAGE = r"\d*\.?\d+(?:e-\d+)?"
_PART = r"(?:\d*\.\d+(?:e-\d+)?|\d+e-\d+|[01])"  # `+white2` and on are numbers of dimensions
_FORM = re.compile(
    r"(?:(?P<single>-?\d{1,3})|(?P<combine>[a-z]+)\((?P<layers>[^()]+)\))/(?P<pool>[a-z]+(?:,[a-z]+)*)"
    rf"(?P<ln>\+ln)?(?:\+each(?P<each>{_SHRINKAGE}))?(?P<head>\+head)?"
    rf"(?P<white>\+white(?P<shrinkage>{_PART})?)?"
    r"(?:\+(?P<way>first|pca|white)(?P<dimensions>\d{1,5}))?(?P<raw>\+raw)?"
)  # three digits: no model has a thousand layers, and a range of a billion would fill the memory
_RANGE = re.compile(r"(-?\d{1,3})(?:\.\.(-?\d{1,3})|\*(?P<weight>-?\d+(?:\.\d+)?(?:e[+-]\d+)?))?")
_EXAMPLES = (
    "Write -1/mean, sum(-4..-1)/mean, sum(2*0.3,6*0.7)/mean or concat(0,2,6)/first; "
    "/first,mean pools in both ways, side by side; +ln puts each state through a layer norm before combining, "
    "+each.5 whitens each state with shrinkage .5, +head applies the model's own modules after pooling, "
    "+white.9 whitens what comes out with shrinkage .9, +first128 keeps the first 128 dimensions, +pca128 the 128 "
    "principal components, +white128 those of equal variance, +raw leaves the length as it is"
)


@dataclass(frozen=True)
class Reduction:
    """Fewer dimensions of the combined vector.

    way:        "first" keeps the first dimensions, which is how Matryoshka embeddings are truncated (Kusupati et al.
                2022); "pca" the principal components, the mean taken away; "white" these with equal variances
                (Su et al. 2021, there called whitening-k)
    dimensions: how many are kept; for "white" 2 or more, since `+white1` is a shrinkage
    """

    way: str
    dimensions: int

    def __post_init__(self) -> None:
        if self.way not in REDUCTIONS:
            raise LabError(f"strategy: unknown reduction {self.way!r}. Choose one of {', '.join(REDUCTIONS)}.")
        least = 2 if self.way == "white" else 1
        if self.dimensions < least:
            raise LabError(f"strategy: {self} keeps {self.dimensions} dimensions. Keep {least} or more.")

    def __str__(self) -> str:
        return f"+{self.way}{self.dimensions}"

    @property
    def fitted(self) -> bool:
        """Whether it must be fitted to passages."""
        return self.way != "first"


@dataclass(frozen=True)
class Strategy:
    """A way to make one vector of a text's hidden states.

    Each state is pooled over the positions, the pooled states are combined over the layers, and the result is
    scaled to length 1. (Only for `max` would combining first and pooling then give another vector.)

    layers:     indices of hidden states; 0 is the embeddings, -1 the last
    combine:    one of `COMBINES`
    pool:       a name in `hiddenstates.encoding.embeddings.pooling.POOLINGS`; several, commas between them, stand side
                by side
    normalize:  scale to length 1, so that the inner product is the cosine
    layer_norm: put each pooled state through a layer norm (Ba et al. 2016, no gain, no bias) before combining
    weights:    of the layers of a sum, a scalar mix (Peters et al. 2018); none: all 1
    each:       whiten each pooled state before combining, after its layer norm, with this shrinkage between 0 and 1
    whiten:     whiten the combined vector before it is scaled (Su et al. 2021), with this shrinkage
    head:       apply the model's own modules after pooling to the combined vector, a
                `hiddenstates.encoding.models.head.Head`, before it is whitened or scaled
    reduced:    keep fewer dimensions of what came out, before it is scaled; None keeps all

    Shrinkage is that of `hiddenstates.encoding.embeddings.whitening.fit`; None does not whiten. What a whitening was
    fitted to, `hiddenstates.encoding.embeddings.whitening.Whitenings` holds.
    """

    layers: tuple[int, ...]
    combine: str
    pool: str
    normalize: bool = True
    layer_norm: bool = False
    weights: tuple[float, ...] = ()
    each: float | None = None
    whiten: float | None = None
    head: bool = False
    reduced: Reduction | None = None

    def __post_init__(self) -> None:
        if self.combine not in COMBINES:
            raise LabError(f"strategy: unknown combine {self.combine!r}. Choose one of {', '.join(COMBINES)}.")
        if not self.layers or len(set(self.layers)) < len(self.layers):
            raise LabError(f"strategy: layers {self.layers} must name at least one state, each once.")
        if (self.combine == "single") != (len(self.layers) == 1):
            raise LabError(f"strategy: {self.combine} of {len(self.layers)} layer(s). One layer is written -1/mean.")
        if self.weights and (self.combine != "sum" or len(self.weights) != len(self.layers)):
            raise LabError(f"strategy: {len(self.weights)} weights for {self.combine} of {len(self.layers)} layers.")
        if not all(map(isfinite, self.weights)):
            raise LabError(f"strategy: the weights {self.weights} are not all finite. Write smaller ones.")
        if not all(shrinkage is None or 0 <= shrinkage <= 1 for shrinkage in (self.each, self.whiten)):
            raise LabError(f"strategy {self}: a shrinkage is a number between 0 and 1. Write +each.5, say.")

    def __str__(self) -> str:
        layers = _weighted(self.layers, self.weights) if self.weights else _join(self.layers)
        head = layers if self.combine == "single" else f"{self.combine}({layers})"
        return f"{head}/{self.pool}{self.steps}{'+raw' * (not self.normalize)}"

    @property
    def steps(self) -> str:
        """What is done to its states and to what they combine to, `+ln+each.5` say."""
        own = "+ln" * self.layer_norm + _step("+each", self.each) + "+head" * self.head
        return own + _step("+white", self.whiten) + (str(self.reduced) if self.reduced else "")

    @property
    def pools(self) -> list[str]:
        """The poolings whose vectors stand side by side; mostly one."""
        return self.pool.split(",")

    @property
    def unscaled(self) -> Self:
        """The same strategy, its vectors left at the length that they come out with."""
        return replace(self, normalize=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The strategy that a string such as `sum(-4..-1)/mean` names."""
        found = _FORM.fullmatch(text.replace(" ", ""))
        if not found:
            raise LabError(f"strategy {text!r} is not understood. {_EXAMPLES}.")
        layers, weights = _split(found["single"] or found["layers"], text)
        combine = "single" if found["single"] or len(layers) == 1 else found["combine"]
        each = float(found["each"]) if found["each"] else None
        whiten = float(found["shrinkage"] or WHITE) if found["white"] else None
        plain, normed, head = not found["raw"], bool(found["ln"]), bool(found["head"])
        reduced = Reduction(found["way"], int(found["dimensions"])) if found["way"] else None
        return cls(layers, combine, found["pool"], plain, normed, weights, each, whiten, head, reduced)

    @property
    def scaled(self) -> Self:
        """The same strategy, its vectors scaled to length 1."""
        return replace(self, normalize=True)

    def states(self) -> "list[Strategy]":
        """Each of its states alone, with what is done to it before the states are weighted and combined."""
        made = Strategy(self.layers[:1], "single", self.pool, layer_norm=self.layer_norm, each=self.each)
        return [replace(made, layers=(layer,)) for layer in self.layers]

    @property
    def whitened(self) -> "list[Strategy]":
        """What its steps are fitted to, each as a strategy: its states alone, then the combined ones; often empty."""
        alone = self.states() if self.each is not None else []
        combined = [self.full] if self.whiten is not None else []
        return [*alone, *combined, *([self.scaled] if self.reduced and self.reduced.fitted else [])]

    @property
    def fitted(self) -> bool:
        """Whether `whitened` names anything, told without making it: a sweep asks of a hundred thousand strategies."""
        return self.each is not None or self.whiten is not None or bool(self.reduced and self.reduced.fitted)

    @property
    def full(self) -> Self:
        """The same strategy with all its dimensions, its vectors scaled to length 1."""
        return replace(self.scaled, reduced=None)

    def resolve(self, n_states: int) -> Self:
        """The same strategy with layers counted from 0, ascending, for a model of `n_states` hidden states."""
        for layer in self.layers:
            if not -n_states <= layer < n_states:
                raise LabError(f"strategy {self}: there is no state {layer}; this model has 0 to {n_states - 1}.")
        layers = [layer % n_states for layer in self.layers]
        if len(set(layers)) < len(layers):
            raise LabError(f"strategy {self} names a state twice: this model's states are 0 to {n_states - 1}.")
        order = sorted(range(len(layers)), key=layers.__getitem__)
        weights = tuple(self.weights[i] for i in order) if self.weights else ()
        return replace(self, layers=tuple(layers[i] for i in order), weights=weights)


DEFAULT = Strategy((-1,), "single", "mean")
"""The published default of sentence encoders: the last state's mean (Reimers & Gurevych 2019)."""


def _split(layers: str, whole: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The layers that `3..5` or `2*0.3,6*0.7` names, and their weights if they have any."""
    found: list[int] = []
    weights: list[float] = []
    for part in layers.split(","):
        ends = _RANGE.fullmatch(part)
        if not ends:
            raise LabError(f"strategy {whole!r}: {part!r} is no layer and no range. {_EXAMPLES}.")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if last < first:
            raise LabError(f"strategy {whole!r}: the range {part} runs backwards. {_EXAMPLES}.")
        found += range(first, last + 1)
        weights += [float(ends["weight"])] if ends["weight"] else []
    return tuple(found), tuple(weights)


def _step(name: str, shrinkage: float | None) -> str:
    """.5 as `+each.5`, 0 as `+each0`."""
    digits = "" if shrinkage is None else repr(float(shrinkage)).removesuffix(".0")
    return name + (digits.removeprefix("0") or "0") if digits else ""


def _weighted(layers: Iterable[int], weights: Iterable[float]) -> str:
    # every digit: an index is refused when the strategy that its manifest names is not the queries'
    return ",".join(f"{layer}*{float(w)!r}".removesuffix(".0") for layer, w in zip(layers, weights, strict=True))


def _join(layers: Iterable[int]) -> str:
    """3,4,5,7 as `3..5,7`."""
    parts = []
    for _, group in groupby(enumerate(layers), key=lambda pair: pair[1] - pair[0]):
        run = [layer for _, layer in group]
        parts += [f"{run[0]}..{run[-1]}"] if len(run) > 2 else [str(layer) for layer in run]
    return ",".join(parts)
