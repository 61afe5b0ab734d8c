"""A linear probe on frozen features: fitted on train, its penalty chosen on dev."""

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from hiddenstates.core.bars import bar
from hiddenstates.core.threads import one_thread
from hiddenstates.corpora.sentence import Sentence
from hiddenstates.tagging.features import Feature, Weights, combined, learn_mix
from hiddenstates.tagging.scores import Counts, count, f1
from hiddenstates.tagging.words import Words, WordStates

ITERATIONS = 300
WORKERS = 2


@dataclass(frozen=True)
class TokenTask:
    """Tagged sentences of all splits, and the states of their words in the same order."""

    sentences: Sequence[Sentence]
    states: WordStates

    @cached_property
    def tags(self) -> np.ndarray:
        """The tag of each word, as text."""
        return np.array([tag for sentence in self.sentences for tag in sentence.tags])

    def of(self, split: str) -> list[Sentence]:
        return [sentence for sentence in self.sentences if sentence.split == split]

    def rows(self, split: str) -> Bool[np.ndarray, " word"]:
        """Which words are in this split."""
        return np.array([s.split == split for s in self.sentences for _ in s.words])


@dataclass(frozen=True)
class Tagger:
    """A probe and what it sees.

    penalty: scikit-learn's C, the inverse strength of the L2 penalty
    weights: of the layers, where the feature mixes them
    dev:     counts on dev, by which it was chosen
    """

    feature: Feature
    penalty: float
    weights: Weights | None
    probe: Pipeline
    dev: Counts


def train_taggers(
    task: TokenTask, features: Sequence[Feature], penalties: Sequence[float], seed: int
) -> dict[str, Tagger]:
    """A tagger for each feature, by the feature's name; two at a time, as one probe is too small to share out."""
    with one_thread(), ThreadPoolExecutor(WORKERS) as pool:
        made = pool.map(lambda feature: train_tagger(task, feature, penalties, seed), features)
        named = zip(map(str, features), made, strict=True)
        return dict(bar(named, "probe", len(features), unit="probes"))


def train_tagger(task: TokenTask, feature: Feature, penalties: Sequence[float], seed: int) -> Tagger:
    """The probe of one feature, with the penalty whose F1 on dev is best, the stricter one where several are."""
    train = task.rows("train")
    weights = _weights(task, feature, seed) if feature.combine == "mix" else None
    vectors = _vectors(task, feature, weights)
    found = []
    for penalty in sorted(penalties):
        probe = fit(vectors[train], task.tags[train], penalty)
        found.append(Tagger(feature, penalty, weights, probe, _count(task, probe, vectors, "dev")))
    return max(found, key=lambda tagger: f1(tagger.dev))


def fit(vectors: Words, tags: np.ndarray, penalty: float) -> Pipeline:
    """Multinomial logistic regression on standardised vectors."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a weak penalty on separable data has no end
        return probe.fit(vectors, tags)


def best(taggers: Mapping[str, Tagger]) -> Tagger:
    """The tagger with the highest F1 on dev, the first one where several are."""
    return max(taggers.values(), key=lambda tagger: f1(tagger.dev))


def score(task: TokenTask, tagger: Tagger, split: str) -> Counts:
    """What a tagger finds in each sentence of a split."""
    return _count(task, tagger.probe, _vectors(task, tagger.feature, tagger.weights), split)


def _count(task: TokenTask, probe: Pipeline, vectors: Words, split: str) -> Counts:
    gold = [sentence.tags for sentence in task.of(split)]
    ends = np.cumsum([len(tags) for tags in gold])[:-1]
    found = np.split(probe.predict(vectors[task.rows(split)]), ends)
    return count(gold, [tags.tolist() for tags in found])


def _stacked(task: TokenTask, feature: Feature) -> np.ndarray:
    return np.stack([task.states.words(layer, feature.pool) for layer in feature.layers])


def _vectors(task: TokenTask, feature: Feature, weights: Weights | None) -> Words:
    return combined(_stacked(task, feature), feature.combine, weights)


def _weights(task: TokenTask, feature: Feature, seed: int) -> Weights:
    train = task.rows("train")
    labels = np.unique(task.tags[train], return_inverse=True)[1]
    return learn_mix(_stacked(task, feature)[:, train], labels, seed)
