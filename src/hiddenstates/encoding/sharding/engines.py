"""Who makes the shards: this process, or a Ray cluster. The work is the same, and so are the files."""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from hiddenstates.core.bars import bar
from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.sharding.shards import Work


@runtime_checkable
class Engine(Protocol):
    """What every engine does."""

    def make(self, encoder: Encoder, work: Work) -> list[Path]:
        """The files of all shards of the work, in the corpus's order. One that is there is not made again."""
        ...


@dataclass(frozen=True)
class Local:
    """One shard after the other, here."""

    def make(self, encoder: Encoder, work: Work) -> list[Path]:
        paths, starts = [], work.starts()
        for start in bar(starts, "shards", unit="shards", disable=len(starts) == 1):
            shard = work.shard(encoder, start)
            if not shard.is_made():
                work.make(encoder, shard)
            paths.append(shard.path)
        return paths


LOCAL = Local()


@contextmanager
def open_engine(engine: Literal["local", "ray"], ray: Mapping[str, str | None]) -> Iterator[Engine]:
    """The engine that params name, while the block lasts: a cluster is joined once, whatever work it then gets.

    ray: its settings, of which there is one, `address`; what it may be, `cluster.joined` says
    """
    if engine == "local":
        yield LOCAL
        return
    if importlib.util.find_spec("ray") is None:
        raise LabError("The engine is ray, which is not installed. Run `pip install 'ray[data]'`, or choose local.")
    from hiddenstates.encoding.sharding.cluster import joined  # Ray is an extra, and its import takes a second

    with joined(ray["address"]) as cluster:
        yield cluster
