"""The knowledge base as running text for a word-level language model, prepared as the Penn Treebank was."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from hiddenstates.core.data import SPLITS, Task
from hiddenstates.core.errors import LabError

END, UNKNOWN, NUMBER = "<eos>", "<unk>", "N"
SHARES = (0.6, 0.2, 0.2)
"""Of the entities that no query asks about, in the order of `SPLITS`."""

_WORD = re.compile(r"\d[\d,.:]*|[^\W\d_]+(?:['’-][^\W\d_]+)*")
Ids = Int64[Tensor, " word"]


@dataclass(frozen=True)
class Words:
    """Text as word numbers, one stream per split.

    vocabulary: word of each number
    streams:    by split, the words of its passages one after the other, `END` after each passage
    """

    vocabulary: Sequence[str]
    streams: Mapping[str, Ids]

    def unknown(self, split: str) -> float:
        """The share of a split's words that the vocabulary lacks."""
        return float((self.streams[split] == self.vocabulary.index(UNKNOWN)).double().mean())

    def frequent(self, n: int) -> Int64[Tensor, " frequent"]:
        """The numbers of the n words most frequent in train, as many as there are."""
        counts = torch.bincount(self.streams["train"], minlength=len(self.vocabulary))
        return counts.argsort(descending=True, stable=True)[:n]


def split_words(text: str) -> list[str]:
    """Lower case, no punctuation, every number as `N` (Mikolov et al. 2011)."""
    return [NUMBER if found[0].isdigit() else found for found in _WORD.findall(text.lower())]


def read_words(task: Task, least: int, seed: int) -> Words:
    """The passages of a task, split by entity so that what is said of a held-out entity was never read in training.

    least: a word that train holds less often than that becomes `UNKNOWN`
    seed:  shares out the entities that are in no split of the queries
    """
    split_of = entity_splits(task, seed)
    texts: dict[str, list[list[str]]] = {split: [] for split in SPLITS}
    for owner, text in zip(_owners(task), task.kb.passages["text"][:], strict=True):
        texts[split_of[owner]].append([*split_words(text), END])
    counts = Counter(word for text in texts["train"] for word in text)
    known = sorted(word for word, count in counts.items() if count >= least and word != END)
    vocabulary = [END, UNKNOWN, *known]
    number = {word: i for i, word in enumerate(vocabulary)}
    return Words(vocabulary, {split: _stream(split, texts[split], number) for split in SPLITS})


def entity_splits(task: Task, seed: int) -> dict[str, str]:
    """entity -> split: the last in which queries ask about it, else drawn in the proportions of `SHARES`.

    A passage without an entity stands for itself, by its id.
    """
    asked = set(zip(task.queries["entity"][:], task.queries["split"][:], strict=True))
    known = dict(sorted(asked, key=lambda pair: SPLITS.index(pair[1])))
    free = sorted(set(_owners(task)) - known.keys())
    drawn = np.random.default_rng(seed).choice(SPLITS, size=len(free), p=SHARES)
    return known | {entity: str(split) for entity, split in zip(free, drawn, strict=True)}


def _owners(task: Task) -> list[str]:
    passages = task.kb.passages
    return [entity or i for entity, i in zip(passages["entity"][:], passages["id"][:], strict=True)]


def _stream(split: str, texts: Iterable[Sequence[str]], number: Mapping[str, int]) -> Ids:
    unknown = number[UNKNOWN]
    ids = [number.get(word, unknown) for text in texts for word in text]
    if not ids:
        raise LabError(f"tying: no passage is about an entity of the {split} split. Give the corpus more entities.")
    return torch.tensor(ids)
