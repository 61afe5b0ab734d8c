"""Every model type of the installed transformers: which can the lab read, and how wholly? Writes docs/models.md.

Each type is built small, from its own default configuration, with random weights; saved; and loaded through
`load_encoder`, which traces its states and refuses what it cannot use. What stands in the table is what came of that.
A quarter of an hour on two quiet cores; `make models` runs it. A run that was killed goes on from where it was. Name
types to try these alone: nothing is written then.
"""

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}

import numpy as np
import transformers
from PIL import Image
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from hiddenstates.core.errors import LabError, shortened
from hiddenstates.core.paths import ROOT, out_folder
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.forward.examining import TOLERANCE, same
from hiddenstates.encoding.forward.families import parts_of
from hiddenstates.encoding.inspection.small import save_small
from hiddenstates.encoding.models.files import load_found

SECONDS = 120
"""A type that takes longer is given up."""

TEXTS = ["a", "the flag of bern is red", "red"]
SIZES = ((40, 30), (20, 50))
"""Texts, and widths and heights of pictures, that are read alone and together."""

PAGE = ROOT / "docs" / "models.md"
ABOUT = """# Which models the lab can read

Made by `make models` with transformers {version}, from each model type's own default configuration, cut down to a few
layers and random weights, saved and loaded through `load_encoder` like any folder. Nobody types in which module made
which hidden state: it is traced when a model is loaded ([own-models.md](own-models.md)).

| of {all} model types | |
|---|---|
| every state traced to a module | **{wholly}** |
| some states made inside a forward, which is named | {partly} |
| refused, and why | {refused} |
| not tried: no small one could be built here | {unbuilt} |

For each of the {read} that are read, a text (or image) has the same states alone as in a batch, to {tolerance:g} of a
layer's largest number. In {apart} of them padding would show; there only texts of equal length share a batch ("by
length").

A type that is refused here may still have a part of its own that is read: `clip` has `text` and `vision`.
"""


class Late(BaseException):
    """Time is up."""


@dataclass
class Found:
    """What came of one model type. rows: of each part that is read; faults: of each that is not."""

    model_type: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    unbuilt: str = ""

    @property
    def wholly(self) -> bool:
        return bool(self.rows) and not any(row["inside"] for row in self.rows)


def tried(model_type: str) -> Found:
    """Build it small, save it, load each part of it."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(SECONDS)
    found = Found(model_type)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _try(found, Path(folder))
    except Late:
        found.unbuilt = found.unbuilt or f"took more than {SECONDS} s"
    finally:
        signal.alarm(0)
    return found


def _try(found: Found, folder: Path) -> None:
    try:
        save_small(folder, found.model_type)
        whole, _ = load_found(folder)
    except Exception as error:  # a configuration that was cut down may fit nothing
        found.unbuilt = _sentence(error, folder)
        return
    parts: list[str | None] = [*parts_of(whole)]
    for part in parts or [None]:
        try:
            encoder = load_encoder(str(folder), part=part)
            _check_alone(encoder, folder)
            found.rows.append(_row(encoder, part))
        except Exception as error:  # LabError is what should come; anything else is told with its name
            found.faults[part or ""] = _sentence(error, folder)


def _check_alone(encoder: Any, folder: Path) -> None:
    """LabError where an input has other states alone than together, in any layer: what `load_encoder` should refuse."""
    inputs: list[Any] = list(TEXTS) if encoder.reads_text else [_picture(folder, size) for size in SIZES]
    together = encoder.states(inputs)
    for i, value in enumerate(inputs):
        alone = encoder.states([value]).values[:, 0]
        if not same(alone, together.values[:, i, : alone.shape[1]]):
            raise LabError("alone and together its states differ, and nobody noticed.")


def _picture(folder: Path, size: tuple[int, int]) -> Path:
    path = folder / f"{size[0]}.png"
    pixels = np.random.default_rng(0).integers(256, size=(*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def _row(encoder: Any, part: str | None) -> dict[str, Any]:
    last = encoder.state_map[-1]
    return {
        "part": part or "",
        "states": len(encoder.state_map),
        "first": encoder.state_map[0].module,
        "last": last.module,
        "norm": last.norm,
        "inside": [i for i, state in enumerate(encoder.state_map) if not state.traced],
        "causal": {True: "causal", False: "", None: ""}[encoder.seen.causal],
        "class token": "class token" if encoder.seen.class_token else "",
        "pads": encoder.seen.pads,
    }


def _sentence(error: Exception, folder: Path) -> str:
    said = str(error).replace(f"model {folder}: ", "").replace(str(folder), "")
    kind = "" if isinstance(error, LabError) else f"{type(error).__name__}: "
    return kind + shortened(said, 160).replace("|", "\\|")


def _late(*_: Any) -> None:
    raise Late


def page(results: Sequence[Found]) -> str:
    """docs/models.md."""
    read = [found for found in results if found.rows]
    head = ABOUT.format(
        version=transformers.__version__,
        all=len(results),
        wholly=sum(found.wholly for found in read),
        partly=sum(not found.wholly for found in read),
        refused=sum(not found.rows and not found.unbuilt for found in results),
        unbuilt=sum(bool(found.unbuilt) for found in results),
        read=len(read),
        apart=sum(any(not row["pads"] for row in found.rows) for found in read),
        tolerance=TOLERANCE,
    )
    return "\n".join([head, *_read(read), *_refused(results), *_unbuilt(results)]) + "\n"


def _read(found: Sequence[Found]) -> Iterator[str]:
    yield "## Read\n"
    yield "| model type | part | states | state 0 | last state | its norm | inside a forward | |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in found:
        for row in one.rows:
            inside = ", ".join(map(str, row["inside"])) if len(row["inside"]) < row["states"] else "all"
            apart = "" if row["pads"] else "by length"
            notes = "; ".join(note for note in (row["causal"], row["class token"], apart) if note)
            made = [f"`{name}`" if name and not name.startswith("made in ") else name for name in _made(row)]
            yield f"| {one.model_type} | {row['part']} | {row['states']} | {' | '.join(made)} | {inside} | {notes} |"


def _made(row: dict[str, Any]) -> tuple[str, str, str]:
    norm = "itself" if row["norm"] == row["last"] else row["norm"]
    return row["first"], row["last"], norm


def _refused(results: Sequence[Found]) -> Iterator[str]:
    yield "\n## Refused, whole or in part\n"
    yield "| model type | part | why |"
    yield "|---|---|---|"
    for one in results:
        yield from (f"| {one.model_type} | {part} | {why} |" for part, why in one.faults.items())


def _unbuilt(results: Sequence[Found]) -> Iterator[str]:
    yield "\n## Not tried\n"
    yield "A package is missing here, or the cut-down configuration does not fit together; a real folder may load.\n"
    yield "| model type | why |"
    yield "|---|---|"
    yield from (f"| {one.model_type} | {one.unbuilt} |" for one in results if one.unbuilt)


def main() -> None:
    names = sys.argv[1:] or list(MODEL_MAPPING_NAMES)
    if sys.argv[1:]:
        print(page(list(_all(names))))
        return
    kept = out_folder() / f".models-{transformers.__version__}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    done = [Found(**json.loads(line)) for line in kept.read_text("utf-8").splitlines()] if kept.exists() else []
    with kept.open("a", encoding="utf-8") as file:
        for found in _all([name for name in names if name not in {one.model_type for one in done}]):
            file.write(json.dumps(asdict(found)) + "\n")
            file.flush()
            done.append(found)
    order = {name: i for i, name in enumerate(names)}
    made = page(sorted(done, key=lambda found: order[found.model_type]))
    PAGE.write_text(made, encoding="utf-8")
    kept.unlink()
    print(made.split("## Read")[0])


def _all(names: Sequence[str]) -> Iterator[Found]:
    """What comes of each type, in the order in which it comes."""
    workers = multiprocessing.get_context("spawn").Pool(2 * (os.cpu_count() or 1), maxtasksperchild=40)
    with workers:
        for i, found in enumerate(workers.imap_unordered(tried, names)):
            state = found.unbuilt or "; ".join(found.faults.values()) or "wholly" * found.wholly or "partly"
            print(f"{i + 1}/{len(names)} {found.model_type}: {state}", file=sys.stderr, flush=True)
            yield found


if __name__ == "__main__":
    main()
