"""Sentences with entity tags: files in the manner of CoNLL-2003, or the embedded countries."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hiddenstates.core.data import SPLITS
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Countries, Shares, Tagging
from hiddenstates.core.paths import ROOT
from hiddenstates.corpora.countries import draws
from hiddenstates.corpora.countries.mentions import tagged_countries
from hiddenstates.corpora.reading import lines
from hiddenstates.corpora.sentence import OUTSIDE, Sentence, begun

EMBEDDED = "countries"
SPLIT_OF_PART = {"train": "train", "dev": "dev", "valid": "dev", "testa": "dev", "test": "test", "testb": "test"}
"""What a part of a file's name between dots says: `train.txt`, `dev.conll`, `eng.testa`."""
DOCUMENT = "-DOCSTART-"
TAG = re.compile(r"O|[BI]-\S+")


def load_sentences(params: Tagging) -> list[Sentence]:
    """The sentences that `params.source` names, drawn down to `params.sentences` and `params.per_template`.

    source: "countries", or the path, under the repository or absolute, of a folder with a file a split
    """
    if params.source == EMBEDDED:
        sentences = tagged_countries(Countries(), params.seed, Shares())
    else:
        sentences = read_tagged((ROOT / params.source).resolve(), params.token_column, params.tag_column)
    return draw(sentences, params.sentences, params.per_template, params.seed)


def read_tagged(folder: Path, token_column: int, tag_column: int) -> list[Sentence]:
    """Every sentence of a folder's train, dev and test file: a word a line, columns between blanks or tabs.

    A blank line ends a sentence, -DOCSTART- lines are skipped. Columns count from 0, -1 is the last. IOB1 becomes BIO2.
    """
    sentences: list[Sentence] = []
    for split, path in _files(folder).items():
        found = [_sentence(rows, split, token_column, tag_column) for rows in _blocks(path)]
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


def _blocks(path: Path) -> Iterator[list[tuple[str, str]]]:
    """(file:line, text) of the lines of each sentence."""
    block: list[tuple[str, str]] = []
    for where, line in lines(path, blank=True):
        if line.strip() and not line.startswith(DOCUMENT):
            block.append((where, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _sentence(rows: Sequence[tuple[str, str]], split: str, token_column: int, tag_column: int) -> Sentence:
    words, tags = zip(*(_row(where, line, token_column, tag_column) for where, line in rows), strict=True)
    return Sentence(words, begun(tags), split, rows[0][0])


def _row(where: str, line: str, token_column: int, tag_column: int) -> tuple[str, str]:
    columns = re.split(r"[ \t]+", line.strip(" \t"))
    for key, column in (("token_column", token_column), ("tag_column", tag_column)):
        if not -len(columns) <= column < len(columns):
            raise LabError(f"{where}: {len(columns)} columns, so none is {column}. Mend the line or tagging.{key}.")
    word, tag = columns[token_column], columns[tag_column]
    if not TAG.fullmatch(tag):
        raise LabError(f"{where}: {tag!r} is not O, B-… or I-…. Set tagging.tag_column, or convert the file to BIO.")
    return word, tag
