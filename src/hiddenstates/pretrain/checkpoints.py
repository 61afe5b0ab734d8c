"""Epoch 0 and epoch N of each model: trained, chosen, and saved as folders that transformers loads."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import CLIPImageProcessorPil, CLIPVisionModel, PreTrainedTokenizerFast

from hiddenstates.pretrain.clip import Pairs, make_clip
from hiddenstates.pretrain.evaluation import mean_loss
from hiddenstates.pretrain.progress import Progress
from hiddenstates.pretrain.questions import VisualQuestion
from hiddenstates.pretrain.training import train
from hiddenstates.pretrain.vl import Diet, make_vl


@dataclass(frozen=True)
class Checkpoints:
    """One model before its first epoch and after its last.

    name:   of its folder
    losses: the mean training loss of each epoch
    rate:   of learning, at its highest
    tuning: rate -> loss on dev after the tuning epochs, where rates were tried
    """

    name: str
    untrained: Any
    trained: Any
    tokenizer: PreTrainedTokenizerFast
    losses: list[float]
    rate: float
    tuning: Mapping[float, float]

    @property
    def states(self) -> dict[str, Any]:
        """The two models, by the names of their folders."""
        return {"untrained": self.untrained, "trained": self.trained}

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.trained.parameters())

    def save(self, folder: Path, processor: CLIPImageProcessorPil, vision: CLIPVisionModel | None = None) -> None:
        """Write <folder>/<name>/untrained and …/trained, each complete in itself.

        vision: what makes the boxes of a model that reads them; it goes into their subfolder `vision`
        """
        self.tokenizer.backend_tokenizer.no_padding()  # else its file says how it was last called
        self.tokenizer.backend_tokenizer.no_truncation()
        for state, model in self.states.items():
            into = folder / self.name / state
            model.save_pretrained(into)
            self.tokenizer.save_pretrained(into)
            if vision is not None:
                vision.save_pretrained(into / "vision")
            processor.save_pretrained(into if vision is None else into / "vision")


def train_clip(pairs: Pairs, progress: Progress) -> Checkpoints:
    """CLIP on the train views and their countries' names, and on made-up flags."""
    untrained = make_clip(pairs.params, pairs.tokenizer)
    trained = deepcopy(untrained)
    losses = train(trained, pairs.course(), progress)
    return Checkpoints("clip", untrained, trained, pairs.tokenizer, losses, pairs.params.clip.rate, {})


def train_vl(diet: Diet, dev: list[VisualQuestion], dev_features: Any, progress: Progress) -> Checkpoints:
    """VL-T5 or VL-BART, at the rate that did best on the dev views in a short run of its own."""
    params, name = diet.params, diet.name
    untrained = make_vl(name, params, diet.tokenizer)
    tuning = {}
    for rate in params.vl.rates:
        tried = deepcopy(untrained)
        train(tried, diet.course(f"{name} at {rate:g}", params.vl.tuning_epochs, rate), progress)
        tuning[rate] = mean_loss(tried, diet.tokenizer, dev, dev_features, diet.places)
    rate = min(tuning, key=tuning.__getitem__)
    trained = deepcopy(untrained)
    losses = train(trained, diet.course(name, params.epochs, rate), progress)
    return Checkpoints(name, untrained, trained, diet.tokenizer, losses, rate, tuning)
