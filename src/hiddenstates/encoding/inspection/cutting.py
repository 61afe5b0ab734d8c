"""How many texts are longer than the encoder reads, and how much of them it never sees."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from hiddenstates.core.data import Task
from hiddenstates.encoding.encoder import Encoder

TEXTS_AT_ONCE = 1024


@dataclass(frozen=True)
class Cuts:
    """Of some texts, with their special tokens.

    texts, tokens: how many there are
    cut:           how many texts are longer than `limit` tokens
    lost:          how many tokens lie beyond it
    """

    texts: int
    cut: int
    tokens: int
    lost: int
    limit: int

    @classmethod
    def of(cls, lengths: Sequence[int], limit: int) -> "Cuts":
        """Of texts that have so many tokens each."""
        beyond = [n - limit for n in lengths if n > limit]
        return cls(len(lengths), len(beyond), sum(lengths), sum(beyond), limit)

    def __add__(self, other: "Cuts") -> "Cuts":
        """Of the texts of both, which are cut at the same length."""
        texts, cut = self.texts + other.texts, self.cut + other.cut
        return Cuts(texts, cut, self.tokens + other.tokens, self.lost + other.lost, self.limit)

    def __str__(self) -> str:
        if not self.cut:
            return f"none of {self.texts} texts is longer than {self.limit} tokens"
        share, rest = self.cut / self.texts, self.lost / self.tokens
        return (
            f"{self.cut} of {self.texts} texts ({share:.1%}) are cut at {self.limit} tokens, "
            f"which loses {rest:.1%} of all tokens"
        )


def cuts(encoder: Encoder, texts: Iterable[str]) -> Cuts:
    """What the encoder cuts off these texts, so many of which are in memory at once."""
    reader, found, every = encoder.text, Cuts.of([], encoder.text.max_tokens), iter(texts)
    while some := list(islice(every, TEXTS_AT_ONCE)):
        found += Cuts.of(reader.lengths(some), reader.max_tokens)
    return found


def cuts_of_task(encoder: Encoder, task: Task) -> Cuts | None:
    """Of all passages and questions; None for an encoder that reads no text."""
    if not encoder.reads_text:
        return None
    passages = (text for part in task.kb.parts() for text in part.texts())
    return cuts(encoder, chain(passages, task.queries["text"][:]))
