"""docs/collections.md: what choosing gains on collections that the user names, a row for each rule of choosing.

Each is a folder in a layout of docs/own-data.md (BEIR, or sentence pairs), or `countries`. A collection's states are
kept under --states, so that a second run only chooses. Run, from anywhere:

python benchmarks/choosing.py FOLDER... [--model NAME] [--states FOLDER] [--write docs/collections.md]
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from rules import RULES

from hiddenstates.core.data import Task
from hiddenstates.core.joined import parse
from hiddenstates.core.params import Corpus, EncoderSource, Strategies
from hiddenstates.corpora import load_task
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import training_passages
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.sharding.sharded import pool_task
from hiddenstates.report.significance import Comparison, compare
from hiddenstates.report.space import short
from hiddenstates.retrieval.bm25 import bm25_run
from hiddenstates.retrieval.choosing.procedure import Search, decided
from hiddenstates.retrieval.choosing.sharing import search_fused, share_words
from hiddenstates.retrieval.measures import evaluate
from hiddenstates.retrieval.strategies.distinct import distinct
from hiddenstates.retrieval.strategies.sweep import Sweep, extended, sweep
from hiddenstates.retrieval.validation import Validation, cross_validated, equally, group_of

PARAMS = Strategies()
RESPLITS = 10


@dataclass(frozen=True)
class Collection:
    """One collection under one encoder."""

    name: str
    states: TaskStates
    task: Task

    @classmethod
    def read(cls, source: str, model: str, folder: Path) -> "Collection":
        """Read the collection and pool its states, or take what an earlier run kept."""
        name = Path(source).name
        kept = folder / Path(model).name / name
        if not (kept / "states" / "queries.safetensors").is_file():
            load_task(Corpus(source=source), kept / "task").save(kept / "task")
            encoder = load_encoder(**EncoderSource(model=model).model_dump())
            pool_task(encoder, Task.load(kept / "task"), encoder.poolings).save(kept / "states")
        states = TaskStates.load(kept / "states")
        states = distinct(states, states.default.pools)[0]
        return cls(name, states, states.covered(Task.load(kept / "task")))

    @cached_property
    def measure(self) -> str:
        """What is told, and chooses: the judgements' own; nDCG@10 for one set of questions, as BEIR does."""
        return "ndcg@10" if len(self.task.sets) == 1 and self.task.measure == "retrieval" else self.task.default_measure

    @cached_property
    def training(self) -> list[str]:
        return training_passages(self.task)

    def swept(self, split: str) -> Sweep:
        task = self.task.select(split=split)
        found = sweep(self.states, task, [self.measure], PARAMS.layer_norms, PARAMS.shrinkages, self.training)
        return extended(found, {self.states.default: None}, self.states, task, [self.measure])


@dataclass(frozen=True)
class Outcome:
    """What was chosen on dev, and each test query's measure under each system."""

    collection: Collection
    found: Validation
    choice: Choice
    values: dict[str, np.ndarray]
    rules: pd.DataFrame

    @property
    def advised(self) -> str:
        return "fused" if self.choice.weight < 1 else "chosen"

    def against_default(self, system: str) -> Comparison:
        task = self.collection.task.select(split="test")
        weights = equally(task, task.sets, np.ones(len(task.queries), dtype=bool))
        first, second = (pd.Series(self.values[name]) for name in (system, "default"))
        return compare(first, second, task.clusters(), PARAMS.seed, weights, 2.0)

    def mean(self, system: str) -> float:
        task = self.collection.task.select(split="test")
        return float(self.values[system] @ equally(task, task.sets, np.ones(len(task.queries), dtype=bool)))


def choose(collection: Collection) -> Outcome:
    """All that notebook 05 does, and each system on test."""
    dev, test = (collection.task.select(split=split) for split in ("dev", "test"))
    on_dev, on_test, default = collection.swept("dev"), collection.swept("test"), collection.states.default
    search = Search(
        on_dev, default, collection.states, dev, collection.measure, dev.sets, PARAMS.learn_weights, PARAMS.join,
        collection.training, PARAMS.seed,
    )  # fmt: skip
    found = cross_validated(search, search.baseline, dev, dev.sets, PARAMS.seed)
    choice = decided(search, found, PARAMS.margin)
    weight, _ = share_words(choice, collection.states, dev, dev.sets, PARAMS.seed)
    choice = replace(choice, weight=weight)
    proposed = parse(found.proposal.name)
    values = {
        "default": on_test.values[collection.measure][on_test.row(default)].astype(float),
        "best on dev": on_test.values[collection.measure][_best(on_dev, collection.measure, dev)].astype(float),
        "proposed": _scored(collection, on_test, test, Choice(proposed, "", {}, search.whitening([proposed]))),
        "chosen": _scored(collection, on_test, test, choice),
    }
    if test.measure == "retrieval":
        runs = {"words": bm25_run(test, 100), "fused": search_fused(choice, collection.states, test, 100)}
        values |= {
            n: evaluate(r, test.qrels, [collection.measure])[collection.measure].to_numpy() for n, r in runs.items()
        }
    return Outcome(collection, found, choice, values, by_rule(collection, on_dev, on_test))


def by_rule(collection: Collection, on_dev: Sweep, on_test: Sweep) -> pd.DataFrame:
    """What each rule gains over the default: on test, and on the mean of other ways to split dev and test."""
    parts = [collection.task.select(split=split) for split in ("dev", "test")]
    rows = [on_test.row(strategy) for strategy in on_dev.strategies]
    values = np.hstack([on_dev.values[collection.measure], on_test.values[collection.measure][rows]]).astype(float)
    constant = set(on_dev.constant)
    kept = [i for i, strategy in enumerate(on_dev.strategies) if strategy not in constant]
    default = kept.index(on_dev.row(collection.states.default))
    task = collection.task.within(collection.task.kb.ids, [q for part in parts for q in part.queries["id"][:]])
    order = {query: i for i, query in enumerate(q for part in parts for q in part.queries["id"][:])}
    values = values[kept][:, [order[query] for query in task.queries["id"][:]]]
    groups, official = group_of(task), np.array(task.queries["split"][:]) == "dev"
    found: dict[str, list[float]] = {name: [] for name in RULES}
    for turn in range(RESPLITS + 1):
        dev = official if not turn else np.random.default_rng(turn).random(groups.max() + 1)[groups] < official.mean()
        seen, unseen = equally(task, task.sets, dev), equally(task, task.sets, ~dev)
        for name, rule in RULES.items():
            row = rule(values[:, dev], default, seen[dev], groups[dev], PARAMS.seed)
            found[name].append(float((values[row] - values[default]) @ unseen))
    return pd.DataFrame({name: {"test": g[0], "other splits": float(np.mean(g[1:]))} for name, g in found.items()}).T


def page(outcomes: Sequence[Outcome], model: str) -> str:
    """The whole document."""
    return "\n".join([INTRODUCTION.format(model=model), *_systems(outcomes), "", RULES_TEXT, *_rules(outcomes), ""])


INTRODUCTION = """# Does choosing pay? On collections that nobody here made

Made by `python benchmarks/choosing.py FOLDER...`; encoder: {model}. All is chosen on dev; the numbers are of test.
In brackets: the difference to the published embedding, its 95% interval, and the number of queries. *Proposed* is what
the procedure would take if it were always followed, *chosen* what it takes where choosing pays when it is
cross-validated (else the published embedding), *fused* adds BM25's words, **advised** is what the lab would index.
"""

RULES_TEXT = """## Rules of choosing

Gain over the published embedding on test, of single strategies (no joining, no words), and in brackets the mean over
other ways of sharing the same queries out to dev and test. The last columns: the mean, and the worst.
"""


def _systems(outcomes: Sequence[Outcome]) -> list[str]:
    names = ["default", "best on dev", "proposed", "chosen", "words", "fused"]
    lines = [f"| collection | measure | dev / test | {' | '.join(names)} | advised |", "|---" * (len(names) + 4) + "|"]
    for one in outcomes:
        counts = " / ".join(str(len(one.collection.task.select(split=split).queries)) for split in ("dev", "test"))
        cells = [_cell(one, name) for name in names]
        what = short(one.choice.strategy) + (f", {one.choice.weight:g} beside words" if one.choice.weight < 1 else "")
        row = [one.collection.name, one.collection.measure, counts, *cells, f"**{one.mean(one.advised):.4f}** `{what}`"]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def _cell(one: Outcome, system: str) -> str:
    if system not in one.values:
        return "–"
    gain = one.against_default(system)
    told = f" ({gain.difference:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], n {gain.n})" if system != "default" else ""
    return f"{one.mean(system):.4f}{told}"


def _rules(outcomes: Sequence[Outcome]) -> list[str]:
    names = [one.collection.name for one in outcomes]
    lines = [f"| rule | {' | '.join(names)} | mean | worst |", "|---" * (len(names) + 3) + "|"]
    for rule in RULES:
        rows = [one.rules.loc[rule] for one in outcomes]
        cells = [f"{row['test']:+.4f} ({row['other splits']:+.4f})" for row in rows]
        test, other = ([float(str(row[column])) for row in rows] for column in ("test", "other splits"))
        told = f"{np.mean(test):+.4f} ({np.mean(other):+.4f}) | {min(test):+.4f} ({min(other):+.4f})"
        lines.append(f"| {rule} | {' | '.join(cells)} | {told} |")
    return lines


def _best(swept: Sweep, measure: str, task: Task) -> int:
    means = swept.values[measure] @ equally(task, task.sets, np.ones(len(task.queries), dtype=bool))
    constant = set(swept.constant)
    return int(np.argmax([-1 if s in constant else m for s, m in zip(swept.strategies, means, strict=True)]))


def _scored(collection: Collection, swept: Sweep, task: Task, choice: Choice) -> np.ndarray:
    """Each query's measure under the choice. swept: of this task"""
    whole = extended(swept, {choice.strategy: choice.whitening}, collection.states, task, [collection.measure])
    return whole.values[collection.measure][whole.row(choice.strategy)].astype(float)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="of collections; or countries")
    parser.add_argument("--model", default=EncoderSource().model)
    parser.add_argument("--states", type=Path, default=Path("collections"), help="where states are kept")
    parser.add_argument("--write", type=Path, help="the document; none: printed")
    chosen = parser.parse_args(arguments)
    sources = [name if name == "countries" else str(Path(name).resolve()) for name in chosen.folders]
    outcomes = [choose(Collection.read(source, chosen.model, chosen.states)) for source in sources]
    text = page(outcomes, chosen.model)
    print(text)
    if chosen.write:
        chosen.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
