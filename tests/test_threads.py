from collections.abc import Iterator

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from hiddenstates.core.threads import one_thread


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def blas_threads() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_torch_and_blas_compute_on_one_thread_meanwhile() -> None:
    before = blas_threads()
    with one_thread():
        assert (torch.get_num_threads(), blas_threads()) == (1, {1})
    assert (torch.get_num_threads(), blas_threads()) == (3, before)


def test_the_threads_come_back_after_an_error() -> None:
    @one_thread()
    def fails() -> None:
        assert torch.get_num_threads() == 1
        raise ValueError

    for _ in range(2):  # a decorated function can be called again
        with pytest.raises(ValueError):
            fails()
        assert torch.get_num_threads() == 3
