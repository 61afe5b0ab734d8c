"""Words with their entity tags: what a token task is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

OUTSIDE = "O"


@dataclass(frozen=True)
class Sentence:
    """One sentence, already split into words.

    words:    as the source splits them
    tags:     one a word, BIO2: B-X begins an entity of type X, I-X goes on with it, O is outside
    split:    "train", "dev" or "test"
    where:    what to look for in the source: file and line, or the passage's id
    entity:   what the sentence is about; "" where nothing is known of it
    template: its wording without the names; "" where it was not made from one
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    split: str
    where: str
    entity: str = ""
    template: str = ""

    @property
    def entities(self) -> list[tuple[str, tuple[str, ...]]]:
        """Type and words of each entity, in order."""
        begins = [i for i, tag in enumerate(self.tags) if tag.startswith("B-")]
        return [(self.tags[i][2:], self.words[i : i + 1 + self._inside(i + 1)]) for i in begins]

    def _inside(self, start: int) -> int:
        """How many words from here on go on with an entity."""
        return len(list(takewhile(lambda tag: tag.startswith("I-"), self.tags[start:])))


def begun(tags: Sequence[str]) -> tuple[str, ...]:
    """IOB1 as BIO2: an I-X that goes on with nothing becomes B-X. BIO2 stays as it is.

    IOB1, the scheme of the original CoNLL-2003 files, writes B-X only between two touching entities of one type
    (Ramshaw & Marcus 1995); BIO2 writes it at every beginning.
    """
    found: list[str] = []
    for previous, tag in zip((OUTSIDE, *tags), tags, strict=False):
        fresh = tag.startswith("I-") and previous[2:] != tag[2:]
        found.append(f"B-{tag[2:]}" if fresh else tag)
    return tuple(found)
