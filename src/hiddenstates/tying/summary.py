"""What the audit and the experiment say, as tables and sentences."""

from collections.abc import Mapping

import pandas as pd
from transformers import PreTrainedModel

from hiddenstates.tying.audit import audit_tying, embeddings, size
from hiddenstates.tying.experiment import NAMES, Runs, perplexities
from hiddenstates.tying.life import Life, letters

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
"""Test perplexities a word on the Penn Treebank (Press & Wolf 2017). Small: two layers of 200; large: two of 1500."""


def role(place: str) -> str:
    """What the place is for; "" where it is for none of `ROLES`."""
    return next((name for end, name in ROLES.items() if place.endswith(end)), "")


def by_role(life: Life) -> pd.DataFrame:
    """`letters` of the places that have a role, by their role."""
    return letters(life, [place for place in life.made.index if role(place)]).rename(index=role)


def token_tables(models: Mapping[str, PreTrainedModel]) -> pd.DataFrame:
    """One row a model: its token table's shape, parameters and megabytes, who holds it, and what that saves.

    `one by one` is the parameters that its holders would have without tying; `of the model` the table's share of all.
    """
    return pd.DataFrame.from_dict({name: _token_table(m) for name, m in models.items()}, orient="index")


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


def _token_table(model: PreTrainedModel) -> dict[str, object]:
    found = embeddings(model)
    table = found[found["object"] == found["object"].iloc[0]]
    rows, width = table["shape"].iloc[0]
    held = [role(place) or place for place in table.index]
    parameters, number = size(table)
    return {
        "table": f"{rows} × {width}",
        "parameters": parameters,
        "MB": number / 1e6,
        "held by": ", ".join(held),
        "one by one": parameters * len(held),
        "of the model": parameters / size(audit_tying(model))[0],
    }
