"""What can rank, by what one types: a strategy of any kind, words beside it, or words alone."""

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import WORDS, AnyStrategy, AnySystem, Fused, parse
from hiddenstates.core.strategy import Strategy

System = AnySystem | str
"""A strategy, one with words beside it, or `WORDS`: BM25 alone."""


def read_system(text: str, n_states: int) -> System:
    """The system that a string names, layers counted from 0. LabError for what is none."""
    wanted = text.strip()
    if not wanted:
        raise LabError(f"There is no strategy: type one, such as concat(0,6)/mean+ln, or {WORDS}.")
    if wanted == WORDS:
        return WORDS
    if wanted.replace(" ", "").endswith(f"*{WORDS}"):
        found = Fused.parse(wanted)
        return Fused(found.strategy.resolve(n_states), found.weight)
    return parse(wanted).resolve(n_states)


def vector_of(system: System) -> AnyStrategy | None:
    """The strategy of a system; None where there are words alone."""
    if isinstance(system, str):
        return None
    return system.strategy if isinstance(system, Fused) else system


def plain(system: System) -> Strategy | None:
    """The system itself, if layers, a way to combine them, a pooling and a layer norm are all that it is."""
    if not isinstance(system, Strategy):
        return None
    same = Strategy(system.layers, system.combine, system.pool, layer_norm=system.layer_norm)
    return system if system == same else None
