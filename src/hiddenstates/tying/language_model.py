"""A word-level LSTM language model, its output embedding tied to its input embedding or not (Press & Wolf 2017).

Like the small model of that paper it has no dropout, so that nothing random is left in it but where it begins.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from hiddenstates.core.params import Tying
from hiddenstates.tying.words import Ids, Words

BATCH, STEPS = 20, 35  # streams side by side and words between two updates, as in the paper
CLIP = 5.0
RANGE = 0.1
Table = Float[Tensor, "word width"]
State = tuple[Tensor, Tensor]


class LanguageModel(nn.Module):
    """Embedding, LSTM, softmax over the vocabulary; tied, the softmax's matrix is the embedding's own Parameter.

    A tied and an untied model of one seed begin alike in all else.
    """

    def __init__(self, n_words: int, params: Tying, tied: bool, seed: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_words, params.width)
        self.lstm = nn.LSTM(params.width, params.width)
        self.head = nn.Linear(params.width, n_words)
        random = torch.Generator().manual_seed(seed)  # its own: models are made side by side
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -RANGE, RANGE, generator=random)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(
        self, words: Int64[Tensor, "step batch"], state: State | None = None
    ) -> tuple[Float[Tensor, "step batch vocabulary"], State]:
        """Logits of each next word, and the LSTM's state after the last step."""
        hidden, state = self.lstm(self.embedding(words), state)  # [step, batch, width]
        return self.head(hidden), state

    @property
    def n_parameters(self) -> int:
        """Each Parameter once, however many places hold it."""
        return sum(parameter.numel() for parameter in self.parameters())


@dataclass(frozen=True)
class Trained:
    """A model at its best epoch on dev. Perplexities are per word, `<eos>` included.

    epoch: the best one, from 1
    """

    model: LanguageModel
    epoch: int
    dev: float
    test: float


def train(words: Words, params: Tying, tied: bool, seed: int) -> Trained:
    """Train for `params.epochs` and keep the epoch with the lowest perplexity on dev; only that one sees test."""
    model = LanguageModel(len(words.vocabulary), params, tied, seed)
    optimizer = torch.optim.Adam(model.parameters(), params.learning_rate)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1 / params.epochs, total_iters=params.epochs)
    best, epoch, kept = float("inf"), 0, model.state_dict()
    for number in range(1, params.epochs + 1):
        _epoch(model, optimizer, words.streams["train"])
        slower.step()
        dev = perplexity(model, words.streams["dev"])
        if dev < best:
            best, epoch, kept = dev, number, deepcopy(model.state_dict())
    model.load_state_dict(kept)
    return Trained(model, epoch, best, perplexity(model, words.streams["test"]))


@torch.no_grad()
def perplexity(model: LanguageModel, stream: Ids) -> float:
    """exp of the mean cross-entropy per word, the state carried through the stream."""
    model.eval()
    state, total, n = None, 0.0, 0
    for words, following in _chunks(stream):
        logits, state = model(words, state)
        total += float(F.cross_entropy(logits.flatten(0, 1), following.flatten(), reduction="sum"))
        n += following.numel()
    return float(torch.tensor(total / n, dtype=torch.float64).exp())


def _epoch(model: LanguageModel, optimizer: torch.optim.Optimizer, stream: Ids) -> None:
    model.train()
    state = None
    for words, following in _chunks(stream):
        if state is not None:  # gradients stop where a chunk begins
            state = (state[0].detach(), state[1].detach())
        logits, state = model(words, state)
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), following.flatten()).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()


def _chunks(stream: Ids) -> Iterator[tuple[Int64[Tensor, "step batch"], Int64[Tensor, "step batch"]]]:
    """The stream cut into `BATCH` equal columns, `STEPS` words at a time, each with the words that follow."""
    batch = min(BATCH, len(stream) // 2)
    columns = stream[: len(stream) // batch * batch].view(batch, -1).T  # [step, batch]
    for first in range(0, len(columns) - 1, STEPS):
        following = columns[first + 1 : first + 1 + STEPS]
        yield columns[first : first + len(following)], following
