"""Tied against untied: one language model, the same seeds; its perplexity, and where its embeddings end up."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float64, Int64
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from hiddenstates.core.bars import bar
from hiddenstates.core.params import Tying
from hiddenstates.core.threads import one_thread
from hiddenstates.tying.language_model import Table, Trained, train
from hiddenstates.tying.words import Words

WORKERS = 2
FREQUENT = 500  # words whose cosines are compared; a rare word's vector is mostly where it began
NAMES = {True: "tied", False: "untied"}
Runs = Mapping[tuple[str, int], Trained]
"""By "tied" or "untied", and seed."""


def train_pairs(words: Words, params: Tying) -> Runs:
    """A tied and an untied model for each seed, two at a time.

    One thread a model: a small LSTM's steps are too short to share out, and so the sums come out the same each time.
    """
    wanted = [(tied, params.seed + i) for i in range(params.seeds) for tied in NAMES]
    with one_thread(), ThreadPoolExecutor(WORKERS) as pool:
        made = pool.map(lambda pair: train(words, params, *pair), wanted)
        named = zip(((NAMES[tied], seed) for tied, seed in wanted), made, strict=True)
        return dict(bar(named, "language models", len(wanted), unit="models"))


def perplexities(runs: Runs) -> pd.DataFrame:
    """One row per seed, columns (kind, epoch | dev | test), and their difference on test, tied minus untied."""
    seeds = list(dict.fromkeys(seed for _, seed in runs))
    columns = {
        (kind, name): [getattr(runs[kind, seed], name) for seed in seeds]
        for kind in NAMES.values()
        for name in ("epoch", "dev", "test")
    }
    table = pd.DataFrame(columns, index=pd.Index(seeds, name="seed"))
    table["difference", "test"] = table["tied", "test"] - table["untied", "test"]
    return table


def similarities(words: Words, runs: Runs) -> pd.DataFrame:
    """How alike two embeddings place the same words, one row per seed (Press & Wolf 2017, section 4 and Table 2).

    Spearman's correlation of the cosines of all pairs of the most frequent words. "out, other seed" is what two
    outputs have in common that differ in nothing but where they began: as near as any two could be expected to come.
    """
    known = words.frequent(FREQUENT)
    seeds = list(dict.fromkeys(seed for _, seed in runs))
    rows = {}
    for seed, other in zip(seeds, seeds[1:] + seeds[:1], strict=True):
        found = {
            "in": cosines(runs["untied", seed].model.embedding.weight, known),
            "out": cosines(runs["untied", seed].model.head.weight, known),
            "tied": cosines(runs["tied", seed].model.embedding.weight, known),
            "other seed": cosines(runs["untied", other].model.head.weight, known),
        }
        rows[seed] = {f"{a}, {b}": float(spearmanr(found[a], found[b]).statistic) for a, b in PAIRS}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")


PAIRS: Sequence[tuple[str, str]] = (("in", "out"), ("in", "tied"), ("out", "tied"), ("out", "other seed"))


@torch.no_grad()
def cosines(table: Table, words: Int64[Tensor, " chosen"]) -> Float64[np.ndarray, " pair"]:
    """The cosine of each pair of these rows."""
    rows = F.normalize(table[words].double(), dim=1)
    first, second = torch.triu_indices(len(words), len(words), offset=1)
    return (rows @ rows.T)[first, second].numpy()
