"""What a killed run had reached: weights and the optimizer's state after each epoch, whole or not at all."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim import Optimizer

from hiddenstates.core.params import Pretrain
from hiddenstates.core.stage import Stage


@dataclass(frozen=True)
class Progress:
    """One file per training run, in a folder of its own for these parameters and data.

    There is no state of a random generator in it: every epoch draws from its own number (`training.train`).
    """

    folder: Path

    def save(self, name: str, model: nn.Module, optimizer: Optimizer, losses: list[float]) -> None:
        """Keep the state after an epoch. `losses`: the mean loss of each epoch so far."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"model/{key}": value for key, value in model.named_parameters()}
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{key}": value for key, value in state.items()}
        partial = self._file(name).with_suffix(".partial")
        whole = {key: value.detach().contiguous() for key, value in tensors.items()}
        save_file(whole, partial, metadata={"about": json.dumps(losses)})
        partial.replace(self._file(name))

    def load(self, name: str, model: nn.Module, optimizer: Optimizer) -> list[float]:
        """Put back what was kept, and return the losses of the epochs behind it; none where nothing can be read."""
        try:
            with safe_open(self._file(name), "pt") as file:
                losses: list[float] = json.loads(file.metadata()["about"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no mapping
        except (OSError, SafetensorError):
            return []
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                parameter.copy_(tensors[f"model/{key}"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            kind, number, *field = key.split("/")
            if kind == "optimizer":
                state.setdefault(int(number), {})[field[0]] = value
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        return losses

    def remove(self) -> None:
        """Forget this run, and those of other parameters that nobody finished."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


def open_progress(stage: Stage, params: Pretrain, revision: str) -> Progress:
    """The progress of a stage.

    revision: of the task whose splits are kept to. Another torch rounds otherwise.
    """
    key = (params.model_dump_json(), revision, torch.__version__)
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    return Progress(stage.progress / digest)
