"""Linear layers in eight bits, beside float32 and bfloat16: how fast an encoder gets, and which neighbours it keeps.

Two threads, one process, rounds in turns; a ratio is the median of the rounds' own. Three things are printed:
  (a) torch's dynamic quantization, put under sentence-transformers, with one scale per weight and with one per row;
  (b) the neighbours that eight bits could keep at best: weights and inputs are rounded, and all else is float32;
  (c) with `--backends PYTHON`: sentence-transformers' ONNX and OpenVINO backends (`benchmarks/backends.py`). They want
      an older transformers than the lab, so PYTHON is that of an environment of their own:
      pip install 'sentence-transformers[onnx,openvino]'
Run: python benchmarks/int8.py [passages] [rounds] [--backends PYTHON]
"""

import argparse
import json
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path

import encode  # first: it sets what torch and tokenizers read
import numpy as np
import torch
from jaxtyping import Float
from neighbours import Vectors, agreement, print_against
from rounds import Sides, timed
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.ao.quantization import default_dynamic_qconfig, per_channel_dynamic_qconfig, quantize_dynamic

from hiddenstates.core.strategy import DEFAULT
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.models.files import model_folder

BATCH = 16
THEIRS = "sentence-transformers, float32"
TENSOR, CHANNEL = default_dynamic_qconfig, per_channel_dynamic_qconfig


def main(n: int, rounds: int, backends: str | None) -> None:
    torch.set_num_threads(encode.THREADS)
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # torch.ao moves to a package of its own
    texts = encode.sample(n)
    exact, low = load_encoder(encode.MODEL), load_encoder(encode.MODEL, dtype="bfloat16")
    theirs = SentenceTransformer(str(model_folder(encode.MODEL, None)), device="cpu")
    theirs.max_seq_length = exact.max_tokens
    sides: Sides = {
        THEIRS: partial(_theirs, theirs, texts),
        "ours, float32": lambda: exact.encode(texts, DEFAULT).vectors,
        "ours, bfloat16": lambda: low.encode(texts, DEFAULT).vectors,
        "int8, a scale per weight": partial(_theirs, _quantized(theirs, TENSOR), texts),
        "int8, a scale per row": partial(_theirs, _quantized(theirs, CHANNEL), texts),
    }
    vectors = {name: np.asarray(side()) for name, side in sides.items()}
    print(f"{n} passages, {encode.THREADS} threads, torch's engine {torch.backends.quantized.engine}")
    print("(a) seconds, times as fast as sentence-transformers in float32, neighbours@10")
    print_against(THEIRS, timed(sides, rounds), vectors)
    print("(b) what eight bits keep at best: neighbours@10")
    for name, rounded in EXACTLY.items():
        found = _theirs(_with(theirs, partial(Rounded, rounded=rounded)), texts)
        print(f"  {name:52} {agreement(vectors[THEIRS], found):.3f}")
    if backends:
        _backends(backends, texts, rounds)


def _theirs(model: SentenceTransformer, texts: list[str]) -> Vectors:
    return model.encode(texts, batch_size=BATCH, normalize_embeddings=True)


def _quantized(model: SentenceTransformer, how: object) -> SentenceTransformer:
    changed: SentenceTransformer = quantize_dynamic(deepcopy(model), {nn.Linear: how})  # type: ignore[no-untyped-call]
    return changed


def _with(model: SentenceTransformer, layer: Callable[[nn.Linear], nn.Module]) -> SentenceTransformer:
    changed = deepcopy(model)
    for name, linear in [row for row in changed.named_modules() if isinstance(row[1], nn.Linear)]:
        changed.set_submodule(name, layer(linear))
    return changed


def symmetric(x: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
    """Each row as multiples of its largest by 127."""
    step = x.abs().amax(-1, keepdim=True) / 127
    return (x / step).round() * step


def affine(x: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
    """Each row as one of 256 steps between its least and its largest."""
    least, step = x.amin(-1, keepdim=True), (x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True)) / 255
    return ((x - least) / step).round() * step + least


EXACTLY: dict[str, Callable[[Tensor], Tensor]] = {
    "weights, a scale per row; inputs in float32": lambda x: x,
    "the same, and inputs, a scale per token": symmetric,
    "the same, and inputs, a scale and an offset per token": affine,
}


class Rounded(nn.Module):
    """A linear layer, its weights and its inputs rounded to eight bits, multiplied in float32."""

    def __init__(self, linear: nn.Linear, rounded: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weight, self.bias, self.rounded = symmetric(linear.weight.detach()), linear.bias, rounded

    def forward(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_out"]:
        return nn.functional.linear(self.rounded(x), self.weight, self.bias)


def _backends(python: str, texts: list[str], rounds: int) -> None:
    print("(c) sentence-transformers' backends, in an environment of their own", flush=True)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "texts.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        model = model_folder(encode.MODEL, None)
        subprocess.run([python, Path(__file__).with_name("backends.py"), model, file, str(rounds)], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("passages", type=int, nargs="?", default=600)
    parser.add_argument("rounds", type=int, nargs="?", default=5)
    parser.add_argument("--backends", metavar="PYTHON")
    given = parser.parse_args()
    main(given.passages, given.rounds, given.backends)
