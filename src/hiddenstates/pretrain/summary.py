"""What was learned, as tables and sentences: shares with intervals, and differences that are paired."""

from collections.abc import Mapping, Sequence

import pandas as pd

from hiddenstates.pretrain.checkpoints import Checkpoints
from hiddenstates.pretrain.questions import VisualQuestion
from hiddenstates.report.estimates import corrected, estimate, told
from hiddenstates.report.significance import compare


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
    table = pd.DataFrame({one.name: one.losses for one in made})
    return (table / table.iloc[0]).set_axis(pd.RangeIndex(1, len(table) + 1), axis=0)


def overview(made: Sequence[Checkpoints]) -> pd.DataFrame:
    """A row a model: parameters, the vocabulary's size, the learning rate, and the loss of the first and last epoch."""
    rows = {one.name: (one.n_parameters, len(one.tokenizer), one.rate, one.losses[0], one.losses[-1]) for one in made}
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["parameters", "vocabulary", "rate", "first loss", "last loss"]
    )


def tuning(made: Sequence[Checkpoints]) -> pd.DataFrame:
    """The loss on dev of each rate tried, a row a model."""
    return pd.DataFrame({one.name: one.tuning for one in made if one.tuning}).T.rename_axis(columns="rate")


def beaten(table: pd.DataFrame) -> str:
    """Which of the systems in `gains`'s table it beats, which beat it, and which are equivalent or undecided."""
    return told(table, ("**above**", "**below**", "**equivalent to**", "**undecided against**"))
