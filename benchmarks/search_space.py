"""How good and how costly is the search among sets of hidden states that are too many to try?

(a) Against the exhaustive answer, on pooled states that the lab left: every pooling, with and without a layer norm,
    plain and whitened, both ways to combine, three measures, each query set and all of them. Missed: the best that was
    found is more than .001 below the best there is.
(b) Time and memory of a sweep with RANDOM states, in a process of its own; --deep: so many states (25 and 49) of
    1,024 dimensions. Private is what no file stands behind (Linux); the peak counts pages of mapped files, too.

Run: python benchmarks/search_space.py [OUT ENCODER] [--threads 2] [--deep [STATES ...] | --quick]
OUT, ENCODER: a folder such as out/ and a name of states.encoders; without them the states of out/, minilm
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from private import watched

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.files import on_disk
from hiddenstates.core.relevance import Qrels
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import training_passages
from hiddenstates.encoding.forward.families import State
from hiddenstates.retrieval.deep.listed import CONCAT, SUM
from hiddenstates.retrieval.deep.spaces import Ranked, search
from hiddenstates.retrieval.measures import from_ranks
from hiddenstates.retrieval.ranks.gram import subset_ranks
from hiddenstates.retrieval.strategies.distinct import distinct
from hiddenstates.retrieval.strategies.space import Space, spaces
from hiddenstates.retrieval.strategies.sweep import MOST, judged_pairs, sweep
from hiddenstates.retrieval.validation import equally

MEASURES = ("mrr@10", "ndcg@10", "recall@10")
NEAR = 0.001
LOOKED_AT = 0.1  # of a space, at most, where the search is compared with all of it
QUICK = (25, 64, 500, 50)
DEEP, DEEPEST = (1024, 10_000, 1_000), (25, 49)
POOLINGS = ("first", "last", "mean", "max", "eos")


def quality(out: Path, encoder: str) -> None:
    states = TaskStates.load(out / "states" / "pooled" / encoder)
    task = states.covered(Task.load(out / "corpus" / "task"))
    states, _ = distinct(states, states.default.pools)
    dev, train = task.select(split="dev"), training_passages(task)
    found, seconds = [], np.zeros(2)
    for layer_norm in (False, True):
        for pool in states.passages.values:
            for space in spaces(pool, layer_norm, (0.5,), states.passages, train):
                missing, spent = against_all(space, states, dev)
                found += missing
                seconds += spent
    losses = np.array(found)
    missed = int((losses > NEAR).sum())
    print(f"(a) {out}, {encoder}: {len(states.passages.state_map)} states, {len(dev.queries)} queries")
    print(f"    best missed by more than {NEAR} in {missed} of {len(losses)} cases ({missed / len(losses):.1%}), "
          f"at worst by {losses.max():.4f}, on the mean by {losses.mean():.5f}")  # fmt: skip
    print(f"    all sets {seconds[0]:.0f} s / searches {seconds[1]:.0f} s, ratio {seconds[0] / seconds[1]:.1f}")


def against_all(space: Space, states: TaskStates, dev: Task) -> tuple[list[float], np.ndarray]:
    """What the search misses of the best, case by case; seconds of all sets, and of all searches."""
    queries = states.queries.select(dev.queries["id"][:])
    pairs = judged_pairs(dev)
    n_relevant = np.bincount(pairs.query, minlength=len(dev.queries))
    asked, searched = space.of(queries), space.of(states.passages)
    start = perf_counter()
    ranks = subset_ranks(asked, searched, pairs)
    middle = perf_counter()
    ranked = Ranked.of(asked, searched, pairs)
    losses = []
    for measure in MEASURES:
        values = [from_ranks(measure, ranks[how][1:], pairs.query, pairs.grade, n_relevant) for how in (SUM, CONCAT)]
        for sets in [*([name] for name in dev.sets), dev.sets]:
            weights = equally(dev, sets, np.ones(len(dev.queries), dtype=bool))
            found = search(len(space.layers), ranked.guide(measure, weights), int(LOOKED_AT * space.size))
            for how in (SUM, CONCAT):
                scores = values[how] @ weights
                mine = [chosen for kind, chosen in found.named if kind == how or chosen.sum() == 1]
                best = max(scores[sum(1 << int(i) for i in np.flatnonzero(chosen)) - 1] for chosen in mine)
                losses.append(float(scores.max() - best))
    return losses, np.array([middle - start, perf_counter() - middle])


def make(folder: Path, n_states: int, width: int, n_passages: int, n_queries: int) -> None:
    """States on disk, each a little like the one before; a query's are its passage's, drowned in noise."""
    random = np.random.default_rng(0)
    state_map = tuple(State(f"layer.{i}") for i in range(n_states))
    passages, queries = (
        {pool: on_disk((n_states, n, width), folder) for pool in POOLINGS} for n in (n_passages, n_queries)
    )
    for pool in POOLINGS:
        state = random.standard_normal((n_passages, width), dtype=np.float32)
        for layer in range(n_states):
            state = 0.9 * state + 0.45 * random.standard_normal(state.shape, dtype=np.float32)
            passages[pool][layer] = state
            queries[pool][layer] = 0.1 * state[:n_queries] + random.standard_normal(
                (n_queries, width), dtype=np.float32
            )
    made = [
        PooledStates([f"{name}{i}" for i in range(n)], values, state_map, "random")
        for name, n, values in (("p", n_passages, passages), ("q", n_queries, queries))
    ]
    TaskStates(*made).save(folder)


def cost(folder: Path) -> None:
    states = TaskStates.load(folder)
    queries = table([{"id": name, "set": "random"} for name in states.queries.ids], QUERY_COLUMNS)
    kb = KnowledgeBase(table([{"id": name} for name in states.passages.ids], PASSAGE_COLUMNS), folder, "random")
    judged = Qrels({name: {f"p{name[1:]}": 1.0} for name in states.queries.ids})
    start = perf_counter()
    swept = sweep(states, Task(kb, queries, judged, "retrieval"), ["mrr@10"])
    seconds = perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"    {seconds:.0f} s, peak {peak:.2f} GB; {swept.looked_at:,} looked at of {swept.possible:.3g}, "
          f"{len(swept.strategies)} scored on all passages, best {swept.means.to_numpy().max():.3f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deep", type=int, nargs="*", metavar="STATES")
    parser.add_argument("--quick", action="store_true", help="(b) alone, small: does it still run?")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--make", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--cost", help=argparse.SUPPRESS)
    parser.add_argument("where", nargs="*")
    args = parser.parse_args()
    if args.make:
        make(Path(args.make[0]), *map(int, args.make[1:]))
    elif args.cost:
        cost(Path(args.cost))
    else:
        both(args)


def both(args: argparse.Namespace) -> None:
    print(f"spaces of more than {MOST:,} strategies are searched")
    environment = os.environ | {"NUMBA_NUM_THREADS": args.threads, "OMP_NUM_THREADS": args.threads, "TQDM_DISABLE": "1"}
    for size in [QUICK] if args.deep is None else [(n, *DEEP) for n in args.deep or DEEPEST]:
        states, width, passages, queries = size
        print(f"(b) RANDOM {states} states × {width} × {len(POOLINGS)} poolings, {queries} × {passages}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, __file__, "--make", folder, *map(str, size)], env=environment, check=True)
            private = watched([sys.executable, __file__, "--cost", folder], environment)
            print(f"    private {private / 1e9:.2f} GB", flush=True)
    if not args.quick and (args.where or Path("out/states").is_dir()):
        quality(Path(args.where[0] if args.where else "out"), args.where[1] if args.where else "minilm")


if __name__ == "__main__":
    main()
