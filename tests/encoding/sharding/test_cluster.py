"""Shards made on a cluster of two nodes, both on this machine: a minute, for Ray starts slowly."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest
import torch
import yaml
from own_pipeline import Pipeline
from tiny import WORDS, save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import ROOT
from hiddenstates.core.strategy import DEFAULT
from hiddenstates.core.threads import one_thread
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.sharding.engines import LOCAL, Engine, open_engine
from hiddenstates.encoding.sharding.sharded import encode_sharded, pool_corpus
from hiddenstates.encoding.sharding.shards import SHARD, Work
from hiddenstates.images.features import embed_files

pytest.importorskip("ray", reason="Ray is an extra, and not installed: pip install 'ray[data]'")

import ray
from ray.cluster_utils import Cluster

from hiddenstates.encoding.sharding import cluster as cluster_module
from hiddenstates.encoding.sharding.cluster import ShardMaker

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


@pytest.fixture(scope="module", autouse=True)
def as_many_threads_as_the_nodes() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def on_ray(cluster: Cluster) -> Iterator[Engine]:
    with open_engine("ray", {"address": cluster.address}) as engine:
        yield engine


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("tiny"))))


def corpus(items: int, folder: Path) -> KnowledgeBase:
    texts = [" ".join(WORDS[(i * k) % 14] for k in range(1, 3 + i % 5)) for i in range(items)]
    rows = [{"id": f"p{i}", "title": "the", "text": text} for i, text in enumerate(texts)]
    return KnowledgeBase(table(rows, PASSAGE_COLUMNS), folder, "r")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def made(folder: Path) -> int:
    return len(list(folder.glob("*.safetensors")))


def test_a_killed_node_loses_nothing_and_two_nodes_make_what_one_process_does(
    cluster: Cluster, on_ray: Engine, encoder: Encoder, tmp_path: Path
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
    encode_sharded(encoder, kb, DEFAULT, there, on_ray, size=2)
    encode_sharded(encoder, kb, DEFAULT, here, LOCAL, size=2)
    assert 4 <= seen[0] < 50 == made(there)
    assert contents(there) == contents(here)


def test_all_states_come_back_in_order(on_ray: Engine, encoder: Encoder, tmp_path: Path) -> None:
    kb, poolings = corpus(9, tmp_path), ["first", "mean"]
    there = pool_corpus(encoder, kb, poolings, tmp_path / "cluster", on_ray, size=4)
    here = pool_corpus(encoder, kb, poolings, tmp_path / "local", LOCAL, size=4)
    assert there.ids == here.ids == kb.ids
    assert all((there.values[pool] == here.values[pool]).all() for pool in poolings)


def test_images_are_embedded_as_here(on_ray: Engine, tmp_path: Path) -> None:
    vision = load_encoder(str(save_tiny(tmp_path / "clip", "clip")), part="vision")
    names = ["a.png", "b.png", "missing.png"]
    for seed, name in enumerate(names[:2]):
        save_image(tmp_path / name, seed)
    for name, engine in {"cluster": on_ray, "local": LOCAL}.items():
        embed_files(vision, tmp_path, names, ["first", "patches"], tmp_path / "shards" / name, engine).save(
            tmp_path / name
        )
    assert contents(tmp_path / "cluster") == contents(tmp_path / "local")
    assert contents(tmp_path / "shards" / "cluster") == contents(tmp_path / "shards" / "local")


def pooled_corpus(folder: Path, items: int) -> dict[str, Any]:
    """More passages than a shard holds, in BEIR's layout, and the params that choose on a pool of them."""
    (folder / "qrels").mkdir(parents=True)
    rows = [
        {"_id": f"p{i}", "text": " ".join(WORDS[(i // 14**k + k * i % 3) % 14] for k in range(4))} for i in range(items)
    ]
    asked = [{"_id": f"q{i}", "text": rows[i * 200]["text"]} for i in range(40)]
    for name, lines in {"corpus": rows, "queries": asked}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for split, some in {"dev": range(20), "test": range(20, 40)}.items():
        judged = [f"q{i}\tp{i * 200}\t1" for i in some]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n")
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    params["corpus"]["source"] = str(folder)
    params["states"] |= {"encoders": {"tiny": {"model": str(save_tiny(folder / "model"))}}, "pool": 200}
    params["strategies"] |= {"layers_at_most": 1, "join": False}  # not the published one, whose shards are there
    params["index"]["factories"] = ["Flat"]  # what indexes are made of is the shards
    return params


def test_a_pooled_corpus_comes_through_the_stages_on_two_nodes_with_the_numbers_of_one_process(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    params = pooled_corpus(tmp_path / "data", SHARD + 800)
    local = Pipeline(tmp_path / "local", params)
    run_stages(local, "corpus", "states", "strategies@tiny", "index")
    ray_engine = {"engine": "ray", "ray": {"address": cluster.address}}
    there = Pipeline(tmp_path / "cluster", params | {"states": params["states"] | ray_engine})
    for stage in ("corpus", "strategies"):
        shutil.copytree(local.out / stage, there.out / stage)
    second = cluster.add_node(**SMALL)
    try:
        run_stages(there, "states", "index")
    finally:
        cluster.remove_node(second)
    wanted, found = contents_below(local.out), contents_below(there.out)
    assert wanted.keys() == found.keys()
    assert [name for name, content in wanted.items() if content != found[name]] == []
    assert json.loads(found["index/metrics.json"])["vectors"] == SHARD + 800
    assert len(list((there.out / "states" / "published").glob("*.safetensors"))) == 2


def run_stages(pipeline: Pipeline, *stages: str) -> None:
    """One after the other, as `dvc repro` does."""
    for stage in stages:
        assert pipeline.start_stage(stage).wait() == 0, stage


def contents_below(folder: Path) -> dict[str, bytes]:
    """The numbers, the shards and the index that stages left."""
    kinds = (".json", ".safetensors", ".faiss", ".arrow")
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in kinds}
    return {name: path.read_bytes() for name, path in found.items() if path.name != "timings.json"}


def test_what_is_wrong_with_a_shard_comes_back_as_a_sentence(encoder: Encoder, tmp_path: Path) -> None:
    vision = load_encoder(str(save_tiny(tmp_path / "clip", "clip")), part="vision")
    (tmp_path / "a.png").write_bytes(b"no picture")
    kb = KnowledgeBase(table([{"id": "p0", "image": "a.png"}], PASSAGE_COLUMNS), tmp_path, "r")
    arguments = (vision.source, vision.fingerprint, Work(kb, ("first",), tmp_path / "shards"), 1)
    assert "a.png" in ShardMaker(*arguments)({"item": 0})["fault"]
    other = ShardMaker(encoder.source, vision.fingerprint, *arguments[2:])
    assert "a node has another one. Copy the same to all nodes" in other({"item": 0})["fault"]


def test_a_shard_is_made_on_as_many_threads_as_asked_for_wherever_it_is_called(
    encoder: Encoder, tmp_path: Path
) -> None:
    maker = ShardMaker(
        encoder.source, encoder.fingerprint, Work(corpus(2, tmp_path), ("mean",), tmp_path / "shards"), 3
    )
    with one_thread():  # as in another thread of Ray's, which has a number of its own
        assert maker({"item": 0}) == {"fault": ""}
        assert torch.get_num_threads() == 3


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no cluster were joined yet."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **settings: pytest.fail("Ray would try for minutes"))


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("listening", "answer", "reason"),
    [
        (False, b"", "refused"),
        (True, b"", "timed out"),
        (True, b"HTTP/1.1 400 Bad Request", "what listens is no Ray"),
    ],
    ids=["nobody", "one who is silent", "another server"],
)
def test_an_address_where_no_ray_answers_is_refused_soon(
    monkeypatch: pytest.MonkeyPatch, listening: bool, answer: bytes, reason: str
) -> None:
    monkeypatch.setattr(cluster_module, "PATIENCE", 0.2)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        if listening:
            bound.listen()
        if answer:
            Thread(target=lambda: bound.accept()[0].sendall(answer), daemon=True).start()
        said = rf"ray\.address {address}: no cluster answers there \(.*{reason}.*\)\. Start it, or mend the address"
        with pytest.raises(LabError, match=said), open_engine("ray", {"address": address}):
            pass
