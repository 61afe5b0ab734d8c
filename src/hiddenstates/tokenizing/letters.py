"""Which tokens of a text hold letters of a name in it, counted for many texts at once."""

import sys
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from hiddenstates.tokenizing.cuts import tokens_between_cuts

Flat = Int[np.ndarray, "..."]
BLANKS = "▁Ġ "  # how SentencePiece and byte-level BPE write a blank; a token of nothing else holds no letter


@dataclass(frozen=True)
class Spans:
    """Texts, and from where to where in each, in characters, a name stands."""

    texts: list[str]
    names: list[tuple[int, int]]


@dataclass(frozen=True)
class Counts:
    """What there is of the name in each text, as `audit_places` says it.

    ids, text: the tokens that hold letters of a name, and the text of each, in order
    """

    words: Int[np.ndarray, " text"]
    whole_words: Int[np.ndarray, " text"]
    pieces: Int[np.ndarray, " text"]
    unknowns: Int[np.ndarray, " text"]
    shared: Bool[np.ndarray, " text"]
    lost: Bool[np.ndarray, " text"]
    ids: Int[np.ndarray, " token"]
    text: Int[np.ndarray, " token"]

    def alike(self, other: "Counts") -> Bool[np.ndarray, " text"]:
        """In which texts the name's tokens are the same as in the other's."""
        alike: Bool[np.ndarray, " text"] = self.pieces == other.pieces
        ours, theirs = (said.ids[alike[said.text]] for said in (self, other))
        alike[self.text[alike[self.text]][ours != theirs]] = False
        return alike

    def replaced(self, rows: Int[np.ndarray, " row"], others: "Counts") -> "Counts":
        """The same, with the texts of these rows as the others were counted, one per row."""
        changed: dict[str, np.ndarray] = {}
        for name in ("words", "whole_words", "pieces", "unknowns", "shared", "lost"):
            changed[name] = getattr(self, name).copy()
            changed[name][rows] = getattr(others, name)
        kept = ~np.isin(self.text, rows)
        text = np.concatenate([self.text[kept], rows[others.text]])
        order = np.argsort(text, kind="stable")
        return Counts(**changed, ids=np.concatenate([self.ids[kept], others.ids])[order], text=text[order])


@dataclass(frozen=True)
class _Letters:
    """The characters of all texts, one text after the other with a blank between two.

    first: where each text begins; text: which one it is; name: part of a name, and no blank; other: neither;
    word:  how many words of names have begun
    """

    first: Int[np.ndarray, " text"]
    text: Int[np.ndarray, " character"]
    name: Bool[np.ndarray, " character"]
    other: Bool[np.ndarray, " character"]
    begins: Bool[np.ndarray, " character"]
    letter: Bool[np.ndarray, " character"]


@dataclass(frozen=True)
class _Tokens:
    """Tokens that hold letters of names: from which of all characters to which, and from which word to which."""

    ids: Int[np.ndarray, " token"]
    text: Int[np.ndarray, " token"]
    start: Int[np.ndarray, " token"]
    end: Int[np.ndarray, " token"]
    word: Int[np.ndarray, " token"]
    last_word: Int[np.ndarray, " token"]
    shared: Bool[np.ndarray, " token"]
    unknown: Bool[np.ndarray, " token"]


def count(tokenizer: Any, spans: Spans) -> Counts:
    """What the tokenizer makes of the name in each text; special tokens are not counted."""
    size, letters = len(spans.texts), _letters(spans)
    tokens = _name_tokens(letters, tokenizer, spans)
    words, whole = _words(letters, tokens)
    missing = letters.name & letters.letter & ~_covered(tokens, len(letters.name))
    pieces = np.bincount(tokens.text, minlength=size)
    return Counts(
        words=np.bincount(words, minlength=size),
        whole_words=np.bincount(words[whole], minlength=size),
        pieces=pieces,
        unknowns=np.bincount(tokens.text[tokens.unknown], minlength=size),
        shared=np.bincount(tokens.text[tokens.shared], minlength=size) > 0,
        lost=(np.bincount(letters.text[missing], minlength=size) > 0) | (pieces == 0),
        ids=tokens.ids,
        text=tokens.text,
    )


def whole_texts(tokenizer: Any) -> None:
    """Let a tokenizer of Rust neither cut nor pad what `count` gives it."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()


def _read(tokenizer: Any, spans: Spans) -> tuple[Flat, Flat, Flat]:
    """Ids, places and number of the tokens of each text. Only tokenizers of Rust say where their tokens stand."""
    if tokenizer.is_fast:
        said = tokenizer.backend_tokenizer.encode_batch(spans.texts, add_special_tokens=False)
        ids, places = [row.ids for row in said], [row.offsets for row in said]
    else:
        ids, places = tokens_between_cuts(tokenizer, spans.texts, spans.names)
    sizes = np.fromiter(map(len, ids), int, len(ids))
    edges = np.fromiter(chain.from_iterable(chain.from_iterable(places)), int, 2 * sizes.sum())
    return np.fromiter(chain.from_iterable(ids), int, sizes.sum()), edges.reshape(-1, 2), sizes


def _letters(spans: Spans) -> _Letters:
    lengths = np.array([len(text) + 1 for text in spans.texts], dtype=int)
    first = np.cumsum(lengths) - lengths
    joined = "".join(f"{text} " for text in spans.texts)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    starts, ends = first + np.array(spans.names, dtype=int).reshape(-1, 2).T
    inside = _inside(starts, ends, len(codes)) & ~_marked("isspace")[codes]
    other = ~inside & ~_marked("isspace")[codes]
    begins = inside & ~np.concatenate([[False], inside[:-1]])
    text = np.repeat(np.arange(len(lengths)), lengths)
    return _Letters(first, text, inside, other, begins, _marked("isalnum")[codes])


def _name_tokens(letters: _Letters, tokenizer: Any, spans: Spans) -> _Tokens:
    ids, edges, sizes = _read(tokenizer, spans)
    text = np.repeat(np.arange(len(sizes)), sizes)
    start, end = (edges + letters.first[text, None]).T
    end = np.maximum(end, start + 1)  # all but the last of a letter's bytes come with nothing between start and end
    mine = (_before(letters.name)[end] > _before(letters.name)[start]) & _of_letters(tokenizer, ids)
    ids, text, start, end = ids[mine], text[mine], start[mine], end[mine]
    begun = np.cumsum(letters.begins) - 1
    shared = _before(letters.other)[end] > _before(letters.other)[start]
    unknown = ids == (-1 if tokenizer.unk_token_id is None else tokenizer.unk_token_id)
    return _Tokens(ids, text, start, end, begun[start] + ~letters.name[start], begun[end - 1], shared, unknown)


def _words(letters: _Letters, tokens: _Tokens) -> tuple[Int[np.ndarray, " word"], Bool[np.ndarray, " word"]]:
    """The text of each word of a name; and whether it is one token, which holds nothing else and is known."""
    size = int(letters.begins.sum())
    clean = (tokens.word == tokens.last_word) & ~tokens.shared & ~tokens.unknown
    pieces = _depth(tokens.word, tokens.last_word + 1, size)
    whole = (pieces == 1) & (np.bincount(tokens.word[clean], minlength=size) == 1)
    return letters.text[letters.begins], whole


def _covered(tokens: _Tokens, size: int) -> Bool[np.ndarray, " character"]:
    return _inside(tokens.start, tokens.end, size)


def _inside(
    starts: Int[np.ndarray, " span"], ends: Int[np.ndarray, " span"], size: int
) -> Bool[np.ndarray, " character"]:
    return _depth(starts, ends, size) > 0


def _depth(starts: Int[np.ndarray, " span"], ends: Int[np.ndarray, " span"], size: int) -> Int[np.ndarray, " place"]:
    """How many of the spans each place lies in."""
    opened, closed = (np.bincount(edges, minlength=size + 1) for edges in (starts, ends))
    depth: Int[np.ndarray, " place"] = np.cumsum(opened - closed)[:size]
    return depth


def _before(marks: Bool[np.ndarray, " character"]) -> Int[np.ndarray, " edge"]:
    """How many marks stand before each character, and before the end."""
    return np.concatenate([[0], np.cumsum(marks)])


@cache
def _marked(method: str) -> Bool[np.ndarray, " code"]:
    """Of every character, what this method of str says."""
    return np.fromiter((getattr(chr(code), method)() for code in range(sys.maxunicode + 1)), bool, sys.maxunicode + 1)


def _of_letters(tokenizer: Any, ids: Int[np.ndarray, " token"]) -> Bool[np.ndarray, " token"]:
    """Which tokens are more than a blank: SentencePiece's ▁ may stand alone, and take the first letter's place."""
    distinct, which = np.unique(ids, return_inverse=True)
    tokens = tokenizer.convert_ids_to_tokens(distinct.tolist())
    more: Bool[np.ndarray, " token"] = np.array([bool(token.strip(BLANKS)) for token in tokens], dtype=bool)[which]
    return more
