"""Sides of a benchmark timed in turns, so that what else the machine does meets every side."""

from collections.abc import Callable
from time import perf_counter

Sides = dict[str, Callable[[], object]]
Seconds = dict[str, list[float]]


def timed(sides: Sides, rounds: int) -> Seconds:
    """Seconds of each side in each round; the first, untimed round warms them up."""
    seconds: Seconds = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            start = perf_counter()
            side()
            if turn:
                seconds[name].append(perf_counter() - start)
    return seconds
