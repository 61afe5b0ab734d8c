from pathlib import Path

import pandas as pd
import pytest

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import ROOT
from hiddenstates.core.relevance import Qrels
from hiddenstates.corpora.entity_names import read_names


def corpus(*rows: dict[str, str], revision: str = "toy@1") -> Task:
    passages = table(({"id": f"p{i}"} | row for i, row in enumerate(rows)), PASSAGE_COLUMNS)
    return Task(KnowledgeBase(passages, ROOT, revision), table([], QUERY_COLUMNS), Qrels({}))


def test_a_corpus_s_own_names_are_its_titles() -> None:
    task = corpus({"title": "Kiel ", "entity": "Q1707"}, {"title": "Kiel", "entity": "Q1707"}, {"title": "Лена"}, {})
    names = read_names(None, task, 3)
    assert list(names.table.itertuples(index=False, name=None)) == [
        ("Q1707", "Kiel", "", "Kiel", "Latin"),
        ("Лена", "Лена", "", "Лена", "Cyrillic"),
    ]
    assert not names.countries


def test_without_titles_they_are_its_entities() -> None:
    assert list(read_names(None, corpus({"entity": "Marie Curie"}, {}), 3).table["name"]) == ["Marie Curie"]


def test_without_either_there_are_none_and_it_says_what_fills_them() -> None:
    names = read_names(None, corpus({"text": "Kiel"}), 3)
    assert len(names.table) == len(names.distinct) == 0
    assert "tokens.names" in names.source
    assert list(names.table.columns) == ["entity", "name", "language", "english", "script"]


def test_the_embedded_countries_are_asked_in_every_language() -> None:
    own = read_names(None, corpus(revision="countries-0123456789ab"), 1)
    assert own.countries
    assert {"Schweiz", "Suisse"} <= set(own.table["name"])
    pd.testing.assert_frame_equal(own.table, read_names("countries", corpus({"title": "Kiel"}), 1).table)


def test_a_folder_of_that_name_is_not_the_embedded_one() -> None:
    assert not read_names(None, corpus({"title": "Kiel"}, revision="countries@0123456789ab"), 1).countries


def test_a_file_holds_a_name_per_line_and_perhaps_its_language(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    path.write_text("\ufeffMarie Curie\tfr\n\nКюри\tru\nKiel\n", encoding="utf-8")
    names = read_names(str(path), corpus({"title": "no"}), 3)
    assert names.table[["name", "language", "script"]].to_numpy().tolist() == [
        ["Marie Curie", "fr", "Latin"],
        ["Кюри", "ru", "Cyrillic"],
        ["Kiel", "", "Latin"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [("Kiel\nBonn\tde\tcity\n", "line 2: expected a name"), ("\tde\n", "line 1: expected a name"), ("\n", "no name")],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "names").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=said):
        read_names(str(tmp_path / "names"), corpus(), 3)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"tokens\.names: .*missing cannot be read"):
        read_names(str(tmp_path / "missing"), corpus(), 3)


def test_some_names_are_drawn_with_all_their_rows() -> None:
    names = read_names(None, corpus(*({"title": f"t{i % 4}", "entity": f"e{i}"} for i in range(8))), 3)
    drawn = names.drawn(2, seed=0)
    assert len(drawn.distinct) == 2
    assert len(drawn.table) == 4  # each is two entities'
    assert names.drawn(None, 0) is names
    assert names.drawn(9, 0) is names
