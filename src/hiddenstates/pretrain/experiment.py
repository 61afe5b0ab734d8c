"""The whole experiment: tokenizers, views, CLIP, its boxes, then VL-T5 and VL-BART; each made once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jaxtyping import Float
from torch import Tensor
from transformers import CLIPVisionModel

from hiddenstates.core.params import Pretrain
from hiddenstates.core.threads import one_thread
from hiddenstates.encoding.models.boxes import GridBoxes
from hiddenstates.images.seen import write_learned
from hiddenstates.pretrain import evaluation
from hiddenstates.pretrain.checkpoints import Checkpoints, train_clip, train_vl
from hiddenstates.pretrain.clip import Pairs, grid_features, vision_tower
from hiddenstates.pretrain.knowledge import Knowledge
from hiddenstates.pretrain.progress import Progress
from hiddenstates.pretrain.questions import Asker, VisualQuestion
from hiddenstates.pretrain.side_by_side import side_by_side
from hiddenstates.pretrain.views import Views, draw_views, flags, image_processor, made_up_views
from hiddenstates.pretrain.vl import KINDS, Diet
from hiddenstates.tokenizing.training import TOKENIZERS, train_tokenizer


@dataclass(frozen=True)
class Experiment:
    """What was trained, and what it is asked.

    views, questions, features: by the names in `draw_views`
    places: of the boxes, the same in every view
    """

    knowledge: Knowledge
    params: Pretrain
    views: Mapping[str, Views]
    questions: Mapping[str, list[VisualQuestion]]
    clip: Checkpoints
    vision: CLIPVisionModel
    features: Mapping[str, Float[Tensor, "view box feat_dim"]]
    places: Float[Tensor, "box 4"]
    vl: Mapping[str, Checkpoints]

    @property
    def models(self) -> list[Checkpoints]:
        return [self.clip, *self.vl.values()]

    def save(self, folder: Path) -> None:
        """Write clip, vlt5 and vlbart, each with `untrained` and `trained`, and whose pictures they learned from."""
        processor = image_processor(self.params)
        self.clip.save(folder, processor)
        for made in self.vl.values():
            made.save(folder, processor, self.vision)
        write_learned([country.entity for country in self.knowledge.countries("train")], folder)

    @one_thread()
    def named(self, views: str) -> dict[str, list[str]]:
        """The country that each system says each view of a set shows: CLIP among all names, raw pixels beside."""
        shown, knowledge = self.views[views], self.knowledge
        said = {
            f"clip {state}": evaluation.named_by_clip(clip, self.clip.tokenizer, knowledge, shown)
            for state, clip in self.clip.states.items()
        }
        return said | {
            "pixels, nearest view": evaluation.named_by_pixels(shown, self.views["train"]),
            "pixels, nearest flag": evaluation.named_by_pixels(shown, flags(knowledge.world.countries, self.params)),
        }

    @one_thread()
    def answered(self, views: str) -> dict[str, list[str]]:
        """What each system answers to each question about a set of views."""
        questions, asker = self.questions[views], Asker(self.knowledge)
        answers = {
            f"{made.name} {state}": evaluation.answers_by_model(
                model, made.tokenizer, questions, self.features[views], self.places
            )
            for made in self.vl.values()
            for state, model in made.states.items()
        }
        majority = asker.majority([c.code for c in self.knowledge.countries("train")])
        said = self.named(views)
        return answers | {
            "majority": [majority[q.kind] for q in questions],
            "pixels, nearest view": evaluation.answers_by_country(asker, questions, said["pixels, nearest view"]),
            "clip trained, then its country's": evaluation.answers_by_country(asker, questions, said["clip trained"]),
        }

    def names_found(self, views: str) -> dict[str, pd.Series]:
        """`named`, right (1) or wrong (0): a flag that looks the same is right."""
        shown = self.views[views]
        return {name: evaluation.same_flag(self.knowledge, shown, said) for name, said in self.named(views).items()}

    def entities(self, views: str) -> list[str]:
        """Whose flags the views of a set show, one a view: what looks the same is one."""
        return [self.knowledge.world.classes[code][0] for code in self.views[views].codes]

    def asked_about(self, views: str) -> list[str]:
        """The same, one a question."""
        entities = self.entities(views)
        return [entities[question.view] for question in self.questions[views]]


@one_thread()
def run_experiment(knowledge: Knowledge, params: Pretrain, progress: Progress) -> Experiment:
    """Make everything, and go on from `progress` where a run was killed."""
    tokenizers = {kind: train_tokenizer(kind, knowledge.texts, params.pieces) for kind in TOKENIZERS}
    views = draw_views(knowledge, params)
    questions = {name: Asker(knowledge).ask(some, params.seed) for name, some in views.items()}
    clip = train_clip(Pairs(knowledge, tokenizers["clip"], views["train"], made_up_views(params), params), progress)
    vision = vision_tower(clip.trained)
    features = {name: grid_features(vision, some.pixels) for name, some in views.items()}
    places = GridBoxes(vision, image_processor(params)).places()
    texts = knowledge.train_texts
    diets = [
        Diet(name, tokenizers[kind.tokenizer], questions["train"], features["train"], places, texts, params)
        for name, kind in KINDS.items()
    ]
    trained = side_by_side(train_vl, [(diet, questions["dev"], features["dev"], progress) for diet in diets])
    vl = {made.name: made for made in trained}
    return Experiment(knowledge, params, views, questions, clip, vision, features, places, vl)
