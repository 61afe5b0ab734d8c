"""Text with holes, and what to restore: T5's span corruption and BART's text infilling."""

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerFast

T5_RATE, T5_SPAN = 0.15, 3  # share of the tokens that is hidden, mean tokens a span (Raffel et al. 2020)
BART_RATE, BART_SPAN = 0.3, 3  # the span is Poisson's mean (Lewis et al. 2020)

Example = tuple[list[int], list[int]]
"""Ids that the encoder reads and ids that the decoder should write, each ending with </s>."""


def t5_spans(ids: Sequence[int], tokenizer: PreTrainedTokenizerFast, random: np.random.Generator) -> Example:
    """Each hidden span becomes <extra_id_k>; the target is the spans, each after its <extra_id_k>."""
    n_hidden = max(1, round(len(ids) * T5_RATE))
    lengths = _shared_out(n_hidden, max(1, round(n_hidden / T5_SPAN)), random)
    gaps = _shared_out(len(ids) - n_hidden + 1, len(lengths) + 1, random)  # the one too many: the first may be empty
    gaps[0] -= 1
    source: list[int] = []
    target: list[int] = []
    at = 0
    for k, (gap, length) in enumerate(zip(gaps, lengths, strict=False)):
        sentinel = tokenizer.vocab[f"<extra_id_{k}>"]
        source += [*ids[at : at + gap], sentinel]
        target += [sentinel, *ids[at + gap : at + gap + length]]
        at += gap + length
    end = [tokenizer.eos_token_id]
    return [*source, *ids[at:], *end], target + end


def bart_infilling(ids: Sequence[int], tokenizer: PreTrainedTokenizerFast, random: np.random.Generator) -> Example:
    """Each hidden span becomes one <mask>; the target is the whole text. Spans of no token are not made."""
    hidden = np.zeros(len(ids), dtype=bool)
    first = np.zeros(len(ids), dtype=bool)
    while hidden.sum() < max(1, round(len(ids) * BART_RATE)):
        start, length = random.integers(len(ids)), max(1, random.poisson(BART_SPAN))
        hidden[start : start + length] = True
    first[1:] = hidden[1:] & ~hidden[:-1]
    first[0] = hidden[0]
    kept = [tokenizer.mask_token_id if first[i] else id for i, id in enumerate(ids) if first[i] or not hidden[i]]
    ends = [tokenizer.bos_token_id], [tokenizer.eos_token_id]
    return [*ends[0], *kept, *ends[1]], [*ends[0], *ids, *ends[1]]


def _shared_out(total: int, parts: int, random: np.random.Generator) -> list[int]:
    """Random whole numbers of at least 1 with this sum; fewer parts where the total does not do."""
    parts = min(parts, total)
    cuts = np.sort(random.choice(total - 1, parts - 1, replace=False)) + 1 if parts > 1 else np.array([], dtype=int)
    return [int(n) for n in np.diff([0, *cuts, total])]
