"""Questions after one fact: of a place named (`named`), shown (`visual`), or reached by a way round (`two_hop`)."""

from collections import Counter
from collections.abc import Iterator

from hiddenstates.core import draws
from hiddenstates.core.data import SPLITS
from hiddenstates.core.params import Shares
from hiddenstates.corpora.countries import names
from hiddenstates.corpora.countries.cities import City
from hiddenstates.corpora.countries.facts import Country
from hiddenstates.corpora.countries.question import Question, split_of
from hiddenstates.corpora.countries.templates import BRIDGES, FLAGS, QUESTIONS
from hiddenstates.corpora.countries.world import World

VISUAL_TOPICS = 2  # facts asked of each view
HOPS = 2  # facts asked over each bridge


def named(world: World, seed: int) -> Iterator[Question]:
    """One question per passage, which alone is relevant. A city whose name is not clear is named with its country."""
    for country in world.countries:
        for topic in world.topics[country.entity]:
            yield _ask("named", world, country.entity, topic, country.label, seed)
    for city in world.cities:
        if place := _place(world, city):
            yield _ask("named", world, city.entity, "city", place, seed)


def visual(world: World, seed: int, views: int, shares: Shares) -> Iterator[Question]:
    """Two facts asked of each view; relevant is the fact of every country whose flag looks the same.

    The first `views` views are train's, the next dev's, the last test's, and each split shows its own countries:
    dev and test share neither an entity nor a view.
    """
    for country in world.countries:
        split = split_of(world.split_key(country.entity), seed, shares)
        first = SPLITS.index(split) * views
        for view in range(first, first + views):
            for topic in draws.shuffled(list(world.topics[country.entity]), seed, country.code, view)[:VISUAL_TOPICS]:
                yield _ask_of_view(world, country, topic, view, seed)


def two_hop(world: World, seed: int) -> Iterator[Question]:
    """The answer's passage has grade 2, the passage of the bridge grade 1. No clue names the country it leads to."""
    dialling = Counter(country.dialling for country in world.countries)
    for country in world.countries:
        topics = world.topics[country.entity]
        if "capital" in topics and world.is_clear(country.capital):
            yield from _hop(world, country, "capital", country.capital, topics["capital"], seed)
        if "telecom" in topics and dialling[country.dialling] == 1:
            yield from _hop(world, country, "telecom", country.dialling, topics["telecom"], seed)
    for city in world.cities:
        country = world.by_code[city.country]
        if world.is_clear(city.name) and city != world.capitals.get(city.country):
            yield from _hop(world, country, "city", city.name, city.entity, seed)


def _place(world: World, city: City) -> str:
    if world.is_clear(city.name):
        return city.name
    same = [c for c in world.cities if c.country == city.country and c.key == city.key]
    return f"{city.name}, {world.by_code[city.country].name}" if len(same) == 1 else ""


def _ask(set: str, world: World, entity: str, topic: str, place: str, seed: int) -> Question:
    number = draws.number(seed, set, entity, topic) % len(QUESTIONS[topic])
    text = QUESTIONS[topic][number].format(place=place)
    return Question(set, f"{set}/{topic}/{number}", entity, text, {world.topics[entity][topic]: 1})


def _ask_of_view(world: World, country: Country, topic: str, view: int, seed: int) -> Question:
    place = draws.choose(FLAGS, seed, "flag", country.code, topic, view)
    number = draws.number(seed, "visual", country.code, topic, view) % len(QUESTIONS[topic])
    alike = [world.topics.get(f"country/{code}", {}) for code in world.classes[country.code]]
    return Question(
        set="visual",
        template=f"visual/{topic}/{number}",
        entity=country.entity,
        text=QUESTIONS[topic][number].format(place=place),
        relevant={topics[topic]: 1 for topics in alike if topic in topics},
        view=str(view),
        image=view_name(country.code, view),
    )


def view_name(code: str, view: int) -> str:
    """A view's image, relative to the images folder."""
    return f"views/{code.lower()}-{view:02d}.png"


def _hop(world: World, country: Country, bridge: str, clue: str, passage: str, seed: int) -> Iterator[Question]:
    if names.gives_away(clue, country.telling):
        return
    answers = [topic for topic in world.topics[country.entity] if topic != bridge]
    for topic in draws.shuffled(answers, seed, "hop", passage)[:HOPS]:
        place = draws.choose(BRIDGES[bridge], seed, "bridge", passage, topic).format(clue=clue)
        number = draws.number(seed, "two_hop", passage, topic) % len(QUESTIONS[topic])
        text = QUESTIONS[topic][number].format(place=place)
        relevant = {world.topics[country.entity][topic]: 2, passage: 1}
        yield Question("two_hop", f"two_hop/{bridge}/{topic}", country.entity, text, relevant)
