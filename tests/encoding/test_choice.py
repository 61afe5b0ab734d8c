import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tiny import pooled_states, save_tiny

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import parse
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.encoder import load_encoder

CHOICE = Choice(Strategy.parse("concat(3..6)/max"), "abc", {"measure": "mrr@10", "split": "dev", "score": 0.5})


def test_a_saved_choice_comes_back(tmp_path: Path) -> None:
    CHOICE.save(tmp_path / "choice")
    assert Choice.load(tmp_path / "choice") == CHOICE
    assert [path.name for path in (tmp_path / "choice").iterdir()] == ["choice.json"]
    assert json.loads((tmp_path / "choice" / "choice.json").read_text("utf-8"))["strategy"] == "concat(3..6)/max"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"strategy": "-1/mean", "fingerprint": "a"}', None])
def test_a_file_that_holds_no_choice_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "choice.json").write_text(text, "utf-8")
    with pytest.raises(LabError, match=r"choice\.json: no choice can be read .*Run the stage `strategies` again"):
        Choice.load(tmp_path)


def test_an_impossible_strategy_is_named(tmp_path: Path) -> None:
    CHOICE.save(tmp_path)
    spoilt = (tmp_path / "choice.json").read_text("utf-8").replace("concat(3..6)", "last")
    (tmp_path / "choice.json").write_text(spoilt, "utf-8")
    with pytest.raises(LabError, match="strategy 'last/max' is not understood"):
        Choice.load(tmp_path)


def whitened(written: str = "concat(0,2)/mean+white.5") -> Choice:
    """A choice that whitens, for the model of `pooled_states`."""
    strategy = parse(written)
    return Choice(strategy, "abc", {"measure": "mrr@10"}, fitted(strategy, pooled_states(40)))


@pytest.mark.parametrize(
    "written", ["concat(0,2)/mean+white.5", "concat(0,2)/mean+ln+each.5", "-1/first+each1+white.2"]
)
def test_a_choice_comes_back_with_its_whitening(tmp_path: Path, written: str) -> None:
    whitened(written).save(tmp_path)
    back, states = Choice.load(tmp_path), pooled_states(5, seed=1)
    assert_array_equal(back.embed(states).vectors, whitened(written).embed(states).vectors)
    assert str(back.strategy) == written
    assert (back.fingerprint, back.evidence) == ("abc", {"measure": "mrr@10"})


def test_a_choice_embeds_by_its_strategy_and_its_whitening() -> None:
    states = pooled_states(5, seed=1)
    embedded, whitening = whitened().embed(states), whitened().whitening
    assert whitening is not None
    assert embedded.fingerprint == f"abc+{whitening.fingerprint}"
    combined = states.embed(Strategy.parse("concat(0,2)/mean+raw")).vectors
    expected = whitening.of(whitened().strategy).apply(combined)
    np.testing.assert_allclose(
        embedded.vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5, atol=1e-6
    )


def test_a_choice_encodes_texts_as_it_embeds_their_states(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path)))
    texts = ["the capital of france", "red flag"]
    choice = Choice(Strategy.parse("sum(1*0.3,2*0.7)/mean"), encoder.fingerprint, {})
    encoded = choice.encode(encoder, texts)
    assert encoded.ids == ["0", "1"]
    assert_array_equal(encoded.vectors, encoder.encode(texts, choice.strategy).vectors)
    with pytest.raises(LabError, match=rf"choice: made for model abc, these states are of {encoder.fingerprint}\. Run"):
        replace(choice, fingerprint="abc").encode(encoder, texts)


def test_another_whitening_than_the_one_described_is_refused(tmp_path: Path) -> None:
    whitened().save(tmp_path)
    fitted(whitened().strategy, pooled_states(9)).save(tmp_path / "whitening.safetensors")
    with pytest.raises(LabError, match=r"whitening\.safetensors is not the file that choice\.json describes\. Run"):
        Choice.load(tmp_path)
    (tmp_path / "whitening.safetensors").unlink()
    with pytest.raises(LabError, match=r"choice\.json: no choice can be read from it .*whitening\.safetensors"):
        Choice.load(tmp_path)


def test_a_joined_choice_comes_back_with_the_weight_of_its_words(tmp_path: Path) -> None:
    choice = replace(whitened("0.3*2/mean & 0.7*concat(0,2)/first+ln+each.5"), weight=0.8)
    choice.save(tmp_path)
    back, states = Choice.load(tmp_path), pooled_states(5, seed=1)
    assert (back.strategy, back.weight) == (choice.strategy, 0.8)
    assert str(back.system) == "0.8*(0.3*2/mean & 0.7*concat(0,2)/first+ln+each.5) & 0.2*bm25"
    assert_array_equal(back.embed(states).vectors, choice.embed(states).vectors)
    assert CHOICE.system == CHOICE.strategy
