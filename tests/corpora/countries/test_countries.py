"""The embedded knowledge base as a whole, at its small setting."""

from collections import defaultdict
from pathlib import Path

import pytest

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, SPLITS, Task
from hiddenstates.core.params import Corpus
from hiddenstates.corpora.countries import load_countries, names
from hiddenstates.corpora.countries.facts import read_countries

SMALL = Corpus.model_validate({"countries": {"countries": 40, "cities": 30, "views": 1}})


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return load_countries(SMALL, tmp_path_factory.mktemp("countries"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_ids_are_unique_and_fit_trec_files(task: Task) -> None:
    for ids in (task.kb.ids, list(task.queries["id"])):
        assert len(set(ids)) == len(ids)
        assert not [id for id in ids if len(id.split()) != 1]


def test_columns(task: Task) -> None:
    assert tuple(task.kb.passages.column_names) == PASSAGE_COLUMNS
    assert tuple(task.queries.column_names) == QUERY_COLUMNS


def test_every_query_has_a_relevant_passage(task: Task) -> None:
    passages = set(task.kb.ids)
    for query in task.queries["id"]:
        row = task.qrels[query]
        assert row and set(row) <= passages and min(row.values()) > 0


def test_every_set_has_every_split(task: Task) -> None:
    found = set(zip(task.queries["set"], task.queries["split"], strict=True))
    assert found == {(s, p) for s in ("named", "visual", "described", "two_hop", "alias") for p in SPLITS}


def test_no_entity_and_no_view_is_in_two_splits(task: Task) -> None:
    splits = defaultdict(set)
    for query in task.queries:
        splits[query["entity"]].add(query["split"])
        if query["view"]:
            splits["view", query["view"]].add(query["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert [splits["view", view] for view in "012"] == [{"train"}, {"dev"}, {"test"}]


def test_every_image_is_there(task: Task) -> None:
    used = {*task.kb.passages["image"], *task.queries["image"]} - {""}
    made = files(task.kb.images)
    assert used == set(made)
    assert {query["set"] for query in task.queries if query["image"]} == {"visual"}


@pytest.mark.parametrize("set", ["visual", "described", "two_hop"])
def test_questions_that_must_not_name_the_country_do_not(task: Task, set: str) -> None:
    countries = {country.entity: country for country in read_countries()}
    queries = task.select(set=set).queries
    for text, entity in zip(queries["text"], queries["entity"], strict=True):
        country = countries[entity]
        assert names.fold(country.name) not in names.fold(text)
        assert not names.gives_away(text, country.telling)


def test_a_named_question_names_what_it_asks_about(task: Task) -> None:
    titles = dict(zip(task.kb.passages["entity"], task.kb.passages["title"], strict=True))
    for query in task.select(set="named").queries:
        assert titles[query["entity"]] in query["text"]


def test_an_alias_is_not_the_english_name(task: Task) -> None:
    titles = dict(zip(task.kb.passages["entity"], task.kb.passages["title"], strict=True))
    every = {names.key(title) for title in titles.values()}
    bare = [q["text"] for q in task.select(set="alias").queries if q["template"].endswith("/0")]
    assert bare
    assert not every & {names.key(text) for text in bare}


def test_a_description_states_its_facts_in_grade_two(task: Task) -> None:
    described = task.select(set="described")
    for query in described.queries:
        best = {id.rpartition("/")[2] for id, grade in described.qrels[query["id"]].items() if grade == 2}
        assert best == set(query["template"].removeprefix("described/").split("+"))


def test_a_way_round_ends_in_grade_two_and_passes_grade_one(task: Task) -> None:
    hops = task.select(set="two_hop")
    for query in hops.queries:
        grades = {grade: id for id, grade in hops.qrels[query["id"]].items()}
        _, bridge, answer = query["template"].split("/")
        assert grades[2] == f"{query['entity']}/{answer}"
        assert grades[1].startswith("city/") if bridge == "city" else grades[1] == f"{query['entity']}/{bridge}"


def test_twice_gives_the_same_bytes(task: Task, tmp_path: Path) -> None:
    again = load_countries(SMALL, tmp_path / "again")
    task.save(tmp_path / "first")
    again.save(tmp_path / "second")
    for name in ("passages.parquet", "queries.parquet", "qrels.trec"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert files(task.kb.images) == files(again.kb.images)
    assert task.kb.revision == again.kb.revision


def test_more_cities_move_no_entity_to_another_split(task: Task, tmp_path: Path) -> None:
    more = SMALL.countries.model_copy(update={"cities": 60})
    wider = load_countries(SMALL.model_copy(update={"countries": more}), tmp_path)
    before = dict(zip(task.queries["entity"], task.queries["split"], strict=True))
    after = dict(zip(wider.queries["entity"], wider.queries["split"], strict=True))
    assert {entity: after.get(entity, split) for entity, split in before.items()} == before
    assert len(after) > len(before)
    assert task.kb.revision != wider.kb.revision


def test_the_number_of_questions_is_kept(tmp_path: Path) -> None:
    few = SMALL.countries.model_copy(update={"questions": 30})
    task = load_countries(SMALL.model_copy(update={"countries": few}), tmp_path)
    assert {name: len(task.select(set=name).queries) for name in task.sets} == dict.fromkeys(task.sets, 30)
