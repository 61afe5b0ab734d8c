"""What one can know of an encoder without a corpus: for `hiddenstates inspect`."""

from dataclasses import dataclass
from typing import Any

from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.forward.tracing import listed
from hiddenstates.tokenizing.faults import faults

MOST = 8192
"""The longest text that is tried."""


@dataclass(frozen=True)
class Report:
    """An encoder, and what can be said of it."""

    encoder: Encoder
    tokenizer_faults: list[str]

    def json(self) -> dict[str, Any]:
        """As `hiddenstates inspect --json` prints it."""
        encoder = self.encoder
        return {
            "model_type": encoder.model.config.model_type,
            "part": encoder.part.name or None,
            "reads": encoder.part.reads,
            "causal": encoder.seen.causal,
            "states": listed(encoder.state_map),
            "width": encoder.width,
            "parameters": encoder.seen.parameters,
            "longest_input": encoder.max_tokens if encoder.reads_text else encoder.seen.places,
            "pads_safely": encoder.seen.pads,
            "poolings": encoder.poolings,
            "tokenizer_faults": self.tokenizer_faults,
            "notes": encoder.notes,
            "fingerprint": encoder.fingerprint,
            "published": published(encoder),
        }

    def text(self) -> str:
        """The same, to be read."""
        said = self.json()
        head = {
            "model type": said["model_type"] + (f", part {said['part']}" if said["part"] else ""),
            "reads": f"{said['reads']}, {said['longest_input']} positions at most",
            "states": f"{len(said['states'])} of width {said['width']}; {said['parameters']:,} parameters",
            "causal": {True: "yes", False: "no", None: "–"}[said["causal"]],
            "pads safely": "yes" if said["pads_safely"] else "no",
            "poolings": ", ".join(said["poolings"]),
            "published": _written(said["published"]),
            "tokenizer": " ".join(said["tokenizer_faults"]) or "no faults",
        }
        lines = [f"{name + ':':<13}{value}" for name, value in head.items()]
        rows = [(str(s["index"]), s["module"], s["norm"] or "none") for s in said["states"]]
        table = [("state", "made by", "norm"), *rows]
        widths = [max(len(row[i]) for row in table) for i in range(3)]
        lines += [
            "",
            *("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table),
        ]
        return "\n".join([*lines, *(["", *said["notes"]] if said["notes"] else [])])


def inspect(model: str, revision: str | None = None, part: str | None = None) -> Report:
    """What can be said of an encoder. LabError as `load_encoder`."""
    encoder = load_encoder(model, revision, MOST, part=part)
    found = faults(encoder.tokenizer, encoder.model.config) if encoder.reads_text else []
    return Report(encoder, found)


def published(encoder: Encoder) -> dict[str, Any]:
    """The embedding that its authors publish, or the convention of its kind; `origin` says which."""
    baseline, prompts = encoder.baseline, {"query": encoder.reading.query, "passage": encoder.reading.passage}
    return {
        "strategy": str(baseline.strategy),
        "prompts": {side: prompt for side, prompt in prompts.items() if prompt},
        "dimensions": baseline.dimensions(encoder.width),
        "origin": str(baseline),
    }


def _written(said: dict[str, Any]) -> str:
    prompts = "".join(f", {side} prompt {prompt!r}" for side, prompt in said["prompts"].items())
    return f"{said['strategy']}, {said['dimensions']} dimensions{prompts} ({said['origin']})"
