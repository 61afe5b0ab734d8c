"""The model card of an exported folder: what it is, what it was chosen on, what it costs, how to load it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hiddenstates import __version__
from hiddenstates.core.stage import read_numbers
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.export.plan import Plan

FRONT = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- feature-extraction
- hiddenstates
{base}---
"""


def card(encoder: Encoder, choice: Choice, written: Plan, width: int, name: str, stage: Path | None) -> str:
    """Its text. name: of the folder; stage: the folder of the stage that chose, whose numbers are told"""
    told = [_head(encoder, choice, width), _loading(name, written), _evidence(choice)]
    told += [_measured(stage)] if stage else []
    told += [_costs(encoder, written, width), f"Made by hiddenstates {__version__}.\n"]
    return "\n".join(part for part in told if part)


def _head(encoder: Encoder, choice: Choice, width: int) -> str:
    assert encoder.source is not None
    named = encoder.name.count("/") == 1 and not encoder.name.startswith((".", "/", "~"))
    base = f"base_model: {encoder.name}\n" if named else ""
    revision = f" at {encoder.source.revision}" if encoder.source.revision else ""
    part = f", part {encoder.part.name}" if encoder.part.name else ""
    reading = encoder.reading
    prompts = "".join(
        f"\n- {side}: `{text}`" for side, text in (("query", reading.query), ("document", reading.passage))
    )
    asked = reading.query or reading.passage
    return (
        FRONT.format(base=base)
        + f"# {Path(encoder.name).name}: `{choice.strategy}`\n\n"
        + f"Base model: {encoder.name}{revision}{part} (fingerprint {choice.fingerprint}). Of its "
        + f"{len(encoder.state_map)} hidden states, 0 being the embeddings, the strategy `{choice.strategy}` makes one "
        + f"vector of {width} dimensions per text. Texts are cut at {encoder.max_tokens} tokens.\n"
        + (f"\nPrompts:\n{prompts}\n" if asked else "")
    )


def _loading(name: str, written: Plan) -> str:
    trust = "" if written.native else ", trust_remote_code=True"
    own = "" if written.native else (
        "\n`combined_states.py` in this folder says what sentence-transformers' own modules cannot; so loading needs "
        "`trust_remote_code=True`. The file needs torch and sentence-transformers alone.\n"
    )  # fmt: skip
    return (
        "## Use\n\n```python\nfrom sentence_transformers import SentenceTransformer\n\n"
        f'model = SentenceTransformer("{name}"{trust})\n'
        'passages = model.encode_document(["Yerevan is the capital of Armenia."])\n'
        'queries = model.encode_query(["What is the capital of Armenia?"])\n'
        f"print(model.similarity(queries, passages))\n```\n{own}"
    )


def _evidence(choice: Choice) -> str:
    found: Mapping[str, Any] = choice.evidence
    if not found:
        return "## Why this one\n\nIt was named by hand.\n"
    rows = {
        "measure": found.get("measure"),
        "chosen on": f"{found.get('split')}, sets {', '.join(found.get('sets', []))}",
        "published or conventional embedding": f"`{found.get('default')}`",
        "strategies tried": found.get("strategies"),
        "rule": found.get("rule"),
    }
    checked = found.get("cross-validated", {})
    if "gain" in checked:
        rows["cross-validated gain of choosing"] = f"{checked['gain']:+.4f} ± {checked['standard error']:.4f}"
    if choice.weight < 1:
        rows["beside BM25"] = (
            f"best searched with a weight of {choice.weight:g} for the cosine and {1 - choice.weight:.2g} for BM25's "
            "score, divided by the query's best"
        )
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value is not None]
    return "\n".join(["## Why this one", "", "| | |", "|---|---|", *lines, ""])


def _measured(stage: Path) -> str:
    """The table of the stage's numbers on test."""
    found = read_numbers(stage)
    return "\n".join(_table(found)) if found else ""


def _table(found: Mapping[str, Any]) -> Iterator[str]:
    measure, scores = found["measure"], found["test"]
    gains = found["chosen for all, on test"]
    yield from ("## Measured", "", f"{measure} on test, whose queries took no part in choosing:", "")
    yield from ("| set | n | default | chosen | difference, 95% interval | verdict |", "|---|---|---|---|---|---|")
    for name, by_measure in scores["chosen"].items():
        default, chosen = scores["default"][name][measure], by_measure[measure]
        gain = gains.get(name)
        told = f"{gain['difference']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]" if gain else "the same"
        yield f"| {name} | {gain['n'] if gain else ''} | {default:.3f} | {chosen:.3f} | {told} | {_verdict(gain)} |"
    yield ""


def _verdict(gain: Mapping[str, Any] | None) -> str:
    return str(gain["verdict"]) if gain else ""


def _costs(encoder: Encoder, written: Plan, width: int) -> str:
    layers = len(encoder.state_map) - 1
    needed = f"{max(written.layers)} of {layers} layers are needed"
    return f"## Costs\n\n{needed}; a vector takes {4 * width:,} bytes in float32.\n"
