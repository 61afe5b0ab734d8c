from importlib.util import find_spec

import pytest

from hiddenstates.tokenizing.backends import KNOWN, cases
from hiddenstates.tokenizing.unknown import unknown_words

TABLE = unknown_words()


@pytest.mark.parametrize(
    ("case", "shown", "ids"),
    [
        (("Rust", "WordPiece"), "replaced", "unknown"),
        (("Python", "WordPiece"), "replaced", "unknown"),
        (("Rust", "Unigram"), "kept", "unknown"),
        (("Rust", "WordLevel"), "replaced", "unknown"),
        (("Python", "WordLevel"), "kept", "unknown"),
        (("Rust", "BPE of letters"), "replaced", "unknown"),
        (("Python", "BPE of letters"), "kept", "unknown"),
        (("Rust", "BPE of letters, no unknown token"), "dropped", "none"),
        (("Rust", "BPE of bytes"), "spelled", "known"),
        (("Python", "bytes"), "spelled", "known"),
    ],
)
def test_what_becomes_of_an_unknown_word(case: tuple[str, str], shown: str, ids: str) -> None:
    assert TABLE.loc[case, ["shown", "ids"]].tolist() == [shown, ids]


@pytest.mark.skipif(not find_spec("sentencepiece"), reason="the package sentencepiece is not installed")
def test_sentencepiece_keeps_what_it_does_not_know() -> None:
    rows = TABLE.loc["SentencePiece"]
    assert rows["shown"].tolist() == ["kept", "kept", "kept", "spelled"]
    assert rows["ids"].tolist() == ["unknown", "unknown", "unknown", "known"]


@pytest.mark.parametrize(("backend", "model", "make"), list(cases()), ids=lambda value: str(value)[:20])
def test_every_one_knows_what_it_should(backend: str, model: str, make: object) -> None:
    tokenizer = make()  # type: ignore[operator]
    ids = tokenizer(KNOWN, add_special_tokens=False)["input_ids"]
    assert ids
    assert tokenizer.unk_token_id not in ids
