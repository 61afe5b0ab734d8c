"""How fast every strategy is scored, against scoring one after the other. (What the states cost: benchmarks/encode.py.)

Two threads, one process. The states are random: each text is a point that all layers share, plus noise. Direct: a
strategy's vectors, the passages at length 1, one float32 product, and a count of the passages that score at least as
high as the relevant one, in numpy, whose product is the faster here (torch's: 0.6 of its speed). Run:
python benchmarks/sweep.py [--quick]

(b) all 1,235 strategies of a 6-layer model, 384 dimensions, 5 poolings: both sides in full
(c) all 81,845 of a 12-layer model, 768 dimensions: the direct side extrapolated from a random sample
(d) how the time grows with passages and with layers
"""

import argparse
import os
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter

THREADS = 2
for _name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = str(THREADS)  # before anything reads them

import numpy as np  # noqa: E402

from hiddenstates.retrieval.ranks.gram import Pairs, subset_ranks  # noqa: E402

POOLINGS = 5


@dataclass(frozen=True)
class Size:
    states: int
    width: int
    queries: int = 1_000
    passages: int = 5_000

    def strategies(self) -> list[tuple[int, int]]:
        """Combine and set of layers, of one pooling; one layer is neither summed nor concatenated."""
        subsets = range(1, 1 << self.states)
        return [(combine, s) for s in subsets for combine in range(2) if s & (s - 1) or not combine]


@dataclass(frozen=True)
class Corpus:
    queries: np.ndarray
    passages: np.ndarray
    pairs: Pairs

    @classmethod
    def random(cls, size: Size, seed: int) -> "Corpus":
        random = np.random.default_rng(seed)
        answers = random.integers(size.passages, size=size.queries)
        points = random.standard_normal((size.passages, size.width), dtype=np.float32)

        def layers(of: np.ndarray, noise: float) -> np.ndarray:
            shape = (size.states, *of.shape)
            return of + noise * random.standard_normal(shape, dtype=np.float32)

        pairs = Pairs(np.arange(size.queries), answers, np.ones(size.queries))
        return cls(layers(points[answers], size.width**0.5 / 2), layers(points, 1.0), pairs)


def direct(corpus: Corpus, combine: int, subset: int) -> np.ndarray:
    """How many passages score at least as high as the relevant one, itself among them."""
    layers = [i for i in range(len(corpus.queries)) if subset >> i & 1]
    queries, passages = (
        np.concatenate(states[layers], axis=1) if combine else states[layers].sum(0)
        for states in (corpus.queries, corpus.passages)
    )
    passages /= np.linalg.norm(passages, axis=1, keepdims=True)
    scores = queries @ passages.T
    relevant = scores[np.arange(len(queries)), corpus.pairs.passage]
    return np.count_nonzero(scores >= relevant[:, None], axis=1)


def swept(corpora: Sequence[Corpus]) -> tuple[float, list[np.ndarray]]:
    """Seconds, and the ranks under every strategy, a table for each pooling."""
    start = perf_counter()
    ranks = [subset_ranks(corpus.queries, corpus.passages, corpus.pairs) for corpus in corpora]
    return perf_counter() - start, ranks


def one_by_one(
    corpora: Sequence[Corpus], ranks: Sequence[np.ndarray], asked: Sequence[tuple[int, int, int]]
) -> Iterator[tuple[float, float]]:
    """For each (pooling, combine, set): seconds, and the share of queries whose rank is the sweep's."""
    for pooling, combine, subset in asked:
        start = perf_counter()
        found = direct(corpora[pooling], combine, subset)
        yield perf_counter() - start, float((found == ranks[pooling][combine, subset]).mean())


def compare(name: str, size: Size, sample: int | None, rounds: int) -> None:
    """Sweeps in turn with parts of the direct side, so that what else the machine does meets both."""
    corpora = [Corpus.random(size, seed) for seed in range(POOLINGS)]
    every = [(pooling, *strategy) for pooling in range(POOLINGS) for strategy in size.strategies()]
    order = np.random.default_rng(0).permutation(len(every))[:sample]
    ours, theirs, same = [], [], []
    for turn in range(rounds):
        seconds, ranks = swept(corpora)
        ours.append(seconds)
        part = [every[i] for i in order[turn::rounds]]
        for single, equal in one_by_one(corpora, ranks, part):
            theirs.append(single)
            same.append(equal)
    mrr = np.mean([1 / table[:, 1:] for table in ranks])
    total = np.mean(theirs) * len(every)
    error = np.std(theirs) / len(theirs) ** 0.5 * len(every)
    how = "measured" if sample is None else f"extrapolated from {len(theirs)} at random, +- {error:,.0f}"
    print(f"({name}) {len(every):,} strategies, {size}, mean reciprocal rank {mrr:.2f}")
    print(f"    sweep {median(ours):.2f} s ({', '.join(f'{value:.2f}' for value in ours)})")
    print(f"    one by one {total:,.0f} s ({how}); ranks equal: {np.mean(same):.4%}")
    print(f"    ratio {total / median(ours):.0f}", flush=True)


def grown(sizes: Sequence[Size], rounds: int) -> list[float]:
    """Median seconds of each size, one pooling."""
    corpora = [Corpus.random(size, 0) for size in sizes]
    turns = [[swept([corpus])[0] for corpus in corpora] for _ in range(rounds)]
    return [median(values) for values in zip(*turns, strict=True)]


def growth(size: Size, layers: Sequence[int], rounds: int) -> None:
    factors = (1, 2, 4, 8)
    by_passages = grown([replace(size, passages=size.passages * factor) for factor in factors], rounds)
    by_layers = grown([replace(size, states=states) for states in layers], rounds)
    exponent = np.polyfit(np.log(factors), np.log(by_passages), 1)[0]
    doubling = 2 ** np.polyfit(layers, np.log2(by_layers), 1)[0]
    print(f"(d) one pooling, {size}")
    print(f"    x {factors} passages: {_seconds(by_passages)}: grows as passages^{exponent:.2f}")
    print(f"    {tuple(layers)} states: {_seconds(by_layers)}: x {doubling:.2f} a state, where strategies double")


def _seconds(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values) + " s"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--sample", type=int, default=60, help="strategies to extrapolate (c) from")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", default="bcd")
    chosen = parser.parse_args(arguments)
    small = Size(3, 16, 20, 300)
    swept([Corpus.random(small, 0)])  # compiles, or loads what is compiled
    if "b" in chosen.parts:
        compare("b", small if chosen.quick else Size(7, 384, chosen.queries), None, chosen.rounds)
    if "c" in chosen.parts:
        compare("c", small if chosen.quick else Size(13, 768, chosen.queries), chosen.sample, chosen.rounds)
    if "d" in chosen.parts:
        growth(small if chosen.quick else Size(9, 384, 200, 1_250), (3, 4) if chosen.quick else (7, 9, 11, 13), 3)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
