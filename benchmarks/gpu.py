"""What a GPU makes of texts, against the processor beside it: the same embeddings or not, and how much faster.

Real passages of the countries (all-MiniLM-L6-v2); the same words in drawn orders, to see many shards; and a model of
BERT-large's shape with RANDOM weights, 25 states, for the stage `states`. Needs a GPU.
Run: python benchmarks/gpu.py [passages] [rounds]
"""

import os
import random
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from encode import sample
from neighbours import agreement
from rounds import Seconds, Sides, timed
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer, BertConfig

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, open_dataset, table
from hiddenstates.core.strategy import DEFAULT
from hiddenstates.encoding import encoder as batches
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inputs.batching import GPU_BUDGET
from hiddenstates.encoding.models.files import model_folder
from hiddenstates.encoding.sharding.sharded import encode_sharded, iter_embeddings

os.environ["TOKENIZERS_PARALLELISM"] = "true"  # as anywhere but in benchmarks/encode.py

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
BUDGETS = (2048, 8192, 32768, 131072)
BATCHES = (32, 128, 512)
POOLINGS = ["first", "last", "mean", "max", "eos"]
SHARDED = 100_000
EARLY = "2/mean"


def main(n: int = 4071, rounds: int = 3) -> None:
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu.py: torch sees no GPU here.")
    texts = sample(n)
    print(
        f"{torch.cuda.get_device_name()}, {torch.get_num_threads()} threads of the processor, torch {torch.__version__}"
    )
    on = {"cpu": load_encoder(MODEL), "gpu": load_encoder(MODEL, device="cuda")}
    on["gpu, bfloat16"] = load_encoder(MODEL, dtype="bfloat16", device="cuda")
    compared(on, texts, rounds)
    budgets(on["gpu"], texts, rounds)
    sharded(on["gpu"], texts)
    deep(texts[:1000], rounds)


def compared(on: dict[str, Encoder], texts: list[str], rounds: int) -> None:
    """One embedding of each text: ours on both devices, sentence-transformers on the GPU."""
    theirs = SentenceTransformer(str(model_folder(MODEL, None)), device="cuda")
    theirs.max_seq_length = on["cpu"].max_tokens
    sides: Sides = {f"ours, {name}": partial(encoder.encode, texts, DEFAULT) for name, encoder in on.items()}
    sides |= {
        f"sentence-transformers, batch {size}": partial(theirs.encode, texts, batch_size=size) for size in BATCHES
    }
    sides["ours, gpu, early exit"] = partial(on["gpu"].encode, texts, EARLY)
    seconds = timed(sides, rounds)
    _print(seconds, len(texts), "ours, cpu")
    made = {name: encoder.encode(texts, DEFAULT).vectors for name, encoder in on.items()}
    for name, found in made.items():
        furthest = float(np.abs(1 - (found * made["cpu"]).sum(1)).max())
        same = agreement(found, made["cpu"])
        print(f"  {name}: cosine with the cpu's 1 - {furthest:.1e} at worst, neighbours@10 {same:.4f}")


def budgets(encoder: Encoder, texts: list[str], rounds: int) -> None:
    """Tokens a batch: what `batching.GPU_BUDGET` should be."""

    def with_budget(budget: int) -> None:
        setattr(batches, "GPU_BUDGET", budget)  # noqa: B010 (where the encoder looks it up)
        encoder.pool([str(i) for i in range(len(texts))], texts, POOLINGS)

    kept = GPU_BUDGET
    seconds = timed({f"all states, {budget} tokens": partial(with_budget, budget) for budget in BUDGETS}, rounds)
    setattr(batches, "GPU_BUDGET", kept)  # noqa: B010
    _print(seconds, len(texts), f"all states, {kept} tokens")


def sharded(encoder: Encoder, texts: list[str]) -> None:
    """Shards on disk, end to end, of passages with the words of real ones in drawn orders."""
    draw = random.Random(0)
    rows = []
    for i in range(SHARDED):
        words = texts[i % len(texts)].split()
        rows.append({"id": f"p{i}", "title": f"{i}", "text": " ".join(draw.sample(words, len(words)))})
    with tempfile.TemporaryDirectory() as folder:
        table(rows, PASSAGE_COLUMNS).save_to_disk(Path(folder, "kb"))
        kb = KnowledgeBase(open_dataset(str(Path(folder, "kb")), None, None), Path(folder), "drawn")
        start = perf_counter()
        encode_sharded(encoder, kb, DEFAULT, Path(folder, "shards"))
        seconds = perf_counter() - start
        written = sum(len(part.ids) for part in iter_embeddings(Path(folder, "shards")))
    print(f"  {written:,} passages into shards: {seconds:.1f} s, {written / seconds:,.0f} passages/s")


def deep(texts: list[str], rounds: int) -> None:
    """All 25 states of BERT-large's shape, random weights, under five poolings."""
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        config = BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
        AutoModel.from_config(config).save_pretrained(folder)
        AutoTokenizer.from_pretrained(model_folder(MODEL, None)).save_pretrained(folder)
        on = {
            dtype: load_encoder(folder, dtype=dtype, device="cuda", max_tokens=256) for dtype in ("float32", "bfloat16")
        }
        ids = [str(i) for i in range(len(texts))]
        sides: Sides = {f"25 states, {dtype}": partial(e.pool, ids, texts, POOLINGS) for dtype, e in on.items()}
        sides["one state, 24"] = partial(on["float32"].encode, texts, "24/mean")
        sides["one state, 6"] = partial(on["float32"].encode, texts, "6/mean")
        _print(timed(sides, rounds), len(texts), "25 states, float32")
        print(f"  {torch.cuda.max_memory_allocated() / 1e9:.1f} GB of the GPU at most")


def _print(seconds: Seconds, n: int, against: str) -> None:
    base = seconds[against]
    for name, value in seconds.items():
        ratio = median(b / v for b, v in zip(base, value, strict=True))
        print(f"  {name:34} {median(value):8.3f} s, {n / median(value):8,.0f} texts/s, {ratio:6.2f} of {against}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
