"""`Explorer`: passages ranked for one question under any strategy, with or without an image. No widgets here."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import AnyStrategy, Fused
from hiddenstates.core.relevance import Run
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.embeddings.pooled import Embeddings, PooledStates
from hiddenstates.encoding.embeddings.pooling import HiddenStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import Whitenings, training_passages
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.prompts import Side, prompted, sides
from hiddenstates.explorer.pictures import DIGITS, Pictures
from hiddenstates.explorer.plane import Plane, plane_of
from hiddenstates.explorer.systems import System, vector_of
from hiddenstates.retrieval.bm25 import Words, fuse
from hiddenstates.retrieval.fusion.runs import weighted

ASKED = "asked"  # the id of the one query of every run
NORM = "none"  # cosines both
KEPT = 8  # strategies whose passages stay embedded: 6 MB each for one state of MiniLM, 44 MB for seven side by side


@dataclass(frozen=True)
class Question:
    """image: its file, if any; weight: of the image's score beside the text's, 0 to 1."""

    text: str
    image: Path | None = None
    weight: float = 0.5


class Explorer:
    """What a question finds in a task's passages. Their states are there already: only the question is encoded.

    states:   under all the poolings that there are to choose from
    encoder:  the one that made them
    pictures: the passages' images; None where there are none
    ready:    systems that are worth a look, as strings, by what they are called

    Of each strategy, `embedded` has the passages' vectors, `whitening` what it whitens by, and `plane` a map. Of a
    text, its image and its side, `read` has the states of every token.
    """

    def __init__(
        self,
        task: Task,
        states: TaskStates,
        encoder: Encoder,
        pictures: Pictures | None = None,
        ready: Mapping[str, str] | None = None,
    ) -> None:
        if encoder.fingerprint != states.passages.fingerprint:
            raise LabError(
                f"explorer: the states are of model {states.passages.fingerprint}, the encoder is "
                f"{encoder.fingerprint}. Run the stage `states` again."
            )
        self.task = states.covered(task)
        self.states = states.passages
        self.default = states.default
        self.encoder = encoder
        self.pictures = pictures
        self.ready = dict(ready or {})
        self._answers = _answers(self.task)
        self._passages = self.task.kb.passages.to_pandas().set_index("id")
        self._ids = pd.Index(self.states.ids, dtype=object)  # pandas' own strings are slow to go through
        self.embedded = lru_cache(KEPT)(self._embed)
        self.whitening = lru_cache(KEPT)(self._fit)
        self.plane = lru_cache(KEPT)(self._plane)
        self._encoded = lru_cache(KEPT)(self._encode)
        self.read = lru_cache(KEPT)(self._read)
        self._pictured = lru_cache(KEPT)(self._by_image)

    def rank(self, question: Question, system: System, against: System | None = None, depth: int = 10) -> pd.DataFrame:
        """The `depth` best passages, best first; then the best right one, where one is known and all are worse.

        Columns, beside the passage's own:

        score:    what ranks it: by_text, or with an image the weighted sum of both
        by_text:  cosine of the passage's embedding and the question's; where words count, `bm25.fuse` of both
        by_image: cosine of the passage's image and the question's; NaN where one of them has none
        rank:     from 1; passages of equal score share the last of their ranks, for their order says nothing
        tied:     whether another passage has the same score
        before:   its rank under `against`, which is the default strategy unless given, without by_image
        right:    whether it answers the question, which is known of the task's own questions

        LabError for an empty question, a strategy that the states cannot make, or an image that does not open.
        """
        if not question.text.strip():
            raise LabError("There is no question: type one and press Enter.")
        text = self._by_text(question, system)
        image = self._pictured(question.image) if question.image else pd.Series(dtype=float)
        table = pd.DataFrame({"by_text": text, "by_image": image.reindex(text.index)})
        table["score"] = _fused(text, image, question.weight)
        table["rank"] = _ranks(table["score"])
        table["tied"] = table["score"].duplicated(keep=False)
        table["before"] = _ranks(self._by_text(question, against or self.default))
        table["right"] = table.index.isin(self._answers.get((question.text, question.image), set()))
        return _shown(table, depth).join(self._passages)

    def ranks(self, question: Question) -> pd.DataFrame:
        """The rank of the best right passage by each state alone, [pooling, layer], without an image; empty where no
        answer is known. Passages of equal score share the last of their ranks.
        """
        right = self._ids.isin(self._answers.get((question.text, question.image), set()))
        if not right.any():
            return pd.DataFrame()
        layers = range(len(self.states.state_map))
        return pd.DataFrame(
            {layer: [self._rank_of(question, layer, pool, right) for pool in self.states.values] for layer in layers},
            index=list(self.states.values),
        )

    def asked(self, question: Question, strategy: AnyStrategy) -> Float32[np.ndarray, "1 width"]:
        """The question's vector."""
        return self._encoded(question.text, question.image).embed(strategy, self.whitening(strategy)).vectors

    def vectors(self, strategy: AnyStrategy, passages: Sequence[str]) -> Float32[np.ndarray, "passage width"]:
        """Those of some passages."""
        return self.embedded(strategy).vectors[self._ids.get_indexer(pd.Index(passages, dtype=object))]

    def passages(self, rows: Int[np.ndarray, " row"]) -> pd.DataFrame:
        """The passages of these rows of the states, with their columns; their ids are the index."""
        return self._passages.loc[self._ids[rows]]

    def text(self, passage: str) -> str:
        """What is encoded of a passage."""
        passages = self.task.kb.passages.select([self._passages.index.get_loc(passage)])
        return replace(self.task.kb, passages=passages).texts()[0]

    def image(self, passage: str) -> Path | None:
        """The file of a passage's image; None where it has none."""
        name = self._passages.at[passage, "image"]
        return self.task.kb.images / name if name else None

    def _rank_of(self, question: Question, layer: int, pool: str, right: np.ndarray) -> int:
        strategy = Strategy((layer,), "single", pool)
        scores = (self.states.embed(strategy).vectors @ self.asked(question, strategy)[0]).round(DIGITS)
        return int((scores >= scores[right].max()).sum())

    def _by_text(self, question: Question, system: System) -> pd.Series:
        """The score of every passage without its image."""
        scores, strategy = np.zeros(len(self._ids)), vector_of(system)
        if strategy is not None:
            scores = (self.embedded(strategy).vectors @ self.asked(question, strategy)[0]).astype(float)  # [passage]
        if isinstance(system, str | Fused):
            weight = system.weight if isinstance(system, Fused) else 0.0
            scores = fuse(scores, self.words.scores([question.text])[0].astype(float), weight)
        return pd.Series(scores.round(DIGITS), self._ids)

    def _plane(self, strategy: AnyStrategy) -> Plane:
        return plane_of(self.embedded(strategy).vectors)

    def _embed(self, strategy: AnyStrategy) -> Embeddings:
        return self.states.embed(strategy, self.whitening(strategy))

    def _fit(self, strategy: AnyStrategy) -> Whitenings:
        """What the strategy whitens by, as the stage `strategies` fits it."""
        if not strategy.whitened:
            return Whitenings({})
        if not self._training:
            raise LabError(
                f"{strategy}: every passage is judged for dev or test, so no whitening can be fitted. "
                "Leave +each and +white out."
            )
        values = {pool: self.states.values[pool] for pool in strategy.pools if pool in self.states.values}
        return fitted(strategy, replace(self.states, values=values).select(self._training))

    @cached_property
    def _training(self) -> list[str]:
        return training_passages(self.task)

    @cached_property
    def words(self) -> Words:
        return Words.of(self.task.kb)

    def _by_image(self, image: Path) -> pd.Series:
        """The cosine of every passage that has an image; empty where no passage has one."""
        scores = self.pictures.run(image, ASKED)[ASKED] if self.pictures else {}
        return pd.Series(dict(scores), dtype=float)

    def _read(self, text: str, image: Path | None, side: Side) -> HiddenStates:
        """As they are pooled: a prompt that is not pooled is out of sight."""
        prompt = self.encoder.reading.prompt(side)
        inputs = [given for given in self.encoder.reader.inputs([text], [image]) if given is not None]
        return self.encoder.states(prompted(inputs, prompt)).without_start(self.encoder.skipped(prompt))

    def _encode(self, text: str, image: Path | None) -> PooledStates:
        (given,) = self.encoder.reader.inputs([text], [image])
        if given is None:
            raise LabError(f"model {self.encoder.name}: it reads images. Choose or upload one.")
        _, side = sides(self.task.measure)
        return self.encoder.pool([ASKED], [given], list(self.states.values), side)


def _fused(text: pd.Series, image: pd.Series, weight: float) -> pd.Series:
    if image.empty:
        return text
    runs = {
        name: Run({ASKED: dict(zip(scores.index, scores, strict=True))})
        for name, scores in (("text", text), ("image", image))
    }
    return pd.Series(dict(weighted(runs, {"text": 1 - weight, "image": weight}, NORM)[ASKED]))


def _ranks(scores: pd.Series) -> pd.Series:
    return scores.rank(ascending=False, method="max").astype(int)


def _shown(table: pd.DataFrame, depth: int) -> pd.DataFrame:
    best = table.sort_values("score", ascending=False, kind="stable")
    missed = best[best["right"]].head(0 if best["right"].head(depth).any() else 1)
    return pd.concat([best.head(depth), missed])


def _answers(task: Task) -> Mapping[tuple[str, Path | None], set[str]]:
    """What is relevant to each question of the task, by its text and its image."""
    found: dict[tuple[str, Path | None], set[str]] = defaultdict(set)
    rows = zip(*(task.queries[column][:] for column in ("id", "text", "image")), strict=True)
    for query, text, image in rows:
        relevant = {passage for passage, grade in task.qrels[query].items() if grade > 0}
        found[text, task.kb.images / image if image else None] |= relevant
    return found
