"""One input's hidden states, pooled in every way: quick, and without a progress bar."""

from collections.abc import Iterable

import torch

from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.pooled import PooledStates
from hiddenstates.encoding.pooling import get_pooling
from hiddenstates.encoding.readers import Input


@torch.inference_mode()
def read(encoder: Encoder, given: Input, poolings: Iterable[str], name: str) -> PooledStates:
    """What `encoder.pool` makes of this one input, under this name."""
    states = encoder.states([given])
    values = {pooling: get_pooling(pooling)(states).float().numpy() for pooling in poolings}
    return PooledStates([name], values, states.state_map, encoder.fingerprint)
