"""One vector per word: one hidden state or a combination, of one sub-token pooling."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int
from torch.nn.functional import cross_entropy

from hiddenstates.core.errors import LabError
from hiddenstates.tagging.words import POOLS

STEPS, BATCH, RATE = 300, 256, 0.02
Stacked = Float32[np.ndarray, "layer word d_model"]
Weights = Float64[np.ndarray, " layer"]


@dataclass(frozen=True)
class Feature:
    """What a tagger sees of a word.

    layers:  indices of hidden states; 0 is the embeddings
    combine: "single", "sum", "concat", or "mix": a sum with learned weights
    pool:    a sub-token pooling, a name in `POOLS`
    """

    layers: tuple[int, ...]
    combine: str
    pool: str

    @property
    def source(self) -> str:
        """The states without the pooling: `3`, or `mix(1..6)`."""
        ends = f"{self.layers[0]}..{self.layers[-1]}"
        return str(self.layers[0]) if self.combine == "single" else f"{self.combine}({ends})"

    def __str__(self) -> str:
        return f"{self.source}/{self.pool}"


def grid(n_states: int, last: int) -> list[Feature]:
    """Each state; sum and mix of all but the embeddings; sum, mix and concat of the last ones: BERT's table and more.

    Devlin et al. (2019), Table 7, has six of them, with the first piece as pooling.
    """
    if last >= n_states:
        raise LabError(f"tagging.last is {last}, but this model has {n_states - 1} layers. Choose fewer.")
    layers, final = tuple(range(1, n_states)), tuple(range(n_states - last, n_states))
    single = [((layer,), "single") for layer in range(n_states)]
    combined = [(layers, "sum"), (layers, "mix"), (final, "sum"), (final, "mix"), (final, "concat")]
    return [Feature(states, combine, pool) for states, combine in single + combined for pool in POOLS]


def combined(stacked: Stacked, combine: str, weights: Weights | None = None) -> Float32[np.ndarray, "word feature"]:
    """The vectors that the tagger sees. stacked: the feature's layers only; weights: for "mix"."""
    if combine == "concat":
        return np.concatenate(list(stacked), axis=1)
    if weights is not None:
        return np.einsum("lwd,l->wd", stacked, weights.astype(np.float32))
    return stacked.sum(axis=0)


def learn_mix(stacked: Stacked, labels: Int[np.ndarray, " word"], seed: int) -> Weights:
    """Softmax weights of the layers, learned together with a linear probe: a scalar mix (Peters et al. 2018).

    labels: the class of each word, from 0. The probe is thrown away: all features are probed in the same way later.
    """
    random = torch.Generator().manual_seed(seed)
    values, classes = torch.from_numpy(stacked / stacked.std()), torch.from_numpy(labels)
    scores = torch.zeros(len(stacked), requires_grad=True)
    probe = torch.nn.Linear(stacked.shape[2], int(labels.max()) + 1)
    torch.nn.init.zeros_(probe.weight)
    torch.nn.init.zeros_(probe.bias)
    optimizer = torch.optim.Adam([scores, *probe.parameters()], lr=RATE)
    for _ in range(STEPS):
        drawn = torch.randint(len(classes), (BATCH,), generator=random)
        mixed = torch.einsum("lwd,l->wd", values[:, drawn], scores.softmax(0))
        optimizer.zero_grad()
        cross_entropy(probe(mixed), classes[drawn]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    weights: Weights = scores.detach().softmax(0).double().numpy()
    return weights
