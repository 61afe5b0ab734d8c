"""What places are called in the languages of the world, and in which script: names to try a tokenizer on.

Countries: Unicode CLDR through Babel, and Debian's iso-codes through pycountry. Cities: GeoNames' alternate names.
"""

import gettext
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pandas as pd
import pycountry
from babel import Locale
from babel.localedata import locale_identifiers

from hiddenstates.corpora.countries.cities import read_cities
from hiddenstates.corpora.countries.facts import ENGLISH

COLUMNS = ("entity", "name", "language", "english")
Row = tuple[str, str, str, str]
SCRIPTS = {"Cjk": "Han", "Ol": "Ol Chiki", "Canadian": "Canadian Syllabics", "Meetei": "Meetei Mayek"}


def read_spellings(cities: int) -> pd.DataFrame:
    """One row per entity, name and language: every country's, and those of so many of the largest cities.

    language: a code of CLDR or ISO 639 without region; "" for cities, whose names GeoNames gives without one
    english:  what the entity is called in English
    script:   as `script_of` has it
    """
    rows = dict.fromkeys(row for source in (_cldr(), _iso_codes(), _geonames(cities)) for row in source)
    return with_scripts(pd.DataFrame(list(rows), columns=list(COLUMNS)))


def with_scripts(table: pd.DataFrame) -> pd.DataFrame:
    """The same rows with the column script: `script_of` each name."""
    scripts = {name: script_of(name) for name in table["name"].unique()}
    return table.assign(script=table["name"].map(scripts).astype(str))


def script_of(text: str) -> str:
    """The script of most of its letters, of equals the first: "Latin"; "none" where nothing is a letter.

    Unicode's names of letters begin with their script; Japanese is Katakana, Hiragana or Han, whichever prevails.
    """
    letters = Counter(_script(c) for c in text if c.isalpha())
    return letters.most_common(1)[0][0] if letters else "none"


@cache
def _script(letter: str) -> str:
    word = unicodedata.name(letter, "none").split()[0].capitalize()
    return SCRIPTS.get(word, word)


def _cldr() -> Iterator[Row]:
    codes = {country.alpha_2 for country in pycountry.countries} | {"XK"}
    # a script makes another spelling (uz_Cyrl), a region hardly ever does
    for locale in sorted(name for name in locale_identifiers() if re.fullmatch("[a-z]+(_[A-Z][a-z]{3})?", name)):
        territories = Locale.parse(locale).territories
        for code in sorted(codes & territories.keys()):
            if territories[code] != code:
                yield f"country/{code}", territories[code], locale.partition("_")[0], ENGLISH.territories[code]


def _iso_codes() -> Iterator[Row]:
    for folder in sorted(Path(pycountry.LOCALES_DIR).iterdir()):
        catalogue = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, [folder.name], fallback=True)
        for country in pycountry.countries:
            name = catalogue.gettext(country.name)
            if name != country.name:  # gettext gives back what nobody has translated
                code, language = country.alpha_2, re.split("[_@]", folder.name)[0]
                yield f"country/{code}", name, language, ENGLISH.territories[code]


def _geonames(cities: int) -> Iterator[Row]:
    for city in read_cities()[:cities]:
        names = [name.strip() for name in (city.name, *city.alternates)]
        # airports' codes stand among the names
        spelled = [name for name in names if name and not (name.isascii() and name.isupper())]
        yield from ((city.entity, name, "", city.name) for name in spelled)
