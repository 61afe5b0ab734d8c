"""Checkpoints that the authors' code saved (github.com/j-min/VL-T5, `TrainerBase.save`), read into our models."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel

from hiddenstates.core.errors import LabError
from hiddenstates.multimodal.configuration import VLBartConfig, VLT5Config


def load_authors(path: Path, config: VLT5Config | VLBartConfig) -> PreTrainedModel:
    """The model with a head that a checkpoint of the authors holds, in evaluation mode.

    path:   a plain state dict, `.safetensors` or what `torch.save` wrote; from the latter, tensors only are read
    config: the shape of the model, which the authors' file does not tell; `VLT5Config()` and `VLBartConfig()` are
            the released ones

    Every key is accounted for: one too many, one too few, one of another shape, or a copy of the text table that
    differs from it is an error.
    """
    weights = {_our_name(key): tensor for key, tensor in _read(path).items()}
    model: PreTrainedModel = AutoModelForSeq2SeqLM.from_config(config)
    _check_names(path, weights, model.state_dict())
    _check_tied(path, weights, model.all_tied_weights_keys)
    model.load_state_dict(weights)
    return model.eval()


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint trip the readers anywhere
        raise LabError(f"{path}: not read ({type(error).__name__}). Give a state dict of tensors only.") from error
    if not isinstance(weights, Mapping) or not all(
        isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in weights.items()
    ):
        raise LabError(f"{path}: not a plain state dict. Save model.state_dict() and nothing around it.")
    return weights


def _our_name(key: str) -> str:
    """Without what training on several GPUs put before it; `vis_encoder` is what the encoder was called at first."""
    return key.removeprefix("module.").replace("vis_encoder.", "encoder.", 1)


def _check_names(path: Path, weights: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    missing, unexpected = sorted(ours.keys() - weights.keys()), sorted(weights.keys() - ours.keys())
    if missing or unexpected:
        raise LabError(f"{path}: missing {missing}, unexpected {unexpected}. Give the config that it was trained with.")
    for key, tensor in weights.items():
        if tensor.shape != ours[key].shape:
            shapes = f"{tuple(tensor.shape)} in the file, {tuple(ours[key].shape)} by the config"
            raise LabError(f"{path}: {key} is {shapes}. Give the config that it was trained with.")


def _check_tied(path: Path, weights: Mapping[str, Tensor], tied: Mapping[str, str]) -> None:
    for copy, table in tied.items():
        if not torch.equal(weights[copy], weights[table]):
            raise LabError(f"{path}: {copy} differs from {table}, but they are one table. Save the model again, tied.")
