"""How much words should weigh beside a strategy's cosine, and whether they should at all: cross-validated on dev."""

from collections.abc import Sequence
from dataclasses import dataclass

from hiddenstates.core.data import Task
from hiddenstates.core.joined import Fused, fused
from hiddenstates.core.relevance import Run
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.retrieval.bm25 import Words
from hiddenstates.retrieval.choosing.words import PRIOR, WEIGHTS, choose_weight, search_words, sweep_words
from hiddenstates.retrieval.strategies.sweep import Sweep
from hiddenstates.retrieval.validation import Proposal, Rows, Validation, cross_validated, equally


@dataclass(frozen=True, eq=False)
class Sharing:
    """A procedure that chooses the cosine's weight beside the words, pulled towards a prior where queries are few.

    swept: of one strategy, a row per weight of `WEIGHTS`
    """

    swept: Sweep
    task: Task
    measure: str
    sets: Sequence[str]

    def __call__(self, rows: Rows) -> Proposal:
        """What these queries alone would take: never the strategy alone, which is what fusing is compared with."""
        means = self.swept.values[self.measure].astype(float) @ equally(self.task, self.sets, rows)
        offered = WEIGHTS[: WEIGHTS.index(1.0)]
        weight = choose_weight(means[: len(offered)].tolist(), offered, int(rows.sum()))
        return Proposal(str(weight), self.swept.values[self.measure][WEIGHTS.index(weight)].astype(float))


def share_words(
    choice: Choice, states: TaskStates, dev: Task, sets: Sequence[str], seed: int
) -> tuple[float, Validation | None]:
    """The cosine's weight that is advised, 1 for vectors alone, and what fusing gains over them, cross-validated.

    Fused, if that gains at all: it is one number, and it gained on every public collection of docs/collections.md.
    Sentence pairs are not searched: nothing is fused, and nothing validated.
    """
    if dev.measure == "similarity":
        return 1.0, None
    measure = choice.evidence["measure"]
    swept = sweep_words(states, dev, [choice.strategy], Words.of(dev.kb), [measure], choice.whitening)
    procedure = Sharing(swept, dev, measure, sets)
    alone = swept.values[measure][WEIGHTS.index(1.0)].astype(float)
    found = cross_validated(procedure, alone, dev, sets, seed)
    return float(found.proposal.name) if found.picks and found.gain > 0 else 1.0, found


def search_fused(choice: Choice, states: TaskStates, task: Task, depth: int) -> Run:
    """The search of the task's queries by the choice and the words; the prior's weight where words are not advised."""
    system = fused(choice.strategy, choice.weight if choice.weight < 1 else PRIOR)
    assert isinstance(system, Fused)
    return search_words(states, task, system, Words.of(task.kb), depth, choice.whitening)
