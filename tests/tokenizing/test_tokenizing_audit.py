from typing import Any

import pandas as pd
import pytest
from tiny import tiny_tokenizer
from transformers import ByT5Tokenizer

from hiddenstates.tokenizing.audit import audit_names, audit_tokenizer, shares, spelled, worst
from hiddenstates.tokenizing.backends import Words
from hiddenstates.tokenizing.places import ALONE, OUTCOMES


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Knows paris, rome, river, of, ##s, ##n and lower-cases."""
    return tiny_tokenizer()


def test_a_text_s_tokens_are_counted(tokenizer: Any) -> None:
    audited = audit_tokenizer(tokenizer, ["Paris", "Rivers of Rome", "Rivern Kiel", ""])
    assert list(audited["words"]) == [1, 3, 2, 0]
    assert list(audited["pieces"]) == [1, 4, 3, 0]  # river ##s of rome; river ##n [UNK]
    assert list(audited["unknowns"]) == [0, 0, 1, 0]


def test_an_exact_round_trip_keeps_capitals(tokenizer: Any) -> None:
    assert list(audit_tokenizer(tokenizer, ["paris", "Paris"])["round trip"]) == [True, False]


def test_no_texts_make_an_empty_table(tokenizer: Any) -> None:
    assert len(audit_tokenizer(tokenizer, [])) == 0


def test_what_the_tokenizer_did_before_changes_nothing(tokenizer: Any) -> None:
    before = audit_tokenizer(tokenizer, ["rivers of rome"]), audit_names({"ours": tokenizer}, ["rivers of rome"])
    tokenizer(["rivers of rome"], truncation=True, max_length=3, padding="max_length")
    after = audit_tokenizer(tokenizer, ["rivers of rome"]), audit_names({"ours": tokenizer}, ["rivers of rome"])
    for ours, theirs in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)


def test_a_tokenizer_in_python_is_audited_alike() -> None:
    assert list(audit_tokenizer(Words(), ["paris", "paris kiel"])["unknowns"]) == [0, 1]
    assert list(audit_tokenizer(ByT5Tokenizer(), ["Kö"])["pieces"]) == [3]  # ö is two bytes
    assert audit_tokenizer(ByT5Tokenizer(), ["Kö"])["round trip"].all()


def test_ten_thousand_and_one_texts_come_out_in_order(tokenizer: Any) -> None:
    texts = ["paris"] * 10_000 + ["kiel"]
    assert audit_tokenizer(tokenizer, texts)["unknowns"].to_numpy().nonzero()[0].tolist() == [10_000]


def test_shares_of_each_group(tokenizer: Any) -> None:
    audited = audit_names({"ours": tokenizer}, ["paris", "rivers", "kiel rome", "rome"])
    scripts = audited["name"].map({"paris": "a", "rivers": "a", "kiel rome": "a", "rome": "b"})
    table = shares(audited.assign(script=scripts), ["place", "script"]).loc[ALONE]
    assert table.loc["a", ["names", *OUTCOMES]].tolist() == [3, 1 / 3, 1 / 3, 0, 1 / 3, 0]
    assert table.loc["a", "every word"] == 1 / 3
    assert table.loc["a", "pieces per word"] == (1 + 2 + 2) / (1 + 1 + 2)
    assert table.loc["a", "unknown pieces"] == 1 / (1 + 2 + 2)
    assert table.loc["b", ["names", "one token", "every word"]].tolist() == [1, 1, 1]


def test_every_tokenizer_sees_every_spelling(tokenizer: Any) -> None:
    spellings = pd.DataFrame({"name": ["paris", "kiel", "paris"], "script": "Latin", "language": ["fr", "de", "en"]})
    audited = audit_names({"ours": tokenizer, "bytes": ByT5Tokenizer()}, ["paris", "kiel"])
    rows = spelled(audited, spellings).query("place == @ALONE").sort_values(["tokenizer", "language"])
    assert list(rows["language"]) == ["de", "en", "fr"] * 2
    assert list(rows["pieces"]) == [1, 1, 1, 4, 5, 5]


def test_the_worst_come_in_the_most_pieces_a_word(tokenizer: Any) -> None:
    audited = audit_names({"ours": tokenizer}, ["rome of river", "parissn", "rivers", "kiel", "romes"])
    alone = audited[audited["place"] == ALONE]
    found = worst(tokenizer, alone, 2, "several pieces")
    assert list(found["as pieces"]) == ["paris ##s ##n", "river ##s"]
    assert list(worst(tokenizer, alone, 5, "unknown")["as pieces"]) == ["[UNK]"]
