"""The published embedding of a model, ours beside sentence-transformers', scored on data whose figures are published.

On the test split of each folder nDCG@10 of an exact search, or Spearman's correlation for sentence pairs, by our
embeddings; then, over a sample of the texts of each side, the largest distance of ours from sentence-transformers' own.
Run: python benchmarks/published.py MODEL FOLDER… [--sample N] [--threads N]

MODEL:  bundled, a local folder, or a hub name and @ its revision
FOLDER: a corpus as in docs/own-data.md (SciFact in BEIR's layout, STS-B as pairs)
"""

import argparse
import os
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

os.environ |= {"TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}  # before anything reads them

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from hiddenstates.core.data import Task
from hiddenstates.core.params import Corpus
from hiddenstates.core.relevance import Run
from hiddenstates.corpora import load_task
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inputs.prompts import Side, sides
from hiddenstates.encoding.models.files import model_folder
from hiddenstates.retrieval.index import build_index
from hiddenstates.retrieval.measures import correlate, mean_score

DEPTH = 100


def main(model: str, folders: Sequence[str], sample: int) -> None:
    name, _, revision = model.partition("@")
    encoder = load_encoder(name, revision or None)
    theirs = SentenceTransformer(str(model_folder(name, revision or None)), device="cpu")
    print(f"{model}: {encoder.baseline.strategy}, {encoder.baseline}, cut at {encoder.max_tokens} tokens", flush=True)
    for folder in folders:
        with TemporaryDirectory() as images:
            task = load_task(Corpus(source=str(Path(folder).resolve())), Path(images)).select(split="test")
            if task.measure == "similarity":  # the sentences of other splits are nobody's rivals
                task = task.within({id for row in task.qrels.rows.values() for id in row}, task.queries["id"][:])
        measured(encoder, theirs, task, folder, sample)


def measured(encoder: Encoder, theirs: SentenceTransformer, task: Task, folder: str, sample: int) -> None:
    """Print what the test split of one corpus says."""
    start = perf_counter()
    passages, queries = (
        encoder.encode(texts, ids=ids, side=side)
        for (texts, ids), side in zip(both(task), sides(task.measure), strict=True)
    )
    measure = "ndcg@10" if task.measure == "retrieval" else "spearman"
    seconds = perf_counter() - start
    print(f"{folder}: {len(passages.ids):,} passages, {len(queries.ids):,} queries, {seconds:.0f} s", flush=True)
    print(f"  {measure}, ours: {score(passages, queries, task, measure):.5f}", flush=True)
    for (texts, _), side, ours in zip(both(task), sides(task.measure), (passages, queries), strict=True):
        rows = random.Random(0).sample(range(len(texts)), min(sample, len(texts)))
        least = cosines(ours.vectors[rows], encoded(theirs, [texts[i] for i in rows], side)).min()
        print(
            f"  {side}: 1 - cosine to sentence-transformers' at most {1 - least:.1e}, {len(rows):,} texts", flush=True
        )


def both(task: Task) -> list[tuple[list[str], list[str]]]:
    """Texts and ids, of the passages and of the queries."""
    return [(task.kb.texts(), task.kb.ids), (task.queries["text"][:], task.queries["id"][:])]


def encoded(theirs: SentenceTransformer, texts: list[str], side: Side) -> np.ndarray:
    if side == "alike":
        return np.asarray(theirs.encode(texts))
    return np.asarray(theirs.encode_query(texts) if side == "query" else theirs.encode_document(texts))


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    found: np.ndarray = (ours.astype(float) * theirs).sum(1) / lengths
    return found


def score(passages: Embeddings, queries: Embeddings, task: Task, measure: str) -> float:
    if task.measure == "retrieval":
        return mean_score(build_index(passages).search(queries, DEPTH), task.qrels, measure)
    row = {name: i for i, name in enumerate(passages.ids)}
    cosine = {
        query: {name: float(passages.vectors[row[name]] @ vector) for name in task.qrels[query]}
        for query, vector in zip(queries.ids, queries.vectors, strict=True)
    }
    return correlate(Run(cosine), task.qrels)[measure]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--sample", type=int, default=100, help="texts of each side that both encode")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    main(arguments.model, arguments.folders, arguments.sample)
