"""What was learned, as tables and sentences: shares with intervals, and differences that are paired."""

from collections.abc import Mapping, Sequence

import pandas as pd

from hiddenstates.pretrain.checkpoints import Checkpoints
from hiddenstates.pretrain.questions import VisualQuestion
from hiddenstates.report.estimates import corrected, difference, estimate
from hiddenstates.report.significance import BETTER, compare
from hiddenstates.report.written import table


def shares(found: Mapping[str, pd.Series], entities: Sequence[str], seed: int) -> pd.DataFrame:
    """A row a system: value (its share of right answers), low, high (a 95% interval; entities are drawn whole)."""
    groups = {"entity": entities}
    rows = {name: estimate(right, groups, seed) for name, right in found.items()}
    return pd.DataFrame.from_dict(rows, orient="index")[["value", "low", "high"]]


def by_kind(
    questions: Sequence[VisualQuestion], found: Mapping[str, pd.Series], entities: Sequence[str], seed: int
) -> dict[str, pd.DataFrame]:
    """By system, a row a kind of question, and `all`: `shares`' columns."""
    kinds = pd.Series([question.kind for question in questions])
    groups = {**{kind: kinds == kind for kind in kinds.unique()}, "all": kinds.notna()}
    tables = {
        kind: shares({name: right[rows] for name, right in found.items()}, list(pd.Series(entities)[rows]), seed)
        for kind, rows in groups.items()
    }
    return {name: pd.DataFrame({kind: table.loc[name] for kind, table in tables.items()}).T for name in found}


def across(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """By kind of question, a row a system: `by_kind`'s tables the other way round."""
    kinds = next(iter(tables.values())).index
    return {kind: pd.DataFrame({name: table.loc[kind] for name, table in tables.items()}).T for kind in kinds}


def gains(found: Mapping[str, pd.Series], system: str, entities: Sequence[str], seed: int) -> pd.DataFrame:
    """The system against each other one, on the same questions: a row each, `Comparison`'s columns, Holm over them."""
    others = {name: right for name, right in found.items() if name != system}
    return corrected({n: compare(found[system], right, {"entity": entities}, seed) for n, right in others.items()})


def losses(made: Sequence[Checkpoints]) -> pd.DataFrame:
    """The training loss of each epoch as a share of the first's: a column a model, a row an epoch."""
    found = pd.DataFrame({one.name: one.losses for one in made})
    return (found / found.iloc[0]).set_axis(pd.RangeIndex(1, len(found) + 1), axis=0)


def overview(made: Sequence[Checkpoints]) -> pd.DataFrame:
    """A row a model: parameters, the vocabulary's size, the learning rate, and the loss of the first and last epoch."""
    rows = {one.name: (one.n_parameters, len(one.tokenizer), one.rate, one.losses[0], one.losses[-1]) for one in made}
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["parameters", "vocabulary", "rate", "first loss", "last loss"]
    )


def tuning(made: Sequence[Checkpoints]) -> pd.DataFrame:
    """The loss on dev of each rate tried, a row a model."""
    return pd.DataFrame({one.name: one.tuning for one in made if one.tuning}).T.rename_axis(columns="rate")


def answer(epochs: int, found: Mapping[str, Mapping[str, pd.DataFrame]], gains: Mapping[str, pd.DataFrame]) -> str:
    """The answer in a sentence, and below it a table: each model against what it is compared with.

    found: by model, then by kind of views (`held_out`, `new`), `shares`' rows; gains: by model, `gains`' table
    """
    ours, others = (
        ", ".join(f"{name} {tables[views]['value'][f'{name} trained']:.3f}" for name, tables in found.items())
        for views in ("held_out", "new")
    )
    rows = [
        (name, against, difference(row), row["verdict"])
        for name, compared in gains.items()
        for against, row in compared.to_dict("index").items()
    ]
    return (
        f"**After {epochs} epochs** the share of right answers is, for held-out views of the countries that were "
        f"learned, {ours}; for countries never seen, {others}. {_above(gains)}\n\n"
        f"{table(['model', 'on held-out views against', 'difference', 'verdict'], rows)}"
    )


def _above(gains: Mapping[str, pd.DataFrame]) -> str:
    """Which models are above all that they are compared with, and what the others are not above."""
    left = {name: list(map(str, compared.index[compared["verdict"] != BETTER])) for name, compared in gains.items()}
    best = ", ".join(name for name, rest in left.items() if not rest)
    parts = [f"above all that it is compared with: {best}"] if best else []
    parts += [f"{name} is not above {', '.join(f'“{one}”' for one in rest)}" for name, rest in left.items() if rest]
    return f"By the test, {'; '.join(parts)}."
