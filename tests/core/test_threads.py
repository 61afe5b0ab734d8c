from collections.abc import Iterator

import faiss
import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from hiddenstates.core.threads import one_thread


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = threads()
    torch.set_num_threads(3)
    faiss.omp_set_num_threads(3)
    yield
    torch.set_num_threads(before[0])
    faiss.omp_set_num_threads(before[1])


def threads() -> tuple[int, int]:
    """Of torch and of faiss."""
    return torch.get_num_threads(), faiss.omp_get_max_threads()


def blas_threads() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_torch_blas_and_faiss_compute_on_one_thread_meanwhile() -> None:
    before = blas_threads()
    with one_thread():
        assert (threads(), blas_threads()) == ((1, 1), {1})
    assert (threads(), blas_threads()) == ((3, 3), before)


def test_the_threads_come_back_after_an_error() -> None:
    @one_thread()
    def fails() -> None:
        assert threads() == (1, 1)
        raise ValueError

    for _ in range(2):  # a decorated function can be called again
        with pytest.raises(ValueError):
            fails()
        assert threads() == (3, 3)
