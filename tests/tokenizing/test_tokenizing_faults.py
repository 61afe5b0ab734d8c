import re
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertTokenizer, CLIPConfig, CLIPTokenizer, PreTrainedTokenizerFast, T5Tokenizer

from hiddenstates.tokenizing.faults import entries, faults, learned

WORDS = [f"w{i}" for i in range(120)]
VOCABULARY = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, "a"])}
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
CONFIG = {"vocab_size": 125, "pad_token_id": 0, "max_position_embeddings": 64}


def make(unknown: str | None = "[UNK]", pair: str | None = "[CLS] $A [SEP] $B [SEP]", **changes: Any) -> Any:
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token=unknown) if unknown else models.BPE(VOCABULARY, []))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [(token, VOCABULARY[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", pair, special_tokens=ends)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **(SPECIAL | changes))


def test_a_sound_tokenizer_has_none() -> None:
    assert faults(make()) == []
    assert faults(make(), BertConfig(**CONFIG)) == []


def test_entries_count_what_was_added_and_learned_does_not() -> None:
    tokenizer = make()
    assert (entries(tokenizer), learned(tokenizer)) == (125, 121)
    tokenizer.add_tokens(["<extra_id_0>"])
    assert (entries(tokenizer), learned(tokenizer)) == (126, 121)


def test_a_class_that_found_no_file_is_caught() -> None:
    """transformers makes them without a word."""
    (said,) = [fault for fault in faults(T5Tokenizer(vocab_file="missing")) if "vocabulary" in fault]
    assert said == "a vocabulary of 1 entries besides special tokens: its file was not read. Load it from its folder."
    assert "a vocabulary of 0 entries" in faults(BertTokenizer())[0]
    broken = faults(CLIPTokenizer())
    assert "a vocabulary of 0 entries" in broken[0]


@pytest.mark.parametrize(
    ("tokenizer", "fault"),
    [
        (make(pad_token=None), "no pad token: texts of several lengths cannot share a batch."),
        (make(pad_token="[SEP]"), "pad is [SEP], as sep is: a mask made of the ids hides both."),
        (make(unknown=None), "what is not in the vocabulary vanishes without a token. Set unk_token"),
        (make(pair="$A $B"), "two texts come out with nothing between them"),
    ],
)
def test_what_is_wrong_with_it_alone(tokenizer: Any, fault: str) -> None:
    (said,) = faults(tokenizer)
    assert said.startswith(fault)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"vocab_size": 124}, "ids go up to 124, the model's table has 124 rows. Resize it, or mend the tokenizer."),
        ({"vocab_size": 128}, "3 of the 128 rows of the model's table belong to no token: they are never read."),
        ({"pad_token_id": 1}, "pad is 0 to the tokenizer and 1 to the model. Trust the tokenizer, mend the other."),
        ({"max_position_embeddings": 40}, "texts are cut at 64 tokens, the model has 40 positions."),
    ],
)
def test_what_is_wrong_beside_its_model(changes: dict[str, int], fault: str) -> None:
    (said,) = faults(make(), BertConfig(**(CONFIG | changes)))
    assert re.match(re.escape(fault), said)


def test_a_model_of_two_towers_is_asked_for_its_text(tmp_path: Path) -> None:
    config = CLIPConfig(text_config={"vocab_size": 100, "max_position_embeddings": 64})
    assert any("ids go up to 124, the model's table has 100 rows" in fault for fault in faults(make(), config))
