"""An exported embedding, evaluated by the package mteb on a corpus of your own, beside the lab's own number.

nDCG@10 on the test split of the folder, by `mteb.evaluate` of `SentenceTransformer(EMBEDDING)`, and by the lab's exact
search with the choice that was exported. Needs mteb: `pip install 'hiddenstates[mteb]'`.
Run: python benchmarks/by_mteb.py EMBEDDING FOLDER

EMBEDDING: what `hiddenstates export` wrote; its code, if it has any, is run
FOLDER:    a corpus as in docs/own-data.md, with relevant passages
"""

import argparse
import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}

import mteb
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from sentence_transformers import SentenceTransformer

from hiddenstates.core.data import Task
from hiddenstates.core.params import Corpus
from hiddenstates.corpora import load_task
from hiddenstates.retrieval.index import build_index
from hiddenstates.retrieval.measures import mean_score
from hiddenstates.serving.embedding import Exported

DEPTH = 1000
"""Passages per query that mteb asks for."""

MEASURE = "ndcg@10"


def main(embedding: Path, folder: str) -> tuple[float, float]:
    """mteb's number and the lab's."""
    with TemporaryDirectory() as scratch:
        task = load_task(Corpus(source=folder), Path(scratch)).select(split="test")
        theirs, ours = by_mteb(embedding, task), by_the_lab(embedding, task)
    print(f"{Path(folder).name}, {len(task.queries)} test queries, {MEASURE}: mteb {theirs:.5f}, the lab {ours:.5f}")
    return theirs, ours


def by_mteb(embedding: Path, task: Task) -> float:
    """What `mteb.evaluate` says of the folder under sentence-transformers."""
    model = SentenceTransformer(str(embedding), trust_remote_code=True, device="cpu")
    with TemporaryDirectory() as cache:
        found = mteb.evaluate(model, local(task), cache=mteb.ResultCache(cache), co2_tracker=False)
    scores = found.task_results[0].scores["test"][0]
    return float(scores["ndcg_at_10"])


def by_the_lab(embedding: Path, task: Task) -> float:
    """Of an exact search with the exported vectors."""
    exported = Exported.open(embedding)
    passages = exported.encode(task.kb.texts(), task.kb.ids, "passage")
    queries = exported.encode(task.queries["text"][:], task.queries["id"][:], "query")
    run = task.searched(lambda depth: build_index(passages).search(queries, depth), DEPTH)
    return mean_score(run, task.qrels, MEASURE)


def local(task: Task) -> AbsTaskRetrieval:
    """The task as one of mteb's. A grade that is no whole number would be cut there."""

    class Local(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Local",
            description="A corpus of one's own.",
            dataset={"path": "local/local", "revision": task.kb.revision},
            type="Retrieval",
            category="t2t",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )
        ignore_identical_ids = task.ignore_identical_ids

        def load_data(self, *args: Any, **kwargs: Any) -> None:
            passages = task.kb.passages.select_columns(["id", "title", "text"])
            queries = task.queries.select_columns(["id", "text"])
            relevant = {query: {p: int(grade) for p, grade in row.items()} for query, row in task.qrels.rows.items()}
            split: Any = {"corpus": _plain(passages), "queries": _plain(queries), "relevant_docs": relevant}
            self.dataset = {"default": {"test": split | {"top_ranked": None}}}
            self.data_loaded = True

    return Local()


def _plain(rows: Dataset) -> Dataset:
    return Dataset.from_dict({column: rows[column][:] for column in rows.column_names})


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embedding", type=Path)
    parser.add_argument("folder")
    arguments = parser.parse_args()
    main(arguments.embedding, arguments.folder)
