"""Stages that the data gives nothing to do: they end at once, with one sentence that says why and what would fill them.

Whoever asks a corpus without pictures which image to embed should not first train a CLIP for three minutes.
"""

from dataclasses import dataclass
from typing import Any

from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import out_folder, resolved
from hiddenstates.core.stage import read_numbers
from hiddenstates.pipeline.settings import COUNTRIES, Sections, encoders, source_of, uses_trained

LEFT_OUT = "left_out.txt"
"""In the folder of an encoder that the stage `states` left out: the sentence that says why."""


@dataclass(frozen=True)
class Facts:
    """What the stage `corpus` found, as far as later stages depend on it.

    sets:     names of the query sets
    pictured: how many passages and how many queries have a picture, by `passages` and `queries`
    image_questions: whether, on dev and on test, pictures of queries look for pictures of passages
    """

    sets: list[str]
    pictured: dict[str, int]
    image_questions: bool


def read_facts() -> Facts | None:
    """Of the numbers of out/corpus; None where the stage has not run."""
    if not (found := read_numbers(out_folder() / "corpus")):
        return None
    try:
        return Facts(list(found["queries"]), found["pictured"], found["image_questions"])
    except (KeyError, TypeError) as error:
        raise LabError(f"out/corpus: its numbers lack {error}. Run the stage `corpus` again.") from error


def idle(stage: str, encoder: str, sections: Sections) -> str | None:
    """Why the stage has nothing to do, in one sentence and the way out; None if it has.

    encoder: of a stage that runs for each; else ""

    Raises LabError for a parameter that only the data can show to be wrong.
    """
    if stage == "corpus":
        return None  # it finds the facts: those of a former run may be damaged
    facts = read_facts()
    if stage == "strategies":
        if facts:
            _check_sets(sections["strategies"], facts)
        return _left_out(encoder)
    if stage in ("index", "compare"):
        _check_first(stage, sections)
    if stage == "tagging":
        return _no_sentences(sections)
    checks = {"pretrain": _no_use, "tying": _no_use, "images": _no_image_questions}
    return checks[stage](sections, facts) if stage in checks and facts else None


def _no_use(sections: Sections, facts: Facts) -> str | None:
    """Of pretraining, and of looking at what it made."""
    if not any(facts.pictured.values()):
        return (
            "The corpus has no pictures, so CLIP, VL-T5 and VL-BART have nothing to look at, and none is trained. "
            "A corpus with pictures fills this stage: `corpus.source`."
        )
    if not uses_trained(sections):
        return (
            "Nothing in params uses a model that this stage trains. To fill it, let `images.model`, `images.boxes` "
            "or `compare.clip` be null, or name a model under `out/pretrain/models` in `states.encoders`."
        )
    return None


def _no_image_questions(sections: Sections, facts: Facts) -> str | None:
    if facts.image_questions:
        return None
    return (
        "No picture of a question looks for a picture of a passage on both dev and test, so there is no image to find. "
        "Give questions and passages an image to fill this stage: `corpus.source`."
    )


def _no_sentences(sections: Sections) -> str | None:
    tagging: Any = sections["tagging"]
    if tagging.source is None and source_of(sections) != COUNTRIES:
        return (
            "The corpus has no tagged sentences. To fill this stage, set `tagging.source` to a folder of tagged files "
            "(docs/own-data.md), or to countries for the embedded ones."
        )
    if tagging.model is None and not _reads_text(sections):
        return "The first of `states.encoders` reads no text. To fill this stage, name a text model in `tagging.model`."
    return None


def _reads_text(sections: Sections) -> bool:
    """Whether the first encoder does: a model on disk without a tokenizer, or a vision tower, does not."""
    source = next(iter(encoders(sections).values()))
    folder = resolved(source.model)
    patterns = ("tokenizer*", "vocab*", "*.model", "*.spm", "modules.json", "0_*/tokenizer*")
    has_tokenizer = any(any(folder.glob(pattern)) for pattern in patterns)
    return source.part != "vision" and (has_tokenizer or not folder.is_dir())


def _left_out(encoder: str) -> str | None:
    path = out_folder() / "states" / "pooled" / encoder / LEFT_OUT
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _check_sets(strategies: Any, facts: Facts) -> None:
    unknown = [name for name in strategies.sets or () if name not in facts.sets]
    if unknown:
        raise LabError(
            f"strategies.sets: the corpus has no query set {', '.join(map(repr, unknown))}. "
            f"Choose among {', '.join(facts.sets)}, or null for all."
        )


def _check_first(stage: str, sections: Sections) -> None:
    """What is indexed and compared cannot be an encoder that was left out."""
    wanted: Any = sections[stage]
    name = wanted.encoder or next(iter(encoders(sections)))
    if said := _left_out(name):
        raise LabError(
            f"{stage}: its encoder {name!r} was left out by the stage `states`: {said} Put another line first in "
            f"states.encoders, or name one in {stage}.encoder."
        )
