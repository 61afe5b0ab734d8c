"""One thread, for what must come out the same on any number of them: sums in another order round otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """torch, BLAS and faiss compute on one thread meanwhile, for the caller; also as a decorator, `@one_thread()`."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
