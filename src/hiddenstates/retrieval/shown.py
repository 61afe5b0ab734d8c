"""Questions that show an image, and passages that have one: what joins the two, and the search of names by images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.encoding.clip import Clip
from hiddenstates.encoding.pooled import Embeddings, PooledStates
from hiddenstates.retrieval.fusion import cut, onto_passages, within
from hiddenstates.retrieval.index import build_index


@dataclass(frozen=True)
class Shown:
    """Which image is whose, by the ids of a run over images.

    passages: passage id -> the id of its image; one without a sound image is left out
    queries:  query id -> the id of the image that it shows; one without is left out
    """

    passages: Mapping[str, str]
    queries: Mapping[str, str]

    @classmethod
    def of(cls, task: Task, passages: Mapping[str, str], queries: PooledStates) -> "Shown":
        """The images of the task that have states; of the queries' the ids are their names.

        passages: every name of an image of theirs -> the id of its content
        """
        known = {name: name for name in queries.ids}
        found = (
            {id: names[image] for id, image in zip(rows["id"][:], rows["image"][:], strict=True) if image in names}
            for rows, names in ((task.kb.passages, passages), (task.queries, known))
        )
        return cls(*found)

    def asked(self, task: Task) -> Task:
        """The task with only the questions that show an image; none where no passage has one."""
        return task.within(task.kb.ids, [query for query in self.queries if query in task.qrels.rows and self.passages])

    def onto_passages(self, run: Run) -> Run:
        """A run of images by images, as one of passages by questions. Passages of one image tie."""
        return onto_passages(run, self.passages, self.queries)

    def onto_images(self, run: Run) -> Run:
        """A run of passages by questions, as one of images by questions: each image scores as its best passage."""
        return Run({query: self._best(row) for query, row in run.rows.items()})

    def filtered(self, text: Run, images: Run, count: int) -> Run:
        """The passages of the `count` nearest images, ranked by text. images: a run of images by images"""
        near = {image: list(row) for image, row in cut(images, count).rows.items()}
        return self.allowing(text, {query: near[image] for query, image in self.queries.items() if image in near})

    def allowing(self, text: Run, images: Mapping[str, Sequence[str]]) -> Run:
        """The text's run with only the passages of these images, by query."""
        passages: dict[str, list[str]] = {}
        for passage, image in self.passages.items():
            passages.setdefault(image, []).append(passage)
        return within(text, {query: [p for name in names for p in passages[name]] for query, names in images.items()})

    def for_images(self, task: Task) -> Task:
        """The same questions, which now should find the images of the relevant passages."""
        relevant = {q: {p: grade for p, grade in row.items() if grade > 0} for q, row in task.qrels.rows.items()}
        return replace(task, qrels=Qrels({query: self._best(row) for query, row in relevant.items()}))

    def _best(self, row: Mapping[str, float]) -> dict[str, float]:
        found: dict[str, float] = {}
        for passage, score in row.items():
            if image := self.passages.get(passage):
                found[image] = max(score, found.get(image, score))
        return found


def search_images(images: Embeddings, queries: Embeddings) -> Run:
    """Every image of the passages, by its cosine with each image of the queries."""
    return build_index(images).search(queries, len(images.ids))


def search_names(clip: Clip, images: Mapping[str, Path], names: Sequence[str]) -> Run:
    """Every name, by its cosine with each image in the space that CLIP projects both into. images: by their ids"""
    distinct = list(dict.fromkeys(names))
    if not images or not distinct:
        return Run({})
    cosines = clip.embed_images(list(images.values())) @ clip.embed_texts(distinct).T
    return Run({id: dict(zip(distinct, row, strict=True)) for id, row in zip(images, cosines.tolist(), strict=True)})
