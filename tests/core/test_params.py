from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from hiddenstates.core.errors import LabError
from hiddenstates.core.params import SECTIONS, SHIPPED, Corpus, Section, Shares, Strategies, knob, load_params
from hiddenstates.core.paths import ROOT

WRITTEN = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))


def load(tmp_path: Path, text: str) -> dict[str, Section]:
    (tmp_path / "params.yaml").write_text(text, "utf-8")
    return load_params(tmp_path / "params.yaml")


def hidden(section: type[Section], written: Any, path: str) -> Iterator[str]:
    """The paths of the knobs that stand in a section's class and not in params.yaml."""
    for name, field in section.model_fields.items():
        here = f"{path}.{name}"
        if name not in (written or {}):
            yield here
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from hidden(field.annotation, written[name], here)


@pytest.mark.parametrize(("name", "section"), SECTIONS.items())
def test_every_knob_is_in_sight(name: str, section: type[Section]) -> None:
    assert list(hidden(section, WRITTEN[name], name)) == []


def test_the_file_in_the_root_is_the_shipped_one() -> None:
    """Whoever adds a knob copies the one over the other."""
    assert (ROOT / "params.yaml").read_text("utf-8") == SHIPPED.read_text("utf-8")


def test_the_shipped_values_are_the_classes_defaults() -> None:
    assert load_params(SHIPPED) == {name: section() for name, section in SECTIONS.items()}


def test_a_default_keeps_to_its_bounds() -> None:
    class Odd(Section):
        """A knob whose default the bounds forbid."""

        cities: int = knob("corpus.countries.cities", le=10)

    with pytest.raises(ValidationError, match="less than or equal to 10"):
        Odd()
    assert Odd(cities=5).cities == 5


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "corpus:\nstates:\n"])
def test_what_is_not_written_has_its_default(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == {name: section() for name, section in SECTIONS.items()}


def test_a_value_is_read_where_it_stands(tmp_path: Path) -> None:
    sections = load(tmp_path, "corpus: {shares: {dev: 0.5}}\nstrategies: {sets: [named]}")
    assert sections["corpus"] == Corpus(shares=Shares(train=0.4, dev=0.5))
    assert sections["strategies"] == Strategies(sets=["named"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("corpsu: {}", r"params\.yaml: corpsu: no such section\. Known: corpus, .*states, "),
        ("3: {}", r"params\.yaml: 3: no such section"),
        ("strategies: {measur: mrr@10}", r"strategies\.measur: unknown key\. Known: measure, "),
        ("corpus: {shares: {trian: 0.5}}", r"corpus\.shares\.trian: unknown key\. Known: train, dev\."),
        ("corpus: {countries: {cites: 5}}", r"corpus\.countries\.cites: unknown key\. Known: countries, cities, views"),
        ("corpus: {shares: {train: 2}}", r"corpus\.shares\.train: input should be less than 1, found 2\."),
        ("states: {ray: {address: head}}", r"states\.ray\.address: string should match pattern .*, found 'head'\."),
        ("states: {engine: dask}", r"states\.engine: input should be 'local' or 'ray', found 'dask'\."),
        ("index: {depth: many}", r"index\.depth: input should be a valid integer.*, found 'many'\."),
        ("tokens: {encoder: bert}", r"tokens\.encoder: no encoder 'bert' in states\.encoders\. Known: minilm"),
        (
            "states: {encoders: {a: {poolings: mean}}}",
            r"states\.encoders\.a\.poolings: input should be a valid list, found 'mean'\.",
        ),
        ("states: {encoders: {a: {poolings: []}}}", r"states\.encoders\.a\.poolings: list should have at least 1 item"),
        ("states: {poolings: [mean]}", r"states\.poolings: unknown key\."),
        ("strategies: {report: [1]}", r"strategies\.report\.0: input should be a valid string, found 1\."),
        ("states: {encoders: {t5: {modle: x}}}", r"states\.encoders\.t5\.modle: unknown key\. Known: model, part, "),
        (
            "states: {encoders: {t5/a: {}}}",
            r"states\.encoders\.t5/a: a name should have letters, digits, _, - and \. alone",
        ),
        ("states: {encoders: {}}", r"states\.encoders: dictionary should have at least 1 item"),
        ("index: {encoder: t5}", r"index\.encoder: no encoder 't5' in states\.encoders\. Known: minilm"),
        ("states: MiniLM", r"states: input should be a valid dictionary.*, found 'MiniLM'\."),
        ("states: 0", r"states: input should be a valid dictionary.*, found 0\."),
        ("states: []", r"states: input should be a valid dictionary.*, found \[\]\."),
        (
            "corpus: {huggingface: {passages: a, queries: b, passage_columns: {txt: c}, query_columns: {}}}",
            r"passage_columns\.txt: unknown key\. Known: text, id, title",
        ),
        ("- corpus", r"params\.yaml: expected sections, found list\. Known: corpus"),
        ("corpus: {seed: 1}\nstates: {}\ncorpus: {seed: 2}", r"not YAML: duplicate key 'corpus'.*Fix that line"),
        ("index: {depth: 1, depth: 2}", r"not YAML: duplicate key 'depth'.*line 1"),
        ("a: [1", r"params\.yaml: not YAML: .*line 1.*Fix that line"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LabError, match=f"(?s){message}"):
        load(tmp_path, text)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        load(tmp_path, "corpsu: {}\nindex: {depth: 0, fctory: Flat}\nstates: {dtype: int8}")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["corpsu", "states.dtype", "index.depth", "index.fctory"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"nowhere\.yaml: cannot be read .*It holds the lab's parameters"):
        load_params(tmp_path / "nowhere.yaml")
    (tmp_path / "params.yaml").write_bytes(b"corpus: \xff")
    with pytest.raises(LabError, match=r"params\.yaml: cannot be read"):
        load_params(tmp_path / "params.yaml")


def test_a_section_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Corpus().seed = 3  # type: ignore[misc]
