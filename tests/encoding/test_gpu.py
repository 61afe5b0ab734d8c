"""What only a GPU can show. Run on one: pytest tests/encoding/test_gpu.py"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tiny import KINDS, inputs_of, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.strategy import DEFAULT
from hiddenstates.encoding import encoder as module
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.inspection.small import save_small
from hiddenstates.encoding.sharding.engines import open_engine
from hiddenstates.encoding.sharding.sharded import encode_sharded

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")

TEXTS = ["the capital of france is paris", "bern", "the river of the city of rome is the flag", "red flags", "a"]


def names(inputs: list[Any]) -> list[str]:
    return [str(i) for i in range(len(inputs))]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_gpu_makes_the_states_of_the_cpu(tmp_path: Path, kind: str) -> None:
    folder, part = str(save_tiny(tmp_path, KINDS[kind].model_type)), KINDS[kind].part or None
    inputs = inputs_of(KINDS[kind].reads, TEXTS, tmp_path)
    cpu, gpu = (load_encoder(folder, part=part, device=device) for device in ("cpu", "cuda"))
    assert gpu.device.type == "cuda"
    assert gpu.seen.exits == cpu.seen.exits
    here, there = (encoder.pool(names(inputs), inputs, cpu.poolings).values for encoder in (cpu, gpu))
    for pooling in cpu.poolings:
        scale = np.abs(here[pooling]).max()
        assert_allclose(there[pooling], here[pooling], rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("kind", ["fnet", "qwen3", "modernbert", "longformer"])
def test_so_it_does_of_other_types(tmp_path: Path, kind: str) -> None:
    folder = str(save_small(tmp_path, kind))
    cpu, gpu = (load_encoder(folder, device=device) for device in ("cpu", "auto"))
    assert gpu.device.type == "cuda"
    here, there = (encoder.pool(names(TEXTS), TEXTS, ["mean"]).values["mean"] for encoder in (cpu, gpu))
    assert_allclose(there, here, rtol=0, atol=1e-5 * np.abs(here).max())


def test_early_exit_is_exact_there(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path)), device="cuda")
    whole = encoder.pool(names(TEXTS), TEXTS, ["mean"]).values["mean"]
    for layer in range(4):
        some = encoder.pool(names(TEXTS), TEXTS, ["mean"], layers=[layer]).values["mean"]
        assert_array_equal(some[0], whole[layer])


def test_batches_of_any_size_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path)), device="cuda")
    texts = TEXTS * 20
    large = encoder.pool(names(texts), texts, ["mean", "last"]).values
    monkeypatch.setattr(module, "GPU_BUDGET", 12)
    small = encoder.pool(names(texts), texts, ["mean", "last"]).values
    for pooling in large:
        assert_allclose(small[pooling], large[pooling], rtol=1e-4, atol=1e-5)


def test_bfloat16_agrees_to_its_eight_bits(tmp_path: Path) -> None:
    folder = str(save_tiny(tmp_path))
    exact, low = (load_encoder(folder, dtype=dtype, device="cuda") for dtype in ("float32", "bfloat16"))
    wide, narrow = (encoder.pool(names(TEXTS), TEXTS, ["mean"]).values["mean"] for encoder in (exact, low))
    difference = np.linalg.norm(wide - narrow, axis=-1) / np.linalg.norm(wide, axis=-1)
    assert 0 < difference.max() < 4 * 2.0**-8


def test_a_ray_actor_takes_the_gpu(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is an extra, and not installed: pip install 'ray[data]'")
    rows = [{"id": f"p{i}", "title": text, "text": " ".join(TEXTS)} for i, text in enumerate(TEXTS * 8)]
    kb = KnowledgeBase(table(rows, PASSAGE_COLUMNS), tmp_path, "r")
    encoder = load_encoder(str(save_tiny(tmp_path / "model")), device="cuda")
    encode_sharded(encoder, kb, DEFAULT, tmp_path / "here", size=16)
    with open_engine("ray", {"address": None}) as engine:
        encode_sharded(encoder, kb, DEFAULT, tmp_path / "there", engine, size=16)
    made = sorted((tmp_path / "there").glob("*.safetensors"))
    assert len(made) == 3
    for path in made:
        assert path.read_bytes() == (tmp_path / "here" / path.name).read_bytes()
