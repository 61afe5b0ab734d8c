"""Whole lists of the questions that show an image: each passage by the text, each picture and each title by the image.

Nothing is cut before lists are joined, for the right passage can stand anywhere in one of them. So they lie on disk,
and of a few questions at a time they are read, whether the passages are a pool or a whole corpus.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from hiddenstates.core.data import KnowledgeBase, Task
from hiddenstates.core.files import let_go, on_disk
from hiddenstates.core.paths import scratch_folder
from hiddenstates.core.relevance import Run
from hiddenstates.encoding.clip import Clip
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.images.everything import Pictures
from hiddenstates.retrieval.fusion.runs import Aligned
from hiddenstates.retrieval.index import IndexBundle
from hiddenstates.retrieval.index.streaming import alike
from hiddenstates.retrieval.index.whole import products, whole_scores

ON_DISK = 2**28
"""Scores of one list that lie on disk at once: 1 GB."""
SCORES_AT_ONCE = 2**21
"""Passages' scores that are joined at once: all that is made of them takes some 300 MB."""
TITLES = 8192
"""Titles that are embedded at once."""


@dataclass(frozen=True)
class Looked:
    """What is looked at.

    pictures: of the passages
    views:    the embedding of each image that a question shows, under its name
    shown:    query id -> the name of its image
    clip:     names images
    """

    pictures: Pictures
    views: Embeddings
    shown: Mapping[str, str]
    clip: Clip


@dataclass(frozen=True)
class Block:
    """Some questions, in memory.

    both:   every passage by the text and by its picture, where it has one; none is the question itself
    name:   every passage that has a picture by its title's likeness to the image
    images: every picture by its likeness to the image
    place:  the row of each passage's picture among these, -1 where it has none
    """

    both: Aligned
    name: Aligned
    images: Float64[np.ndarray, "query picture"]
    place: Int64[np.ndarray, " passage"]

    @cached_property
    def text(self) -> Aligned:
        """The text's list alone."""
        return replace(self.both, scores=self.both.scores[:1], held=self.both.held[:1])

    @cached_property
    def image(self) -> Aligned:
        """The image's list alone, in which all passages of a picture tie."""
        return replace(self.both, scores=self.both.scores[1:], held=self.both.held[1:])

    @cached_property
    def pictured(self) -> tuple[Aligned, Int64[np.ndarray, " passage"]]:
        """Text and image of the passages that have a picture, and a number for each one's picture."""
        some = self.place >= 0
        ids = [self.both.passages[row] for row in np.flatnonzero(some).tolist()]
        kept = Aligned(self.both.queries, ids, self.both.scores[:, :, some], self.both.held[:, :, some])
        return kept, np.unique(self.place[some], return_inverse=True)[1]

    def allowing(self, images: Bool[np.ndarray, "query picture"]) -> Aligned:
        """The text's list with only the passages of these pictures."""
        return replace(self.text, held=self.text.held & (images[:, self.place] & (self.place >= 0))[None])

    def nearest(self, count: int) -> Aligned:
        """The text's list with only the passages of the nearest pictures, and of those that tie with the last one."""
        place = max(0, self.images.shape[1] - count)
        return self.allowing(self.images >= np.partition(self.images, place)[:, place, None])


@dataclass(frozen=True)
class Lists:
    """Of questions that all show an image; passages as they lie in the index.

    texts:  the questions' embeddings, which the index can answer
    index:  of the passages, without words
    looked: what the passages and the questions show
    """

    texts: Embeddings
    index: IndexBundle
    looked: Looked
    kb: KnowledgeBase
    pages: "Pages"
    titles: Float32[np.ndarray, "title width"]

    @classmethod
    def of(cls, task: Task, texts: Embeddings, index: IndexBundle, looked: Looked) -> "Lists":
        """task: over the passages of the index, in their order, though some may not be in it"""
        own = texts.ids if task.ignore_identical_ids else []
        pages = Pages.of(task.kb, index.ids, looked.pictures, own)
        return cls(texts, index, looked, task.kb, pages, _embedded(pages.titles, looked.clip))

    def blocks(self, queries: Collection[str] | None = None) -> Iterator[Block]:
        """The questions, or these of them, in order: as many at once as memory has room for."""
        rows = [row for row, id in enumerate(self.texts.ids) if queries is None or id in queries]
        for stored, places in self._stored(rows):
            for few in _slices(len(places), SCORES_AT_ONCE // self._n):
                yield stored.block(places[few])

    def _stored(self, rows: list[int]) -> "Iterator[tuple[_Stored, list[int]]]":
        """The lists of these questions, and where among them each one is; all that fit are made once."""
        if len(self.texts.ids) * self._n <= ON_DISK:
            yield self._all, rows
            return
        for some in _slices(len(rows), ON_DISK // self._n):
            asked = rows[some]
            ids = [self.texts.ids[row] for row in asked]
            few = replace(self.texts, ids=ids, vectors=self.texts.vectors[asked])
            yield _Stored.of(self, few), list(range(len(asked)))

    @cached_property
    def _all(self) -> "_Stored":
        return _Stored.of(self, self.texts)

    @property
    def _n(self) -> int:
        return max(1, len(self.index.ids))

    def text(self, depth: int) -> Run:
        """The `depth` best by the text alone."""
        return one_run(block.text.best(block.text.scores[0], depth) for block in self.blocks())

    def text_of(self, images: Mapping[str, Collection[str]], depth: int) -> Run:
        """The `depth` best by text among the passages of these pictures, which are given by query."""
        place = {id: row for row, id in enumerate(self.pages.pictures)}
        runs = []
        for block in self.blocks(images):
            allowed = np.zeros(block.images.shape, bool)
            for row, query in enumerate(block.both.queries):
                allowed[row, [place[id] for id in images[query] if id in place]] = True
            runs.append(block.allowing(allowed).best(block.text.scores[0], depth))
        return one_run(runs)


@dataclass(frozen=True)
class Pages:
    """What each passage shows and is called. The rows of a passage without a picture are -1.

    picture:  its row among the pictures
    title:    its row among the titles
    pictures: ids
    titles:   the different ones of passages that have a picture
    own:      passage id -> its row, of those that are queries themselves
    """

    picture: Int64[np.ndarray, " passage"]
    title: Int64[np.ndarray, " passage"]
    pictures: list[str]
    titles: list[str]
    own: dict[str, int]

    @classmethod
    def of(cls, kb: KnowledgeBase, ids: Sequence[str], shown: Pictures, own: Collection[str]) -> "Pages":
        pictures = list(shown.ids())
        place, titles, themselves = {id: row for row, id in enumerate(pictures)}, dict[str, int](), frozenset(own)
        picture, title, found = np.full(len(ids), -1), np.full(len(ids), -1), {}
        for row, (id, image, called) in enumerate(_indexed(kb, ids)):
            picture[row] = place.get(shown.names.get(image, ""), -1)
            if picture[row] >= 0:
                title[row] = titles.setdefault(called, len(titles))
            if id in themselves:
                found[id] = row
        return cls(picture, title, pictures, list(titles), found)


@dataclass(frozen=True)
class _Stored:
    """The lists of some questions on disk. view: of each question the row of its image"""

    queries: list[str]
    ids: Sequence[str]
    pages: Pages
    text: Float32[np.ndarray, "query passage"]
    image: Float32[np.ndarray, "view picture"]
    name: Float32[np.ndarray, "view title"]
    view: Int64[np.ndarray, " query"]

    @classmethod
    def of(cls, lists: Lists, asked: Embeddings) -> "_Stored":
        looked, pages, scratch = lists.looked, lists.pages, scratch_folder()
        views = {image: row for row, image in enumerate(dict.fromkeys(looked.shown[id] for id in asked.ids))}
        place = {id: row for row, id in enumerate(looked.views.ids)}
        showing = looked.views.vectors[[place[image] for image in views]]
        shown = (alike(looked.views, part).vectors for part in looked.pictures.parts())
        named = looked.clip.embed_images([lists.kb.images / image for image in views]).numpy()
        titles = (lists.titles[some] for some in _slices(len(lists.titles), TITLES))
        return cls(
            asked.ids,
            lists.index.ids,
            pages,
            whole_scores(lists.index, asked, scratch),
            products(showing, shown, len(pages.pictures), scratch),
            products(named, titles, len(pages.titles), scratch),
            np.array([views[looked.shown[id]] for id in asked.ids]),
        )

    def block(self, some: list[int]) -> Block:
        """The questions in these places, in memory."""
        view, place = self.view[some], self.pages.picture
        text, images = self.text[some], self.image[view].astype(np.float64)
        foreign = self._foreign(some)
        shows = (place >= 0) & foreign
        both = self._aligned(some, [text, images[:, place]], [~np.isnan(text) & foreign, shows])
        return Block(both, self._aligned(some, [self.name[view][:, self.pages.title]], [shows]), images, place)

    def _aligned(self, some: list[int], scores: list[np.ndarray], held: list[np.ndarray]) -> Aligned:
        kept, queries = np.stack(held), [self.queries[row] for row in some]
        return Aligned(queries, self.ids, np.where(kept, np.stack(scores), 0.0).astype(np.float64), kept)

    def _foreign(self, some: list[int]) -> Bool[np.ndarray, "query passage"]:
        """Whether the question is another than the passage itself."""
        found = np.ones((len(some), len(self.ids)), bool)
        for row, place in enumerate(some):
            found[row, self.pages.own.get(self.queries[place], slice(0, 0))] = False
        return found


def one_run(runs: Iterator[Run] | Sequence[Run]) -> Run:
    """Runs of different queries as one."""
    return Run({query: row for run in runs for query, row in run.rows.items()})


def _indexed(kb: KnowledgeBase, ids: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Id, image and title of each passage of an index, which has them in the corpus's order, but perhaps not all."""
    indexed = iter(ids)
    wanted = next(indexed, None)
    for part in kb.parts():
        for row in zip(*(part.passages[column][:] for column in ("id", "image", "title")), strict=True):
            if row[0] == wanted:
                yield row
                wanted = next(indexed, None)


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
