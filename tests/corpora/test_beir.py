import json
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Corpus
from hiddenstates.corpora import LAYOUTS, NAMED, load_task

PASSAGES = [{"_id": f"p{i}", "title": f"Title {i}", "text": f"text {i}"} for i in range(4)]
QUERIES = [{"_id": f"q{i}", "text": f"question {i}"} for i in range(10)]
HEADER = "query-id\tcorpus-id\tscore"


def write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four passages; ten queries, q0 … q7 judged in test only, one passage each."""
    own = tmp_path / "own"
    write_lines(own / "corpus.jsonl", [json.dumps(row) for row in PASSAGES])
    write_lines(own / "queries.jsonl", [json.dumps(row) for row in QUERIES])
    write_lines(own / "qrels" / "test.tsv", [HEADER, *(f"q{i}\tp{i % 4}\t{1 + i % 2}" for i in range(8))])
    return own


def load(folder: Path, **params: float) -> Task:
    return load_task(Corpus(source=str(folder), **params), folder / "made")


def ids_of(task: Task, split: str) -> set[str]:
    return set(task.select(split=split).queries["id"])


def test_passages_queries_and_grades_are_those_of_the_files(folder: Path) -> None:
    task = load(folder)
    assert task.kb.passages[1] == {
        "id": "p1", "entity": "", "title": "Title 1", "text": "text 1", "image": "", "topic": ""
    }  # fmt: skip
    assert task.sets == ["own"]
    assert task.qrels["q1"] == {"p1": 2.0}
    assert task.measure == "retrieval"


def test_queries_that_no_split_judges_are_left_out_and_counted(folder: Path) -> None:
    task = load(folder)
    assert set(task.queries["id"]) == {f"q{i}" for i in range(8)}
    assert task.unjudged == 2


def test_without_a_dev_split_a_share_of_test_becomes_dev(folder: Path) -> None:
    task = load(folder, dev_share=0.25)
    assert len(ids_of(task, "dev")) == 2  # 0.25 × 8
    assert len(ids_of(task, "test")) == 6
    assert not ids_of(task, "dev") & ids_of(task, "test")


def test_the_drawn_dev_split_depends_on_the_seed_but_not_on_the_order(folder: Path) -> None:
    first = ids_of(load(folder), "dev")
    lines = (folder / "qrels" / "test.tsv").read_text().splitlines()
    write_lines(folder / "qrels" / "test.tsv", [HEADER, *reversed(lines[1:])])
    assert ids_of(load(folder), "dev") == first
    assert any(ids_of(load(folder, seed=seed), "dev") != first for seed in range(1, 6))


def test_with_train_and_test_dev_is_drawn_from_train_and_test_stays_whole(folder: Path) -> None:
    write_lines(folder / "qrels" / "train.tsv", [HEADER, "q8\tp0\t1", "q9\tp1\t1"])
    task = load(folder, dev_share=0.5)
    assert ids_of(task, "test") == {f"q{i}" for i in range(8)}
    assert len(ids_of(task, "dev")) == len(ids_of(task, "train")) == 1


@pytest.mark.parametrize("name", ["dev", "val", "validation"])
def test_a_dev_split_is_taken_as_it_is(folder: Path, name: str) -> None:
    write_lines(folder / "qrels" / f"{name}.tsv", [HEADER, "q8\tp0\t1", "q8\tp1\t0"])
    task = load(folder)
    assert ids_of(task, "dev") == {"q8"}
    assert ids_of(task, "test") == {f"q{i}" for i in range(8)}
    assert task.qrels["q8"] == {"p0": 1.0, "p1": 0.0}


def test_whole_number_ids_optional_keys_blank_lines_and_a_byte_order_mark_are_fine(folder: Path) -> None:
    rows = [json.dumps(row) for row in [{"_id": 7, "text": "", "title": None, "entity": 9}, *PASSAGES]]
    write_lines(folder / "corpus.jsonl", ["\ufeff" + rows[0], "", *rows[1:], ""])
    first = load(folder).kb.passages[0]
    assert (first["id"], first["title"], first["text"], first["entity"]) == ("7", "", "", "9")


def test_separators_inside_a_text_do_not_end_the_line(folder: Path) -> None:
    write_lines(
        folder / "corpus.jsonl", [json.dumps({**row, "text": "a\u2028b\x85c"}, ensure_ascii=False) for row in PASSAGES]
    )
    assert load(folder).kb.passages[3]["text"] == "a\u2028b\x85c"


def test_images_are_found_in_the_images_folder(folder: Path) -> None:
    (folder / "images").mkdir()
    Image.new("RGB", (2, 3)).save(folder / "images" / "a.png")
    write_lines(folder / "corpus.jsonl", [json.dumps({**row, "image": "a.png"}) for row in PASSAGES])
    task = load(folder)
    assert (task.kb.images / task.kb.passages[0]["image"]).is_file()


def test_the_revision_changes_with_the_passages_only(folder: Path) -> None:
    before = load(folder).kb.revision
    assert before.startswith("own@")
    assert load(folder, seed=1).kb.revision == before
    write_lines(folder / "corpus.jsonl", [json.dumps(row) for row in [*PASSAGES, {"_id": "p9", "text": ""}]])
    assert load(folder).kb.revision != before


def test_a_saved_task_comes_back_with_its_count_of_unjudged_queries(folder: Path, tmp_path: Path) -> None:
    task = load(folder)
    task.save(tmp_path / "saved")
    again = Task.load(tmp_path / "saved")
    assert again.unjudged == task.unjudged == 2
    assert again.qrels.rows == task.qrels.rows


def note_of(folder: Path, lines: list[str], name: str = "qrels/test.tsv") -> tuple[Task, str]:
    write_lines(folder / name, lines)
    task = load(folder)
    (note,) = task.notes
    return task, note


SOUND = [HEADER, *(f"q{i}\tp{i % 4}\t1" for i in range(8))]


def test_judgements_that_point_nowhere_are_left_out_and_said(folder: Path) -> None:
    task, note = note_of(folder, [*SOUND, "q0\tp9\t1", "q9\tp9\t1"])
    assert task.qrels["q0"] == {"p0": 1.0}
    assert "q9" not in task.qrels.rows
    assert note.startswith(f"{folder}/qrels/test.tsv:10: the first of 2 judgements of passages that do not exist; they")
    task, note = note_of(folder, [*SOUND, "q77\tp1\t1"])
    assert set(task.qrels) == {f"q{i}" for i in range(8)}
    assert (
        note
        == f"{folder}/qrels/test.tsv:10: the first of 1 judgements of queries that do not exist; they are left out."
    )


def test_negative_grades_are_not_relevant_and_said(folder: Path) -> None:
    task, note = note_of(folder, [*SOUND, "q0\tp3\t-1"])
    assert task.qrels["q0"] == {"p0": 1.0, "p3": 0.0}
    assert "test.tsv:10: the first of 1 negative grades" in note


def test_of_two_grades_of_a_pair_the_last_counts_as_in_beir(folder: Path) -> None:
    task, note = note_of(folder, [*SOUND, "q0\tp0\t1", "q0\tp0\t3"])
    assert task.qrels["q0"] == {"p0": 3.0}
    assert "test.tsv:11: the first of 1 judgements of a pair that is judged otherwise before" in note


def test_where_every_judgement_points_nowhere_the_ids_are_wrong(folder: Path) -> None:
    write_lines(folder / "qrels" / "test.tsv", [HEADER, "q0\t0\t1", "q1\t1\t1"])
    with pytest.raises(LabError, match=r"test\.tsv:2: no judgement is .* of 'q0' and '0'\. Check the ids"):
        load(folder)


@pytest.mark.parametrize(
    ("texts", "relevant", "ignored"),
    [
        (["Title 0 text 0", "TEXT 1.", "text  2"], "p3", True),  # ArguAna, Quora
        (["other", "words", "text 2"], "p3", False),  # numbered alike (Cranfield)
        (["Title 0 text 0", "text 1", "text 2"], "p0", False),  # judged to be its own answer
    ],
)
def test_a_query_is_a_passage_by_its_id_and_its_text(
    folder: Path, texts: list[str], relevant: str, ignored: bool
) -> None:
    queries = [{"_id": f"p{i}", "text": text} for i, text in enumerate(texts)]
    write_lines(folder / "queries.jsonl", [json.dumps(row) for row in queries])
    task, note = note_of(folder, [HEADER, *(f"p{i}\t{relevant}\t1" for i in range(3))])
    assert task.ignore_identical_ids is ignored
    assert f"{folder}/queries.jsonl:1: the first of 3 queries" in note
    task.save(folder / "saved")
    assert Task.load(folder / "saved").ignore_identical_ids is ignored
    assert Task.load(folder / "saved").notes == (note,)


def test_ids_may_be_composed_or_not(folder: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Côté") for form in ("NFC", "NFD"))
    rows = [{"_id": apart, "text": apart, "entity": apart}, *PASSAGES]
    write_lines(folder / "corpus.jsonl", [json.dumps(row) for row in rows])
    write_lines(folder / "qrels" / "test.tsv", [*SOUND, f"q0\t{composed}\t1"])
    task = load(folder)
    assert task.qrels["q0"] == {"p0": 1.0, composed: 1.0}
    assert (task.kb.passages[0]["entity"], task.kb.passages[0]["text"]) == (composed, apart)


BAD = {
    "cut line": ("corpus.jsonl", ['{"_id": "p0", "text": "a"}', '{"_id": "p1", "te'], r"corpus.jsonl:2: not JSON"),
    "array line": ("corpus.jsonl", ["[1, 2]"], r"corpus.jsonl:1: a list, not a JSON object"),
    "no id": ("corpus.jsonl", ['{"text": "a"}'], r'corpus.jsonl:1: no "_id" among text\. Add it'),
    "no text": ("corpus.jsonl", ['{"_id": "p0", "title": "a"}'], r'corpus.jsonl:1: no "text" among _id, title'),
    "null text": ("corpus.jsonl", ['{"_id": "p0", "text": null}'], r'corpus.jsonl:1: "text" is null\. Make it text'),
    "half a title": (
        "corpus.jsonl",
        ['{"_id": "p0", "text": "", "title": 0.5}'],
        r'"title" is a number\. Make it text',
    ),
    "truth id": ("corpus.jsonl", ['{"_id": true, "text": ""}'], r'corpus.jsonl:1: "_id" is true or false'),
    "half pair": ("corpus.jsonl", [r'{"_id": "p0", "text": "\ud800"}'], r'corpus.jsonl:1: "text" holds half a surrog'),
    "deep nest": ("corpus.jsonl", ["[" * 100_000], r"corpus.jsonl:1: not JSON"),
    "empty corpus": ("corpus.jsonl", [], r"own: no passages\. Add at least one"),
    "passage twice": (
        "corpus.jsonl",
        [json.dumps(PASSAGES[i]) for i in (0, 1, 2, 3, 1)],
        r"passage ids that occur more than once: 'p1'\. Make each unique",
    ),
    "white id": ("corpus.jsonl", ['{"_id": "p 0", "text": ""}'], r"passage ids that are empty or hold white .* 'p 0'"),
    "empty id": ("corpus.jsonl", ['{"_id": "", "text": ""}'], r"passage ids that are empty or hold white space: ''"),
    "image escapes": (
        "corpus.jsonl",
        [json.dumps({**row, "image": "../../etc/passwd"}) for row in PASSAGES],
        r"images: image '../../etc/passwd' leaves the images folder",
    ),
    "query text": ("queries.jsonl", ['{"_id": "q0", "text": ["a"]}'], r'queries.jsonl:1: "text" is a list'),
    "query twice": (
        "queries.jsonl",
        [json.dumps(row) for row in [*QUERIES, QUERIES[3]]],
        r"query ids that occur more than once: 'q3'",
    ),
    "no header": ("qrels/test.tsv", ["q0\tp0\t1"], r"test.tsv:1: the header has no query-id, corpus-id, score"),
    "field count": ("qrels/test.tsv", [HEADER, "q0\tp0"], r"test.tsv:2: 2 fields, but the header has 3"),
    "word score": ("qrels/test.tsv", [HEADER, "q0\tp0\tgood"], r"test.tsv:2: \"score\" is 'good'\. Make it a finite"),
    "nan score": ("qrels/test.tsv", [HEADER, "q0\tp0\tnan"], r"test.tsv:2: \"score\" is 'nan'\. Make it a finite"),
    "one query": ("qrels/test.tsv", [HEADER, "q0\tp0\t1"], r"1 queries cannot be shared between dev and test"),
    "none relevant": (
        "qrels/test.tsv",
        [HEADER, "q0\tp0\t0", "q1\tp0\t0"],
        r"query set 'own' has no dev query with a relevant passage",
    ),
    "in two splits": ("qrels/dev.tsv", [HEADER, "q0\tp0\t1"], r"query 'q0' is in both dev and test\. Keep it in one"),
    "empty dev": ("qrels/dev.tsv", [HEADER], r"query set 'own' has no dev query\. Each set needs some in dev and test"),
    "unknown split": ("qrels/tset.tsv", [HEADER], r"tset.tsv: not a split\. Name it one of train, dev, validation"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused(folder: Path, case: str) -> None:
    name, lines, message = BAD[case]
    write_lines(folder / name, lines)
    with pytest.raises(LabError, match=message):
        load(folder)


def test_two_files_of_one_split_are_refused(folder: Path) -> None:
    write_lines(folder / "qrels" / "val.tsv", [HEADER, "q8\tp0\t1"])
    write_lines(folder / "qrels" / "validation.tsv", [HEADER, "q9\tp0\t1"])
    with pytest.raises(LabError, match=r"validation.tsv: the dev split is already val.tsv\. Keep one"):
        load(folder)


def test_dev_without_test_is_refused(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").rename(folder / "qrels" / "dev.tsv")
    with pytest.raises(LabError, match=r"own/qrels: no test split \(found: dev\)\. Add one"):
        load(folder)


def test_no_judgements_at_all_are_refused(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").unlink()
    with pytest.raises(LabError, match=r"no test split \(found: none\)"):
        load(folder)


def test_a_missing_query_file_is_named(folder: Path) -> None:
    (folder / "queries.jsonl").unlink()
    with pytest.raises(LabError, match=r"queries.jsonl: cannot be read \(No such file or directory\)"):
        load(folder)


def test_bytes_that_are_not_utf8_are_refused_with_their_line(folder: Path) -> None:
    path = folder / "queries.jsonl"
    path.write_bytes(path.read_bytes() + b'{"_id": "x", "text": "caf\xe9"}\n')
    with pytest.raises(LabError, match=r"queries.jsonl:11: not UTF-8 \(.* at byte 25\)\. Save it as UTF-8"):
        load(folder)


@pytest.mark.parametrize("source", ["countires", "README.md", "notebooks"])
def test_an_unknown_source_is_refused_with_all_that_is_accepted(source: str, tmp_path: Path) -> None:
    with pytest.raises(LabError) as refusal:
        load_task(Corpus(source=source), tmp_path)
    assert all(name in str(refusal.value) for name in (source, *NAMED, *LAYOUTS))
