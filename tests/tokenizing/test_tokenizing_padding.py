from typing import Any

import pytest
from tiny import tiny_tokenizer

from hiddenstates.tokenizing.padding import cut, layouts, lengths_of, lost, wasted


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


def test_lengths_count_special_tokens_and_are_never_cut(tokenizer: Any) -> None:
    tokenizer(["paris"], truncation=True, max_length=3)
    assert list(lengths_of(tokenizer, ["paris", "the rivers " * 300])) == [3, 902]


def test_layouts_differ_in_how_much_is_filled_and_where(tokenizer: Any) -> None:
    table = layouts(tokenizer, ["paris", "the river"], 6)
    masks = table["mask"].to_dict()
    assert masks["True", "right", 0] == "1110"
    assert masks["True", "left", 0] == "0111"
    assert masks["'max_length'", "right", 1] == "111100"
    assert masks["'max_length'", "left", 0] == "000111"
    assert table.loc[("True", "left", 0), "tokens"] == "[PAD] [CLS] paris [SEP]"


def test_padding_is_what_a_batch_s_longest_text_leaves() -> None:
    table = wasted([2, 6, 2, 6, 4], [1, 2, 5])
    assert table.loc[1].tolist() == [0, 0]
    assert table.loc[2, "as they come"] == pytest.approx(1 - 20 / (12 + 12 + 4))
    assert table.loc[2, "sorted by length"] == pytest.approx(1 - 20 / (4 + 12 + 6))  # 2 2 | 4 6 | 6
    assert table.loc[5].tolist() == pytest.approx([1 - 20 / 30] * 2)


def test_a_cut_loses_what_is_over_the_limit() -> None:
    table = cut([4, 10, 26], [5, 10, 40])
    assert table["texts"].tolist() == [2, 1, 0]
    assert table["share of texts"].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert table["share of tokens"].tolist() == pytest.approx([(5 + 21) / 40, 16 / 40, 0])
    assert table["most"].tolist() == [21, 16, 0]


def test_nothing_is_lost_of_no_texts() -> None:
    assert cut([], [8]).loc[8].tolist() == [0, 0, 0, 0]


def test_what_is_lost_is_the_end(tokenizer: Any) -> None:
    text = "the capital of france is paris"
    assert lost(tokenizer, text, 6) == "is paris"
    kept = tokenizer(text, truncation=True, max_length=6)["input_ids"]
    assert tokenizer.decode(kept, skip_special_tokens=True) == "the capital of france"
    assert lost(tokenizer, text, 8) == ""
