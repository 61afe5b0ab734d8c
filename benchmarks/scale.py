"""How time, memory and bytes grow with the corpus: encoding into shards, an index beyond memory, searching it.

Each figure comes from a process of its own, two threads. Encoding, by all-MiniLM-L6-v2 in shards of 8,192: passages of
the countries knowledge base, from a dataset on disk; and, to see many shards, SYNTHETIC texts of some ten tokens.
Index and search: SYNTHETIC unit vectors of 384 dimensions around 1,000 centres, because a million passages take hours
to encode. Run: python benchmarks/scale.py [--million] [--quick]

peak:    the most memory that the process held (ru_maxrss): what it wrote to and the pages of mapped files
private: the most of it that was its own (RssAnon, asked every 20 ms): the rest is files, which the system may drop
growth:  the slope of log time on log n by least squares; 1 is proportional
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

THREADS = 2
os.environ |= {"OMP_NUM_THREADS": str(THREADS), "TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}

import numpy as np  # noqa: E402
from private import EVERY, anonymous  # noqa: E402

MODEL, WIDTH = "sentence-transformers/all-MiniLM-L6-v2", 384
SHARD, CENTRES, QUERIES, DEPTH = 8192, 1_000, 1_000, 10
FACTORIES = {"IVF": "IVF{cells},Flat nprobe=16", "Flat": "Flat", "PQ": "PQ{pairs}x4fs,RFlat k_factor_rf=4"}
TEXTS = ("passages", "short")
GOAL = 2e9
Numbers = dict[str, float]


def vectors(n: int, seed: int) -> np.ndarray:
    """Unit vectors, each near one of the centres."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((CENTRES, WIDTH), dtype=np.float32)
    found = centres[random.integers(CENTRES, size=n)] + random.standard_normal((n, WIDTH), dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def synthesize(n: int, folder: Path) -> None:
    """Shards as `encode_sharded` leaves them."""
    from hiddenstates.core.strategy import DEFAULT
    from hiddenstates.encoding.embeddings.pooled import Embeddings
    from hiddenstates.encoding.sharding.shards import save_embeddings

    folder.mkdir()
    names = []
    for first in range(0, n, SHARD):
        names.append(f"synthetic-{first}.safetensors")
        made = vectors(min(SHARD, n - first), seed=1 + first)
        ids = [f"p{row}" for row in range(first, first + len(made))]
        save_embeddings(Embeddings(ids, made, DEFAULT, "synthetic"), folder / names[-1])
    (folder / "manifest.json").write_text(json.dumps({"shards": names}), encoding="utf-8")


def write(kind: str, n: int, folder: Path, cities: int = 30_000) -> Numbers:
    """A dataset on disk of n passages, drawn from those of the countries; of short ones only a title, numbered."""
    from hiddenstates.core.data import PASSAGE_COLUMNS, table

    rows = passages(cities)
    order = np.random.default_rng(0).permutation(len(rows))
    if kind == "short":
        drawn = [{"id": f"p{i}", "title": f"{i} {rows[order[i % len(rows)]]['title']}"} for i in range(n)]
    else:
        drawn = [rows[i] for i in order[:n]]
    table(drawn, PASSAGE_COLUMNS).save_to_disk(folder / f"{kind}-{n}")
    return {"rows": len(drawn)}


@cache
def passages(cities: int) -> Sequence[Mapping[str, Any]]:
    """The passages of all countries and of so many cities."""
    from hiddenstates.core.params import Countries
    from hiddenstates.corpora.countries.world import read_world

    return read_world(Countries(cities=cities)).passages


def encode(kind: str, n: int, folder: Path) -> Numbers:
    """Seconds of encoding n passages; loading the model is not counted."""
    import torch

    from hiddenstates.core.data import KnowledgeBase, open_dataset
    from hiddenstates.core.strategy import DEFAULT
    from hiddenstates.encoding.encoder import load_encoder
    from hiddenstates.encoding.sharding.sharded import encode_sharded

    torch.set_num_threads(THREADS)
    kb = KnowledgeBase(open_dataset(str(folder / f"{kind}-{n}"), None, None), folder, "countries")
    encoder, shards = load_encoder(MODEL), folder / f"encoded-{kind}-{n}"
    start = perf_counter()
    encode_sharded(encoder, kb, DEFAULT, shards, size=SHARD)
    return {"seconds": perf_counter() - start, "bytes": size(shards)}


def build(kind: str, n: int, folder: Path) -> Numbers:
    """Seconds of building the index, from shards on disk to an index that was opened."""
    from hiddenstates.retrieval.index.large import build_large

    start = perf_counter()
    build_large(folder / f"{n}", folder / f"{kind}-{n}", FACTORIES[kind])
    return {"seconds": perf_counter() - start, "bytes": size(folder / f"{kind}-{n}")}


def search(kind: str, n: int, folder: Path) -> Numbers:
    """Seconds of a thousand queries in one batch; opening the index, which hashes its files, is told apart."""
    from hiddenstates.core.strategy import DEFAULT
    from hiddenstates.encoding.embeddings.pooled import Embeddings
    from hiddenstates.retrieval.index import IndexBundle

    start = perf_counter()
    bundle = IndexBundle.load(folder / f"{kind}-{n}")
    opened = perf_counter()
    queries = Embeddings([f"q{i}" for i in range(QUERIES)], vectors(QUERIES, seed=0), DEFAULT, "synthetic")
    asked = perf_counter()
    bundle.search(queries, DEPTH)
    return {"seconds": perf_counter() - asked, "opening": opened - start, "bytes": size(folder / f"{kind}-{n}")}


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


WORK: dict[str, Callable[[int, Path], Numbers]] = {}
for kind in TEXTS:
    WORK |= {f"write {kind}": partial(write, kind), f"encode {kind}": partial(encode, kind)}
for kind in FACTORIES:
    WORK |= {f"build {kind}": partial(build, kind), f"search {kind}": partial(search, kind)}


def measured(work: str, n: int, folder: Path) -> Numbers:
    """What the work says, and its memory, from a process of its own."""
    command = [sys.executable, __file__, "--work", work, "--size", str(n), "--folder", str(folder)]
    private = 0
    with (folder / "said").open("w+") as said:
        child = subprocess.Popen(command, stdout=said)
        while (ended := os.wait4(child.pid, os.WNOHANG))[0] == 0:
            private = max(private, anonymous(child.pid))
            sleep(EVERY)
        child.returncode = os.waitstatus_to_exitcode(ended[1])
        if child.returncode:
            sys.exit(f"{work} of {n:,} ended with {child.returncode}")
        said.seek(0)
        told: Numbers = json.loads(said.read().splitlines()[-1])  # faiss says something before
    return told | {"peak": ended[2].ru_maxrss * 1024, "private": private}


def growth(found: dict[int, Numbers]) -> float:
    """The slope of log seconds on log n."""
    return float(np.polyfit(np.log(list(found)), np.log([told["seconds"] for told in found.values()]), 1)[0])


def table(work: str, sizes: list[int], folder: Path) -> dict[int, Numbers]:
    found: dict[int, Numbers] = {}
    for n in sizes:
        told = found[n] = measured(work, n, folder)
        line = f"{work:15} {n:>9,} {told['seconds']:9.3f} s  {told['bytes'] / 1e6:9.1f} MB on disk"
        line += f"  peak {told['peak'] / 1e6:6.0f} MB, private {told['private'] / 1e6:6.0f} MB"
        print(line + (f", opened in {told['opening']:.2f} s" if "opening" in told else ""), flush=True)
    small, large = sizes[-2:]
    time, memory = (found[large][key] / found[small][key] for key in ("seconds", "peak"))
    print(
        f"{work}: growth {growth(found):.2f}; {large:,} / {small:,}: time ratio {time:.2f}, peak memory ratio "
        f"{memory:.2f}"
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--million",
        action="store_true",
        help="and up to 30,000 passages, 100,000 short texts, a million vectors: 7 GB",
    )
    parser.add_argument("--quick", action="store_true", help="a few hundred of each: does it still run?")
    parser.add_argument("--parts", default=",".join([*TEXTS, *FACTORIES]), help="which of these (default: all)")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print("\n" + json.dumps(WORK[options.work](options.size, options.folder)))
        return
    encoded = [50, 100] if options.quick else [1_000, 10_000, *[30_000] * options.million]
    short = [50, 100] if options.quick else [10_000, 100_000] if options.million else [10_000, 20_000]
    indexed = [200, 400] if options.quick else [1_000, 10_000, 100_000, *[1_000_000] * options.million]
    parts = options.parts.split(",")
    kinds = [kind for kind in FACTORIES if kind in parts]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for kind, sizes in [part for part in zip(TEXTS, [encoded, short], strict=True) if part[0] in parts]:
            for n in sizes:
                if options.quick:  # its memory does not matter, and a process takes seconds to start
                    write(kind, n, folder, cities=0)
                else:
                    measured(f"write {kind}", n, folder)
            peak = table(f"encode {kind}", sizes, folder)[sizes[-1]]["peak"]
            print(f"encode {kind}: peak {peak / 1e6:.0f} MB / goal {GOAL / 1e6:.0f} MB, ratio {peak / GOAL:.2f}")
        for n in indexed if kinds else []:
            synthesize(n, folder / f"{n}")
        for work in [f"{step} {kind}" for kind in kinds for step in ("build", "search")]:
            table(work, indexed, folder)


if __name__ == "__main__":
    main()
