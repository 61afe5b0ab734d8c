"""Small VL-T5 and VL-BART: one size, one diet of visual questions and text with holes, one way of tuning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from hiddenstates.core.params import Pretrain
from hiddenstates.multimodal import (
    VLBartConfig,
    VLBartForConditionalGeneration,
    VLT5Config,
    VLT5ForConditionalGeneration,
)
from hiddenstates.pretrain import denoising
from hiddenstates.pretrain.denoising import Example
from hiddenstates.pretrain.questions import VisualQuestion, one_of_each_view
from hiddenstates.pretrain.training import ATTENTION, Course
from hiddenstates.tokenizing.training import EXTRA_IDS

IGNORED = -100  # a label that no loss counts
HEAD = 16  # dimensions of an attention head
DROPOUT = 0.0  # so few steps underfit, and drawing its masks would take a fifth of the time
CROP = 40  # tokens of a passage that are restored at once
LONGEST_ANSWER = 12  # tokens

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Kind:
    """What tells VL-T5 and VL-BART apart here.

    tokenizer: in `tokenizing.training.TOKENIZERS`
    make:      a model with random weights
    corrupt:   how text gets its holes
    """

    tokenizer: str
    make: Callable[[Pretrain, PreTrainedTokenizerFast], Any]
    corrupt: Callable[[Sequence[int], PreTrainedTokenizerFast, np.random.Generator], Example]


def _vlt5(params: Pretrain, tokenizer: PreTrainedTokenizerFast) -> Any:
    size = params.vl
    config = VLT5Config(
        vocab_size=len(tokenizer),
        d_model=size.width,
        d_kv=HEAD,
        d_ff=2 * size.width,
        num_layers=size.layers,
        num_decoder_layers=size.layers,
        num_heads=size.width // HEAD,
        dropout_rate=DROPOUT,
        feat_dim=params.clip.width,
    )
    return VLT5ForConditionalGeneration(config)


def _vlbart(params: Pretrain, tokenizer: PreTrainedTokenizerFast) -> Any:
    size = params.vl
    tower: dict[str, Any] = {"attention_heads": size.width // HEAD, "ffn_dim": 2 * size.width}
    config = VLBartConfig(
        vocab_size=len(tokenizer),
        d_model=size.width,
        max_position_embeddings=tokenizer.model_max_length,
        dropout=DROPOUT,
        init_std=0.02 * (768 / size.width) ** 0.5,  # as wide a spread at this width as BART-base has at its own
        feat_dim=params.clip.width,
        default_obj_order_ids=[tokenizer.vocab[f"<vis_extra_id_{k}>"] for k in range(EXTRA_IDS)],
        encoder_layers=size.layers,
        decoder_layers=size.layers,
        **{f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in tower.items()},
    )
    return VLBartForConditionalGeneration(config)


KINDS = {
    "vlt5": Kind("t5", _vlt5, denoising.t5_spans),
    "vlbart": Kind("bart", _vlbart, denoising.bart_infilling),
}


def make_vl(name: str, params: Pretrain, tokenizer: PreTrainedTokenizerFast) -> Any:
    """Random weights, the same ones for the same parameters."""
    with torch.random.fork_rng():
        torch.manual_seed(params.seed)
        model = KINDS[name].make(params, tokenizer).eval()
    model.set_attn_implementation(ATTENTION)
    return model


@dataclass(frozen=True)
class Diet:
    """What one model is fed.

    features: of the train views' boxes; places: of the boxes
    """

    name: str
    tokenizer: PreTrainedTokenizerFast
    questions: Sequence[VisualQuestion]
    features: Float[Tensor, "view box feat_dim"]
    places: Float[Tensor, "box 4"]
    texts: Sequence[str]
    params: Pretrain

    def course(self, run: str, epochs: int, rate: float) -> Course[Any, Batch]:
        return Course(run, epochs, rate, self.params.seed, self.epoch, answer_loss)

    def epoch(self, random: np.random.Generator) -> list[Batch]:
        """One question of each view, and some passages, their batches in random order."""
        asked = one_of_each_view(self.questions, random)
        size = self.params.vl.batch
        batches = [
            question_batch(asked[i : i + size], self.tokenizer, self.features, self.places)
            for i in range(0, len(asked), size)
        ]
        drawn = random.choice(len(self.texts), min(self.params.vl.passages, len(self.texts)), replace=False)
        batches += [self._passages(part, random) for part in np.array_split(drawn, -(-2 * len(drawn) // size))]
        return [batches[i] for i in random.permutation(len(batches))]

    def _passages(self, rows: Int[np.ndarray, " row"], random: np.random.Generator) -> Batch:
        texts = self.tokenizer([self.texts[i] for i in rows], add_special_tokens=False)["input_ids"]
        corrupt = KINDS[self.name].corrupt
        examples = [corrupt(_cropped(ids, random), self.tokenizer, random) for ids in texts]
        return _padded(examples, self.tokenizer)


def question_batch(
    questions: Sequence[VisualQuestion],
    tokenizer: PreTrainedTokenizerFast,
    features: Float[Tensor, "view box feat_dim"],
    places: Float[Tensor, "box 4"],
) -> dict[str, Tensor]:
    """Questions, their answers as labels, and the boxes of their views."""
    batch = _padded([(_ids(tokenizer, q.text), _ids(tokenizer, q.answer)) for q in questions], tokenizer)
    boxes = features[[q.view for q in questions]]  # batch box feat_dim
    return batch | {"vis_feats": boxes, "vis_pos": places.expand(len(boxes), -1, -1)}


def answer_loss(model: Any, batch: Batch) -> Tensor:
    """Cross-entropy of the target's tokens."""
    loss: Tensor = model(**batch).loss
    return loss


@torch.inference_mode()
def write_answers(model: Any, tokenizer: PreTrainedTokenizerFast, batch: Batch) -> list[str]:
    """The answers that the model writes, the likeliest token at each step."""
    asked = {key: value for key, value in batch.items() if key != "labels"}
    ids = model.generate(**asked, max_new_tokens=LONGEST_ANSWER, do_sample=False, num_beams=1)
    return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]


@cache
def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """The same few wordings and answers come in every epoch."""
    ids: list[int] = tokenizer(text)["input_ids"]
    return ids


def _cropped(ids: Sequence[int], random: np.random.Generator) -> Sequence[int]:
    start = int(random.integers(max(1, len(ids) - CROP + 1)))
    return ids[start : start + CROP]


def _padded(examples: Sequence[Example], tokenizer: PreTrainedTokenizerFast) -> dict[str, Tensor]:
    sources, targets = ([torch.tensor(ids) for ids in side] for side in zip(*examples, strict=True))
    ids = pad_sequence(sources, batch_first=True, padding_value=tokenizer.pad_token_id)
    labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    mask = pad_sequence([torch.ones_like(one) for one in sources], batch_first=True)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
