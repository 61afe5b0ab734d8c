"""What it takes to open the explorer on a large corpus: seconds and memory, in a process of its own, two threads.

The passages are SYNTHETIC, of drawn syllables, and so are their states: 100,000 passages take MiniLM hours. What is
opened is as large as the real thing, MiniLM's seven states under its poolings, and the question is encoded by MiniLM.
Run: python benchmarks/explorer.py [PASSAGES]

open:   from nothing loaded to the page, with its first ranking; goal 30 s for 100,000 passages
change: the next ranking, by another layer
peak:   the most memory that the process held, pages of mapped files included; goal 2 GB
own:    what of it at the end is no mapped file
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

THREADS = 2
os.environ |= {"OMP_NUM_THREADS": str(THREADS), "TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}

import numpy as np  # noqa: E402

from hiddenstates.core.params import EncoderSource  # noqa: E402

SYLLABLES = np.array(["ba", "den", "kir", "lo", "mun", "pe", "ras", "ti", "vol", "zan", "mer", "ou", "gra", "sel"])


def write(n: int, folder: Path) -> None:
    """A task of n passages and ten questions, and their states, as the stages `corpus` and `states` leave them."""
    from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
    from hiddenstates.core.relevance import Qrels
    from hiddenstates.encoding.embeddings.states import TaskStates
    from hiddenstates.encoding.encoder import load_encoder

    random = np.random.default_rng(0)
    words = np.char.add(*SYLLABLES[random.integers(len(SYLLABLES), size=(2, n, 40))])
    passages = [{"id": f"p{i}", "title": " ".join(row[:3]), "text": " ".join(row)} for i, row in enumerate(words)]
    asked = [{"id": f"q{i}", "text": " ".join(words[i][:6]), "set": "made", "split": "test"} for i in range(10)]
    kb = KnowledgeBase(table(passages, PASSAGE_COLUMNS), folder, "synthetic")
    qrels = Qrels({f"q{i}": {f"p{i}": 1.0} for i in range(10)})
    Task(kb, table(asked, QUERY_COLUMNS), qrels).save(folder / "task")
    encoder = load_encoder(**EncoderSource().model_dump())
    one = encoder.pool(["q0"], [asked[0]["text"]], encoder.poolings)
    TaskStates(_like(one, [row["id"] for row in passages]), _like(one, [row["id"] for row in asked])).save(
        folder / "pooled"
    )


def _like(one: "PooledStates", ids: list[str]) -> "PooledStates":  # type: ignore[name-defined]
    """Random states of these items, in the shape of one."""
    from dataclasses import replace

    random = np.random.default_rng(1)
    shapes = {pool: (len(values), len(ids), values.shape[-1]) for pool, values in one.values.items()}
    return replace(one, ids=ids, values={p: random.random(shape, dtype=np.float32) for p, shape in shapes.items()})


def held(kind: str) -> float:
    """MB that this process holds, as Linux counts them; NaN elsewhere. (ru_maxrss would count the caller's, too.)"""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith(f"{kind}:")), float("nan"))


def opened(folder: Path) -> None:
    """Open it, rank once more, and print what that took."""
    start = perf_counter()
    from hiddenstates.core.data import Task
    from hiddenstates.encoding.embeddings.states import TaskStates
    from hiddenstates.encoding.encoder import load_encoder
    from hiddenstates.explorer.search import Explorer
    from hiddenstates.explorer.view import ExplorerView

    task, states = Task.load(folder / "task"), TaskStates.load(folder / "pooled")
    view = ExplorerView(Explorer(task, states, load_encoder(**EncoderSource().model_dump())))
    ready = perf_counter()
    view.strategy.typed.value = "3/mean"
    changed = perf_counter() - ready
    assert "Ranked" in view.told.value, view.message.value
    peak, own = held("VmHWM"), held("RssAnon")
    print(
        f"open {ready - start:.1f} s (goal 30)  change {changed:.2f} s  "
        f"peak {peak:,.0f} MB (goal 2,000)  own {own:,.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("passages", type=int, nargs="?", default=100_000)
    parser.add_argument("--open", type=Path, help="only open what lies there")
    given = parser.parse_args()
    if given.open:
        opened(given.open)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(
            f"{given.passages:,} passages, {THREADS} threads, {os.cpu_count()} cores, {platform.machine()}", flush=True
        )
        write(given.passages, Path(folder))
        subprocess.run([sys.executable, __file__, "--open", folder], check=True)


if __name__ == "__main__":
    main()
