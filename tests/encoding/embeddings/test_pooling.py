from dataclasses import replace

import pytest
import torch
from tiny import STATES, largest, random_states
from torch import Tensor
from torch.testing import assert_close

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.embeddings.pooling import POOLINGS, HiddenStates, Pooling, get_pooling

LENGTHS = [3, 7, 2, 5]
every_pooling = pytest.mark.parametrize("function", POOLINGS.values(), ids=POOLINGS)


def item(states: HiddenStates, i: int) -> HiddenStates:
    """Item i alone, without its padding."""
    kept = states.mask[i]
    assert states.eos is not None
    eos = states.eos[[i]] - int(kept.int().argmax())
    return HiddenStates(states.values[:, [i]][:, :, kept], kept[kept][None], eos, STATES, pooler=largest)


def padded(states: HiddenStates, left: int, right: int) -> HiddenStates:
    """The same states with so many positions of padding at each side."""
    assert states.eos is not None
    values = torch.nn.functional.pad(states.values, (0, 0, left, right), value=-1000.0)
    mask = torch.nn.functional.pad(states.mask, (left, right), value=False)
    return HiddenStates(values, mask, states.eos + left, STATES, pooler=largest)


def left_sided(states: HiddenStates) -> HiddenStates:
    """The same batch with the padding on the left."""
    width = states.mask.shape[1]
    rows = [padded(item(states, i), width - length, 0) for i, length in enumerate(LENGTHS)]
    ends = torch.tensor([width - 1] * len(rows))
    return HiddenStates(
        torch.cat([r.values for r in rows], 1), torch.cat([r.mask for r in rows]), ends, STATES, pooler=largest
    )


@every_pooling
def test_alone_padded_left_and_padded_right_agree(function: Pooling) -> None:
    batch = random_states(LENGTHS)
    right, left = function(batch), function(left_sided(batch))
    assert right.shape == (3, 4, 4)
    for i in range(len(LENGTHS)):
        alone = function(item(batch, i))[:, 0]
        assert_close(right[:, i], alone)
        assert_close(left[:, i], alone)


@every_pooling
def test_more_padding_changes_nothing(function: Pooling) -> None:
    batch = random_states(LENGTHS)
    assert_close(function(padded(batch, 4, 0)), function(batch))
    assert_close(function(padded(batch, 0, 9)), function(batch))


@every_pooling
def test_the_rest_of_the_batch_changes_nothing(function: Pooling) -> None:
    batch = random_states(LENGTHS)
    other = random_states(LENGTHS, seed=1)
    mixed = torch.cat([batch.values[:, :1], other.values[:, 1:]], 1)
    changed = HiddenStates(mixed, batch.mask, batch.eos, STATES, pooler=largest)
    assert torch.equal(function(changed)[:, 0], function(batch)[:, 0])
    assert not torch.equal(function(changed)[:, 1], function(batch)[:, 1])


@pytest.mark.parametrize("name", [name for name in POOLINGS if name not in ("patches", "own")])
def test_one_token_is_itself(name: str) -> None:
    token = random_states([1])
    assert torch.equal(POOLINGS[name](token), token.values[:, :, 0])


def test_patches_are_what_is_left_after_the_first() -> None:
    with pytest.raises(
        LabError, match=r"pooling patches: row 1 of the batch has one position, .* Choose first or mean"
    ):
        POOLINGS["patches"](random_states([3, 1]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("first", [1, -2]),
        ("last", [4, 0]),
        ("mean", [(1 - 5 + 4) / 3, (-2 + 8 + 0) / 3]),
        ("meansqrtlen", [(1 - 5 + 4) / 3**0.5, (-2 + 8 + 0) / 3**0.5]),
        ("weightedmean", [(1 * 1 - 2 * 5 + 3 * 4) / 6, (-1 * 2 + 2 * 8 + 3 * 0) / 6]),
        ("max", [4, 8]),
        ("eos", [-5, 8]),
        ("own", [2 * 4, 2 * 8]),
        ("patches", [(-5 + 4) / 2, (8 + 0) / 2]),
    ],
)
def test_by_hand(name: str, expected: list[float]) -> None:
    tokens = [[9.0, 9.0], [1.0, -2.0], [-5.0, 8.0], [4.0, 0.0], [7.0, 7.0]]  # padding at both ends
    mask = torch.tensor([[False, True, True, True, False]])
    states = HiddenStates(torch.tensor(tokens)[None, None], mask, torch.tensor([2]), STATES, pooler=largest)
    assert_close(POOLINGS[name](states), torch.tensor(expected, dtype=torch.float32)[None, None])


def test_every_pooling_is_worked_out_by_hand() -> None:
    (table,) = (mark for mark in test_by_hand.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    assert {name for name, _ in table.args[1]} == set(POOLINGS)


def test_tokens_of_a_prompt_are_out_of_sight_and_still_count_as_places() -> None:
    batch = random_states(LENGTHS).without_start(1)
    rest = random_states(LENGTHS)
    for row, length in enumerate(LENGTHS):
        kept = rest.values[:, row, 1:length]  # [layer, position, d_model]
        places = torch.arange(2, length + 1, dtype=torch.float32)
        assert_close(POOLINGS["mean"](batch)[:, row], kept.mean(1))
        assert_close(POOLINGS["first"](batch)[:, row], kept[:, 0])
        assert_close(POOLINGS["weightedmean"](batch)[:, row], (kept * places[:, None]).sum(1) / places.sum())
    assert random_states([3]).without_start(0).mask.all()
    with pytest.raises(LabError, match=r"prompt: its 2 tokens leave none of a text\. Shorten it, or raise max_tokens"):
        random_states(LENGTHS).without_start(2)


def test_eos_needs_an_end_of_text() -> None:
    images = HiddenStates(torch.zeros(3, 1, 2, 4), torch.ones(1, 2, dtype=torch.bool), None, STATES)
    with pytest.raises(LabError, match=r"pooling eos: these inputs have no end-of-text token\. Choose first"):
        POOLINGS["eos"](images)


def test_own_needs_a_pooler() -> None:
    with pytest.raises(LabError, match=r"pooling own: this model pools with no weights of its own\. Choose first"):
        POOLINGS["own"](replace(random_states([2]), pooler=None))


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(
        LabError,
        match=r"unknown pooling 'median'\. Choose one of first, last, mean, meansqrtlen, weightedmean, max, eos",
    ):
        get_pooling("median")


def test_pooling_keeps_the_type_of_the_values() -> None:
    batch = random_states(LENGTHS)
    half: Tensor = batch.values.bfloat16()
    states = HiddenStates(half, batch.mask, batch.eos, STATES, pooler=largest)
    assert {function(states).dtype for function in POOLINGS.values()} == {torch.bfloat16}
