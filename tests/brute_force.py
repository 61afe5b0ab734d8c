"""States that are hard to rank, and the ranks under every set of them by brute force in float64."""

from collections.abc import Callable

import numpy as np

from hiddenstates.retrieval.ranks.exact import TIE
from hiddenstates.retrieval.ranks.gram import Pairs
from hiddenstates.retrieval.ranks.subsets import LANES
from hiddenstates.retrieval.ranks.walk import CHUNK

N_LAYERS, N_QUERIES, N_PASSAGES, WIDTH = 4, CHUNK + 5, 3 * LANES + 11, 12
Corpus = tuple[np.ndarray, np.ndarray, Pairs]
Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], None]


def judgements(n_queries: int, n_passages: int, random: np.random.Generator) -> Pairs:
    """0 to 4 graded passages per query, one of them often shared with the next query."""
    rows = []
    for query in range(n_queries):
        for passage in random.permutation(n_passages)[: random.integers(5)]:
            rows.append((query, passage, random.integers(1, 4)))
    query, passage, grade = np.array(rows).T
    return Pairs(query, passage, grade.astype(float))


def corpus(change: Change, n_passages: int = N_PASSAGES, seed: int = 0) -> Corpus:
    """Random states that `change` works on in float64, before they are rounded as a model's are."""
    random = np.random.default_rng(seed)
    passages = random.normal(size=(N_LAYERS, n_passages, WIDTH))
    queries = random.normal(size=(N_LAYERS, N_QUERIES, WIDTH))
    change(queries, passages, random)
    pairs = judgements(N_QUERIES, n_passages, random)
    return queries.astype(np.float32), passages.astype(np.float32), pairs


def nothing(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    pass


def crowded(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """Everything points almost the same way, as the last states of many encoders do."""
    common = 20 * random.normal(size=(N_LAYERS, 1, WIDTH))
    queries[:], passages[:] = common + 1e-3 * queries, common + 2e-4 * passages


def lopsided(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """Layers and dimensions of very different size, as before and after a final norm."""
    for states in (queries, passages):
        states *= np.array([1e-3, 1, 30, 1e3])[:, None, None]
        states[:, :, 0] *= 100


def duplicated(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """Each text several times, and once more at twice the length, which the cosine cannot see."""
    passages[:] = passages[:, np.arange(passages.shape[1]) % 7]
    passages[:, ::3] *= 2


def constant(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """Layers 0 and 2 are the same for every passage."""
    passages[[0, 2]] = passages[[0, 2], :1]


def nearly_constant(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """All passages are the same, but for one."""
    passages[:, 1:] = passages[:, 1:2]


def zero(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """Vectors without length at some layers, and at all."""
    passages[1, ::5], passages[:, 3], queries[0, ::4], queries[:, 2] = 0, 0, 0, 0


CHANGES = [nothing, crowded, lopsided, duplicated, constant, nearly_constant, zero]


def combined(states: np.ndarray, combine: int, subset: int) -> np.ndarray:
    """The embeddings of one strategy in float64, of length 1, or 0 where there is none."""
    chosen = [layer.astype(float) for i, layer in enumerate(states) if subset >> i & 1]
    vectors = np.concatenate(chosen, axis=1) if combine else np.sum(chosen, axis=0)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def brute_ranks(queries: np.ndarray, passages: np.ndarray, pairs: Pairs, combine: int, subset: int) -> list[int]:
    """1 and the number of other passages that are better, or tied and less relevant; the last if all are the same."""
    vectors = combined(passages, combine, subset)
    if (vectors == vectors[0]).all():
        return [len(vectors)] * len(pairs.query)
    scores = combined(queries, combine, subset) @ vectors.T
    ranks = []
    for n, (query, passage) in enumerate(zip(pairs.query, pairs.passage, strict=True)):
        grade, listed = np.zeros(scores.shape[1]), np.full(scores.shape[1], -1)
        own = pairs.query == query
        grade[pairs.passage[own]], listed[pairs.passage[own]] = pairs.grade[own], np.flatnonzero(own)
        gap = scores[query] - scores[query, passage]
        wins_ties = (grade < grade[passage]) | ((grade == grade[passage]) & (listed < n))
        ahead = (gap > TIE) | ((np.abs(gap) <= TIE) & wins_ties)
        ahead[passage] = False
        ranks.append(1 + int(ahead.sum()))
    return ranks
