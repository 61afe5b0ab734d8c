"""From what params call a tokenizer to the tokenizer: loaded by name, or trained on the passages."""

from collections.abc import Mapping, Sequence
from typing import Any

from hiddenstates.core.errors import LabError
from hiddenstates.core.params import TokenizerSource
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.models.files import load_tokenizer, model_folder
from hiddenstates.tokenizing.published import VOCABULARIES, load_published
from hiddenstates.tokenizing.training import train_tokenizer

TRAINED = {"unigram": "t5", "byte_bpe": "bart", "clip_bpe": "clip"}
"""By the name in params: whose tokenizer it is made like."""


def read_tokenizer(name: str, revision: str | None, texts: Sequence[str], pieces: int) -> Any:
    """A tokenizer by bundled name, local folder, or hub name with a pinned revision; or a key of `TRAINED`.

    Bundled are the default model's and, without a revision, those of `VOCABULARIES`.

    texts, pieces: what one of `TRAINED` learns from, and how many entries at most. No weights are read or fetched.
    """
    if name in TRAINED:
        return train_tokenizer(TRAINED[name], texts, pieces)
    if name in VOCABULARIES and revision is None:
        return load_published(name)
    return load_tokenizer(model_folder(name, revision, weights=False))


def read_tokenizers(
    sources: Mapping[str, TokenizerSource], texts: Sequence[str], pieces: int, encoder: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Every tokenizer by its name; and why some are left out, in a sentence each.

    encoder: the name of the encoder's, which may have none, as one of images has. One that there are no texts to train
             on is left out, too. Any other that cannot be read is the LabError of `read_tokenizer`.
    """
    loaded, left_out = {}, {}
    for name, source in sources.items():
        try:
            loaded[name] = read_tokenizer(source.model, source.revision, texts, pieces)
        except LabError as error:
            if name != encoder and source.model not in TRAINED:
                raise
            left_out[name] = str(error)
    if not loaded:
        raise LabError(f"tokens: no tokenizer can be read ({'; '.join(left_out.values())}). Add one to tokenizers.")
    return loaded, left_out


def read_text_encoder(source: TokenizerSource) -> tuple[Encoder | None, str]:
    """The encoder that reads by this tokenizer, or why there is none that reads texts."""
    try:
        encoder = load_encoder(source.model, source.revision, part=source.part)
        _ = encoder.text  # LabError for an encoder of images
    except LabError as error:
        return None, str(error)
    return encoder, ""
