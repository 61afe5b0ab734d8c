"""How fast texts become pooled states, against a plain encode, sentence-transformers and the CPU's own limit.

Two threads, one process. Rounds are interleaved, so that what else the machine does meets every side; a ratio is the
median of the rounds' own. Run: python benchmarks/encode.py [passages] [rounds]
"""

import os
import random
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

THREADS = 2
os.environ |= {"TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}  # before anything reads them

import numpy as np  # noqa: E402
import torch  # noqa: E402
from neighbours import Vectors, agreement  # noqa: E402
from rounds import Seconds, Sides, timed  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402
from torch import nn  # noqa: E402

from hiddenstates.core.params import Corpus  # noqa: E402
from hiddenstates.core.strategy import DEFAULT  # noqa: E402
from hiddenstates.corpora import load_task  # noqa: E402
from hiddenstates.encoding.encoder import Encoder, load_encoder  # noqa: E402
from hiddenstates.encoding.forward.linear import PackedLinear  # noqa: E402
from hiddenstates.encoding.inputs.batching import TOKEN_BUDGET, length_batches  # noqa: E402
from hiddenstates.encoding.models.files import model_folder  # noqa: E402

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
BATCH_SIZES = (8, 16, 32, 64)
POOLINGS = ["first", "last", "mean", "max", "eos"]


def sample(n: int) -> list[str]:
    """n passages of the countries knowledge base, drawn at random."""
    with tempfile.TemporaryDirectory() as folder:
        texts = load_task(Corpus(), Path(folder)).kb.texts()
    return random.Random(0).sample(texts, min(n, len(texts)))


@torch.inference_mode()
def plain(encoder: Encoder, texts: list[str]) -> Vectors:
    """The least that one strategy needs: the last state's mean on the encoder's own batches, no other state kept."""
    tokens = encoder.tokenize(texts)
    vectors = np.empty((len(texts), encoder.width), dtype=np.float32)
    for rows in length_batches([len(row) for row in tokens], TOKEN_BUDGET):
        ids = torch.tensor([tokens[i] for i in rows])
        vectors[rows] = encoder.model(input_ids=ids).last_hidden_state.mean(1).numpy()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@torch.inference_mode()
def products(linear: nn.Module, tokens: torch.Tensor) -> None:
    for _ in range(20):
        linear(tokens)


def linear_operations(model: nn.Module, tokens: int) -> float:
    """Floating point operations of the linear layers that see every token."""
    layers = [m for name, m in model.named_modules() if isinstance(m, PackedLinear) and "pooler" not in name]
    return 2.0 * tokens * sum(m.weight.numel() for m in layers)


def main(n: int = 600, rounds: int = 7) -> None:
    torch.set_num_threads(THREADS)
    texts = sample(n)
    ids = [str(i) for i in range(len(texts))]
    exact, low = load_encoder(MODEL), None
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        low = load_encoder(MODEL, dtype="bfloat16")
    theirs = SentenceTransformer(str(model_folder(MODEL, None)), device="cpu")
    theirs.max_seq_length = exact.max_tokens
    width = exact.width
    gemm, batch = nn.Linear(width, 4 * width), torch.randn(TOKEN_BUDGET, width)

    sides: Sides = {
        f"sentence-transformers, batch {size}": partial(theirs.encode, texts, batch_size=size) for size in BATCH_SIZES
    }
    sides["ours"] = partial(exact.encode, texts, DEFAULT)
    sides["ours, plain"] = partial(plain, exact, texts)
    sides["ours, all states"] = partial(exact.pool, ids, texts, POOLINGS)
    if low is not None:
        sides["ours, bfloat16"] = partial(low.encode, texts, DEFAULT)
    last = len(exact.state_map) - 1
    sides |= {_early(k): partial(exact.encode, texts, f"{k}/mean") for k in range(1, last)}
    sides["GEMM"] = partial(products, gemm, batch)
    sides["GEMM, oneDNN"] = partial(products, PackedLinear(gemm, torch.float32), batch)
    seconds = timed(sides, rounds)
    report(seconds, texts, exact, low, theirs)


def report(
    seconds: Seconds, texts: list[str], exact: Encoder, low: Encoder | None, theirs: SentenceTransformer
) -> None:
    ours, tokens = exact.encode(texts, DEFAULT).vectors, sum(map(len, exact.tokenize(texts)))
    published = theirs.encode(texts, normalize_embeddings=True)
    difference = float(np.abs(1 - (ours * published).sum(1)).max())
    best = min((name for name in seconds if name.startswith("sentence")), key=lambda name: median(seconds[name]))
    width = exact.width
    limit = 20 * 2 * TOKEN_BUDGET * width * 4 * width / min(median(seconds["GEMM"]), median(seconds["GEMM, oneDNN"]))
    work = linear_operations(exact.model, tokens)

    print(f"{len(texts)} passages, {tokens} tokens, {THREADS} threads; medians")
    for name, value in seconds.items():
        print(f"  {name:34} {median(value):8.3f} s, fastest {min(value):.3f} s")
    extra = _ratio(seconds, "ours, all states", "ours, plain")
    print(f"(a) all states x {len(POOLINGS)} poolings / plain encode: {extra}")
    print(f"(b) {best} / ours: {_ratio(seconds, best, 'ours')}, largest |1 - cosine| {difference:.1e}")
    print(
        f"(c) fp32 GEMM limit {limit / 1e9:.0f} GFLOP/s; ours {work / median(seconds['ours']) / limit:.0%} of it, ",
        end="",
    )
    print(f"{best} {work / median(seconds[best]) / limit:.0%}")
    if low is None:
        print("(d) no bfloat16 on this CPU")
    else:
        same = agreement(ours, low.encode(texts, DEFAULT).vectors)
        print(
            f"(d) {best} / ours in bfloat16: {_ratio(seconds, best, 'ours, bfloat16')}, neighbours@10 agree {same:.3f}"
        )
    _exits(seconds, len(texts), len(exact.state_map) - 1)
    if difference >= 1e-5:
        sys.exit("(b) the embeddings differ")


def _exits(seconds: Seconds, n: int, last: int) -> None:
    print("(e) layers that are run: milliseconds per text, and their ratio to all layers'")
    for k in range(1, last + 1):
        name = "ours" if k == last else _early(k)
        print(f"  {k} of {last}: {1000 * median(seconds[name]) / n:.2f} ms; {_ratio(seconds, name, 'ours')}")


def _early(layer: int) -> str:
    return f"ours, early exit at {layer}"


def _ratio(seconds: Seconds, numerator: str, denominator: str) -> str:
    above, below = seconds[numerator], seconds[denominator]
    ratio = median(x / y for x, y in zip(above, below, strict=True))
    return f"{median(above):.3f} s / {median(below):.3f} s, ratio {ratio:.2f}"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
