"""The most memory that a call takes beside what is there before it."""

import tracemalloc
from collections.abc import Callable


def taken(call: Callable[[], object]) -> int:
    """Bytes, as numpy and Python tell tracemalloc of them; what the call returns is among them."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        del result
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
