"""Questions that show an image, and passages that have one: what joins the two."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.encoding.embeddings.pooled import PooledStates


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

    def onto_images(self, run: Run) -> Run:
        """A run of passages by questions, as one of images by questions: each image scores as its best passage."""
        return Run({query: self._best(row) for query, row in run.rows.items()})

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
