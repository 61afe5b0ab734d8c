"""Who makes the shards: this process, or a Ray cluster. The work is the same, and so are the files."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.shards import Work


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
        paths = []
        for start in work.starts():
            shard = work.shard(encoder, start)
            if not shard.is_made():
                work.make(encoder, shard)
            paths.append(shard.path)
        return paths


LOCAL = Local()


@dataclass(frozen=True)
class OnRay:
    """As many shards at once as the cluster has room for.

    address: host:port of its head, or "auto" on one of its nodes; None starts a Ray on this machine for the while
    """

    address: str | None

    def make(self, encoder: Encoder, work: Work) -> list[Path]:
        from hiddenstates.encoding.cluster import make_missing  # Ray is an extra, and its import takes a second

        paths, missing = [], []
        for start in work.starts():
            shard = work.shard(encoder, start)
            paths.append(shard.path)
            if not shard.is_made():
                missing.append(start)
        if missing:
            make_missing(encoder, work, missing, self.address)
        lost = next((path for path in paths if not path.exists()), None)
        if lost:
            raise LabError(f"{lost} is not here, though Ray made it. Choose a folder that all nodes share.")
        return paths


def open_engine(engine: Literal["local", "ray"], ray: Mapping[str, str | None]) -> Engine:
    """The engine that params name. ray: its settings, of which there is one, `address`."""
    if engine == "local":
        return LOCAL
    if importlib.util.find_spec("ray") is None:
        raise LabError("The engine is ray, which is not installed. Run `pip install 'ray[data]'`, or choose local.")
    return OnRay(ray["address"])
