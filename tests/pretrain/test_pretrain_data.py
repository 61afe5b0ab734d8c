"""What is trained on: splits, views, questions, and text with holes."""

import io
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from tasks import task_of

from hiddenstates.core.params import Pretrain, SmallCLIP, ViewCounts
from hiddenstates.corpora.countries.views import make_view
from hiddenstates.pretrain.denoising import bart_infilling, t5_spans
from hiddenstates.pretrain.knowledge import Knowledge, read_knowledge
from hiddenstates.pretrain.questions import KINDS, Asker, one_of_each_view
from hiddenstates.pretrain.views import draw_views, flags, image_processor
from hiddenstates.tokenizing.training import train_tokenizer

PARAMS = Pretrain(countries=40, cities=30, views=ViewCounts(train=2, dev=1, test=1), clip=SmallCLIP(image_size=16))
NUMBERS = list(range(300, 340))


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return read_knowledge(task_of([]), PARAMS)


def test_what_the_task_asks_on_dev_or_test_is_held_out() -> None:
    rows = [("country/DE", "train"), ("country/FR", "test"), ("country/IT", "train"), ("country/IT", "dev")]
    splits = read_knowledge(task_of(rows), PARAMS).splits
    assert [splits[f"country/{code}"] for code in ("DE", "FR", "IT")] == ["train", "test", "dev"]


def test_countries_whose_flags_look_the_same_are_held_out_together() -> None:
    """Indonesia's and Monaco's; Colombia's and Ecuador's: whatever split a draw would give the one not asked about."""
    for split in ("dev", "test"):
        found = read_knowledge(
            task_of([("country/EC", split), ("country/CO", "train")]), PARAMS.model_copy(update={"countries": 80})
        )
        assert found.splits["country/CO"] == found.splits["country/EC"] == split


def test_no_passage_of_what_is_held_out_is_trained_on() -> None:
    everywhere = read_knowledge(task_of([]), PARAMS)
    first = everywhere.countries("train")[0]
    without = read_knowledge(task_of([(first.entity, "test")]), PARAMS)
    gone = set(everywhere.train_texts) - set(without.train_texts)
    own = {f"{r['title']} {r['text']}" for r in everywhere.world.passages if r["entity"] == first.entity}
    assert own <= gone
    cities = [c for c in everywhere.world.cities if c.country == first.code]
    assert not any(text.startswith(f"{c.name} {c.name} is") for c in cities for text in without.train_texts)
    assert set(without.train_texts) < set(without.texts)


def test_no_view_is_drawn_twice_and_held_out_countries_are_new(knowledge: Knowledge) -> None:
    views = draw_views(knowledge, PARAMS)
    ours = {c.code for c in knowledge.countries("train")}
    assert {name: len(v) for name, v in views.items()} == {
        "train": 2 * len(ours),
        "dev": len(ours),
        "held_out": len(ours),
        "new": 40 - len(ours),
    }
    assert set(views["train"].codes) == set(views["held_out"].codes) == ours
    assert ours.isdisjoint(views["new"].codes)
    pictures = [p.numpy().tobytes() for v in views.values() for p in v.pixels]
    assert len(set(pictures)) == len(pictures)


def test_a_view_from_a_file_comes_to_the_same_pixels() -> None:
    """What later stages read from disk is what the towers were trained on."""
    flag = Image.new("RGBA", (16, 11), (200, 30, 90, 255))
    large, small = (make_view(flag, np.random.default_rng(3), size) for size in (64, 16))
    buffer = io.BytesIO()
    large.save(buffer, "PNG")
    read = image_processor(PARAMS)(images=[Image.open(buffer)], return_tensors="pt")["pixel_values"]
    expected = (torch.from_numpy(np.asarray(small)).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.25
    torch.testing.assert_close(read, expected, atol=1e-5, rtol=0)


def test_clean_flags_come_at_a_views_size(knowledge: Knowledge) -> None:
    assert flags(knowledge.world.countries[:3], PARAMS).pixels.shape == (3, 3, 16, 16)


def test_no_question_names_the_country_and_each_accepts_its_answer(knowledge: Knowledge) -> None:
    views = draw_views(knowledge, PARAMS)["train"]
    questions = Asker(knowledge).ask(views, seed=0)
    assert {q.kind for q in questions} == set(KINDS)
    names = [c.name.lower() for c in knowledge.world.countries]
    assert not any(name in q.text.lower() for q in questions for name in names)
    assert all(q.answer in q.accepted for q in questions)
    assert all(views.codes[q.view] == q.code for q in questions)
    assert not any(
        knowledge.world.classes[q.code] == (q.code,) and q.kind == "country" and len(q.accepted) > 1 for q in questions
    )


def test_one_question_of_each_view(knowledge: Knowledge) -> None:
    questions = Asker(knowledge).ask(draw_views(knowledge, PARAMS)["train"], seed=0)
    drawn = one_of_each_view(questions, np.random.default_rng(0))
    assert sorted(q.view for q in drawn) == sorted({q.view for q in questions})
    assert len({q.kind for q in drawn}) > 1


def test_the_majority_answer_is_right_most_often(knowledge: Knowledge) -> None:
    codes = ["DE", "FR", "IT", "JP"]  # Europe 3, euro 3, and one language each
    majority = Asker(knowledge).majority(codes)
    assert (majority["continent"], majority["currency"]) == ("Europe", "euro")


@pytest.mark.parametrize("seed", range(5))
def test_t5s_spans_put_back_in_their_places_give_the_text(seed: int) -> None:
    tokenizer = train_tokenizer("t5", ["a few words to train on"], 600)
    source, target = t5_spans(NUMBERS, tokenizer, np.random.default_rng(seed))
    sentinels = {tokenizer.vocab[f"<extra_id_{k}>"] for k in range(100)}
    spans: dict[int, list[int]] = {}
    for id in target[:-1]:
        spans.setdefault(id, []) if id in sentinels else spans[list(spans)[-1]].append(id)
    restored = [id for token in source[:-1] for id in spans.get(token, [token])]
    assert restored == NUMBERS
    assert sum(map(len, spans.values())) == 6  # 15% of 40
    assert source[-1] == target[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("seed", range(5))
def test_barts_holes_leave_the_rest_in_order(seed: int) -> None:
    tokenizer = train_tokenizer("bart", ["a few words to train on"], 600)
    source, target = bart_infilling(NUMBERS, tokenizer, np.random.default_rng(seed))
    assert target == [0, *NUMBERS, 2]
    kept = [id for id in source[1:-1] if id != tokenizer.mask_token_id]
    assert kept == sorted(kept)
    assert 40 - len(kept) >= 12  # 30% of 40
    assert all(pair != (4, 4) for pair in pairwise(source))  # a span has one mask


@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_shortest_texts_can_be_corrupted(length: int) -> None:
    for kind, corrupt in {"t5": t5_spans, "bart": bart_infilling}.items():
        tokenizer = train_tokenizer(kind, ["a few words to train on"], 600)
        source, target = corrupt(NUMBERS[:length], tokenizer, np.random.default_rng(0))
        assert source[-1] == target[-1] == tokenizer.eos_token_id
