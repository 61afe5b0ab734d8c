"""Which poolings an encoder can do, which are natural, and what is particular about it, in sentences."""

from collections.abc import Iterator

from hiddenstates.encoding.forward.examining import Seen, text_of
from hiddenstates.encoding.inputs.readers import ImageReader, Reader

OF_IMAGES = ("first", "patches")


def natural_poolings(reader: Reader, seen: Seen) -> Iterator[str]:
    """Those that make sense: of a text, of an image with a class token, of one without."""
    if isinstance(reader, ImageReader):
        yield from (*OF_IMAGES, "mean", "max") if seen.class_token else ("mean", "max")
    else:
        yield from ("first", "last", "mean", "max")
        if text_of(reader).special.end is not None:
            yield "eos"


def cannot(pooling: str, reader: Reader, seen: Seen) -> str:
    """Why the encoder cannot do this pooling; "" where it can."""
    image = isinstance(reader, ImageReader)
    if image and pooling == "eos":
        return "an image has no end of text"
    if image and pooling in OF_IMAGES and not seen.class_token:
        return "its first position is a patch like all others, not a class token"
    if not image and pooling == "patches":
        return "it reads texts, which have no patches"
    if not image and pooling == "eos" and text_of(reader).special.end is None:
        return "its tokenizer ends no text with a token of its own"
    return ""


def notes_on(reader: Reader, seen: Seen) -> Iterator[str]:
    """What is particular about the encoder, a sentence each."""
    if not seen.pads:
        yield "Padding shows in its states, so only rows of equal length share a batch."
    if seen.causal and text_of(reader).special.before:
        yield "Causal: the first token sees itself alone, so `first` is the same vector for every text."
    elif seen.causal:
        yield "Causal: the first token sees itself alone, so `first` knows nothing but a text's first token."
    if isinstance(reader, ImageReader) and not seen.class_token:
        yield "No class token: the first position is a patch, and there is no `first`."
    untraced = [i for i, state in enumerate(seen.state_map) if not state.traced]
    if untraced:
        places = ", ".join(dict.fromkeys(seen.state_map[i].module for i in untraced))
        yield f"No module puts out state {', '.join(map(str, untraced))}: {places}."
