from pathlib import Path

import pytest
from tiny import save_tiny

from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inspection.unmasked import PLACES, without_mask

POOLINGS = ["first", "last", "mean", "max", "eos"]
SAME = 1 - 5e-6
TEXTS = ["the capital of france is paris", "rome", "the river"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("model"))))


def test_with_the_mask_padding_changes_nothing(encoder: Encoder) -> None:
    table = without_mask(encoder, TEXTS, POOLINGS)
    assert list(table.columns) == list(PLACES)
    assert (table["nowhere"] > SAME).all()


def test_each_pooling_suffers_where_it_reads_padding(encoder: Encoder) -> None:
    worst = without_mask(encoder, TEXTS, POOLINGS).groupby("pooling").min()
    assert (worst["the model"] < SAME).all()
    assert (worst["the pooling"] < SAME).to_dict() == {
        "first": False,
        "eos": False,
        "last": True,
        "mean": True,
        "max": True,
    }
    assert (worst["both"] < SAME).all()


def test_the_longest_text_has_no_padding_and_is_left_away(encoder: Encoder) -> None:
    assert len(without_mask(encoder, TEXTS, ["mean"])) == 2
    assert len(without_mask(encoder, ["paris", "rome"], ["mean"])) == 0


def test_a_causal_model_does_not_mind_padding_behind_the_text(tmp_path: Path) -> None:
    clip = load_encoder(str(save_tiny(tmp_path, "clip_text_model")))
    table = without_mask(clip, TEXTS, ["first", "mean"])
    assert (table["the model"] > SAME).all()
    assert table["both"].min() < SAME
