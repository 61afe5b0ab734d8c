"""What came of choosing, as one sentence to quote, a small table, and what a choice for all sets costs one of them."""

from collections.abc import Mapping

import pandas as pd

from hiddenstates.core.joined import parse
from hiddenstates.encoding.choice import Choice
from hiddenstates.report.estimates import difference
from hiddenstates.report.significance import WORSE
from hiddenstates.report.space import short
from hiddenstates.retrieval.validation import Validation


def answer(choice: Choice, found: Validation, strategies: int, default: str, chosen: str) -> str:
    """The first sentence: keep the default, or index another strategy, and why.

    default: what to call it, and its strategy; chosen: the other strategy
    """
    measured = f"{choice.evidence['measure']} {found.gain:+.3f} ± {found.error:.3f}"
    among = f"choosing among {strategies:,} strategies, cross-validated on {len(found.differences):,} dev queries"
    if not found.picks and choice.strategy == parse(choice.evidence["default"]):
        return f"**Keep the {default}**: dev has too few independent queries to choose by."
    if choice.strategy == parse(choice.evidence["default"]):
        reason = "but on all of dev takes this one itself" if found.pays else "which is not above one standard error"
        return f"**Keep the {default}**: {among}, gains {measured}, {reason}."
    return f"**Index `{chosen}` instead of the {default}**: {among}, gains {measured}."


def validated(found: Mapping[str, Validation]) -> pd.DataFrame:
    """A row per validated choice: queries, the gain and its standard error, whether choosing pays, what is proposed."""
    rows = {
        name: {
            "queries": len(one.differences[one.weights > 0]),
            "gain": one.gain,
            "standard error": one.error,
            "pays": one.pays,
            "folds that agree": f"{max(map(one.picks.count, one.picks), default=0)} of {len(one.picks)}",
            "proposed": short(parse(one.proposal.name)),
        }
        for name, one in found.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def by_set(gains: pd.DataFrame, means: pd.DataFrame, measure: str) -> str:
    """A Markdown table: per set the default, what was chosen, their difference on test, and the verdict.

    gains: one row per set, `paired`'s columns, none where the default was kept; means: `means`' table of the two runs
    """
    table = {system: row.to_dict() for system, row in means.iterrows()}
    if gains.empty:
        sets = map(str, means.columns.unique(0))
        rows = [f"| {name} | {table['default'][name, measure]:.3f} |" for name in sets]
        return "\n".join([f"| set | {measure} on test |", "|---|---|", *rows])
    lines = ["| set | n | default | chosen | difference | verdict |", "|---|---|---|---|---|---|"]
    for key, row in gains.to_dict("index").items():
        name = str(key)
        default, chosen = (table[system][name, measure] for system in ("default", "chosen"))
        values = f"{row['n']} | {default:.3f} | {chosen:.3f} | {difference(row)} | {row['verdict']}"
        lines.append(f"| {name} | {values} |")
    return "\n".join(lines)


def costs(gains: pd.DataFrame, own: Mapping[str, Validation]) -> str:
    """Which sets lose by a choice for all, which gain by their own, how to choose for fewer; nothing for one set."""
    if len(own) < 2:
        return ""
    losing = [f"{name} ({difference(row)})" for name, row in gains.to_dict("index").items() if row["verdict"] == WORSE]
    apart = [f"{name} (`{short(parse(one.proposal.name))}`, {one.gain:+.3f})" for name, one in own.items() if one.pays]
    lost = f"The choice for all sets costs {', '.join(losing)}. " if losing else ""
    alone = f"Choosing for a set alone pays, on dev, for {', '.join(apart)}. " if apart else ""
    return f"{lost}{alone}To choose for fewer sets, name them: `strategies.sets`."


def words(weight: float, found: Validation | None, measure: str) -> str:
    """Whether words beside the vectors are advised."""
    if found is None:
        return "Sentence pairs are compared, not searched: words are left out."
    gain = f"{measure} {found.gain:+.3f} ± {found.error:.3f} on dev, cross-validated"
    if not found.picks:
        return "Whether words beside the vectors help cannot be said: dev has too few independent queries."
    if weight == 1:
        return f"**Words beside the vectors** do not help here: fused with BM25, {gain}. Index the embedding alone."
    return (
        f"**Words beside the vectors**: fused with BM25, {weight:g} of the cosine and {1 - weight:.2g} of the words, "
        f"{gain}. Index both."
    )
