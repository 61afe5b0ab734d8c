"""The systems that look at the image, over all passages: what was chosen on a pool of them, confirmed.

`systems.answers` makes the same of lists in memory. Here the lists lie on disk: every passage's score by the text,
every picture's and every title's by the image. Of a few questions at a time they are read and joined.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from hiddenstates.core.bars import bar
from hiddenstates.core.data import KnowledgeBase, Task
from hiddenstates.core.files import let_go, on_disk
from hiddenstates.core.paths import scratch_folder
from hiddenstates.core.relevance import Run
from hiddenstates.encoding.clip import Clip
from hiddenstates.encoding.pooled import Embeddings
from hiddenstates.encoding.sharded import iter_embeddings
from hiddenstates.images.everything import StoredPictures
from hiddenstates.retrieval.fusion import Aligned, by_rank
from hiddenstates.retrieval.index import IndexBundle
from hiddenstates.retrieval.index.streaming import alike
from hiddenstates.retrieval.index.whole import products, whole_scores
from hiddenstates.retrieval.systems import Tuned

ON_DISK = 2**28
"""Scores of one list that lie on disk at once: 1 GB."""
AT_ONCE = 2**21
"""Passages' scores that are joined at once: all that is made of them takes some 300 MB."""
TITLES = 8192
"""Titles that are embedded at once."""


@dataclass(frozen=True)
class Looked:
    """What is looked at.

    pictures: of all passages
    views:    the embedding of each image that a question shows, under its name
    shown:    query id -> the name of its image
    clip:     names images
    """

    pictures: StoredPictures
    views: Embeddings
    shown: Mapping[str, str]
    clip: Clip


def look_everywhere(
    asked: Task, questions: Embeddings, served: IndexBundle, looked: Looked, tuned: Tuned, depth: int
) -> dict[str, Run]:
    """The `depth` best of all passages for each question that shows an image, by each system of `systems.answers`.

    asked:     the questions, over the passages that the index holds, in its order
    questions: the embedding of each by its text
    served:    the index of all passages, without words
    """
    pages = _Pages.of(asked.kb, served.ids, looked.pictures, questions.ids if asked.ignore_identical_ids else [])
    titles = _embedded(pages.titles, looked.clip)
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    with bar(what="looking", total=len(questions.ids), unit="question") as done:
        for some in _slices(len(questions.ids), ON_DISK // max(1, len(served.ids))):
            part = replace(questions, ids=questions.ids[some], vectors=questions.vectors[some])
            lists = _Lists.of(part, served, pages, titles, looked, asked.kb)
            for few in _slices(len(part.ids), AT_ONCE // max(1, len(served.ids))):
                for system, run in lists.answers(few, tuned, depth).items():
                    found.setdefault(system, {}).update(run.rows)
                done.update(few.stop - few.start)
    return {system: Run(rows) for system, rows in found.items()}


@dataclass(frozen=True)
class _Pages:
    """What each passage shows and is called. The rows of a passage without a picture are -1.

    picture:  its row among the stored ones, of which there are `pictures`; title: its row among the titles
    titles:   the different ones of passages that have a picture
    own:      passage id -> its row, of those that are queries themselves
    """

    picture: Int64[np.ndarray, " passage"]
    title: Int64[np.ndarray, " passage"]
    titles: list[str]
    pictures: int
    own: dict[str, int]

    @classmethod
    def of(cls, kb: KnowledgeBase, ids: Sequence[str], stored: StoredPictures, own: Collection[str]) -> "_Pages":
        place = {id: row for row, id in enumerate(stored.ids())}
        titles: dict[str, int] = {}
        themselves = frozenset(own)
        picture, title, found = np.full(len(ids), -1), np.full(len(ids), -1), {}
        for row, (id, image, called) in enumerate(_indexed(kb, ids)):
            picture[row] = place.get(stored.names.get(image, ""), -1)
            if picture[row] >= 0:
                title[row] = titles.setdefault(called, len(titles))
            if id in themselves:
                found[id] = row
        return cls(picture, title, list(titles), len(place), found)


def _indexed(kb: KnowledgeBase, ids: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Id, image and title of each passage of an index, which has them in the corpus's order, but perhaps not all."""
    indexed = iter(ids)
    wanted = next(indexed, None)
    for part in kb.parts():
        for row in zip(*(part.passages[column][:] for column in ("id", "image", "title")), strict=True):
            if row[0] == wanted:
                yield row
                wanted = next(indexed, None)


@dataclass(frozen=True)
class _Lists:
    """Whole lists of some questions, on disk.

    view: of each question the row of its image
    """

    queries: list[str]
    ids: Sequence[str]
    pages: _Pages
    text: Float32[np.ndarray, "query passage"]
    image: Float32[np.ndarray, "view picture"]
    name: Float32[np.ndarray, "view title"]
    view: Int64[np.ndarray, " query"]

    @classmethod
    def of(
        cls,
        questions: Embeddings,
        served: IndexBundle,
        pages: _Pages,
        titles: Float32[np.ndarray, "title width"],
        looked: Looked,
        kb: KnowledgeBase,
    ) -> "_Lists":
        views = {image: row for row, image in enumerate(dict.fromkeys(looked.shown[id] for id in questions.ids))}
        place = {id: row for row, id in enumerate(looked.views.ids)}
        showing = looked.views.vectors[[place[image] for image in views]]
        shards = (alike(looked.views, part).vectors for part in iter_embeddings(looked.pictures.folder))
        named = looked.clip.embed_images([kb.images / image for image in views]).numpy()
        return cls(
            questions.ids,
            served.ids,
            pages,
            whole_scores(served, questions, scratch_folder()),
            products(showing, shards, pages.pictures, scratch_folder()),
            products(named, (titles[some] for some in _slices(len(titles), TITLES)), len(titles), scratch_folder()),
            np.array([views[looked.shown[id]] for id in questions.ids]),
        )

    def answers(self, some: slice, tuned: Tuned, depth: int) -> dict[str, Run]:
        """What `systems.answers` gives, of these questions."""
        text, pictured = self.text[some].astype(np.float64), self.pages.picture >= 0
        images = self.image[self.view[some]]
        image, name = images[:, self.pages.picture], self.name[self.view[some]][:, self.pages.title]
        foreign = self._foreign(some)
        shows = pictured & foreign
        both = self._aligned(some, [text, image], [~np.isnan(text) & foreign, shows])
        looking, named = self._aligned(some, [image], [shows]), self._aligned(some, [name], [shows])
        nearest = self._aligned(some, [text], [both.held[0] & shows & (image >= _least(images, tuned.count))])
        return {
            "image": looking.best(looking.scores[0], depth),
            "name": named.best(named.scores[0], depth),
            "weighted": both.best(tuned.weighting.scores(both), depth),
            "reciprocal_rank": both.best(by_rank(both), depth),
            "filtered": nearest.best(nearest.scores[0], depth),
            "soft_filter": looking.best(self._softly(both, pictured, tuned), depth),
        }

    def _softly(
        self, both: Aligned, pictured: Bool[np.ndarray, " passage"], tuned: Tuned
    ) -> Float64[np.ndarray, "query passage"]:
        shown = Aligned(both.queries, self.ids, both.scores[:, :, pictured], both.held[:, :, pictured])
        groups = np.unique(self.pages.picture[pictured], return_inverse=True)[1]
        found = np.zeros(both.scores.shape[1:])
        found[:, pictured] = tuned.soft.scores(shown, groups)
        return found

    def _aligned(self, some: slice, scores: list[np.ndarray], held: list[np.ndarray]) -> Aligned:
        kept = np.stack(held)
        return Aligned(self.queries[some], self.ids, np.where(kept, np.stack(scores).astype(np.float64), 0.0), kept)

    def _foreign(self, some: slice) -> Bool[np.ndarray, "query passage"]:
        """Whether the question is another than the passage itself."""
        queries = self.queries[some]
        found = np.ones((len(queries), len(self.ids)), bool)
        for row, query in enumerate(queries):
            found[row, self.pages.own.get(query, slice(0, 0))] = False
        return found


def _least(scores: Float32[np.ndarray, "query picture"], count: int) -> Float32[np.ndarray, "query 1"]:
    """The score of the `count`th nearest picture, or of the farthest where there are no more."""
    place = max(0, scores.shape[1] - count)
    return np.partition(scores, place)[:, place, None]


def _embedded(titles: Sequence[str], clip: Clip) -> Float32[np.ndarray, "title width"]:
    """CLIP's vectors of the titles, on disk."""
    width = clip.embed_texts(titles[:1]).shape[1]
    found = on_disk((len(titles), width), scratch_folder())
    for some in _slices(len(titles), TITLES):
        found[some] = clip.embed_texts(titles[some])
        let_go(found)
    return found


def _slices(n: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + max(1, size), n)) for first in range(0, n, max(1, size)))
