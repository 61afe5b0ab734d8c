"""What leaving the attention mask out does to embeddings: measured, not believed."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from hiddenstates.encoding.embeddings.pooling import HiddenStates, get_pooling
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.readers import padded

PLACES = ("nowhere", "the pooling", "the model", "both")


def without_mask(encoder: Encoder, texts: Sequence[str], poolings: Sequence[str]) -> pd.DataFrame:
    """The cosine between the last state's embedding alone and in one padded batch, with no mask in some place.

    One row per pooling and text; columns: `PLACES`, where the mask is left out. The batch is padded on the right to the
    longest text, whose own row stays whole and is left away.
    """
    rows = encoder.tokenize(texts)
    ids, mask = padded(rows, encoder.tokenizer.pad_token_id)
    masked, read = encoder.states_of(ids, mask), encoder.states_of(ids, torch.ones_like(mask))
    shorter = ~mask.all(1)
    states = {
        "nowhere": masked,
        "the pooling": replace(masked, mask=read.mask, eos=masked.eos),
        "the model": replace(read, mask=mask, eos=masked.eos),
        "both": replace(read, eos=masked.eos),
    }
    alone = [encoder.states([text]) for text in texts]
    found = {name: _cosines(name, states, alone, shorter) for name in poolings}
    return pd.concat(found, names=["pooling", "text"])


def _cosines(name: str, states: dict[str, HiddenStates], alone: list[HiddenStates], chosen: Tensor) -> pd.DataFrame:
    pool = get_pooling(name)
    truth = torch.cat([pool(one)[-1] for one in alone])  # [batch, d_model]
    columns = {place: cosine_similarity(pool(made)[-1], truth)[chosen] for place, made in states.items()}
    return pd.DataFrame({place: column.double().numpy() for place, column in columns.items()})
