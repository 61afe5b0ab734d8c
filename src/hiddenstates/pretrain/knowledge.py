"""What may be trained on: the countries and passages that no later stage asks about on dev or test."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from hiddenstates.core.data import SPLITS, Task
from hiddenstates.core.params import Countries, Pretrain, Shares
from hiddenstates.corpora.countries.facts import Country
from hiddenstates.corpora.countries.question import split_of
from hiddenstates.corpora.countries.world import World, read_world


@dataclass(frozen=True)
class Knowledge:
    """The world, and the split of each of its entities."""

    world: World
    splits: Mapping[str, str]

    def countries(self, *splits: str) -> list[Country]:
        """Those in these splits, all of them without any, the most populous first."""
        return [c for c in self.world.countries if self.splits[c.entity] in (splits or SPLITS)]

    @cached_property
    def texts(self) -> list[str]:
        """Every passage with its title: the tokenizers', which learn spellings and no answer."""
        return [f"{row['title']} {row['text']}" for row in self.world.passages]

    @cached_property
    def train_texts(self) -> list[str]:
        """The passages whose entity, and of a city the country too, is train's."""
        home = {city.entity: f"country/{city.country}" for city in self.world.cities}
        entities = [row["entity"] for row in self.world.passages]
        ours = [{self.splits[e], self.splits[home.get(e, e)]} == {"train"} for e in entities]
        return [text for text, mine in zip(self.texts, ours, strict=True) if mine]


def read_knowledge(task: Task, params: Pretrain) -> Knowledge:
    """The countries, split as the task has them; what it does not ask about is split as `corpora.countries` would."""
    world = read_world(Countries(countries=params.countries, cities=params.cities))
    asked = _latest(task)
    entities = [c.entity for c in world.countries] + [c.entity for c in world.cities]
    own = {entity: asked.get(entity) or _drawn(world, entity, params.seed, params.shares) for entity in entities}
    kept: dict[str, str] = {}  # countries whose flags look the same stay together: the view of one is that of another
    for entity, split in own.items():
        key = world.split_key(entity)
        kept[key] = max(split, kept.get(key, split), key=SPLITS.index)
    return Knowledge(world, {entity: kept[world.split_key(entity)] for entity in entities})


def _latest(task: Task) -> dict[str, str]:
    """entity -> the last of the splits in which the task asks about it."""
    found: dict[str, str] = {}
    for entity, split in zip(task.queries["entity"][:], task.queries["split"][:], strict=True):
        found[entity] = max(split, found.get(entity, split), key=SPLITS.index)
    return found


def _drawn(world: World, entity: str, seed: int, shares: Shares) -> str:
    return split_of(world.split_key(entity), seed, shares)
