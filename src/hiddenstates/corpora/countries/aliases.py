"""Set `alias`: what other languages with Latin letters call a place, where that is not its English name."""

from collections import Counter
from collections.abc import Iterable, Iterator

from babel import Locale

from hiddenstates.core import draws
from hiddenstates.corpora.countries import names
from hiddenstates.corpora.countries.question import Question
from hiddenstates.corpora.countries.templates import ALIASES
from hiddenstates.corpora.countries.world import World

LANGUAGES = (
    *("az", "cs", "cy", "da", "de", "es", "et", "eu", "fi", "fr", "hr", "hu", "id"),
    *("it", "lt", "lv", "nl", "pl", "pt", "ro", "so", "sq", "sv", "sw", "tr", "vi"),
)
EACH = {"country": 3, "city": 1}  # aliases asked of an entity
SHORTEST = 4  # letters; airports' codes have three


def alias(world: World, seed: int) -> Iterator[Question]:
    """Relevant are all passages of the entity. An alias that equals any other place's name is not asked."""
    known = {entity: _by_key(found) for entity, found in _aliases(world)}
    shared = Counter(key for found in known.values() for key in found)
    for entity, found in known.items():
        clear = [name for key, name in found.items() if shared[key] == 1 and key not in world.name_counts]
        for name in draws.shuffled(clear, seed, "alias", entity)[: EACH[entity.partition("/")[0]]]:
            number = draws.number(seed, "alias", entity, name) % len(ALIASES)
            relevant = dict.fromkeys(world.topics[entity].values(), 1)
            template = f"alias/{entity.partition('/')[0]}/{number}"
            yield Question("alias", template, entity, ALIASES[number].format(alias=name), relevant)


def _aliases(world: World) -> Iterator[tuple[str, list[str]]]:
    locales = [Locale(language) for language in LANGUAGES]
    for country in world.countries:
        yield country.entity, [locale.territories.get(country.code, "") for locale in locales]
    for city in world.cities:
        # what begins with a small letter is a transliteration that nobody writes
        yield city.entity, [name for name in city.alternates if name[:1].isupper() and not name.isupper()]


def _by_key(found: Iterable[str]) -> dict[str, str]:
    """Each alias once, whatever its case and accents."""
    latin = (name for name in found if len(name) >= SHORTEST and names.is_latin(name))
    return {names.key(name): name for name in latin}
