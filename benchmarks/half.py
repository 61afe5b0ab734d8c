"""May pooled states be kept in float16? Ranks and scores of every strategy from both, of states that the lab left.

Every set of states, summed and concatenated, under each pooling, without a layer norm and whitening; the dev questions.
A rank is that of a judged passage among all. Run: python benchmarks/half.py [OUT ENCODER [POOLING ...]]
"""

import sys
from pathlib import Path

import numpy as np

from hiddenstates.core.data import Task
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.retrieval.measures import from_ranks
from hiddenstates.retrieval.ranks.gram import subset_ranks
from hiddenstates.retrieval.strategies.distinct import distinct
from hiddenstates.retrieval.strategies.space import spaces
from hiddenstates.retrieval.strategies.sweep import judged_pairs

MEASURES = ("mrr@10", "ndcg@10", "recall@10")


def main(out: str = "out", encoder: str = "minilm", *poolings: str) -> None:
    states = TaskStates.load(Path(out) / "states" / "pooled" / encoder)
    task = states.covered(Task.load(Path(out) / "corpus" / "task")).select(split="dev")
    states, _ = distinct(states, states.default.pools)
    pairs = judged_pairs(task)
    n_relevant = np.bincount(pairs.query, minlength=len(task.queries))
    queries = states.queries.select(task.queries["id"][:])
    print(f"{out}, {encoder}: {len(task.queries)} queries, {len(task.kb.ids)} passages")
    for pool in poolings or states.passages.values:
        space = next(spaces(pool, False, (), states.passages, ()))
        asked, searched = np.asarray(space.of(queries)), np.asarray(space.of(states.passages))
        where = tuple(np.array([(combine, subset) for _, combine, subset in space.strategies()]).T)
        single, half = (
            subset_ranks(asked.astype(kind).astype(np.float32), searched.astype(kind).astype(np.float32), pairs)[where]
            for kind in (np.float32, np.float16)
        )
        changed = single != half
        print(f"  {pool}: {len(single)} strategies; {changed.mean():.2%} of ranks changed, of the first ten "
              f"{changed[single <= 10].mean():.2%}")  # fmt: skip
        for measure in MEASURES:
            first, second = (
                from_ranks(measure, ranks, pairs.query, pairs.grade, n_relevant).mean(1, dtype=float)
                for ranks in (single, half)
            )
            moved = np.abs(second - first)
            print(f"    {measure}: float32 {first.max():.5f} at best, float16 {second.max():.5f}, the same strategy: "
                  f"{first.argmax() == second.argmax()}; a strategy's differs by {moved.max():.5f} at most, "
                  f"{moved.mean():.6f} on the mean")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
