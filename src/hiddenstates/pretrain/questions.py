"""Visual questions: a view of a flag, a question that names no country, and a short answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hiddenstates.core import draws
from hiddenstates.corpora.countries.facts import Country
from hiddenstates.pretrain.knowledge import Knowledge
from hiddenstates.pretrain.views import Views


@dataclass(frozen=True)
class Kind:
    """answers: what may be answered of a country, the best answer first; wordings: of the question."""

    answers: Callable[[Country], tuple[str, ...]]
    wordings: tuple[str, ...]


# In words that the passages use: the tokenizers know no others, and would spell "which" letter by letter.
KINDS = {
    "country": Kind(lambda c: (c.name,), ("the country?", "the country is")),
    "capital": Kind(lambda c: (c.capital,) if c.capital else (), ("its capital?", "the capital is")),
    "continent": Kind(lambda c: (c.continent,) if c.continent else (), ("in what continent?", "it is in")),
    "currency": Kind(lambda c: c.units, ("its currency?", "the money in use is")),
    "language": Kind(lambda c: c.languages, ("its language?", "the official language is")),
}


@dataclass(frozen=True)
class VisualQuestion:
    """view: its row in `Views`; answer: what is taught; accepted: what is right, of every flag that looks the same."""

    view: int
    code: str
    kind: str
    text: str
    answer: str
    accepted: frozenset[str]


@dataclass(frozen=True)
class Asker:
    """Makes questions of views."""

    knowledge: Knowledge

    def ask(self, views: Views, seed: int) -> list[VisualQuestion]:
        """Every kind of question of every view, for which something is known."""
        found = [self._question(views, i, kind, seed) for i in range(len(views)) for kind in KINDS]
        return [question for question in found if question]

    def majority(self, codes: Sequence[str]) -> Mapping[str, str]:
        """kind -> the answer that is right of most of these countries."""
        best = {}
        for kind in KINDS:
            accepted = [self._accepted(kind, code) for code in codes]
            every = sorted(frozenset().union(*accepted))
            best[kind] = max(every, key=lambda answer: sum(answer in some for some in accepted))
        return best

    def answer(self, kind: str, code: str) -> str:
        """The best answer for a country; "" where nothing is known."""
        return next(iter(KINDS[kind].answers(self.knowledge.world.by_code[code])), "")

    def _question(self, views: Views, view: int, kind: str, seed: int) -> VisualQuestion | None:
        code = views.codes[view]
        answer = self.answer(kind, code)
        if not answer:
            return None
        text = draws.choose(KINDS[kind].wordings, seed, "vqa", code, kind, view)
        return VisualQuestion(view, code, kind, text, answer, self._accepted(kind, code))

    def _accepted(self, kind: str, code: str) -> frozenset[str]:
        world = self.knowledge.world
        alike = [world.by_code[other] for other in world.classes[code] if other in world.by_code]
        return frozenset(answer for country in alike for answer in KINDS[kind].answers(country))


def one_of_each_view(questions: Sequence[VisualQuestion], random: np.random.Generator) -> list[VisualQuestion]:
    """One question per view, drawn from its kinds, in random order."""
    by_view: dict[int, list[VisualQuestion]] = {}
    for question in questions:
        by_view.setdefault(question.view, []).append(question)
    drawn = [some[random.integers(len(some))] for some in by_view.values()]
    return [drawn[i] for i in random.permutation(len(drawn))]
