from pathlib import Path

from tiny import save_tokenizer
from transformers import AutoTokenizer, ByT5Tokenizer, T5Config

from hiddenstates.tokenizing.backends import Words
from hiddenstates.tokenizing.special import NONE, forms, published_sizes, separator, sizes, special_tokens
from hiddenstates.tokenizing.training import train_tokenizer


def test_a_role_that_nothing_fills_is_shown_as_such(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    table = special_tokens({"tiny": AutoTokenizer.from_pretrained(tmp_path), "bytes": ByT5Tokenizer()})
    assert table["tiny"].to_dict() == {
        "bos": NONE,
        "eos": NONE,
        "sep": "[SEP]",
        "pad": "[PAD]",
        "cls": "[CLS]",
        "mask": NONE,
        "unk": "[UNK]",
    }
    assert table.loc[["sep", "eos"], "bytes"].tolist() == [NONE, "</s>"]


def test_between_two_texts_stands_sep_else_eos_else_nothing(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    assert separator(AutoTokenizer.from_pretrained(tmp_path)) == "[SEP]"
    assert separator(ByT5Tokenizer()) == "</s>"
    assert separator(Words()) == NONE


def test_forms_show_the_special_tokens() -> None:
    row = forms({"bytes": ByT5Tokenizer()}, "a", "b").loc["bytes"]
    assert row.tolist() == ["a </s>", "a </s> b </s>", "</s>"]


def test_a_unigram_ends_each_of_two_texts_as_t5_does() -> None:
    trained = train_tokenizer("t5", [f"word{i} of a place" for i in range(400)], 600)
    said = forms({"t5": trained}, "of", "place").loc["t5", "two texts"]
    assert said.replace(" ", "") == "▁of</s>▁place</s>"


def test_added_and_visual_tokens_are_counted_beside_the_table() -> None:
    trained = train_tokenizer("t5", [f"word{i} of a place" for i in range(400)], 600)
    rows = sizes(trained, T5Config(vocab_size=850))
    assert rows == {"entries": len(trained), "extra ids": 100, "visual ids": 100, "rows": 850}


def test_only_t5_s_published_table_has_rows_to_spare() -> None:
    table = published_sizes()
    assert (table["rows"] - table["entries"]).to_dict() == {"BERT": 0, "T5": 28, "BART": 0, "CLIP": 0}
