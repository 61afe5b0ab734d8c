"""Model types of every kind through `load_encoder`, from a saved folder: small, with random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose
from tiny import save_image
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.embeddings.pooling import POOLINGS
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.forward import examining
from hiddenstates.encoding.inputs.readers import Row, TextReader
from hiddenstates.encoding.inspection.kinds import KINDS, shown_kinds
from hiddenstates.encoding.inspection.small import save_small

TEXTS = ["the flag of bern is red", "a", "bern"]
BY_LENGTH = ("fnet", "convbert")
CAUSAL = ("gpt2", "gpt_neox", "llama", "qwen3", "opt", "mamba", "bloom")
BOTH_WAYS = ("roberta", "electra", "albert", "deberta-v2", "modernbert", "xlm-roberta", *BY_LENGTH, "longformer")
HALVES = (
    ("mbart", "encoder"),
    ("pegasus", "decoder"),
    ("m2m_100", "encoder"),
    ("umt5", "encoder"),
    ("fsmt", "encoder"),
)
VISION = {"vit": True, "dinov2": True, "siglip_vision_model": False, "beit": True}
TOWERS = (("siglip", "text"), ("siglip", "vision"), ("blip", "text"), ("chinese_clip", "vision"))
INSIDE = {"fsmt": [0, 1, 2, 3], "opt": [0], "pegasus": [0], "m2m_100": [0], "longformer": [0, 1, 2, 3]}
"""States that no module puts out."""

TYPES = [(kind, None) for kind in (*CAUSAL, *BOTH_WAYS)] + [*HALVES, *((kind, None) for kind in VISION), *TOWERS]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Of each type the folder of a small model, made when it is first asked for."""
    root, made = tmp_path_factory.mktemp("types"), {}

    def folder(model_type: str) -> Path:
        if model_type not in made:
            made[model_type] = save_small(root / model_type, model_type)
        return made[model_type]

    return folder


@pytest.mark.parametrize(("kind", "part"), TYPES)
def test_a_type_is_read_as_it_is(folders: Callable[[str], Path], tmp_path: Path, kind: str, part: str | None) -> None:
    encoder = load_encoder(str(folders(kind)), part=part)
    inputs: list[Any] = list(TEXTS)
    if not encoder.reads_text:
        inputs = [save_image(tmp_path / f"{i}.png", seed=i) for i in range(3)]
    assert [i for i, state in enumerate(encoder.state_map) if not state.traced] == INSIDE.get(kind, [])
    assert encoder.seen.pads is (kind not in BY_LENGTH)
    if part is None:
        assert encoder.seen.causal is (None if kind in VISION else kind in CAUSAL)
    assert encoder.seen.class_token is VISION.get(kind, kind == "chinese_clip")
    alone_is_padded(encoder, inputs)


def alone_is_padded(encoder: Encoder, inputs: list[Any]) -> None:
    """In one batch and streamed, in every layer and under every pooling that makes sense."""
    together = encoder.states(inputs)
    streamed = encoder.pool(list("abc"), inputs, encoder.poolings).values
    for i, item in enumerate(inputs):
        alone = encoder.states([item])
        for pooling in encoder.poolings:
            expected = POOLINGS[pooling](alone)[:, 0]
            for found in (POOLINGS[pooling](together)[:, i], streamed[pooling][:, i]):
                scale = float(expected.abs().max())
                assert_allclose(found, expected, rtol=0, atol=1e-4 * scale, err_msg=f"{pooling} of {item}")


def test_the_kinds_that_the_notebook_shows_are_of_their_kind() -> None:
    table = shown_kinds()
    assert list(table.index) == list(KINDS)
    norms, causal = table["its norm"], table["causal"]
    assert norms["post-norm"] == "encoder.layer.2.output.LayerNorm"
    assert norms["pre-norm, a final norm in the last state"] == "final_norm"
    assert norms["pre-norm, no final norm in the states"] == "none"
    assert table["last state"]["shared layers"] == table["state 1"]["shared layers"]
    assert causal["causal"] == "yes"
    assert causal["post-norm"] == "no"
    assert table["poolings"]["vision with a class token"] == "first, patches, mean, max"
    assert table["poolings"]["vision without"] == "mean, max"


def test_padding_that_is_read_as_text_is_found(folders: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutation: the mask does not reach the model. Then rows are batched by length, and the states stay right."""
    expected = POOLINGS["mean"](load_encoder(str(folders("roberta"))).states(TEXTS))
    real = TextReader.batch

    def unmasked(reader: TextReader, rows: list[Row]) -> Any:
        batch = real(reader, rows)
        arguments: dict[str, Any] = {**batch.arguments, "attention_mask": torch.ones_like(batch.mask).long()}
        return type(batch)(arguments, batch.mask, batch.eos)

    monkeypatch.setattr(TextReader, "batch", unmasked)
    blind = load_encoder(str(folders("roberta")))
    assert not blind.seen.pads
    assert blind.notes == ["Padding shows in its states, so only rows of equal length share a batch."]
    assert_allclose(POOLINGS["mean"](blind.states(TEXTS)), expected, rtol=1e-4, atol=1e-5)


class Mixing(torch.nn.Module):
    """What makes of each row something of the whole batch."""

    def forward(self, states: Tensor) -> Tensor:
        return states - states.mean(0, keepdim=True)


class Drawing(torch.nn.Module):
    """What adds something random, also when it should not."""

    def forward(self, states: Tensor) -> Tensor:
        return states + torch.randn_like(states)


@pytest.mark.parametrize(
    ("spoiler", "message"),
    [
        (Mixing(), "what it makes of one input depends on those beside it in the batch"),
        (Drawing(), "it puts out other states each time, of the same input"),
    ],
)
def test_what_cannot_be_relied_on_is_refused(
    folders: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, spoiler: torch.nn.Module, message: str
) -> None:
    real = examining.hidden_states

    def spoilt(*arguments: Any) -> tuple[Tensor, ...]:
        return tuple(spoiler(state) for state in real(*arguments))

    monkeypatch.setattr(examining, "hidden_states", spoilt)
    with pytest.raises(LabError, match=message):
        load_encoder(str(folders("roberta")))


def test_a_map_that_is_shifted_is_found(folders: Callable[[str], Path]) -> None:
    """A mutation: the states come in another order than the modules. The trace follows the states, not the modules."""
    encoder = load_encoder(str(folders("roberta")))
    values = encoder.states(["bern"]).values
    outputs: dict[str, Tensor] = {}
    for i, state in enumerate(encoder.state_map):
        module = encoder.model.get_submodule(state.module)
        module.register_forward_hook(
            lambda _, a, out, i=i: outputs.update({i: out[0] if isinstance(out, tuple) else out})
        )
    encoder.states(["bern"])
    assert [torch.equal(values[i], outputs[i]) for i in range(4)] == [True] * 4
    assert not any(torch.equal(values[i], outputs[i + 1]) for i in range(3))


def test_another_number_of_states_than_when_it_was_loaded_is_refused(folders: Callable[[str], Path]) -> None:
    encoder = load_encoder(str(folders("roberta")))
    encoder.model.encoder.layer = encoder.model.encoder.layer[:2]
    with pytest.raises(LabError, match="3 hidden states, where it had 4 when it was loaded"):
        encoder.states(["bern"])


def test_a_pooling_that_an_encoder_cannot_do_is_refused_when_it_is_loaded(folders: Callable[[str], Path]) -> None:
    folder = str(folders("siglip_vision_model"))
    with pytest.raises(LabError, match="no pooling first: its first position is a patch like all others, not a class"):
        load_encoder(folder, poolings=["mean", "first"])
    assert load_encoder(folder, poolings=["max"]).poolings == ["max"]
    with pytest.raises(
        LabError, match=r"no pooling patches: it reads texts.* Choose among first, last, mean, max, eos"
    ):
        load_encoder(str(folders("roberta")), poolings=["patches"])


def test_positions_end_where_the_table_does(folders: Callable[[str], Path]) -> None:
    assert load_encoder(str(folders("gpt2")), max_tokens=8192).max_tokens == 80
    assert load_encoder(str(folders("opt")), max_tokens=8192).max_tokens == 80
    assert load_encoder(str(folders("umt5")), part="encoder", max_tokens=200).max_tokens == 200
    assert load_encoder(str(folders("gpt2")), max_tokens=6).max_tokens == 6


def test_a_vision_model_without_its_processor_is_refused_in_a_whole_sentence(tmp_path: Path) -> None:
    save_small(tmp_path, "vit")
    (tmp_path / "preprocessor_config.json").unlink(missing_ok=True)
    (tmp_path / "processor_config.json").unlink(missing_ok=True)
    with pytest.raises(LabError, match=r"no preprocessor_config\.json in it, which says how pictures become pixels\."):
        load_encoder(str(tmp_path))
