"""The training loop, killed and resumed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from hiddenstates.core.params import Pretrain
from hiddenstates.core.stage import Stage
from hiddenstates.pretrain.progress import Progress, open_progress
from hiddenstates.pretrain.training import WARMUP, Course, rate_factor, train

Loss = Callable[[nn.Module, Tensor], Tensor]
EPOCHS, STEPS = 4, 3


def model() -> nn.Module:
    """With dropout, whose draws a resumed run must meet again."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))


def batches(random: np.random.Generator) -> list[Tensor]:
    return [torch.from_numpy(random.standard_normal((6, 4), dtype=np.float32)) for _ in range(STEPS)]


def loss(network: nn.Module, batch: Tensor) -> Tensor:
    return mse_loss(network(batch)[:, 0], batch.sum(1))


def killed_at(step: int) -> Loss:
    """The same loss, and a kill when it is asked for the so many-th time."""
    calls = iter(range(step))

    def counted(network: nn.Module, batch: Tensor) -> Tensor:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return loss(network, batch)

    return counted


def course(of: Loss = loss, name: str = "toy") -> Course[nn.Module, Tensor]:
    return Course(name, EPOCHS, 0.01, 0, batches, of)


def weights(network: nn.Module) -> list[bytes]:
    return [parameter.detach().numpy().tobytes() for parameter in network.parameters()]


@pytest.mark.parametrize("step", [0, 1, STEPS, 2 * STEPS + 1, EPOCHS * STEPS - 1])
def test_a_resumed_run_ends_with_the_bytes_of_an_undisturbed_one(step: int, tmp_path: Path) -> None:
    whole, killed, resumed = model(), model(), model()
    losses = train(whole, course(), Progress(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        train(killed, course(killed_at(step)), Progress(tmp_path / "killed"))
    torch.manual_seed(99)  # another process's
    assert train(resumed, course(), Progress(tmp_path / "killed")) == losses
    assert weights(resumed) == weights(whole) != weights(model())


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first, second = model(), model()
    losses = train(first, course(), Progress(tmp_path))
    assert train(second, course(killed_at(0)), Progress(tmp_path)) == losses
    assert weights(first) == weights(second)


def test_what_is_damaged_counts_for_nothing(tmp_path: Path) -> None:
    whole, again = model(), model()
    train(whole, course(), Progress(tmp_path))
    (tmp_path / "toy.safetensors").write_bytes(b"half a file")
    train(again, course(), Progress(tmp_path))
    assert weights(again) == weights(whole)


def test_a_kill_while_writing_leaves_the_epoch_before(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(model(), course(killed_at(2 * STEPS)), Progress(tmp_path))
    (tmp_path / "toy.partial").write_bytes(b"half of epoch 3")
    network = model()
    assert len(Progress(tmp_path).load("toy", network, torch.optim.AdamW(network.parameters()))) == 2


def test_runs_of_other_names_draw_otherwise_and_keep_apart(tmp_path: Path) -> None:
    first, second = model(), model()
    train(first, course(), Progress(tmp_path))
    train(second, course(name="other"), Progress(tmp_path))
    assert weights(first) != weights(second)
    assert {path.name for path in tmp_path.iterdir()} == {"toy.safetensors", "other.safetensors"}


def test_training_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    network = model()
    torch.manual_seed(5)
    train(network, course(), Progress(tmp_path))
    assert torch.rand(1) == expected


def test_the_rate_rises_and_falls_to_nothing() -> None:
    assert [rate_factor(done) for done in (0.0, WARMUP / 2, WARMUP, 1.0)] == pytest.approx([0, 0.5, 1, 0])
    assert rate_factor(WARMUP + (1 - WARMUP) / 2) == pytest.approx(0.5)


def test_progress_lies_where_the_runner_does_not_clean_and_goes_when_done(tmp_path: Path) -> None:
    stage = Stage("pretrain", tmp_path / ".pretrain.partial", tmp_path)
    progress = open_progress(stage, Pretrain(), "r1")
    others = [open_progress(stage, Pretrain(epochs=3), "r1"), open_progress(stage, Pretrain(), "r2")]
    assert len({progress.folder, *(other.folder for other in others)}) == 3
    for one in (progress, *others):
        train(model(), course(), one)
    shutil.rmtree(stage.folder, ignore_errors=True)
    assert open_progress(stage, Pretrain(), "r1").folder.exists()
    progress.remove()
    assert not any(one.folder.exists() for one in (progress, *others))
