"""A question as it is drafted: its wording, its place in the sets, and the passages that answer it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hiddenstates.core import draws
from hiddenstates.core.data import SPLITS, Row
from hiddenstates.core.params import Shares


@dataclass(frozen=True)
class Question:
    """set, template and entity as in `QUERY_COLUMNS`; number tells apart what shares them."""

    set: str
    template: str
    entity: str
    text: str
    relevant: Mapping[str, int]  # passage id -> grade
    number: int = 0
    view: str = ""
    image: str = ""

    @property
    def id(self) -> str:
        return f"{self.set}/{self.entity}/{self.template.removeprefix(self.set + '/')}/{self.number}"

    def row(self, split: str) -> Row:
        fields = ("id", "set", "text", "image", "template", "entity", "view")
        return {"split": split} | {field: getattr(self, field) for field in fields}


def split_of(entity: str, seed: int, shares: Shares) -> str:
    """The split of an entity: it depends on nothing but these, so that more cities move no entity."""
    where = draws.fraction(seed, "split", entity)
    train, dev, test = SPLITS
    return train if where < shares.train else dev if where < shares.train + shares.dev else test


def at_most(questions: Iterable[Question], limit: int, seed: int) -> list[Question]:
    """A draw of this many questions, taken in turn from each template; in the order given."""
    questions = list(questions)
    by_template: dict[str, list[Question]] = defaultdict(list)
    for question in sorted(questions, key=lambda q: draws.number(seed, "draw", q.id)):
        by_template[question.template].append(question)
    turns = [(turn, name, q.id) for name, qs in by_template.items() for turn, q in enumerate(qs)]
    kept = {id for _, _, id in sorted(turns)[:limit]}
    return [q for q in questions if q.id in kept]


def numbered(questions: Iterable[Question]) -> list[Question]:
    """The same questions with numbers that make their ids differ."""
    seen: dict[str, int] = defaultdict(int)
    found = []
    for question in questions:
        seen[question.id] += 1
        found.append(replace(question, number=seen[question.id]))
    return found
