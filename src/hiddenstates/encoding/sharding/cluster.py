"""Shards made on a Ray cluster. The door to Ray, which is an extra: nobody else imports it."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import ray
import torch
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import Encoder, Source, load_encoder
from hiddenstates.encoding.sharding.shards import Work

PATIENCE = 5
"""Seconds that the head of a cluster has to answer."""

SETTINGS = b"\x04"
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + SETTINGS + bytes(5)
"""Who speaks HTTP/2, as Ray does, answers this with a frame of settings, whose fourth byte is 4 (RFC 9113, 3.4)."""


class ShardMaker:
    """One model, in a process of the cluster."""

    def __init__(self, source: Source, fingerprint: str, work: Work, threads: int) -> None:
        self.source, self.fingerprint, self.work, self.threads = source, fingerprint, work, threads

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Make the shard that starts at the row; what is wrong with it comes back as a sentence, or as ""."""
        # another number may round otherwise; OpenMP has one a thread, and Ray made this in another than it calls it in
        torch.set_num_threads(self.threads)
        try:
            shard = self.work.shard(self.encoder, row["item"])
            if not shard.is_made():
                self.work.make(self.encoder, shard)
        except LabError as error:  # raised, it would come back as one of Ray's, and as pages of traceback
            return {"fault": str(error)}
        return {"fault": ""}

    @cached_property
    def encoder(self) -> Encoder:
        encoder = load_encoder(**asdict(self.source))
        if encoder.fingerprint != self.fingerprint:
            raise LabError(f"model {self.source.model}: a node has another one. Copy the same to all nodes.")
        return encoder


class OnRay:
    """As many shards at once as the cluster has room for. An engine while the block of `joined` lasts."""

    def make(self, encoder: Encoder, work: Work) -> list[Path]:
        """As `Engine.make`."""
        paths, missing = [], []
        for start in work.starts():
            shard = work.shard(encoder, start)
            paths.append(shard.path)
            if not shard.is_made():
                missing.append(start)
        if missing:
            _make(encoder, work, missing)
        lost = next((path for path in paths if not path.exists()), None)
        if lost:
            raise LabError(f"{lost} is not here, though Ray made it. Choose a folder that all nodes share.")
        return paths


def _make(encoder: Encoder, work: Work, starts: Sequence[int]) -> None:
    """Make the shards that start at these rows. What dies with a node, Ray does again on another one."""
    cpus, gpus, room = _room(encoder)
    arguments = (encoder.source, encoder.fingerprint, work, torch.get_num_threads() if gpus else cpus)
    pool = ActorPoolStrategy(size=min(room, len(starts)), max_tasks_in_flight_per_actor=1)
    rows = ray.data.from_items(list(starts), override_num_blocks=len(starts))
    maker: Any = ShardMaker  # a class will do, whatever the annotation of `map` says
    made = rows.map(maker, fn_constructor_args=arguments, compute=pool, num_cpus=cpus, num_gpus=gpus)
    try:
        faults = [row["fault"] for row in made.take_all() if row["fault"]]
    except RayError as error:
        raise LabError(
            f"engine ray: the cluster gave up ({type(error).__name__}). Run again: what is made stays."
        ) from error
    if faults:
        raise LabError(faults[0])


@contextmanager
def joined(address: str | None) -> Iterator[OnRay]:
    """A cluster to work on, quietly. One that the caller is connected to already is left as it is.

    address: host:port of its head, or "auto" on one of its nodes; None starts a Ray on this machine for the while
    """
    if ray.is_initialized():
        yield OnRay()
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
    here = {"address": "local", "include_dashboard": False} if address is None else {"address": address}
    try:
        _check_answers(address)
        ray.init(**here, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise LabError(
            f"ray.address {address}: no cluster answers there ({error}). Start it, or mend the address."
        ) from error
    try:
        _hush()
        yield OnRay()
    finally:
        ray.shutdown()


def _check_answers(address: str | None) -> None:
    """OSError where nobody listens, or something else than a Ray: Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not port.isdecimal():
        return
    with socket.create_connection((host, int(port)), PATIENCE) as head:
        head.sendall(HELLO)
        if head.recv(9)[3:4] != SETTINGS and "RAY_USE_TLS" not in os.environ:
            raise ConnectionError("what listens is no Ray")


def _hush() -> None:
    """No progress bars and no plans, which end up in executed notebooks."""
    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


def _room(encoder: Encoder) -> tuple[int, int, int]:
    """The CPUs and GPUs that a model takes, and how many models there is room for: one a GPU, if any may be used."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if gpus and encoder.source and encoder.source.device != "cpu":
        return 1, 1, gpus
    cpus = [int(node.get("CPU", 0)) for node in nodes]
    threads = min(torch.get_num_threads(), max(cpus))
    return threads, 0, sum(count // threads for count in cpus)
