"""The dirty data of the sources, each as the knowledge base has it."""

import pytest

from hiddenstates.corpora.countries.cities import capitals, direction, distance, read_cities
from hiddenstates.corpora.countries.facts import Country, read_countries
from hiddenstates.corpora.countries.passages import country_passages


@pytest.fixture(scope="module")
def countries() -> dict[str, Country]:
    return {country.code: country for country in read_countries()}


def told(country: Country) -> dict[str, str]:
    return {row["topic"]: row["text"] for row in country_passages(country, "flags/xx.png")}


def test_places_without_facts_are_left_out(countries: dict[str, Country]) -> None:
    assert len(countries) == 245
    assert not {"CS", "AN", "AQ", "BV", "HM", "UM", "TF"} & set(countries)


@pytest.mark.parametrize(
    ("code", "capital"), [("KZ", "Astana"), ("CW", "Willemstad"), ("PW", "Ngerulmud"), ("BQ", "Kralendijk")]
)
def test_stale_and_messy_capitals(countries: dict[str, Country], code: str, capital: str) -> None:
    assert countries[code].capital == capital


def test_borders_that_are_none(countries: dict[str, Country]) -> None:
    assert countries["US"].neighbours == ("Canada", "Mexico")
    assert "Cuba" not in told(countries["US"])["neighbours"]
    assert "neighbours" not in told(countries["CU"])


def test_kosovo_has_neither_iso_codes_nor_telephone(countries: dict[str, Country]) -> None:
    assert set(told(countries["XK"])) == {"capital", "currency", "languages", "neighbours", "population"}


def test_an_area_of_zero_is_not_told(countries: dict[str, Country]) -> None:
    assert told(countries["VA"])["population"] == "Vatican City has about 921 inhabitants."


@pytest.mark.parametrize(
    ("code", "currencies"),
    [
        ("BT", ("BTN", "INR")),
        ("HT", ("HTG", "USD")),
        ("LS", ("LSL", "ZAR")),
        ("NA", ("NAD", "ZAR")),
        ("PA", ("PAB", "USD")),
        ("PS", ("ILS", "JOD")),
        ("ZW", ("ZWG", "USD")),
        ("BG", ("EUR",)),
    ],
)
def test_several_currencies_are_all_told(countries: dict[str, Country], code: str, currencies: tuple[str, ...]) -> None:
    assert countries[code].currency_codes == currencies
    assert all(f"({currency})" in told(countries[code])["currency"] for currency in currencies)


@pytest.mark.parametrize("code", ["US", "AU", "MX"])
def test_a_language_that_is_official_in_fact_only(countries: dict[str, Country], code: str) -> None:
    assert told(countries[code])["languages"].startswith("CLDR records no official language for ")


@pytest.mark.parametrize("code", ["IL", "PS", "TW", "XK", "EH", "CY"])
def test_disputed_facts_name_their_source(countries: dict[str, Country], code: str) -> None:
    texts = told(countries[code])
    assert all(texts[topic].startswith("As recorded in GeoNames, ") for topic in ("capital", "population"))
    assert texts["currency"].startswith("As recorded in CLDR, ")


def test_zones_that_cldr_files_under_an_old_name(countries: dict[str, Country]) -> None:
    assert told(countries["IN"])["time"] == (
        "Clocks in India keep India Standard Time. The tz database has Asia/Kolkata for India."
    )
    assert told(countries["TR"])["time"] == "The tz database has Europe/Istanbul for Turkey."


def test_names_are_clean_and_differ(countries: dict[str, Country]) -> None:
    found = [country.name for country in countries.values()]
    assert len(set(found)) == len(found)
    assert all(name == name.strip() for name in found)
    assert countries["CW"].name == "Curaçao"
    assert countries["NL"].label == "the Netherlands"


def test_every_country_has_words_that_tell_it(countries: dict[str, Country]) -> None:
    assert not [country.code for country in countries.values() if not country.telling]
    assert "swiss" in countries["CH"].telling
    assert "dutch" in countries["NL"].telling


def test_every_passage_is_a_sentence(countries: dict[str, Country]) -> None:
    texts = [text for country in countries.values() for text in told(country).values()]
    assert len(texts) == 2071
    assert all(text[0].isupper() and text.endswith(".") and "  " not in text and "{" not in text for text in texts)


def test_capitals_and_distances(countries: dict[str, Country]) -> None:
    cities = read_cities()
    seats = capitals(countries.values(), cities)
    assert seats["US"].population > 600_000  # not the Washington in Pennsylvania
    lyon = next(city for city in cities if city.name == "Lyon")
    assert distance(seats["FR"], lyon) == pytest.approx(392, abs=3)
    assert direction(seats["FR"], lyon) == "southeast"
    assert len({city.entity for city in cities}) == len(cities)
