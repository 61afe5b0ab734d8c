"""What no trace can know of a model: what its parts are called, what they read, and how that comes in.

All else (which module made which hidden state, after which norm, causal or not, how long a text may be) is measured
when a model is loaded. What is left of a family is one entry in `FAMILIES`; no other line changes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.forward.running import accepted


@dataclass(frozen=True)
class State:
    """Where one hidden state comes from.

    module: path, from the whole model, of the outermost module whose output it is, to the last bit; two where text and
            boxes come from two; "made in x.forward" where no module puts it out, x being what adds it up
    norm:   the norm that put it out, by path; "" where none did
    inner:  path of the innermost module whose output it is; "" where no module puts it out
    """

    module: str
    norm: str = ""
    inner: str = ""

    @property
    def traced(self) -> bool:
        """Whether a module puts it out."""
        return not self.module.startswith("made in ")


StateMap = Sequence[State]
"""index -> what made that hidden state; index 0 is the embeddings."""

Reads = Literal["text", "text, shifted", "image", "text and boxes"]
"""Names a reader, readers.py."""

TOWERS = {
    "text": ("text_model", "language_model", "text_encoder"),
    "vision": ("vision_model", "vision_tower", "image_model", "vision_encoder", "visual"),
}
"""By part: what the modules are called that read texts, or images, where a model has one for each."""


@dataclass(frozen=True)
class Family:
    """What is left of a family: what cannot be seen from outside, of one part of a model type.

    reads:     another reader than the arguments of the part's forward tell
    boxes:     what makes state 0 of boxes, which stand after the text; and its norm
    first_end: whether the model pools the first end of text, though a text may name that token itself
    filled:    whether it was trained on texts filled up with padding, which it reads
    """

    reads: Reads | None = None
    boxes: State | None = None
    first_end: bool = False
    filled: bool = False


CLIP = Family(first_end=True)
SIGLIP = Family(first_end=True, filled=True)
BOXES = State("encoder.visual_embedding")
FAMILIES: dict[tuple[str, str], Family] = {
    # T5 and BART over text and boxes (Cho et al. 2021), the boxes after the text.
    ("vlt5", "encoder"): Family("text and boxes", BOXES),
    ("vlbart", "encoder"): Family("text and boxes", replace(BOXES, norm="encoder.visual_embedding.layer_norm")),
    # CLIP pools the first end of text, or the largest id (Radford et al. 2021), and so do those built like it.
    **{(kind, "text"): CLIP for kind in ("clip", "clip_text_model", "clipseg", "clipseg_text_model", "metaclip_2")},
    # SigLIP's texts are 64 tokens long, padding and all, and it pools the last one (Zhai et al. 2023).
    **{(kind, "text"): SIGLIP for kind in ("siglip", "siglip_text_model", "siglip2", "siglip2_text_model")},
    **{(kind, "text"): CLIP for kind in ("groupvit", "owlvit", "owlv2", "xclip")},
}
"""By model type (`config.model_type`) and part."""


@dataclass(frozen=True)
class Part:
    """A part of a model that runs by itself.

    name:   encoder or decoder, text or vision; "" for a model that has no parts
    path:   of the module that runs, from the whole that AutoModel gives; "" for that itself
    reads:  what its inputs are
    output: the field of its output that holds the hidden states
    left:   what is left of its family
    """

    name: str
    path: str
    reads: Reads
    output: str = "hidden_states"
    left: Family = Family()


def parts_of(whole: Any) -> dict[str, Part]:
    """The parts of a model by their names, the first one that which is meant where none is named."""
    kind = whole.config.model_type
    parts = {part.name: part for part in _parts(whole)}
    for name, part in parts.items():
        left = FAMILIES.get((kind, name), part.left)
        parts[name] = replace(part, left=left, reads=left.reads or part.reads)
    return parts


def part_of(whole: Any, name: str | None = None) -> Part:
    """The part of that name; None is the first. LabError where the model has none such."""
    parts = parts_of(whole)
    if not parts:
        raise LabError(
            f"model type {whole.config.model_type!r}: {type(whole).__name__} takes no texts (input_ids) and no images "
            "(pixel_values), so the lab has no inputs for it. Choose an encoder of texts or of images."
        )
    if name is not None and name not in parts:
        choices = " or ".join(repr(part) for part in parts if part)
        way = f"Choose {choices}." if choices else "It is not in parts: leave it out."
        raise LabError(f"a model of type {whole.config.model_type!r} has no part {name!r}. {way}")
    return next(iter(parts.values())) if name is None else parts[name]


def _parts(whole: Any) -> Iterator[Part]:
    towers = {part: next((n for n in names if hasattr(whole, n)), None) for part, names in TOWERS.items()}
    if all(towers.values()):
        yield from (_tower(whole, part, path) for part, path in towers.items() if path)
    elif hasattr(whole, "encoder") and _has_decoder(whole):
        yield from _halves(whole)
    elif reads := _reads(whole):
        yield Part(_own_name(whole.config.model_type), "", reads)


def _tower(whole: Any, part: str, path: str) -> Part:
    return Part(part, path, "image" if part == "vision" else "text")


def _halves(whole: Any) -> Iterator[Part]:
    """Its decoder reads the text itself, shifted by one, and sees what the encoder made of it."""
    if (reads := _reads(whole.encoder)) is None:
        return
    yield Part("encoder", "encoder", reads)
    if reads == "text":
        yield Part("decoder", "", "text, shifted", "decoder_hidden_states")


def _has_decoder(whole: Any) -> bool:
    """One that was saved without its decoder says so in its configuration; what is loaded has one all the same."""
    return "decoder_input_ids" in accepted(whole) or bool(getattr(whole.config, "is_encoder_decoder", False))


def _reads(model: Any) -> Reads | None:
    names = accepted(model)
    if "input_ids" in names:
        return "text"
    return "image" if "pixel_values" in names else None


def _own_name(kind: str) -> str:
    """Of a tower that was saved alone, the name that it has as a part."""
    return next((part for part in TOWERS if kind.endswith(f"_{part}_model")), "")
