"""Set `described`: two or three facts that fit one country only, and no word that gives its name away."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from hiddenstates.core import draws
from hiddenstates.corpora.countries import names
from hiddenstates.corpora.countries.facts import Country
from hiddenstates.corpora.countries.passages import shown_subdivisions
from hiddenstates.corpora.countries.question import Question
from hiddenstates.corpora.countries.templates import DESCRIPTIONS
from hiddenstates.corpora.countries.wording import listed
from hiddenstates.corpora.countries.world import World

EACH = 4  # descriptions of a country

# topic -> how it is worded, and how many of its values are said
WORDINGS = {
    "capital": ("is governed from {}", 1),
    "currency": ("pays with the {}", 1),
    "languages": ("gives official status to {}", 2),
    "neighbours": ("borders {}", 2),
    "population": ("has around {} inhabitants", 1),
    "telecom": ("has the dialling code {}", 1),
    "subdivisions": ("has a part named {}", 1),
}


@dataclass(frozen=True)
class Statement:
    """Something said of a country. It is true of every country whose values of the topic include these."""

    topic: str
    values: tuple[str, ...]

    @property
    def phrase(self) -> str:
        return WORDINGS[self.topic][0].format(listed(self.values))


def described(world: World, seed: int) -> Iterator[Question]:
    """The passages that state the facts have grade 2, the country's others grade 1."""
    known = {country.code: _values(country) for country in world.countries}
    for country in world.countries:
        statements = _statements(country, known[country.code], seed)
        groups = [*combinations(statements, 3), *combinations(statements, 2)]
        order = sorted(groups, key=lambda group: draws.number(seed, country.code, *(s.topic for s in group)))
        fitting = (group for group in order if _fits_one(group, known))
        for group, _ in zip(fitting, range(EACH), strict=False):
            yield _question(world, country, group, seed)


def _question(world: World, country: Country, group: tuple[Statement, ...], seed: int) -> Question:
    used = [s.topic for s in group]
    wording = draws.choose(DESCRIPTIONS, seed, "described", country.code, *used)
    text = wording.format(facts=listed(s.phrase for s in group))
    relevant = {id: 2 if topic in used else 1 for topic, id in world.topics[country.entity].items()}
    return Question("described", f"described/{'+'.join(used)}", country.entity, text, relevant)


def _fits_one(group: tuple[Statement, ...], known: dict[str, dict[str, tuple[str, ...]]]) -> bool:
    return sum(all(set(s.values) <= set(values[s.topic]) for s in group) for values in known.values()) == 1


def _statements(country: Country, values: dict[str, tuple[str, ...]], seed: int) -> list[Statement]:
    """One for each topic, of the values that do not give the country away."""
    found = []
    for topic, (_, count) in WORDINGS.items():
        told = shown_subdivisions(country) if topic == "subdivisions" else values[topic]
        quiet = [value for value in told if not names.gives_away(value, country.telling)]
        if said := draws.shuffled(quiet, seed, country.code, topic)[:count]:
            found.append(Statement(topic, tuple(said)))
    return found


def _values(country: Country) -> dict[str, tuple[str, ...]]:
    """What is true of the country, as far as statements are made of it."""
    return {
        "capital": (country.capital,) if country.capital else (),
        "currency": country.units,
        "languages": country.languages if country.official else (),
        "neighbours": country.neighbours,
        "population": (_rounded(country.population),),
        "telecom": (country.dialling,) if country.dialling else (),
        "subdivisions": tuple(name for _, name in country.subdivisions),
    }


def _rounded(population: int) -> str:
    """Two digits of it: 66987244 -> "67 million", 9771 -> "9,800"."""
    number = float(f"{population:.1e}")
    return f"{number / 1e6:g} million" if number >= 1e6 else f"{number:,.0f}"
