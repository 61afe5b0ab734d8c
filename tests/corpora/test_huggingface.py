import json
import os
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict, Features, Image as ImageColumn, List, Value
from PIL import Image
from pydantic import ValidationError

from hiddenstates.core.data import Task, open_dataset
from hiddenstates.core.errors import LabError
from hiddenstates.core.images import read_image
from hiddenstates.core.params import Corpus, HuggingFace
from hiddenstates.corpora import counts, load_task

# the layout of ViQuAE (Lerner et al. 2022): passages without ids, provenance_indices are their row numbers
PASSAGES = [{"passage": f"title {i} [SEP] passage {i}", "index": i // 2} for i in range(6)]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def questions(split: str, n: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{split}_{i}",
            "input": f"who is this {i}?",
            "image": None,
            "wikidata_id": f"Q{i}",
            "output": {"original_answer": "x", "more": {"relevant": [f"k{i}"]}},
            "provenance_indices": [] if i == 0 else [i, i + 1],
        }
        for i in range(n)
    ]


SPLITS = {name: questions(name, n) for name, n in {"train": 2, "validation": 3, "test": 4}.items()}


@pytest.fixture
def section(tmp_path: Path) -> dict[str, Any]:
    """Both datasets as `save_to_disk` writes them, and the params that read them."""
    Dataset.from_list(PASSAGES).save_to_disk(tmp_path / "passages")
    DatasetDict({name: Dataset.from_list(rows) for name, rows in SPLITS.items()}).save_to_disk(tmp_path / "questions")
    return {
        "passages": str(tmp_path / "passages"),
        "queries": str(tmp_path / "questions"),
        "passage_columns": {"text": "passage", "entity": "index"},
        "query_columns": {"id": "id", "text": "input", "image": "image", "entity": "wikidata_id",
                          "relevant": "provenance_indices"},
    }  # fmt: skip


def load(section: dict[str, Any], folder: Path) -> Task:
    return load_task(Corpus(source="huggingface", huggingface=HuggingFace(**section)), folder)


def test_the_layout_of_viquae_becomes_a_task(section: dict[str, Any], tmp_path: Path) -> None:
    task = load(section, tmp_path)
    assert task.kb.ids == ["0", "1", "2", "3", "4", "5"]
    assert task.kb.passages[3]["text"] == "title 3 [SEP] passage 3"
    assert task.kb.passages[3]["entity"] == "1"  # 3 // 2
    assert task.sets == ["questions"]
    assert task.queries[1] == {
        "id": "validation_1", "set": "questions", "split": "dev", "text": "who is this 1?", "image": "",
        "template": "", "entity": "Q1", "view": "",
    }  # fmt: skip
    assert task.qrels["validation_1"] == {"1": 1.0, "2": 1.0}


def test_questions_without_a_relevant_passage_are_left_out_and_counted(section: dict[str, Any], tmp_path: Path) -> None:
    said = counts(load(section, tmp_path))
    assert said["queries"] == {"questions": {"dev": 2, "test": 3, "train": 1}}
    assert said["unjudged_queries"] == 3  # the first of each split


def test_jsonl_says_the_same_as_save_to_disk(section: dict[str, Any], tmp_path: Path) -> None:
    before = load(section, tmp_path)
    (tmp_path / "json" / "questions").mkdir(parents=True)
    (tmp_path / "json" / "passages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PASSAGES))
    for name, rows in SPLITS.items():
        path = tmp_path / "json" / "questions" / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    section |= {"passages": str(tmp_path / "json" / "passages.jsonl"), "queries": str(tmp_path / "json" / "questions")}
    after = load(section, tmp_path)
    assert after.queries.to_list() == before.queries.to_list()
    assert after.kb.passages.to_list() == before.kb.passages.to_list()
    assert after.qrels == before.qrels


def test_a_file_is_read_anew_each_time_even_if_its_date_stays(section: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "passages.parquet"
    for word in ("first", "second"):
        Dataset.from_list([{**row, "passage": word} for row in PASSAGES]).to_parquet(path)
        os.utime(path, (0, 0))
        assert load({**section, "passages": str(path)}, tmp_path).kb.passages[0]["text"] == word


def test_passages_with_ids_and_a_nested_column_of_relevant_ones(section: dict[str, Any], tmp_path: Path) -> None:
    Dataset.from_list([{"key": f"k{i}", "words": "w"} for i in range(4)]).save_to_disk(tmp_path / "keyed")
    section["passages"] = str(tmp_path / "keyed")
    section["passage_columns"] = {"id": "key", "text": "words"}
    section["query_columns"] = {"text": "input", "relevant": "output.more.relevant"}
    task = load(section, tmp_path)
    assert task.kb.ids == ["k0", "k1", "k2", "k3"]
    assert task.qrels["test-3"] == {"k3": 1.0}  # no id column: split and row number


def test_without_a_validation_split_dev_is_drawn(section: dict[str, Any], tmp_path: Path) -> None:
    section["splits"] = {"test": "test"}
    said = counts(load(section, tmp_path))
    assert said["queries"] == {"questions": {"dev": 1, "test": 2}}  # dev_share 0.4 × 3


def bad_rows(**changed: Any) -> list[dict[str, Any]]:
    return [{**row, **changed} for row in questions("test", 3)]


BAD_ROWS = {
    "null text": (bad_rows(input=None), r'test row 0: "input" is null\. Make it text'),
    "id list": (bad_rows(id=["a"]), r'test row 0: "id" is a list\. Make it text'),
    "one number": (bad_rows(provenance_indices=3), r'"provenance_indices" is a number\. Make it a list of ids'),
    "fractions": (bad_rows(provenance_indices=[0.5]), r'"provenance_indices" is a number\. Make it text'),
    "id twice": (bad_rows(id="a"), r"query ids that occur more than once: 'a'"),
    "nothing relevant": (bad_rows(provenance_indices=None), r"questions: no test split \(found: train, dev\)"),
    "image escapes": (bad_rows(image="../x.png"), r"image '../x.png' leaves the images folder"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_refused(section: dict[str, Any], tmp_path: Path, case: str) -> None:
    rows, message = BAD_ROWS[case]
    splits = {name: Dataset.from_list(SPLITS[name]) for name in ("train", "validation")}
    DatasetDict({**splits, "test": Dataset.from_list(rows)}).save_to_disk(tmp_path / "bad" / "questions")
    section["queries"] = str(tmp_path / "bad" / "questions")
    with pytest.raises(LabError, match=message):
        load(section, tmp_path)


BAD_PARAMS: dict[str, tuple[dict[str, Any], str]] = {
    "column": (
        {"passage_columns": {"text": "passages"}},
        r"no column passages among passage, index\. Set corpus\.hugg",
    ),
    "split": ({"splits": {"dev": "dev", "test": "test"}}, r"no split 'dev', only train, validation, test\. Set corpus"),
    "no test": ({"splits": {"train": "train"}}, r"questions: no test split \(found: train\)"),
    "no revision": (
        {"passages": "Someone/passages"},
        r"Someone/passages: no such path .* not pinned \(revision None\)",
    ),
    "branch": (
        {"queries": "Someone/questions", "queries_revision": "main"},
        r"not pinned \(revision 'main'\)\. Correct the path",
    ),
}


@pytest.mark.parametrize("case", BAD_PARAMS)
def test_bad_params_are_refused(section: dict[str, Any], tmp_path: Path, case: str) -> None:
    changed, message = BAD_PARAMS[case]
    with pytest.raises(LabError, match=message):
        load(section | changed, tmp_path)


def test_unknown_column_keys_and_splits_are_refused_by_the_params(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"passage_columns\.txt"):
        HuggingFace(**section | {"passage_columns": {"text": "passage", "txt": "passage"}})
    with pytest.raises(ValidationError, match=r"splits\.validation"):
        HuggingFace(**section | {"splits": {"validation": "valid"}})


def test_without_the_section_the_error_names_it(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"there is no section corpus\.huggingface\. Name the datasets"):
        load_task(Corpus(source="huggingface"), tmp_path)


def test_several_splits_of_passages_are_refused(section: dict[str, Any]) -> None:
    with pytest.raises(LabError, match=r"one split is wanted, not train, validation, test\. Save the one you mean"):
        open_dataset(section["queries"], None, None)


def test_a_hub_name_while_offline_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        LabError, match=r"Someone/passages: no such path under .*, and the hub did not give it .* online"
    ):
        open_dataset("Someone/passages", None, COMMIT)


@pytest.mark.parametrize(("name", "content"), [("a.jsonl", "{cut"), ("a.parquet", "PAR1"), ("a.xyz", "?")])
def test_an_unreadable_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(LabError, match=rf"{name}: not a readable dataset \(.*\)\. Save it again"):
        open_dataset(str(tmp_path / name), None, None)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"not a readable dataset"):
        open_dataset(str(tmp_path), None, None)


def test_a_damaged_saved_dataset_is_refused(section: dict[str, Any]) -> None:
    (arrow,) = Path(section["passages"]).glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:100])
    with pytest.raises(LabError, match=r"passages: not a readable dataset"):
        open_dataset(section["passages"], None, None)


@pytest.mark.parametrize("form", ["torch", "numpy", "pandas", "arrow"])
def test_datasets_saved_with_a_format_are_read_as_what_they_are(
    section: dict[str, Any], tmp_path: Path, form: str
) -> None:
    before = load(section, tmp_path)
    passages, asked = Dataset.load_from_disk(section["passages"]), DatasetDict.load_from_disk(section["queries"])
    passages.set_format(form)
    asked.set_format(form)
    passages.save_to_disk(tmp_path / form / "passages")
    asked.save_to_disk(tmp_path / form / "questions")
    after = load(
        section | {key: str(tmp_path / form / Path(section[key]).name) for key in ("passages", "queries")}, tmp_path
    )
    assert after.queries.to_list() == before.queries.to_list()
    assert after.kb.passages.to_list() == before.kb.passages.to_list()
    assert after.qrels == before.qrels


def test_ids_of_every_type_are_text(section: dict[str, Any], tmp_path: Path) -> None:
    features = Features({"key": Value("int32"), "words": Value("large_string"), "title": Value("binary")})
    rows = {"key": [3, 4, 5, 6], "words": ["w"] * 4, "title": ["Côté".encode()] * 4}
    Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "keyed")
    splits = {}
    for name in ("validation", "test"):
        found = {"input": ["a", "b"], "hits": [[3, 4], [5]], "no": [1.0, None]}
        kinds = Features({"input": Value("string"), "hits": List(Value("int16")), "no": Value("float64")})
        splits[name] = Dataset.from_dict(found, features=kinds)
    DatasetDict(splits).save_to_disk(tmp_path / "asked")
    section |= {"passages": str(tmp_path / "keyed"), "queries": str(tmp_path / "asked")}
    section["splits"] = {"validation": "dev", "test": "test"}
    section["passage_columns"] = {"id": "key", "text": "words", "title": "title"}
    section["query_columns"] = {"text": "input", "relevant": "hits", "entity": "no"}
    task = load(section, tmp_path)
    assert task.kb.ids == ["3", "4", "5", "6"]
    assert task.kb.passages[0]["title"] == "Côté"
    assert task.qrels["test-0"] == {"3": 1.0, "4": 1.0}
    assert task.queries["entity"][:2] == ["1", ""]


def test_pictures_in_a_dataset_are_written_beside_the_task(section: dict[str, Any], tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "red")] + [None] * 3
    features = Features({"passage": Value("string"), "picture": ImageColumn()})
    rows = {"passage": [row["passage"] for row in PASSAGES], "picture": pictures}
    Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "pictured")
    section |= {"passages": str(tmp_path / "pictured"), "passage_columns": {"text": "passage", "image": "picture"}}
    task = load(section, tmp_path / "made")
    names = task.kb.passages["image"][:]
    assert names[3:] == ["", "", ""]
    assert names[0] == names[2] != names[1]
    seen = [read_image(task.kb.images / name).getpixel((0, 0)) for name in names[:2]]
    assert seen == [(255, 0, 0), (0, 0, 255)]
    assert load(section, tmp_path / "made").kb.revision == task.kb.revision


def test_relevant_passages_that_do_not_exist_are_left_out_and_said(section: dict[str, Any], tmp_path: Path) -> None:
    splits = SPLITS | {"test": [{**row, "provenance_indices": [1, 99]} for row in questions("test", 3)]}
    DatasetDict({name: Dataset.from_list(rows) for name, rows in splits.items()}).save_to_disk(tmp_path / "more")
    task = load(section | {"queries": str(tmp_path / "more")}, tmp_path)
    assert task.qrels["test_0"] == {"1": 1.0}
    assert "test row 0: the first of 3 judgements of passages that do not exist" in task.notes[0]


ARTICLES = [
    {"wikipedia_title": f"Title {i}", "image": f"{i}.jpg", "wikidata_info": {"wikidata_id": f"Q{i}"}} for i in range(3)
]
ARTICLE_COLUMNS = {"title": "wikipedia_title", "image": "image", "entity": "wikidata_info.wikidata_id"}


@pytest.fixture
def with_articles(section: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    Dataset.from_list(ARTICLES).save_to_disk(tmp_path / "articles")
    (tmp_path / "images").mkdir()
    for name in (*(article["image"] for article in ARTICLES), "own.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / "images" / name)
    own = {
        "images": str(tmp_path / "images"),
        "articles": str(tmp_path / "articles"),
        "article_columns": ARTICLE_COLUMNS,
    }
    return section | own | {"passage_columns": {"text": "passage", "article": "index"}}


def test_passages_have_what_their_article_says(with_articles: dict[str, Any], tmp_path: Path) -> None:
    passages = load(with_articles, tmp_path).kb.passages
    assert passages["image"][:] == ["0.jpg", "0.jpg", "1.jpg", "1.jpg", "2.jpg", "2.jpg"]
    assert passages["title"][4] == "Title 2"
    assert passages["entity"][:] == ["Q0", "Q0", "Q1", "Q1", "Q2", "Q2"]
    assert passages["id"][:] == ["0", "1", "2", "3", "4", "5"]


def test_a_title_that_the_passage_begins_with_is_encoded_once(with_articles: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"passage": f"Title {i // 2} [SEP] passage {i}", "index": i // 2} for i in range(6)]
    Dataset.from_list(rows).save_to_disk(tmp_path / "titled")
    kb = load(with_articles | {"passages": str(tmp_path / "titled")}, tmp_path).kb
    assert kb.texts() == [row["passage"] for row in rows]
    assert kb.passages[3] | {"title": "Title 1", "text": "[SEP] passage 3"} == kb.passages[3]


def test_what_a_passage_says_itself_counts_more_than_its_article(with_articles: dict[str, Any], tmp_path: Path) -> None:
    rows = [{**row, "shown": "own.jpg" if i == 1 else None} for i, row in enumerate(PASSAGES)]
    Dataset.from_list(rows).save_to_disk(tmp_path / "own")
    with_articles |= {"passages": str(tmp_path / "own")}
    with_articles["passage_columns"] |= {"image": "shown"}
    assert load(with_articles, tmp_path).kb.passages["image"][:3] == ["0.jpg", "own.jpg", "1.jpg"]


def test_an_article_that_is_not_there_is_refused(with_articles: dict[str, Any], tmp_path: Path) -> None:
    Dataset.from_list(ARTICLES[:2]).save_to_disk(tmp_path / "fewer")
    said = r'passages, row 4: "index" is 2, and .*fewer has 2 rows, from 0\. Name the articles that these passages'
    with pytest.raises(LabError, match=said):
        load(with_articles | {"articles": str(tmp_path / "fewer")}, tmp_path)


def test_a_column_that_articles_lack_is_refused(with_articles: dict[str, Any], tmp_path: Path) -> None:
    with_articles["article_columns"] = {"image": "picture"}
    with pytest.raises(LabError, match=r"no column picture among .*Set corpus\.huggingface\.article_columns"):
        load(with_articles, tmp_path)


@pytest.mark.parametrize("left_out", ["articles", "article_columns", "article"])
def test_articles_are_named_wholly_or_not_at_all(with_articles: dict[str, Any], left_out: str) -> None:
    with_articles.pop(left_out, None)
    with_articles["passage_columns"].pop(left_out, None)
    with pytest.raises(ValidationError, match="belong together: give all or none"):
        HuggingFace(**with_articles)
