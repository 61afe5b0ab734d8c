"""Vocabularies made by hand, in which each place gives another answer."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from hiddenstates.tokenizing.backends import cases
from hiddenstates.tokenizing.places import ALONE, HEAD, LOWER, PLACES, QUESTION, SENTENCE, audit_places

ROWS = ["outcome", "pieces", "whole words", "words"]


def at(tokenizer: Any, name: str) -> pd.DataFrame:
    """The name's row in each place."""
    return audit_places(tokenizer, [name]).set_index("place")


def outcomes(tokenizer: Any, name: str) -> list[str]:
    return list(at(tokenizer, name).loc[[ALONE, SENTENCE, HEAD, LOWER, QUESTION], "outcome"])


def byte_bpe(words: Sequence[str]) -> Any:
    """Byte-level BPE that merges each of these from its left end; "Ġ" is the blank before a word."""
    entries = {entry: i for i, entry in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = []
    for word in words:
        for end in range(1, len(word)):
            merges.append((word[:end], word[end]))
            entries.setdefault(word[: end + 1], len(entries))
    tokenizer = Tokenizer(models.BPE(entries, list(dict.fromkeys(merges))))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def rust(model: Any, cut: Any, unknown: str | None = "<unk>") -> Any:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = cut
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=unknown)


@pytest.fixture(scope="module")
def blanks() -> Any:
    return byte_bpe(["ĠRome"])


def test_each_place_can_give_another_answer() -> None:
    """BPE over whole texts: the letters beside the name, blanks included, decide what merges first."""
    merges = [("e", " "), ("e", "?"), (" ", "R"), ("R", "o"), ("Ro", "m"), ("Rom", "e")]
    entries = ["<unk>", *"RomeWWhatswikn .?", *("".join(pair) for pair in merges)]  # no r
    numbered = {entry: i for i, entry in enumerate(dict.fromkeys(entries))}
    tokenizer = Tokenizer(models.BPE(numbered, merges, unk_token="<unk>"))
    rows = at(PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>"), "Rome")
    assert {place: (row["outcome"], row["pieces"]) for place, row in rows.iterrows()} == {
        ALONE: ("one token", 1),
        SENTENCE: ("several pieces", 4),
        HEAD: ("several pieces", 2),
        LOWER: ("unknown", 4),
        QUESTION: ("with other letters", 4),
    }


def test_byte_level_bpe_knows_a_name_after_a_blank_only(blanks: Any) -> None:
    assert outcomes(blanks, "Rome") == ["several pieces", "one token", "several pieces", "several pieces", "one token"]
    assert list(at(blanks, "Rome").loc[[ALONE, SENTENCE, HEAD], "pieces"]) == [4, 1, 4]


def test_a_name_in_a_question_can_be_other_tokens_than_at_the_head(blanks: Any) -> None:
    same = at(blanks, "Rome")["as at the head"]
    assert list(same[[ALONE, SENTENCE, HEAD, LOWER, QUESTION]]) == [True, False, True, False, False]


def test_of_as_many_pieces_each_must_be_the_same() -> None:
    rows = at(byte_bpe(["ĠR", "om"]), "Rom")
    assert list(rows["pieces"]) == [2, 2, 2, 2, 2]  # R om, ĠR om; r om in lower case
    assert list(rows.loc[[ALONE, SENTENCE, LOWER], "as at the head"]) == [True, False, False]


def test_a_token_that_reaches_over_the_name_is_not_the_name_s() -> None:
    entries = {
        word: i for i, word in enumerate(["<unk>", "Rome?", "Rome", "We", "saw", "there.", "is", "known.", "What"])
    }
    tokenizer = rust(models.WordLevel(entries, unk_token="<unk>"), pre_tokenizers.WhitespaceSplit())
    assert outcomes(tokenizer, "Rome") == ["one token", "one token", "one token", "unknown", "with other letters"]
    assert at(tokenizer, "Rome").loc[QUESTION, "whole words"] == 0


def test_the_case_decides() -> None:
    lower = byte_bpe(["Ġrome"])
    assert outcomes(lower, "Rome") == ["several pieces"] * 3 + ["one token", "several pieces"]


def test_each_word_and_all() -> None:
    rows = at(byte_bpe(["ĠNew", "ĠYork"]), "New York")
    assert list(rows.loc[SENTENCE, ROWS]) == ["several pieces", 2, 2, 2]
    assert list(rows.loc[HEAD, ROWS]) == ["several pieces", 4, 1, 2]  # N e w ĠYork


def test_one_token_may_hold_both_words() -> None:
    model = models.BPE({c: i for i, c in enumerate(["N", "Y", " ", "N ", "N Y"])}, [("N", " "), ("N ", "Y")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model))
    assert list(at(tokenizer, "N Y").loc[ALONE, ROWS]) == ["one token", 1, 0, 2]


def test_letters_without_a_token_are_lost() -> None:
    tokenizer = rust(models.BPE({"R": 0, "o": 1}, []), pre_tokenizers.WhitespaceSplit(), unknown=None)
    assert outcomes(tokenizer, "Ro") == ["several pieces", "several pieces", "several pieces", "lost", "several pieces"]
    assert at(tokenizer, "Rö").loc[ALONE, "outcome"] == "lost"
    assert at(tokenizer, "é").loc[ALONE, "pieces"] == 0


def test_a_blank_mark_by_itself_is_no_piece_of_the_name() -> None:
    pieces = [("<unk>", 0.0), ("▁", -2.0), ("東京", -2.0), *((letter, -9.0) for letter in "Wesawthr.iknoW?")]
    tokenizer = rust(models.Unigram(pieces, unk_id=0), pre_tokenizers.Metaspace())
    assert outcomes(tokenizer, "東京") == ["one token"] * 5
    assert at(tokenizer, "東京")["as at the head"].all()


def test_byte_fallback_counts_every_byte() -> None:
    entries = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"a": 256, "b": 257}
    tokenizer = rust(models.BPE(entries, [], byte_fallback=True), pre_tokenizers.WhitespaceSplit(), unknown=None)
    assert list(at(tokenizer, "a東b")["pieces"]) == [5] * 5
    assert list(at(tokenizer, "東")["pieces"]) == [3] * 5


def test_a_normaliser_that_changes_lengths_moves_nothing() -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "rome": 1, "ffi": 2, "e": 3}, unk_token="<unk>"))
    steps = [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    assert outcomes(wrapped, "Ŕöme") == ["one token"] * 5
    assert outcomes(wrapped, "ﬃ") == ["one token"] * 5  # one character of three letters
    assert outcomes(wrapped, "ﬃ Rom") == ["unknown"] * 5


def test_names_keep_their_order_over_batches(blanks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"Rome{i}" if i % 3 else "Rome" for i in range(50)]
    whole = audit_places(blanks, names)
    monkeypatch.setattr("hiddenstates.tokenizing.places.BATCH", 7)
    pd.testing.assert_frame_equal(audit_places(blanks, names), whole)
    assert list(whole.loc[whole["place"] == HEAD, "name"]) == names


def test_in_lower_case_every_name_is_read_as_it_then_stands_whether_it_has_a_case_or_not(blanks: Any) -> None:
    """Names without a case, whose sentence was read already, between others; each against its own lower case."""
    names = ["Rome", "東京", "rome", "ROME Ab", "…", "القاهرة", "aRome"]
    lower = audit_places(blanks, names).query("place == @LOWER")
    written = audit_places(blanks, [name.lower() for name in names]).query("place == @SENTENCE")
    counted = ["words", "whole words", "pieces", "unknowns", "outcome"]
    assert lower[counted].to_numpy().tolist() == written[counted].to_numpy().tolist()
    assert list(lower["name"]) == names
    assert lower["pieces"].nunique() > 3


def test_no_names_make_an_empty_table(blanks: Any) -> None:
    assert len(audit_places(blanks, [])) == 0
    assert list(audit_places(blanks, [])["place"].cat.categories) == list(PLACES)


NAMES = ["Paris", "paris", "new paris", "São Tomé", "ጅቡቲ", "a-b", "東京 2", "…"]


def test_python_counts_as_rust_does(tmp_path: Any) -> None:
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "paris",
        "new",
        "sao",
        "to",
        "##me",
        "a",
        "b",
        "-",
        "?",
        ".",
        "we",
    ]
    (tmp_path / "vocab.txt").write_text("\n".join([*words, "saw", "there", "what", "is", "known"]), encoding="utf-8")
    slow = BertTokenizerLegacy(str(tmp_path / "vocab.txt"))
    entries = {word: i for i, word in enumerate([*words, "saw", "there", "what", "is", "known"])}
    tokenizer = Tokenizer(models.WordPiece(entries, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    pd.testing.assert_frame_equal(audit_places(slow, NAMES), audit_places(fast, NAMES))


def test_bytes_in_python_are_counted_one_by_one() -> None:
    rows = at(ByT5Tokenizer(), "Kö n")
    assert list(rows["pieces"]) == [4] * 5  # K, two of ö, n; the blank between is none
    assert rows["as at the head"].sum() == 4  # k is another byte than K


@pytest.mark.parametrize(("backend", "model", "make"), list(cases()))
def test_every_backend_tells_a_known_word_from_a_strange_one(backend: str, model: str, make: Any) -> None:
    rows = audit_places(make(), ["paris", "ጅቡቲ"])
    known, strange = (rows[rows["name"] == name].set_index("place") for name in ("paris", "ጅቡቲ"))
    assert known.loc[SENTENCE, "unknowns"] == 0
    assert known.loc[SENTENCE, "outcome"] in ("one token", "several pieces")
    spells = "bytes" in model or "byte fallback" in model
    vanishes = "no unknown" in model
    assert set(strange["outcome"]) == {"several pieces" if spells else "lost" if vanishes else "unknown"}
