"""Past key values: what a decoder keeps of each layer so as not to compute it again for the next token.

They are no hidden states: each layer's attention makes keys and values of the hidden state that it is given, one pair
for the text so far (self-attention) and one for the encoder's states (cross-attention), cut up by attention head.
"""

from collections.abc import Sequence

import torch

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import Encoder

Shape = tuple[int, ...]


@torch.inference_mode()
def past_shapes(encoder: Encoder, texts: Sequence[str]) -> list[dict[str, Shape]]:
    """One row per layer of a decoder: the shape of the hidden state that it puts out, and of what it keeps.

    hidden state: [batch, position, d_model]; all others: [batch, head, position, d_head]. Keys and values are alike.
    """
    if encoder.part.name != "decoder":
        raise LabError(f"model {encoder.name}: only a decoder keeps past key values. Load it with part='decoder'.")
    batch = encoder.reader.batch(encoder.reader.rows(texts))
    out = encoder.model(**{**batch.arguments, "use_cache": True}, output_hidden_states=True)
    past, states = out.past_key_values, out.decoder_hidden_states[1:]
    own, cross = past.self_attention_cache.layers, past.cross_attention_cache.layers
    return [
        {
            "hidden state": tuple(state.shape),
            "self-attention keys": tuple(s.keys.shape),
            "self-attention values": tuple(s.values.shape),
            "cross-attention keys": tuple(c.keys.shape),
            "cross-attention values": tuple(c.values.shape),
        }
        for state, s, c in zip(states, own, cross, strict=True)
    ]
