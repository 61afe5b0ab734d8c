"""Batches without waste: texts of one length together, as many as a budget of tokens admits."""

from collections.abc import Iterator, Sequence

TOKEN_BUDGET = 2048
"""Tokens a batch. On two busy cores 2,048 and 4,096 were equally fast within the noise, 1,024 about a tenth slower."""


GPU_BUDGET = 32768
"""The same on a GPU, padding counted in (benchmarks/gpu.py)."""


def length_batches(lengths: Sequence[int], budget: int = TOKEN_BUDGET, mixed: bool = False) -> Iterator[list[int]]:
    """Indices of texts of equal length, longest first, so that no batch holds a padding token.

    mixed: of other lengths too, those that are nearest, padded to the longest

    The longest come first: what does not fit into memory fails at once, and a progress bar speeds up.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batch: list[int] = []
    for i in order:
        if batch and ((lengths[i] != lengths[batch[0]] and not mixed) or (len(batch) + 1) * lengths[batch[0]] > budget):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
