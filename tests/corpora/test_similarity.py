import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Corpus
from hiddenstates.corpora import load_task

HEADER = "sentence1\tsentence2\tscore"


def write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "pairs"
    write_lines(own / "dev.tsv", [HEADER, 'a "quoted\tb\t0.1', "c\td\t-2"])
    write_lines(own / "test.tsv", [HEADER, "e\tf\t1", "g\th\t2.5", "i\tj\t4"])
    return own


def load(folder: Path) -> Task:
    return load_task(Corpus(source=str(folder)), folder / "made")


def test_each_pair_is_a_query_and_a_passage_of_one_id_that_names_its_file_and_line(folder: Path) -> None:
    task = load(folder)
    assert task.measure == "similarity"
    assert task.queries["id"] == task.kb.ids == ["dev-2", "dev-3", "test-2", "test-3", "test-4"]
    assert task.queries[0]["text"] == 'a "quoted'
    assert task.kb.passages[0]["text"] == "b"
    assert task.queries["split"] == ["dev", "dev", "test", "test", "test"]
    assert task.qrels.rows == {
        "dev-2": {"dev-2": 0.1},
        "dev-3": {"dev-3": -2.0},
        "test-2": {"test-2": 1.0},
        "test-3": {"test-3": 2.5},
        "test-4": {"test-4": 4.0},
    }


def test_jsonl_says_the_same_as_tsv(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "json" / "pairs"
    dev = [
        {"sentence1": 'a "quoted', "sentence2": "b", "score": 0.1},
        {"sentence1": "c", "sentence2": "d", "score": -2},
    ]
    test = [
        {"sentence1": a, "sentence2": b, "score": s} for a, b, s in [("e", "f", 1), ("g", "h", "2.5"), ("i", "j", 4)]
    ]
    write_lines(own / "validation.jsonl", [json.dumps(row) for row in dev])
    write_lines(own / "test.jsonl", [json.dumps(row) for row in test])
    ours, theirs = load(own), load(folder)
    assert ours.queries["text"] == theirs.queries["text"]
    assert ours.kb.texts() == theirs.kb.texts()
    assert ours.qrels["dev-1"] == {"dev-1": 0.1}
    assert [list(row.values()) for row in ours.qrels.rows.values()] == [[0.1], [-2.0], [1.0], [2.5], [4.0]]


def test_the_header_may_name_other_columns_too_in_any_order(folder: Path) -> None:
    write_lines(folder / "dev.tsv", ["score\tgenre\tsentence2\tsentence1", "1\tnews\tright\tleft", "2\tnews\tr\tl"])
    task = load(folder)
    assert (task.queries[0]["text"], task.kb.passages[0]["text"]) == ("left", "right")


def test_without_a_dev_file_a_share_of_the_test_pairs_becomes_dev(folder: Path) -> None:
    write_lines(folder / "test.tsv", [HEADER, *(f"a{i}\tb{i}\t{i}" for i in range(10))])
    (folder / "dev.tsv").unlink()
    splits = load(folder).queries["split"]
    assert (splits.count("dev"), splits.count("test")) == (4, 6)  # dev_share 0.4 × 10


def test_scores_keep_every_digit_when_saved(folder: Path, tmp_path: Path) -> None:
    write_lines(folder / "dev.tsv", [HEADER, "a\tb\t0.123456789012", "c\td\t-1234567.5", "e\tf\t3"])
    task = load(folder)
    task.save(tmp_path / "saved")
    assert Task.load(tmp_path / "saved").qrels.rows == task.qrels.rows
    assert "dev-4 0 dev-4 3\n" in (tmp_path / "saved" / "qrels.trec").read_text()


BAD = {
    "no score": ("dev.tsv", ["sentence1\tsentence2", "a\tb"], r"dev.tsv:1: the header has no score\. Begin with sent"),
    "no header": ("dev.tsv", ["a\tb\t1"], r"dev.tsv:1: the header has no sentence1, sentence2, score"),
    "too few": ("dev.tsv", [HEADER, "a\tb\t1", "a b"], r"dev.tsv:3: 1 fields, but the header has 3\. Fix or delete"),
    "too many": ("dev.tsv", [HEADER, "a\tb\t1\t2"], r"dev.tsv:2: 4 fields, but the header has 3"),
    "word": ("dev.tsv", [HEADER, "a\tb\thigh"], r"dev.tsv:2: \"score\" is 'high'\. Make it a finite number"),
    "infinite": ("dev.tsv", [HEADER, "a\tb\tinf"], r"dev.tsv:2: \"score\" is 'inf'\. Make it a finite number"),
    "constant": ("dev.tsv", [HEADER, "a\tb\t1", "c\td\t1"], r"'pairs' has one and the same score all over dev"),
    "empty": ("dev.tsv", [], r"query set 'pairs' has no dev query"),
    "name": ("sts-dev.tsv", [HEADER], r"sts-dev.tsv: not a split\. Name it one of train, dev, validation, val, test"),
    "two files": ("dev.jsonl", [], r"dev.tsv: the dev split is already dev.jsonl\. Keep one of the two"),
    "cut json": ("train.jsonl", ['{"sentence1": "a", "sen'], r"train.jsonl:1: not JSON"),
    "json key": ("train.jsonl", ['{"sentence1": "a", "sentence2": "b"}'], r'train.jsonl:1: no "score" among sentence1'),
    "json null": ("train.jsonl", ['{"sentence1": "a", "sentence2": "b", "score": null}'], r'"score" is None\. Make it'),
    "json truth": (
        "train.jsonl",
        ['{"sentence1": "a", "sentence2": "b", "score": true}'],
        r'"score" is True\. Make it',
    ),
    "json list": (
        "train.jsonl",
        ['{"sentence1": [], "sentence2": "b", "score": 1}'],
        r'"sentence1" is a list\. Make it',
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused(folder: Path, case: str) -> None:
    name, lines, message = BAD[case]
    write_lines(folder / name, lines)
    with pytest.raises(LabError, match=message):
        load(folder)


def test_without_a_test_file_nothing_is_guessed(folder: Path) -> None:
    (folder / "test.tsv").unlink()
    with pytest.raises(LabError, match=r"pairs: no test split \(found: dev\)\. Add one"):
        load(folder)


def test_quotes_that_pandas_put_round_a_field_are_taken_off(folder: Path) -> None:
    texts = ['He said "no"', "a\ttab", "two\nlines", '"', "plain"]
    frame = pd.DataFrame({"sentence1": texts, "sentence2": texts[::-1], "score": range(5)})
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
        frame.to_csv(folder / "dev.tsv", sep="\t", index=False, quoting=quoting, lineterminator="\r\n")
        task = load(folder).select(split="dev")
        assert task.queries["text"][:] == texts
    assert task.queries["id"][:] == ["dev-2", "dev-3", "dev-4", "dev-7", "dev-8"]  # the line where each begins


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        (['"Go.\tb\t1', 'he ended"\tb\t2'], ['"Go.', 'he ended"']),  # a quote that opens here and ends there
        (['"Hello."\tb\t1', "c\td\t2"], ['"Hello."', "c"]),  # a quotation
        (['"Hello," he said\tb\t1', '"Go," too\td\t2'], ['"Hello," he said', '"Go," too']),
        (['"Hello, you"\tb\t1', "c, d\td\t2"], ['"Hello, you"', "c, d"]),  # Excel quotes every comma, or none
        (['"Hello, you"\tb\t1', "c\td\t2"], ["Hello, you", "c"]),
        (['"He said ""no"""\tb\t1', "c\td\t2"], ['He said "no"', "c"]),
        (['"He said ""no"""\tb\t1', '5" long\td\t2'], ['"He said ""no"""', '5" long']),
    ],
)
def test_quotes_are_of_the_text_unless_the_whole_file_is_quoted(
    folder: Path, rows: list[str], texts: list[str]
) -> None:
    write_lines(folder / "dev.tsv", ["\ufeff" + HEADER, *rows])
    assert load(folder).select(split="dev").queries["text"][:] == texts


def test_utf16_is_named(folder: Path) -> None:
    (folder / "dev.tsv").write_bytes(HEADER.encode("utf-16"))
    with pytest.raises(LabError, match=r"dev\.tsv:1: UTF-16, not UTF-8 .*Save it as UTF-8"):
        load(folder)
