"""Calls that need nothing of one another, side by side in processes of one thread."""

import os
import pickle
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from hiddenstates.core.errors import LabError
from hiddenstates.core.threads import one_thread

Result = TypeVar("Result")


def side_by_side(function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]]) -> list[Result]:
    """What the function returns for each tuple of arguments.

    With small models a step on two threads takes as long as on one, so two models train in the time of one; and
    what comes out does not depend on how many threads the caller has. The processes end when the caller does,
    however that ends.
    """
    try:
        with ProcessPoolExecutor(len(arguments), get_context("spawn"), _watch_the_caller) as pool:
            # as plain bytes: torch would pass tensors on as open files, one each, that end with their process
            running = [pool.submit(_call, pickle.dumps((function, some))) for some in arguments]
            return [pickle.loads(one.result()) for one in running]
    except BrokenProcessPool:
        raise LabError(
            "pretrain: a training process died, as it does when memory runs out. "
            "Free some, and run the stage again: it goes on from the last whole epoch."
        ) from None


def _watch_the_caller() -> None:
    threading.Thread(target=_end_with_the_caller, daemon=True).start()


def _end_with_the_caller() -> None:
    if caller := parent_process():
        caller.join()
        os._exit(1)  # not to train on beside the run that takes this one's place


@one_thread()
def _call(pickled: bytes) -> bytes:
    function, arguments = pickle.loads(pickled)
    return pickle.dumps(function(*arguments))
