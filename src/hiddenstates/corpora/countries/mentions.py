"""The names in the passages, each tagged with its kind: the embedded token task.

The names are marked in the facts, and the passages are then written from the marked facts. So each name is tagged
where it was put, and nothing is guessed from its spelling: Singapore is a COUNTRY or a CITY as the passage means it.
Time zones, clocks, codes and continents are not tagged.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from hiddenstates.core.params import Countries, Shares
from hiddenstates.corpora.countries import names
from hiddenstates.corpora.countries.cities import City
from hiddenstates.corpora.countries.facts import Country
from hiddenstates.corpora.countries.passages import city_passage, country_passages, shown_subdivisions
from hiddenstates.corpora.countries.question import split_of
from hiddenstates.corpora.countries.wording import listed
from hiddenstates.corpora.countries.world import World, read_world
from hiddenstates.corpora.sentence import OUTSIDE, Sentence

OPEN, SAYS, CLOSE = "\ue000", "\ue001", "\ue002"  # of Unicode's private use: no source has them
MARK = re.compile(f"{OPEN}(.*?){SAYS}(.*?){CLOSE}")
BETWEEN_SENTENCES = re.compile(rf"(?<=\.) (?![^{OPEN}]*{CLOSE})")  # not the blank in a marked "St. John's"
WORD = re.compile(r"[\w\u0300-\u036f]+(?:[-'’.,/]\w+)*|\S")  # an accent may be a character of its own
VARIABLE = re.compile(r"^(\d[\d,]*|[A-Z]{3})$")  # numbers and codes
OPENING = 3  # words that tell one wording of a topic from the next


def tagged_countries(params: Countries, seed: int, shares: Shares) -> list[Sentence]:
    """Every sentence of the passages whose names all belong to one split; equal sentences once.

    A country's own names go where `split_of` puts the country; a language, a currency, or a name that several places
    bear goes with the most populous country that has it. A sentence that names what belongs elsewhere is left out.
    """
    world = read_world(params)
    split = {c.code: split_of(world.split_key(c.entity), seed, shares) for c in world.countries}
    home = _homes(world, split)
    found: dict[str, Sentence] = {}
    for code, passage, marked in _marked_sentences(world):
        keys = {names.key(name) for tag, name in MARK.findall(marked) if tag != OUTSIDE}
        if {home[key] for key in keys} <= {split[code]}:
            found.setdefault(unmarked(marked), _sentence(passage, marked, split[code]))
    return list(found.values())


def unmarked(text: str) -> str:
    """The passage as the knowledge base has it."""
    return MARK.sub(lambda mark: mark[2], text)


def marked_passages(country: Country) -> list[tuple[str, str]]:
    """(id, marked text) of each of the country's passages."""
    rows = country_passages(_marked(country), "")
    return [
        (row["id"], _mark_regions(row["text"], country) if row["topic"] == "subdivisions" else row["text"])
        for row in rows
    ]


def marked_city(city: City, country: Country, capital: City | None) -> str:
    """The city's passage, marked."""
    seat = capital and replace(capital, name=_mark("CITY", capital.name))
    return str(city_passage(replace(city, name=_mark("CITY", city.name)), _marked(country), seat, "")["text"])


def _marked_sentences(world: World) -> Iterator[tuple[str, str, str]]:
    """Country code, passage id and marked sentence."""
    for country in world.countries:
        for passage, text in marked_passages(country):
            yield from ((country.code, passage, part) for part in BETWEEN_SENTENCES.split(text))
    for city in world.cities:
        text = marked_city(city, world.by_code[city.country], world.capitals.get(city.country))
        yield from ((city.country, city.entity, part) for part in BETWEEN_SENTENCES.split(text))


def _homes(world: World, split: dict[str, str]) -> dict[str, str]:
    """Key of a name -> the split it belongs to: countries first, then what is theirs, the most populous before."""
    home = {names.key(c.name): split[c.code] for c in reversed(world.countries)}
    for c in world.countries:
        for name in (c.capital, *c.currencies, *c.languages, *(name for _, name in c.subdivisions)):
            home.setdefault(names.key(name), split[c.code])
    for city in world.cities:
        home.setdefault(city.key, split[city.country])
    return home


def _marked(country: Country) -> Country:
    return replace(
        country,
        name=_mark("COUNTRY", country.name),
        capital=_mark("CITY", country.capital),
        currencies=_all("CURRENCY", country.currencies),
        languages=_all("LANGUAGE", country.languages),
        neighbours=_all("COUNTRY", country.neighbours),
        clocks=_all(OUTSIDE, country.clocks),
        continent=_mark(OUTSIDE, country.continent),
    )


def _mark_regions(text: str, country: Country) -> str:
    """The names at the passage's end. (Marked before, they would be drawn in another order.)"""
    shown = shown_subdivisions(country)
    return text.removesuffix(f"{listed(shown)}.") + f"{listed(_all('REGION', shown))}."


def _all(tag: str, found: Iterable[str]) -> tuple[str, ...]:
    return tuple(_mark(tag, name) for name in found)


def _mark(tag: str, name: str) -> str:
    """The name marked, its article left outside."""
    article = "the " if name.startswith("the ") else ""
    return f"{article}{OPEN}{tag}{SAYS}{name.removeprefix(article)}{CLOSE}" if name else ""


def _sentence(passage: str, marked: str, split: str) -> Sentence:
    words: list[str] = []
    tags: list[str] = []
    wording: list[str] = []
    for part in re.split(f"({OPEN}.*?{CLOSE})", marked):
        mark = MARK.fullmatch(part)
        tag, text = mark.groups() if mark else (OUTSIDE, part)
        found = WORD.findall(text)
        words += found
        tags += [OUTSIDE if tag == OUTSIDE else f"{'I' if i else 'B'}-{tag}" for i in range(len(found))]
        wording += [tag] if mark else [VARIABLE.sub("#", word) for word in found if word.lower() != "the"]
    kind, code, *topic = passage.split("/")
    template = f"{''.join(topic) or kind}: {' '.join(wording[:OPENING])}"
    return Sentence(tuple(words), tuple(tags), split, passage, f"{kind}/{code}", template)
