"""All that passages and questions are made from, in one value."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from hiddenstates.core.data import Row
from hiddenstates.core.params import Countries
from hiddenstates.corpora.countries import names
from hiddenstates.corpora.countries.cities import City, capitals, read_cities
from hiddenstates.corpora.countries.facts import Country, read_countries
from hiddenstates.corpora.countries.flags import flag_classes
from hiddenstates.corpora.countries.passages import city_passage, country_passages


@dataclass(frozen=True)
class World:
    """The chosen countries and cities, and what must be known of the others to ask clear questions."""

    countries: tuple[Country, ...]
    cities: tuple[City, ...]
    capitals: Mapping[str, City]
    classes: Mapping[str, tuple[str, ...]]  # code -> codes of the countries whose flags look the same
    name_counts: Mapping[str, int]  # key of a name -> how many countries, capitals and cities go by it

    @cached_property
    def by_code(self) -> dict[str, Country]:
        return {country.code: country for country in self.countries}

    @cached_property
    def passages(self) -> list[Row]:
        rows = [row for c in self.countries for row in country_passages(c, flag_name(c.code))]
        return rows + [
            city_passage(c, self.by_code[c.country], self.capitals.get(c.country), flag_name(c.country))
            for c in self.cities
        ]

    @cached_property
    def topics(self) -> dict[str, dict[str, str]]:
        """entity -> {topic: passage id}."""
        found: dict[str, dict[str, str]] = {}
        for row in self.passages:
            found.setdefault(row["entity"], {})[row["topic"]] = row["id"]
        return found

    def is_clear(self, name: str) -> bool:
        """Whether only one place goes by this name."""
        return self.name_counts.get(names.key(name), 0) <= 1

    def split_key(self, entity: str) -> str:
        """The entity that decides the split: the first of those whose flags look the same."""
        kind, _, code = entity.partition("/")
        return f"country/{self.classes[code][0]}" if kind == "country" else entity


def read_world(params: Countries) -> World:
    every, cities = read_countries(), read_cities()
    countries = tuple(every[: params.countries])
    chosen = {country.code for country in countries}
    seats = capitals(every, cities)
    return World(
        countries=countries,
        cities=tuple([city for city in cities if city.country in chosen][: params.cities]),
        capitals=seats,
        classes=flag_classes([country.code for country in every]),
        name_counts=_name_counts(every, cities, seats),
    )


def flag_name(code: str) -> str:
    """The flag's image, relative to the images folder."""
    return f"flags/{code.lower()}.png"


def _name_counts(countries: list[Country], cities: list[City], seats: Mapping[str, City]) -> Counter[str]:
    counts = Counter(names.key(country.name) for country in countries)
    counts.update(names.key(country.capital) for country in countries if country.code not in seats)
    counts.update(city.key for city in cities)
    return counts
