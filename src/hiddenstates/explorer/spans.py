"""Where in a text each token stands that an encoder read of it."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from hiddenstates.encoding.encoder import Encoder

PROMPT, IMAGE = "prompt", "image"


class Span(NamedTuple):
    """A token, a word or an image; of no width where it stands for none of the text's own letters."""

    label: str
    start: int
    end: int

    @property
    def bare(self) -> bool:
        """Whether it stands for none of the text's letters: a special token, a prompt, an image."""
        return self.start == self.end


def token_spans(encoder: Encoder, text: str, prompt: str, places: int) -> list[Span]:
    """One per position, in their order: the tokens of prompt and text, then what else the encoder saw: an image.

    text: as it is without the prompt; the spans count from its first letter
    """
    read = encoder.tokenize([prompt + text])[0]
    labels = encoder.tokenizer.convert_ids_to_tokens(read)
    if encoder.tokenizer.is_fast:
        offsets = _offsets(encoder, prompt + text)
    else:
        offsets = list(_found(encoder.tokenizer, labels, prompt + text))
    spans = list(_placed(labels, offsets, prompt, text))
    return spans + [Span(IMAGE, len(text), len(text))] * (places - len(spans))


def words(spans: Sequence[Span], text: str) -> list[list[int]]:
    """The spans, by their places in the list, that are shown as one: the pieces of a word, repeated special tokens.

    In the order of the text.
    """
    order = sorted(range(len(spans)), key=lambda i: (spans[i].start, spans[i].end))
    bare = [list(same) for _, same in groupby((i for i in order if spans[i].bare), key=lambda i: spans[i])]
    groups: list[list[int]] = []
    end = 0
    for i in (i for i in order if not spans[i].bare):
        if groups and _continues(end, spans[i].start, text):
            groups[-1].append(i)
        else:
            groups.append([i])
        end = max(end, spans[i].end)
    return sorted([*bare, *groups], key=lambda group: spans[group[0]].start)


def _continues(end: int, start: int, text: str) -> bool:
    """Whether what starts here goes on with the word that ends there, where words have digits or letters of two cases;
    else whether the two overlap, as bytes of one letter do.
    """
    return start < end or (start == end and _joins(text[end - 1]) and _joins(text[start]))


def _joins(letter: str) -> bool:
    return letter.isdigit() or letter.lower() != letter.upper()


def _offsets(encoder: Encoder, text: str) -> list[tuple[int, int]]:
    """Of the tokens that `TextReader.tokenize` gives."""
    said = encoder.tokenizer(text, return_offsets_mapping=True, **encoder.text.cut)
    found: list[tuple[int, int]] = said["offset_mapping"]
    return found


def _found(tokenizer: Any, labels: list[str], text: str) -> Iterator[tuple[int, int]]:
    """By looking each token's letters up in the text, one after the other, for a tokenizer that does not say."""
    at, lower = 0, text.lower()
    for label in labels:
        letters = tokenizer.convert_tokens_to_string([label]).strip().removeprefix("##").lower()
        start = -1 if label in tokenizer.all_special_tokens else lower.find(letters, at)
        if start < 0 or not letters:
            yield 0, 0
        else:
            at = start + len(letters)
            yield start, at


def _placed(labels: list[str], offsets: list[tuple[int, int]], prompt: str, text: str) -> Iterator[Span]:
    at = 0
    for label, (first, last) in zip(labels, offsets, strict=True):
        start, end = first - len(prompt), last - len(prompt)
        start = max(start, 0)
        while start < end and text[start].isspace():
            start += 1
        if start < end:
            at = end
            yield Span(label, start, end)
        else:
            yield Span(PROMPT if 0 < last <= len(prompt) else label, at, at)
