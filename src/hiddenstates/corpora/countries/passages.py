"""Facts told as sentences: up to nine passages a country, one a city. What is not known is not told."""

from collections import Counter
from collections.abc import Callable, Sequence

from hiddenstates.core import draws
from hiddenstates.core.data import Row
from hiddenstates.corpora.countries import corrections
from hiddenstates.corpora.countries.cities import City, direction, distance
from hiddenstates.corpora.countries.facts import Country
from hiddenstates.corpora.countries.wording import listed, plural

SHOWN = 6  # subdivisions and zones named in a passage
SOURCES = {"currency": "CLDR", "languages": "CLDR"}  # of the topics that are not GeoNames'


def country_passages(country: Country, image: str) -> list[Row]:
    """One row for each topic that something is known about."""
    told = {topic: tell(country) for topic, tell in TOPICS.items()}
    return [
        {"id": f"{country.entity}/{topic}", "entity": country.entity, "title": country.name}
        | {"text": text, "image": image, "topic": topic}
        for topic, text in told.items()
        if text
    ]


def shown_subdivisions(country: Country) -> list[str]:
    """The subdivisions that the country's passage names."""
    return draws.shuffled(list({name: None for _, name in country.subdivisions}), country.entity)[:SHOWN]


def _say(country: Country, topic: str, variants: Sequence[str], **facts: object) -> str:
    """One of the wordings. They begin with a small letter, because of where a dispute names the source first."""
    text = draws.choose(variants, country.entity, topic).format(label=country.label, **facts)
    if country.disputed:
        return corrections.AS_RECORDED.format(source=SOURCES.get(topic, "GeoNames")) + text
    return text[0].upper() + text[1:]


def _capital(c: Country) -> str:
    variants = (
        "the capital of {label} is {capital}.",
        "{capital} is the capital of {label}, in {continent}.",
        "{label}, in {continent}, has {capital} as its capital.",
    )
    return _say(c, "capital", variants, capital=c.capital, continent=c.continent) if c.capital else ""


def _currency(c: Country) -> str:
    named = [f"{name} ({code})" for name, code in zip(c.currencies, c.currency_codes, strict=True)]
    variants = (
        "the currency of {label} is the {main}.",
        "prices in {label} are given in the {main}.",
        "the money in use in {label} is the {main}.",
    )
    also = f" The {listed(named[1:])} is legal tender there too." if named[1:] else ""
    return _say(c, "currency", variants, main=named[0]) + also


def _languages(c: Country) -> str:
    if not c.languages:
        return ""
    if not c.official:
        return f"CLDR records no official language for {c.label}; in fact, {listed(c.languages)} is used there."
    one = len(c.languages) == 1
    variants = (
        "the official language of {label} is {languages}."
        if one
        else "the official languages of {label} are {languages}.",
        "in {label}, {languages} has official status." if one else "in {label}, {languages} have official status.",
        "public life in {label} is officially conducted in {languages}.",
    )
    return _say(c, "languages", variants, languages=listed(c.languages))


def _neighbours(c: Country) -> str:
    variants = (
        "{label} borders {neighbours}.",
        "{label} shares land borders with {neighbours}.",
        "the neighbours of {label} on land: {neighbours}.",
    )
    return _say(c, "neighbours", variants, neighbours=listed(c.neighbours)) if c.neighbours else ""


def _population(c: Country) -> str:
    if not c.area:
        return _say(c, "population", ("{label} has about {n:,} inhabitants.",), n=c.population)
    variants = (
        "{label} has about {n:,} inhabitants on an area of {area:,.0f} km².",
        "about {n:,} people live in {label}, which covers {area:,.0f} km².",
        "with a population of {n:,}, {label} extends over {area:,.0f} square kilometres.",
    )
    return _say(c, "population", variants, n=c.population, area=c.area)


def _codes(c: Country) -> str:
    if not c.iso3:
        return ""
    return (
        f"ISO 3166-1 gives {c.label} the two-letter code {c.code}, the three-letter code {c.iso3} "
        f"and the numeric code {c.numeric}."
    )


def _telecom(c: Country) -> str:
    if not c.dialling:
        return ""
    variants = (
        "telephone calls to {label} begin with {dialling}, and its internet addresses end in {domain}.",
        "the international dialling code of {label} is {dialling}; its top-level internet domain is {domain}.",
        "{label} is reached by telephone under {dialling} and on the internet under {domain}.",
    )
    return _say(c, "telecom", variants, dialling=c.dialling, domain=c.domain)


def _time(c: Country) -> str:
    if not c.zones:
        return ""
    clocks = f"Clocks in {c.label} keep {listed(c.clocks)}. " if c.clocks else ""
    more = f" and {len(c.zones) - SHOWN} more" if len(c.zones) > SHOWN else ""
    zones = ", ".join(c.zones[:SHOWN]) if more else listed(c.zones)
    return f"{clocks}The tz database has {zones}{more} for {c.label}."


def _subdivisions(c: Country) -> str:
    if not c.subdivisions:
        return ""
    kinds = Counter(kind for kind, _ in c.subdivisions).most_common()
    shown = shown_subdivisions(c)
    among = "They are" if len(shown) == len(c.subdivisions) else "Among them are"
    among = "It is" if len(c.subdivisions) == 1 else among
    return f"ISO 3166-2 divides {c.label} into {listed(plural(k, n) for k, n in kinds)}. {among} {listed(shown)}."


TOPICS: dict[str, Callable[[Country], str]] = {
    "capital": _capital,
    "currency": _currency,
    "languages": _languages,
    "neighbours": _neighbours,
    "population": _population,
    "codes": _codes,
    "telecom": _telecom,
    "time": _time,
    "subdivisions": _subdivisions,
}


def city_passage(city: City, country: Country, capital: City | None, image: str) -> Row:
    """What is known of a city: how large, where, and how far from its country's capital (None: not known)."""
    place = "in the tz zone" if draws.fraction(city.entity) < 0.5 else "and keeps the time of"
    rank = "the largest city" if city.rank == 1 else f"number {city.rank} among the cities"
    text = (
        f"{city.name} is {rank} of {country.label}, with about {city.population:,} inhabitants. "
        f"It lies at {_degrees(city.latitude, 'NS')}, {_degrees(city.longitude, 'EW')} {place} {city.zone}"
    )
    text += _from_capital(city, country, capital)
    if country.disputed:
        text = corrections.AS_RECORDED.format(source="GeoNames") + text
    return {"id": city.entity, "entity": city.entity, "title": city.name, "text": text, "image": image, "topic": "city"}


def _from_capital(city: City, country: Country, capital: City | None) -> str:
    if capital is None:
        return "."
    if city == capital:
        return f", and is the capital of {country.label}."
    return f", some {distance(capital, city):,.0f} km {direction(capital, city)} of the capital {country.capital}."


def _degrees(value: float, hemispheres: str) -> str:
    return f"{abs(value):.2f}° {hemispheres[value < 0]}"
