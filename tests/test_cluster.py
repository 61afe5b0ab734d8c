"""Shards made on a cluster of two nodes, both on this machine: a minute, for Ray starts slowly."""

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest
from numpy.testing import assert_allclose
from safetensors.numpy import load_file
from tiny import WORDS, save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import DEFAULT
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.engines import LOCAL, OnRay
from hiddenstates.encoding.sharded import encode_sharded, pool_corpus
from hiddenstates.encoding.shards import Work, about
from hiddenstates.images.features import embed_files

pytest.importorskip("ray", reason="Ray is an extra, and not installed: pip install 'ray[data]'")

from ray.cluster_utils import Cluster

from hiddenstates.encoding.cluster import PATIENCE, ShardMaker

SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_log_monitor": False}
HEAD = SMALL | {"include_dashboard": False, "no_monitor": True}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_health_check_period_ms", "500")  # a dead node is missed within seconds
        patch.setenv("RAY_health_check_failure_threshold", "3")
        found = Cluster(initialize_head=True, head_node_args=HEAD)
        try:
            yield found
        finally:
            found.shutdown()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("tiny"))))


def corpus(items: int, folder: Path) -> KnowledgeBase:
    texts = [" ".join(WORDS[(i * k) % 14] for k in range(1, 3 + i % 5)) for i in range(items)]
    rows = [{"id": f"p{i}", "title": "the", "text": text} for i, text in enumerate(texts)]
    return KnowledgeBase(table(rows, PASSAGE_COLUMNS), folder, "r")


def assert_same(there: Path, here: Path) -> None:
    """The same files and, in each, the same numbers: equal, or with other threads to float32's last digits."""
    assert sorted(path.name for path in there.iterdir()) == sorted(path.name for path in here.iterdir())
    for path in there.glob("*.safetensors"):
        assert about(path) == about(here / path.name)
        found, expected = load_file(path), load_file(here / path.name)
        assert found.keys() == expected.keys()
        for name, tensor in found.items():
            assert_allclose(tensor, expected[name], rtol=0, atol=1e-6)


def made(folder: Path) -> int:
    return len(list(folder.glob("*.safetensors")))


def test_a_killed_node_loses_nothing_and_two_nodes_make_what_one_process_does(
    cluster: Cluster, encoder: Encoder, tmp_path: Path
) -> None:
    second = cluster.add_node(**SMALL)
    kb, there, here = corpus(100, tmp_path), tmp_path / "cluster", tmp_path / "local"
    seen: list[int] = []

    def kill_in_the_middle() -> None:
        while made(there) < 4:
            sleep(0.01)
        cluster.remove_node(second, allow_graceful=False)
        seen.append(made(there))

    Thread(target=kill_in_the_middle, daemon=True).start()
    encode_sharded(encoder, kb, DEFAULT, there, OnRay(cluster.address), size=2)
    encode_sharded(encoder, kb, DEFAULT, here, LOCAL, size=2)
    assert 4 <= seen[0] < 50 == made(there)
    assert_same(there, here)


def test_all_states_come_back_in_order(cluster: Cluster, encoder: Encoder, tmp_path: Path) -> None:
    kb, poolings = corpus(9, tmp_path), ["first", "mean"]
    there = pool_corpus(encoder, kb, poolings, tmp_path / "cluster", OnRay(cluster.address), size=4)
    here = pool_corpus(encoder, kb, poolings, tmp_path / "local", LOCAL, size=4)
    assert there.ids == here.ids == kb.ids
    for pool in poolings:
        assert_allclose(there.values[pool], here.values[pool], rtol=0, atol=1e-6)


def test_images_are_embedded_as_here(cluster: Cluster, tmp_path: Path) -> None:
    vision = load_encoder(str(save_tiny(tmp_path / "clip", "clip")), part="vision")
    names = ["a.png", "b.png", "missing.png"]
    for seed, name in enumerate(names[:2]):
        save_image(tmp_path / name, seed)
    for name, engine in {"cluster": OnRay(cluster.address), "local": LOCAL}.items():
        embed_files(vision, tmp_path, names, ["first", "patches"], tmp_path / "shards" / name, engine).save(
            tmp_path / name
        )
    assert_same(tmp_path / "cluster", tmp_path / "local")
    assert_same(tmp_path / "shards" / "cluster", tmp_path / "shards" / "local")


def test_what_is_wrong_with_a_shard_comes_back_as_a_sentence(encoder: Encoder, tmp_path: Path) -> None:
    vision = load_encoder(str(save_tiny(tmp_path / "clip", "clip")), part="vision")
    (tmp_path / "a.png").write_bytes(b"no picture")
    kb = KnowledgeBase(table([{"id": "p0", "image": "a.png"}], PASSAGE_COLUMNS), tmp_path, "r")
    arguments = (vision.source, vision.fingerprint, Work(kb, ("first",), tmp_path / "shards"), 1)
    assert "a.png" in ShardMaker(*arguments)({"item": 0})["fault"]
    other = ShardMaker(encoder.source, vision.fingerprint, *arguments[2:])
    assert "a node has another one. Copy the same to all nodes" in other({"item": 0})["fault"]


def test_an_address_where_nobody_answers_is_refused_at_once(encoder: Encoder, tmp_path: Path) -> None:
    with socket.socket() as bound:  # taken, and not listening
        bound.bind(("127.0.0.1", 0))
        address, start = f"127.0.0.1:{bound.getsockname()[1]}", monotonic()
        with pytest.raises(LabError, match=rf"states\.ray\.address {address}: nobody answers there .*mend it"):
            encode_sharded(encoder, corpus(2, tmp_path), DEFAULT, tmp_path / "shards", OnRay(address))
        assert monotonic() - start < PATIENCE + 1
