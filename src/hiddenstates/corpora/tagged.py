"""Sentences with entity tags: files in the manner of CoNLL-2003, or the embedded countries."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hiddenstates.core import draws
from hiddenstates.core.data import SPLITS
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Countries, Shares, Tagging
from hiddenstates.core.paths import ROOT
from hiddenstates.corpora.countries.mentions import tagged_countries
from hiddenstates.corpora.reading import lines
from hiddenstates.corpora.sentence import OUTSIDE, Sentence, begun
from hiddenstates.corpora.tsv import unquoted

EMBEDDED = "countries"
SPLIT_OF_PART = {"train": "train", "dev": "dev", "valid": "dev", "testa": "dev", "test": "test", "testb": "test"}
"""What a part of a file's name between dots says: `train.txt`, `dev.conll`, `eng.testa`."""
DOCUMENT, COMMENT = "-DOCSTART-", "#"
TAG = re.compile(r"O|[BI]-\S+")
Word = tuple[str, str, str]
"""Where it stands, the word, its tag."""


def load_sentences(params: Tagging) -> list[Sentence]:
    """The sentences that `params.source` names, drawn down to `params.sentences` and `params.per_template`.

    source: "countries", or the path, under the repository or absolute, of a folder with one file per split; None is
            the countries, too (with another corpus the stage is idle)
    """
    if params.source is None or params.source == EMBEDDED:
        sentences = tagged_countries(Countries(), params.seed, Shares())
    else:
        sentences = read_tagged((ROOT / params.source).resolve(), params.token_column, params.tag_column)
    return draw(sentences, params.sentences, params.per_template, params.seed)


def read_tagged(folder: Path, token_column: int, tag_column: int) -> list[Sentence]:
    """Every sentence of a folder's train, dev and test file: one word per line, columns between tabs or else blanks.

    A blank line ends a sentence; -DOCSTART- lines, and comments (#) before a sentence, are skipped. Columns count from
    0, -1 is the last. IOB1 becomes BIO2. LabError for a line without a word, or with another number of columns than the
    file's first word has.
    """
    sentences: list[Sentence] = []
    for split, path in _files(folder).items():
        found = [_sentence(block, split) for block in _blocks(path, token_column, tag_column)]
        if not any(tag != OUTSIDE for sentence in found for tag in sentence.tags):
            raise LabError(f"{path}: no entity is tagged in column {tag_column}. Check tagging.tag_column.")
        sentences += found
    return sentences


def draw(sentences: Iterable[Sentence], limit: int, per_template: int, seed: int) -> list[Sentence]:
    """At most `limit` of a split and `per_template` of a template within it, in the order given."""
    sentences = list(sentences)
    kept: set[int] = set()
    taken: Counter[tuple[str, str]] = Counter()
    sizes: Counter[str] = Counter()
    for i in sorted(range(len(sentences)), key=lambda i: draws.number(seed, sentences[i].where, sentences[i].words)):
        split, template = sentences[i].split, sentences[i].template
        if sizes[split] < limit and not (template and taken[split, template] >= per_template):
            kept.add(i)
            sizes[split] += 1
            taken[split, template] += 1
    return [sentence for i, sentence in enumerate(sentences) if i in kept]


def counts(sentences: Sequence[Sentence]) -> dict[str, dict[str, int]]:
    """For each split: sentences, words, entities of each type, and what train has already shown of it."""
    found = {}
    names = {split: [name for s in sentences if s.split == split for name in s.entities] for split in SPLITS}
    texts = {split: [s.words for s in sentences if s.split == split] for split in SPLITS}
    for split in SPLITS:
        sizes = {"sentences": len(texts[split]), "words": sum(map(len, texts[split]))}
        kinds = Counter(kind for kind, _ in names[split])
        again = {
            "sentences in train too": sum(text in set(texts["train"]) for text in texts[split]),
            "entities in train too": sum(name in set(names["train"]) for name in names[split]),
        }
        found[split] = sizes | dict(sorted(kinds.items())) | ({} if split == "train" else again)
    return found


def _files(folder: Path) -> dict[str, Path]:
    """split -> its file."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        for split in {SPLIT_OF_PART[part] for part in path.name.split(".") if part in SPLIT_OF_PART}:
            if split in found:
                raise LabError(f"{path}: the {split} split is already {found[split].name}. Keep one of the two.")
            found[split] = path
    missing = [split for split in SPLITS if split not in found]
    if missing:
        raise LabError(
            f"{folder}: no file for {', '.join(missing)}. Name the files train.txt, dev.txt and test.txt "
            "(or valid or testa for dev, testb for test; any ending), or set tagging.source to countries."
        )
    return {split: found[split] for split in SPLITS}


def _blocks(path: Path, token_column: int, tag_column: int) -> Iterator[list[Word]]:
    """The words of each sentence."""
    rows = _columns(path)
    width = _width([row for _, row in rows if row], tag_column)
    block: list[Word] = []
    for where, row in rows:
        if row and not row[0].startswith(DOCUMENT):
            if block or not _is_comment(row, width, tag_column):
                block.append(_word(where, row, width, token_column, tag_column))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _columns(path: Path) -> list[tuple[str, list[str]]]:
    """Where each line stands, and its columns: between tabs where it has one, else between blanks; [] for a blank one.

    Quotes that a tool put around columns between tabs are taken off (`tsv`).
    """
    found = list(lines(path, blank=True))
    tabbed = {i: (where, line.split("\t")) for i, (where, line) in enumerate(found) if "\t" in line and line.strip()}
    plain = dict(zip(tabbed, unquoted(list(tabbed.values())), strict=True))
    return [
        (where, [column.strip(" ") for column in plain[i][1]] if i in plain else re.findall(r"[^ \t]+", line))
        for i, (where, line) in enumerate(found)
    ]


def _width(rows: Sequence[list[str]], tag_column: int) -> int:
    """The columns of the first line that is surely a word; else of the first that may be one."""
    words = (row for row in rows if not row[0].startswith((COMMENT, DOCUMENT)))
    tagged = (row for row in rows if not _is_comment(row, len(row), tag_column))
    return len(next(words, next(tagged, [])))


def _is_comment(row: list[str], width: int, tag_column: int) -> bool:
    """Whether a line at the beginning of a sentence is a header (`# text = ...`), and not the word # with its tag."""
    is_word = len(row) == width and -width <= tag_column < width and TAG.fullmatch(row[tag_column])
    return row[0].startswith(COMMENT) and not is_word


def _word(where: str, row: list[str], width: int, token_column: int, tag_column: int) -> Word:
    if len(row) != width:
        raise LabError(f"{where}: {len(row)} columns, but the file's first word has {width}. Fix or delete the line.")
    for key, column in (("token_column", token_column), ("tag_column", tag_column)):
        if not -width <= column < width:
            raise LabError(f"{where}: {width} columns, so none is {column}. Fix the line or tagging.{key}.")
    if token_column % width == tag_column % width:
        raise LabError(f"{where}: word and tag are the same column, of {width}. Fix the line or tagging.tag_column.")
    word, tag = row[token_column], row[tag_column]
    if not word.strip():
        raise LabError(f"{where}: the word is empty. Fix or delete the line.")
    if not TAG.fullmatch(tag):
        raise LabError(f"{where}: {tag!r} is not O, B-… or I-…. Set tagging.tag_column, or convert the file to BIO.")
    return where, word, tag


def _sentence(block: Sequence[Word], split: str) -> Sentence:
    places, words, tags = zip(*block, strict=True)
    return Sentence(words, begun(tags), split, places[0])
