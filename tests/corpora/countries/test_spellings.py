import pandas as pd
import pytest

from hiddenstates.corpora.countries.spellings import read_spellings, script_of


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("Åland", "Latin"),
        ("Киев", "Cyrillic"),
        ("東京", "Han"),
        ("アイスランド", "Katakana"),
        ("サント・ドミンゴ島", "Katakana"),  # eight letters against one
        ("Пекин Bei", "Cyrillic"),
        ("ᱤᱱᱰᱤᱭᱟ", "Ol Chiki"),
        ("+593", "none"),
        ("", "none"),
    ],
)
def test_a_name_s_script_is_that_of_most_of_its_letters(name: str, script: str) -> None:
    assert script_of(name) == script


@pytest.fixture(scope="module")
def spellings() -> pd.DataFrame:
    return read_spellings(cities=3)


def test_countries_are_named_in_the_languages_of_both_sources(spellings: pd.DataFrame) -> None:
    named = spellings[spellings["entity"] == "country/CH"].set_index(["language", "name"])
    assert {("de", "Schweiz"), ("fr", "Suisse"), ("am", "ስዊዘርላንድ"), ("zh", "瑞士")} <= set(named.index)
    assert ("byn", "ስዊዘርላንድ") in named.index  # Blin: iso-codes has it
    assert set(named["english"]) == {"Switzerland"}


def test_cities_have_no_language_and_no_code_of_an_airport(spellings: pd.DataFrame) -> None:
    cities = spellings[spellings["entity"].str.startswith("city/")]
    assert cities["entity"].nunique() == 3
    assert set(cities["language"]) == {""}
    assert not cities["name"].map(lambda name: name.isascii() and name.isupper()).any()
    assert cities[cities["english"] == "Shanghai"]["script"].nunique() > 5


def test_no_row_comes_twice_and_none_is_a_mere_code(spellings: pd.DataFrame) -> None:
    assert not spellings.duplicated().any()
    assert (spellings["name"].str.strip() == spellings["name"]).all()
    assert (spellings["name"] != spellings["entity"].str.removeprefix("country/")).all()


def test_no_region_stands_among_the_countries(spellings: pd.DataFrame) -> None:
    assert not {"country/EU", "country/UN"} & set(spellings["entity"])
    assert spellings["entity"].str.startswith("country/").sum() > 60_000
