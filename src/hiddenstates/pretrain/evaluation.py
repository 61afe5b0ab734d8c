"""What was found: each system's answer to each question about views that nothing was trained on, and chosen by, too."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32, Int
from torch import Tensor
from transformers import CLIPModel, PreTrainedTokenizerFast

from hiddenstates.pretrain.clip import embed_names, embed_views
from hiddenstates.pretrain.knowledge import Knowledge
from hiddenstates.pretrain.questions import Asker, VisualQuestion
from hiddenstates.pretrain.views import Views
from hiddenstates.pretrain.vl import answer_loss, question_batch, write_answers

QUESTIONS_AT_ONCE = 256  # questions


def nearest(queries: Float32[np.ndarray, "query d"], items: Float32[np.ndarray, "item d"]) -> Int[np.ndarray, " query"]:
    """Row of the nearest item, by squared distance; -1 where several are: a tie is never found."""
    distances = (items**2).sum(1) - 2 * queries @ items.T  # query item
    best = distances.min(1, keepdims=True)
    return np.where((distances == best).sum(1) == 1, distances.argmin(1), -1)


def named_by_clip(clip: CLIPModel, tokenizer: PreTrainedTokenizerFast, knowledge: Knowledge, views: Views) -> list[str]:
    """The country, of all, whose name is nearest to each view; "" where several are."""
    countries = knowledge.world.countries
    names = embed_names(clip, tokenizer, [c.name for c in countries])
    return _codes(nearest(embed_views(clip, views.pixels), names), [c.code for c in countries])


def named_by_pixels(views: Views, known: Views) -> list[str]:
    """The country of the known picture whose pixels are nearest to each view's."""
    return _codes(nearest(views.pixels.flatten(1).numpy(), known.pixels.flatten(1).numpy()), known.codes)


def same_flag(knowledge: Knowledge, views: Views, said: Sequence[str]) -> pd.Series:
    """Whether each view's country, or one whose flag looks the same, was said."""
    classes = knowledge.world.classes
    return pd.Series([code in classes[own] for own, code in zip(views.codes, said, strict=True)], dtype=float)


def answers_by_model(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[VisualQuestion],
    features: Tensor,
    places: Tensor,
) -> list[str]:
    """What VL-T5 or VL-BART writes to each question. features: of the views that are asked about, [view box feat]."""
    written: list[str] = []
    for part in _parts(questions):
        written += write_answers(model, tokenizer, question_batch(part, tokenizer, features, places))
    return written


def answers_by_country(asker: Asker, questions: Sequence[VisualQuestion], said: Sequence[str]) -> list[str]:
    """The answer for the country that was said of the question's view; "" where none was."""
    return [asker.answer(q.kind, said[q.view]) if said[q.view] else "" for q in questions]


def right(questions: Sequence[VisualQuestion], answers: Sequence[str]) -> pd.Series:
    """Exact match with any of the accepted answers, letter by letter."""
    return pd.Series([a in q.accepted for q, a in zip(questions, answers, strict=True)], dtype=float)


@torch.inference_mode()
def mean_loss(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[VisualQuestion],
    features: Tensor,
    places: Tensor,
) -> float:
    """Mean over the questions' batches of the loss of the best answer: what learning rates are chosen by."""
    losses = [answer_loss(model, question_batch(part, tokenizer, features, places)) for part in _parts(questions)]
    return float(torch.stack(losses).mean())


def _parts(questions: Sequence[VisualQuestion]) -> list[Sequence[VisualQuestion]]:
    return [questions[i : i + QUESTIONS_AT_ONCE] for i in range(0, len(questions), QUESTIONS_AT_ONCE)]


def _codes(rows: Int[np.ndarray, " query"], codes: Sequence[str]) -> list[str]:
    return [codes[row] if row >= 0 else "" for row in rows]
