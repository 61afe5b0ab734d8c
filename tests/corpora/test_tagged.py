from collections.abc import Callable
from pathlib import Path

import pytest

from hiddenstates.core.data import SPLITS
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Countries, Shares, Tagging
from hiddenstates.corpora.countries import names
from hiddenstates.corpora.countries.mentions import marked_city, marked_passages, tagged_countries, unmarked
from hiddenstates.corpora.countries.world import World, read_world
from hiddenstates.corpora.sentence import Sentence, begun
from hiddenstates.corpora.tagged import counts, draw, load_sentences, read_tagged

CONLL = """-DOCSTART- -X- -X- O

U.N. NNP I-NP I-ORG
official NN I-NP O
Ekeus NNP I-NP I-PER
heads VBZ I-VP O

Berlin NNP I-NP I-LOC
Paris NNP I-NP B-LOC
"""
FILES = {"train.txt": CONLL, "valid.conll": "Rome\tB-LOC\n", "eng.testb": "Bern O\nLake B-LOC\nGeneva I-LOC\n\n\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "README.md").write_text("not a split", "utf-8")
    return tmp_path


def test_files_in_the_manner_of_conll(folder: Path) -> None:
    found = read_tagged(folder, 0, -1)
    assert [(s.split, s.words, s.tags) for s in found] == [
        ("train", ("U.N.", "official", "Ekeus", "heads"), ("B-ORG", "O", "B-PER", "O")),
        ("train", ("Berlin", "Paris"), ("B-LOC", "B-LOC")),
        ("dev", ("Rome",), ("B-LOC",)),
        ("test", ("Bern", "Lake", "Geneva"), ("O", "B-LOC", "I-LOC")),
    ]
    assert found[1].where == f"{folder / 'train.txt'}:8"


def test_other_columns(tmp_path: Path) -> None:
    for name in ("train.txt", "dev.txt", "test.txt"):
        (tmp_path / name).write_text("1 Bern B-LOC x\n", "utf-8")
    assert read_tagged(tmp_path, 1, 2)[0].entities == [("LOC", ("Bern",))]


@pytest.mark.parametrize(
    ("iob1", "bio2"),
    [
        ("I-A I-A O I-A", "B-A I-A O B-A"),  # an entity after another word
        ("I-A B-A I-A", "B-A B-A I-A"),  # two that touch
        ("I-A I-B", "B-A B-B"),  # of two types
        ("B-A I-A O B-B", "B-A I-A O B-B"),  # BIO2 already
    ],
)
def test_iob1_becomes_bio2(iob1: str, bio2: str) -> None:
    assert begun(iob1.split()) == tuple(bio2.split())


def rewrite(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(text.encode("latin-1"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (rewrite("train.txt", "Bern B-LOC\nhas\n"), r"train\.txt:2: 1 columns, but the file's first word has 2\."),
        (rewrite("train.txt", "O\n"), r"train\.txt:1: word and tag are the same column, of 1\."),
        (rewrite("train.txt", "Bern\tB-LOC\n\tO\n"), r"train\.txt:2: the word is empty\."),
        (rewrite("train.txt", "Bern\tB-LOC\nis\t\tO\n"), r"train\.txt:2: 3 columns, but the file's first word has 2"),
        (rewrite("train.txt", "Bern\tB-LOC\t\n"), r"train\.txt:1: '' is not O"),
        (rewrite("train.txt", "New York B-LOC\nBern B-LOC\n"), r"train\.txt:2: 2 columns, but .* has 3"),
        (rewrite("train.txt", "Bern B-LOC\n# text = no\n"), r"train\.txt:2: 4 columns, but .* has 2"),
        (rewrite("train.txt", "Bern S-LOC\n"), r"train\.txt:1: 'S-LOC' is not O"),
        (rewrite("train.txt", "Bern O\n"), r"train\.txt: no entity is tagged in column -1\. Check tagging\.tag_column"),
        (rewrite("train.txt", ""), r"train\.txt: no entity is tagged"),
        (rewrite("train.txt", "Z\xfcrich B-LOC\n"), r"train\.txt:1: not UTF-8"),
        (rewrite("dev.txt", "Rome B-LOC\n"), r"valid\.conll: the dev split is already dev\.txt\. Keep one"),
        (lambda folder: (folder / "eng.testb").unlink(), r"no file for test\. Name the files train\.txt"),
    ],
)
def test_what_is_refused(folder: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(folder)
    with pytest.raises(LabError, match=message):
        read_tagged(folder, 0, -1)


@pytest.mark.parametrize(("token", "tag", "key"), [(4, -1, "token_column"), (0, -5, "tag_column")])
def test_a_column_that_is_not_there(folder: Path, token: int, tag: int, key: str) -> None:
    with pytest.raises(LabError, match=rf"train\.txt:3: 4 columns, so none is {token or tag}\..*tagging\.{key}"):
        read_tagged(folder, token, tag)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("New York\tB-LOC\r\nis \tO \r\n", ("New York", "is")),
        ("\ufeffBern\tB-LOC\nis O\n", ("Bern", "is")),  # tabs and blanks
        ("# id 12\tdomain=train\nBern _ _ B-LOC\nis _ _ O\n", ("Bern", "is")),  # MultiCoNER
        ("# text = Bern is\n# sent_id = 1\nBern\tB-LOC\nis\tO\n", ("Bern", "is")),
        ("#\tO\nBern\tB-LOC\n#\tO\n", ("#", "Bern", "#")),  # the word #
        ("#bern\tB-LOC\n", ("#bern",)),
        ('"\tO\nBern\tB-LOC\n"\tO\n', ('"', "Bern", '"')),
        ('""""\tO\nBern\tB-LOC\n""""\tO\n', ('"', "Bern", '"')),  # the same by pandas
    ],
)
def test_lines_as_tools_write_them(folder: Path, text: str, words: tuple[str, ...]) -> None:
    (folder / "valid.conll").write_bytes(text.encode())
    assert [s.words for s in read_tagged(folder, 0, -1) if s.split == "dev"] == [words]


def test_an_index_column_is_not_taken_for_a_word(folder: Path) -> None:
    for name in FILES:
        (folder / name).write_text("1\tBern\tB-LOC\tO\n2\t\tI-LOC\tO\n", "utf-8")
    with pytest.raises(LabError, match=r"train\.txt:2: the word is empty"):
        read_tagged(folder, 1, 2)


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(LabError, match=r"nowhere: no file for train, dev, test"):
        load_sentences(Tagging(source="nowhere"))


def test_entities_of_a_sentence() -> None:
    sentence = Sentence(("New", "York", "Rome", "is", "Bern"), ("B-A", "I-A", "B-A", "O", "B-B"), "dev", "x:1")
    assert sentence.entities == [("A", ("New", "York")), ("A", ("Rome",)), ("B", ("Bern",))]


def test_counts_say_what_train_has_shown(folder: Path) -> None:
    (folder / "valid.conll").write_text("Berlin B-LOC\nParis B-LOC\n\nRome B-LOC\n", "utf-8")
    found = counts(read_tagged(folder, 0, -1))
    assert found["train"] == {"sentences": 2, "words": 6, "LOC": 2, "ORG": 1, "PER": 1}
    again = {"sentences in train too": 1, "entities in train too": 2}
    assert found["dev"] == {"sentences": 2, "words": 3, "LOC": 3} | again


@pytest.fixture(scope="module")
def world() -> World:
    return read_world(Countries(cities=300))


@pytest.fixture(scope="module")
def embedded() -> list[Sentence]:
    return tagged_countries(Countries(cities=300), 0, Shares())


def test_marking_changes_no_passage(world: World) -> None:
    marked = dict(p for country in world.countries for p in marked_passages(country))
    for city in world.cities:
        marked[city.entity] = marked_city(city, world.by_code[city.country], world.capitals.get(city.country))
    assert {where: unmarked(text) for where, text in marked.items()} == {r["id"]: r["text"] for r in world.passages}


def test_no_name_and_no_sentence_is_in_two_splits(embedded: list[Sentence]) -> None:
    homes: dict[str, set[str]] = {}
    for sentence in embedded:
        for _, words in sentence.entities:
            homes.setdefault(names.key(" ".join(words)), set()).add(sentence.split)
    assert {len(splits) for splits in homes.values()} == {1}
    assert len({s.words for s in embedded}) == len(embedded)
    assert {s.split for s in embedded} == set(SPLITS)


@pytest.mark.parametrize(
    ("start", "kinds"),
    [
        ("The capital of Luxembourg is Luxembourg .", ["COUNTRY", "CITY"]),
        ("Among them are Redange , Luxembourg ,", ["REGION"] * 6),
        ("Clocks in Luxembourg keep Central European Time .", ["COUNTRY"]),
        ("The tz database has Europe/Luxembourg for Luxembourg .", ["COUNTRY"]),
        ("St . John's is the capital of Antigua and Barbuda ,", ["CITY", "COUNTRY"]),  # no sentence ends after St.
    ],
)
def test_a_name_is_tagged_as_it_is_meant(embedded: list[Sentence], start: str, kinds: list[str]) -> None:
    (sentence,) = [s for s in embedded if " ".join(s.words).startswith(start)]
    assert [kind for kind, _ in sentence.entities] == kinds


def test_drawing_caps_splits_and_templates_and_keeps_the_order() -> None:
    made = [Sentence((str(i),), ("B-A",), "dev", f"f:{i}", "", "t" if i < 6 else "") for i in range(20)]
    kept = draw(made, 10, 3, seed=0)
    assert len(kept) == 10
    assert sum(s.template == "t" for s in kept) <= 3
    assert kept == sorted(kept, key=made.index)
    assert draw(made[::-1], 10, 3, seed=0) == kept[::-1]  # the draw depends on the sentences, not on their order
    assert draw(made, 10, 3, seed=1) != kept
