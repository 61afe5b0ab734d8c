"""What the audit and the experiment say, as tables and sentences."""

from collections.abc import Iterable, Mapping

import pandas as pd
from transformers import PreTrainedModel

from hiddenstates.tying.audit import audit_tying, embeddings, size
from hiddenstates.tying.drift import KINDS, by_kind
from hiddenstates.tying.experiment import NAMES, Runs, perplexities
from hiddenstates.tying.life import Life, letters, traps
from hiddenstates.tying.scaling import measure_scaling, unread

ROLES = {
    "shared.weight": "shared table",
    "word_embeddings.weight": "shared table",
    "encoder.embed_tokens.weight": "encoder",
    "decoder.embed_tokens.weight": "decoder",
    "lm_head.weight": "head",
    "predictions.decoder.weight": "head",
    "obj_order_embedding.weight": "visual object order",
}
"""What a place is for, by the end of its path."""

PUBLISHED = pd.DataFrame(
    {
        "untied parameters": [None, 66_000_000],
        "tied parameters": [None, 51_000_000],
        "untied perplexity": [114.5, 78.4],
        "tied perplexity": [112.4, 74.3],
    },
    index=["published, PTB, small LSTM, no dropout", "published, PTB, large LSTM, dropout"],
)
"""Test perplexities per word on the Penn Treebank (Press & Wolf 2017). Small: two layers of 200; large: two of 1500."""


def role(place: str) -> str:
    """What the place is for; "" where it is for none of `ROLES`."""
    return next((name for end, name in ROLES.items() if place.endswith(end)), "")


def by_role(life: Life) -> pd.DataFrame:
    """`letters` of the places that have a role, by their role."""
    return letters(life, [place for place in life.made.index if role(place)]).rename(index=role)


def token_tables(models: Mapping[str, PreTrainedModel]) -> pd.DataFrame:
    """One row per model: its token table's shape, parameters and megabytes, who holds it, and what that saves.

    `one by one` is the parameters that its holders would have without tying; `of the model` the table's share of all.
    """
    return pd.DataFrame.from_dict({name: _token_table(m) for name, m in models.items()}, orient="index")


def drift_by_kind(drifts: Mapping[str, pd.DataFrame], column: str) -> dict[str, pd.DataFrame]:
    """By model, `by_kind` of its drift, a row for each kind that any of the models has."""
    tables = {name: by_kind(drift, column) for name, drift in drifts.items()}
    found = [kind for kind in KINDS if any(kind in table.index for table in tables.values())]
    return {name: table.reindex(found) for name, table in tables.items()}


def trap_table(lives: Mapping[str, Life]) -> pd.DataFrame:
    """One row per case and trap: the roles of the places that fall into it."""
    rows = [
        {"case": name, "trap": trap, "which": _roles(places)}
        for name, life in lives.items()
        for trap, places in traps(life).items()
    ]
    return pd.DataFrame(rows, columns=["case", "trap", "which"])


def reading_table(models: Mapping[str, PreTrainedModel]) -> pd.DataFrame:
    """One row per model: its factors as measured, and the tables that its forward pass does not read."""
    rows = {
        name: {
            "d_model": model.config.d_model,
            **vars(measure_scaling(model)),
            "never read": _roles(unread(model)),
        }
        for name, model in models.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def spread(runs: Runs) -> dict[str, pd.DataFrame]:
    """By kind, a row for dev and one for test: value (the mean over the seeds), low and high (their range)."""
    found: dict[str, pd.DataFrame] = {}
    for kind in NAMES.values():
        of_kind = pd.DataFrame([(run.dev, run.test) for (name, _), run in runs.items() if name == kind])
        rows = {"value": of_kind.mean(), "low": of_kind.min(), "high": of_kind.max()}
        found[kind] = pd.DataFrame(rows).set_axis(["dev", "test"])
    return found


def beside_published(runs: Runs) -> pd.DataFrame:
    """Ours under the published figures: parameters, and test perplexity (mean of the seeds)."""
    ours: dict[str, float] = {}
    for kind in NAMES.values():
        models = [run.model for (name, _), run in runs.items() if name == kind]
        ours |= {
            f"{kind} parameters": models[0].n_parameters,
            f"{kind} perplexity": perplexities(runs)[kind, "test"].mean(),
        }
    table = pd.concat([PUBLISHED, pd.DataFrame(ours, index=["here, countries, LSTM, no dropout"])])
    counts = [f"{kind} parameters" for kind in NAMES.values()]
    table[counts] = table[counts].astype("Int64")
    table["parameters saved"] = 1 - table["tied parameters"] / table["untied parameters"]
    table["perplexity changed"] = table["tied perplexity"] / table["untied perplexity"] - 1
    return table


def verdict(runs: Runs) -> str:
    """A sentence of Markdown: does tying pay here, over the seeds?"""
    changes = perplexities(runs)["difference", "test"]
    mean, signs = changes.mean(), {change > 0 for change in changes}
    if len(signs) > 1:
        said = "**neither better nor worse** in perplexity: the sign of the difference depends on the seed"
    else:
        said = f"**{'worse' if signs.pop() else 'better'}** in perplexity with every seed"
    saved = beside_published(runs)["parameters saved"].iloc[-1]
    return f"the tied language model has {saved:.0%} fewer parameters and is {said} ({mean:+.3f} on average)"


def _roles(places: Iterable[str]) -> str:
    return ", ".join(role(place) or place for place in places)


def _token_table(model: PreTrainedModel) -> dict[str, object]:
    found = embeddings(model)
    table = found[found["object"] == found["object"].iloc[0]]
    rows, width = table["shape"].iloc[0]
    parameters, number = size(table)
    return {
        "table": f"{rows} × {width}",
        "parameters": parameters,
        "MB": number / 1e6,
        "held by": _roles(table.index),
        "one by one": parameters * len(table),
        "of the model": parameters / size(audit_tying(model))[0],
    }
