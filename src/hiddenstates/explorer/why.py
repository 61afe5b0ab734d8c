"""Why a passage stands where it stands: what each word of the question and of the passage adds to the text's score."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from scipy.linalg import block_diag

from hiddenstates.core.joined import AnyStrategy, Fused
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.prompts import Side, sides
from hiddenstates.explorer.parts import how, token_parts
from hiddenstates.explorer.search import Explorer, Question
from hiddenstates.explorer.spans import IMAGE, Span, token_spans, words
from hiddenstates.explorer.systems import System, vector_of
from hiddenstates.retrieval.bm25.texts import Language, split

NO_WORDS = "This encoder reads images: it has no words that could be shaded."
CONTEXT = "A token's state has read the text {} it: what it adds is not what would be lost without the word."
ALONE = "State 0 is the embeddings: each has read its own token, and none of the others."
SHIFTED = "A decoder reads one word later: the state at a word was made of those before it."
SPREAD = "bm25: a word that stands several times in the passage shares evenly what it adds."
WORD = re.compile(r"\w+")
PAIRS = 3


@dataclass(frozen=True)
class Word:
    """What is shown as one: a word, or what stands for no letters of the text, as a special token.

    adds:   to the score
    pieces: what it is made of, and what each of these adds
    """

    start: int
    end: int
    adds: float
    pieces: list[tuple[str, float]]


@dataclass(frozen=True)
class Text:
    """One side. read: how many of its letters were read; the rest was cut off"""

    text: str
    words: list[Word]
    read: int

    def called(self, word: Word) -> str:
        """The word as it stands in the text; what stands for no letters by its token, and how many there are."""
        often = f" ({len(word.pieces)})" if len(word.pieces) > 1 else ""
        return self.text[word.start : word.end] or f"{word.pieces[0][0]}{often}"


@dataclass(frozen=True)
class Why:
    """The words of either side add up to the score.

    score: the text's, which is the column `by_text`
    pairs: a word of the question, one of the passage, and what the two together add; the largest first
    notes: in what sense this is so, a sentence each
    """

    question: Text
    passage: Text
    score: float
    pairs: list[tuple[str, str, float]]
    notes: list[str]


@dataclass(frozen=True)
class _Table:
    """What each pair of a question's span and a passage's span adds, and how many letters of each side were read."""

    asked: list[Span]
    found: list[Span]
    adds: Float64[np.ndarray, "asked found"]
    read: tuple[int, int]


def explain(explorer: Explorer, question: Question, system: System, passage: str) -> Why:
    """Of a passage by its id. LabError for a pooling that no sum over tokens says."""
    texts = question.text, explorer.text(passage)
    strategy, tables, notes = vector_of(system), [], []
    weight = system.weight if isinstance(system, Fused) else float(strategy is not None)
    if strategy is not None and not explorer.encoder.reads_text:
        tables.append(_by_image(explorer, strategy, question, passage, weight))
        notes.append(NO_WORDS)
    elif strategy is not None:
        images = question.image, explorer.image(passage)
        tables.append(_by_vector(explorer, strategy, texts, images, weight))
        notes += [*how(strategy, explorer.encoder.baseline.head), *_read_by(explorer.encoder, strategy)]
    if weight < 1:
        tables.append(_by_words(explorer, texts, passage, 1 - weight))
        notes.append(SPREAD)
    return _why(texts, tables, notes)


def _read_by(encoder: Encoder, strategy: AnyStrategy) -> Iterator[str]:
    """What a token's state knows of the others."""
    yield CONTEXT.format("before" if encoder.causal else "around") if any(strategy.layers) else ALONE
    if encoder.text.start_id is not None:
        yield SHIFTED


def _why(texts: tuple[str, str], tables: list[_Table], notes: list[str]) -> Why:
    asked = [span for table in tables for span in table.asked]
    found = [span for table in tables for span in table.found]
    adds = block_diag(*(table.adds for table in tables)).reshape(len(asked), len(found))
    reads = [max(lengths) for lengths in zip((0, 0), *(table.read for table in tables), strict=True)]
    rows, columns = words(asked, texts[0]), words(found, texts[1])
    question = _text(texts[0], asked, rows, adds.sum(1), reads[0])
    passage = _text(texts[1], found, columns, adds.sum(0), reads[1])
    pairs = {
        (i, j): float(adds[np.ix_(row, column)].sum()) for i, row in enumerate(rows) for j, column in enumerate(columns)
    }
    best = sorted(pairs, key=pairs.__getitem__, reverse=True)[:PAIRS]
    named = [(question.called(question.words[i]), passage.called(passage.words[j]), pairs[i, j]) for i, j in best]
    return Why(question, passage, float(adds.sum()), named, notes)


def _text(text: str, spans: list[Span], groups: list[list[int]], adds: np.ndarray, read: int) -> Text:
    made = []
    for group in groups:
        start, end = min(spans[i].start for i in group), max(spans[i].end for i in group)
        pieces = [(spans[i].label, float(adds[i])) for i in group]
        made.append(Word(start, end, float(adds[group].sum()), pieces))
    return Text(text, made, read)


def _by_vector(
    explorer: Explorer,
    strategy: AnyStrategy,
    texts: tuple[str, str],
    images: tuple[Path | None, Path | None],
    weight: float,
) -> _Table:
    of_passages, of_queries = sides(explorer.task.measure)
    asked, parts, read = _read(explorer, strategy, texts[0], images[0], of_queries)
    found, others, also = _read(explorer, strategy, texts[1], images[1], of_passages)
    return _Table(asked, found, weight * parts @ others.T, (read, also))


def _read(
    explorer: Explorer, strategy: AnyStrategy, text: str, image: Path | None, side: Side
) -> tuple[list[Span], Float64[np.ndarray, "token width"], int]:
    """The tokens that are pooled of a text, what each adds to the embedding, and how many letters were read."""
    encoder, states = explorer.encoder, explorer.read(text, image, side)
    prompt = encoder.reading.prompt(side)
    spans = token_spans(encoder, text, prompt, states.mask.shape[1])
    parts = token_parts(states, strategy, explorer.whitening(strategy), encoder.baseline.head)
    shown = states.mask[0].nonzero()[:, 0].tolist()
    (length,) = encoder.text.lengths([prompt + text])
    read = len(text) if length <= encoder.max_tokens else max(span.end for span in spans)
    return [spans[i] for i in shown], parts[shown], read


def _by_image(explorer: Explorer, strategy: AnyStrategy, question: Question, passage: str, weight: float) -> _Table:
    """Of an encoder of images: all is the images'."""
    cosine = explorer.vectors(strategy, [passage]) @ explorer.asked(question, strategy)[0]
    image, read = Span(IMAGE, 0, 0), (len(question.text), len(explorer.text(passage)))
    return _Table([image], [image], weight * cosine[:, None].astype(float), read)


def _by_words(explorer: Explorer, texts: tuple[str, str], passage: str, weight: float) -> _Table:
    """As `hiddenstates.retrieval.bm25.fuse` divides the scores: by the question's best."""
    known = explorer.words
    row = known.ids.index(passage)
    best = float(known.scores([texts[0]])[0].max(initial=0.0))
    (asked, stems), (found, others) = (_stemmed(text, known.language) for text in texts)
    often = Counter(stem for each in others for stem in each)
    adds = np.zeros((len(asked), len(found)))
    for i, one in enumerate(stems):
        for j, other in enumerate(others):
            for stem in set(one) & set(other):
                times = one.count(stem) * other.count(stem) / often[stem]
                adds[i, j] += times * float(known.weights[row, known.vocabulary[stem]])
    scale = weight / best if best > 0 else 0.0
    return _Table(asked, found, adds * scale, (len(texts[0]), len(texts[1])))


def _stemmed(text: str, language: Language | None) -> tuple[list[Span], list[list[str]]]:
    """The words of a text that BM25 counts, and the stems of each; what it leaves out has none."""
    spans = [Span(found[0], *found.span()) for found in WORD.finditer(text)]
    stems = split([span.label for span in spans], language)
    kept = [(span, stem) for span, stem in zip(spans, stems, strict=True) if stem]
    return [span for span, _ in kept], [stem for _, stem in kept]
