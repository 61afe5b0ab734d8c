"""sentence-transformers' backends, each against torch in float32: seconds, ratio, neighbours@10.

Part (c) of `benchmarks/int8.py`, which starts it in an environment that has them; the lab is not needed there.
Run: python benchmarks/backends.py MODEL_FOLDER TEXTS.json ROUNDS
"""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Literal

import numpy as np
import torch
from neighbours import print_against
from optimum.intel import OVQuantizationConfig
from rounds import Sides, timed
from sentence_transformers import (
    SentenceTransformer,
    export_dynamic_quantized_onnx_model,
    export_static_quantized_openvino_model,
)

BATCH, THREADS = 16, 2
TORCH = "torch, float32"
CALIBRATION = 300  # texts that OpenVINO's static quantization sees


def main(model: str, texts: list[str], rounds: int) -> None:
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(copytree(model, Path(name) / "model"))
        (folder / "calibration").mkdir()
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts[:CALIBRATION])
        (folder / "calibration" / "train.jsonl").write_text(lines, encoding="utf-8")
        sides: Sides = {
            name: partial(one.encode, texts, batch_size=BATCH, normalize_embeddings=True)
            for name, one in loaded(folder).items()
        }
        vectors = {name: np.asarray(side()) for name, side in sides.items()}
        seconds = timed(sides, rounds)
    print_against(TORCH, seconds, vectors)


def loaded(folder: Path) -> dict[str, SentenceTransformer]:
    """Each backend's model, made from the folder's weights and written there."""
    threads = {"session_options": _session()}
    onnx = SentenceTransformer(str(folder), backend="onnx", device="cpu", model_kwargs=threads)
    onnx.save_pretrained(str(folder))
    export_dynamic_quantized_onnx_model(onnx, "avx512_vnni", str(folder), file_suffix="int8")
    openvino = SentenceTransformer(str(folder), backend="openvino", device="cpu")
    openvino.save_pretrained(str(folder))
    export_static_quantized_openvino_model(
        openvino,
        OVQuantizationConfig(),
        str(folder),
        dataset_name=str(folder / "calibration"),
        dataset_config_name="default",
        dataset_split="train",
        column_name="text",
        file_suffix="int8",
    )
    return {
        TORCH: SentenceTransformer(str(folder), device="cpu"),
        "ONNX, float32": onnx,
        "ONNX, int8": _again(folder, "onnx", {**threads, "file_name": "onnx/model_int8.onnx"}),
        "OpenVINO": openvino,
        "OpenVINO, int8": _again(folder, "openvino", {"file_name": "openvino/openvino_model_int8.xml"}),
    }


def _session() -> object:
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = THREADS
    return options


def _again(folder: Path, backend: Literal["onnx", "openvino"], model_kwargs: dict[str, object]) -> SentenceTransformer:
    return SentenceTransformer(str(folder), backend=backend, device="cpu", model_kwargs=model_kwargs)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")), int(sys.argv[3]))
