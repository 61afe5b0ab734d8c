"""Hidden states of words: a word's vector is pooled from those of its pieces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int

from hiddenstates.core.bars import bar
from hiddenstates.core.errors import LabError
from hiddenstates.corpora.sentence import Sentence
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.batching import TOKEN_BUDGET, length_batches

SHOWN = 20  # words that an error names
Words = Float32[np.ndarray, "word d_model"]


@dataclass(frozen=True)
class WordStates:
    """Every hidden state of every piece of every word, sentence after sentence; special tokens are left out.

    values:      layer 0 is the embeddings
    first, last: the positions of each word's first and last piece; what lies between belongs to it too
    """

    values: Float32[np.ndarray, "layer piece d_model"]
    first: Int[np.ndarray, " word"]
    last: Int[np.ndarray, " word"]

    @property
    def megabytes(self) -> float:
        return self.values.nbytes / 1e6

    def words(self, layer: int, pool: str) -> Words:
        """One vector per word from one hidden state."""
        return POOLS[pool](self, layer)


def _first(states: WordStates, layer: int) -> Words:
    return states.values[layer, states.first]


def _last(states: WordStates, layer: int) -> Words:
    return states.values[layer, states.last]


def _mean(states: WordStates, layer: int) -> Words:
    sums = np.add.reduceat(states.values[layer], states.first, axis=0)
    return sums / (states.last - states.first + 1).astype(np.float32)[:, None]


POOLS: dict[str, Callable[[WordStates, int], Words]] = {"first": _first, "last": _last, "mean": _mean}
"""Sub-token poolings; BERT's tagger takes the first piece (Devlin et al. 2019)."""


def word_states(encoder: Encoder, sentences: Sequence[Sentence]) -> WordStates:
    """One forward pass over the sentences. LabError for one that the model cannot take whole."""
    tokens, owners = _pieces(encoder, sentences)
    counts = [len(words) - words.count(None) for words in owners]
    starts = np.cumsum([0, *counts])
    shape = (len(encoder.state_map), int(starts[-1]), encoder.width)
    values = np.empty(shape, dtype=np.float32)
    lengths = [len(row) for row in tokens]
    with bar(what="encode", total=sum(lengths), unit="tokens") as done:
        for rows in length_batches(lengths, TOKEN_BUDGET):
            states = _forward(encoder, [tokens[i] for i in rows])
            for i, of_sentence in zip(rows, states, strict=True):
                inside = [word is not None for word in owners[i]]
                values[:, starts[i] : starts[i + 1]] = of_sentence[:, inside]
            done.update(len(rows) * lengths[rows[0]])
    return WordStates(values, *_ends(owners))


def _pieces(encoder: Encoder, sentences: Sequence[Sentence]) -> tuple[list[list[int]], list[list[int | None]]]:
    """Token ids of each sentence, and which word each token belongs to (None: a special token)."""
    # byte-level tokenizers tell the start of a word by the blank before it; others do not see it
    spaced = [[word if i == 0 else f" {word}" for i, word in enumerate(s.words)] for s in sentences]
    tokens, owners = _split(encoder, spaced)
    for sentence, words in zip(sentences, owners, strict=True):
        if len(words) > encoder.max_tokens:
            raise LabError(
                f"{sentence.where}: a sentence of {len(words)} tokens, but the model takes {encoder.max_tokens}. "
                "Split the sentence, or raise tagging.max_tokens if the model allows."
            )
    _check_words(sentences, owners)
    return tokens, owners


def _split(encoder: Encoder, sentences: Sequence[Sequence[str]]) -> tuple[list[list[int]], list[list[int | None]]]:
    """Token ids, and whose they are. A tokenizer that does not keep count of its words gets them one by one."""
    if encoder.tokenizer.is_fast:
        encoded = encoder.tokenizer([list(words) for words in sentences], is_split_into_words=True)
        return encoded["input_ids"], [encoded.word_ids(i) for i in range(len(sentences))]
    special = encoder.text.special
    tokens, owners = [], []
    for words in sentences:
        pieces = [encoder.tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
        inside: list[int | None] = [i for i, ids in enumerate(pieces) for _ in ids]
        tokens.append([*special.before, *(id for ids in pieces for id in ids), *special.after])
        owners.append([*[None] * len(special.before), *inside, *[None] * len(special.after)])
    return tokens, owners


def _check_words(sentences: Sequence[Sentence], owners: Sequence[Sequence[int | None]]) -> None:
    """LabError that names every word without a token."""
    lost = [
        f"{sentence.words[i]!r} ({sentence.where})"
        for sentence, words in zip(sentences, owners, strict=True)
        for i in sorted(set(range(len(sentence.words))).difference(words))
    ]
    if lost:
        more = f", … ({len(lost)} in all)" if len(lost) > SHOWN else ""
        raise LabError(f"tagging: the tokenizer makes no token of {', '.join(lost[:SHOWN])}{more}. Delete these words.")


def _ends(owners: Sequence[Sequence[int | None]]) -> tuple[Int[np.ndarray, " word"], Int[np.ndarray, " word"]]:
    """The positions of each word's first and last piece among the pieces of all sentences."""
    keys = np.array([(s, word) for s, words in enumerate(owners) for word in words if word is not None])
    begins = np.append(True, (keys[1:] != keys[:-1]).any(1))
    first = np.flatnonzero(begins)
    return first, np.append(first[1:], len(keys)) - 1


def _forward(encoder: Encoder, tokens: list[list[int]]) -> Float32[np.ndarray, "batch layer position d_model"]:
    ids = torch.tensor(tokens)
    array: np.ndarray = encoder.states_of(ids, torch.ones_like(ids)).values.transpose(0, 1).float().numpy()
    return array
