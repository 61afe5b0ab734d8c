"""Tokenizers of a few entries, of each type of model in each backend that transformers has."""

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertGenerationTokenizer, ByT5Tokenizer, CTRLTokenizer, PreTrainedTokenizerFast, PythonBackend
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

KNOWN = "paris"
UNKNOWN = "<unk>"
LETTERS = list("abcdefghijklmnopqrstuvwxyz")


def cases() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Backend, type of model, and what makes a tokenizer of it that knows Latin letters, and `KNOWN` if it has words.

    SentencePiece only where its package is installed: transformers does without.
    """
    yield "Rust", "WordPiece", lambda: _rust(models.WordPiece(_numbered([KNOWN]), unk_token=UNKNOWN))
    yield "Rust", "Unigram", lambda: _rust(_unigram(), pre_tokenizers.Metaspace())
    yield "Rust", "WordLevel", lambda: _rust(models.WordLevel(_numbered([KNOWN]), unk_token=UNKNOWN))
    yield "Rust", "BPE of letters", lambda: _rust(models.BPE(_numbered([]), [], unk_token=UNKNOWN, fuse_unk=True))
    yield "Rust", "BPE of letters, no unknown token", lambda: _rust(models.BPE(_numbered([]), []), unknown=None)
    yield "Rust", "BPE of bytes", lambda: _rust(_byte_bpe(), pre_tokenizers.ByteLevel(add_prefix_space=False))
    yield "Python", "WordPiece", _python_wordpiece
    yield "Python", "WordLevel", Words
    yield "Python", "BPE of letters", _python_bpe
    yield "Python", "bytes", ByT5Tokenizer
    if find_spec("sentencepiece"):
        yield "SentencePiece", "Unigram", lambda: _sentencepiece("unigram")
        yield "SentencePiece", "BPE of letters", lambda: _sentencepiece("bpe")
        yield "SentencePiece", "WordLevel", lambda: _sentencepiece("word")
        yield "SentencePiece", "Unigram, byte fallback", lambda: _sentencepiece("unigram", byte_fallback=True)


class Words(PythonBackend):
    """Words between blanks, looked up in Python: the least that a `PythonBackend` can be."""

    def __init__(self) -> None:
        self.entries = [UNKNOWN, KNOWN]
        super().__init__(unk_token=UNKNOWN)  # type: ignore[no-untyped-call]

    def get_vocab(self) -> dict[str, int]:
        return {entry: i for i, entry in enumerate(self.entries)}

    @property
    def vocab_size(self) -> int:
        return len(self.entries)

    def _tokenize(self, text: str, **options: Any) -> list[str]:
        return text.split()

    def _convert_token_to_id(self, token: str) -> int:
        return self.get_vocab().get(token, 0)

    def _convert_id_to_token(self, index: int) -> str:
        return self.entries[index]


def _numbered(words: list[str]) -> dict[str, int]:
    return {entry: i for i, entry in enumerate([UNKNOWN, *LETTERS, *words])}


def _rust(model: Any, cut: Any = None, unknown: str | None = UNKNOWN) -> Any:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = cut or pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=unknown)


def _unigram() -> models.Unigram:
    pieces = [(UNKNOWN, 0.0), (f"▁{KNOWN}", -1.0), ("▁", -2.0), *((letter, -3.0) for letter in LETTERS)]
    return models.Unigram(pieces, unk_id=0)


def _byte_bpe() -> models.BPE:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return models.BPE({entry: i for i, entry in enumerate([UNKNOWN, *alphabet])}, [], unk_token=UNKNOWN)


def _python_wordpiece() -> Any:
    special = ["[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join([*special, KNOWN, *LETTERS]), encoding="utf-8")
        return BertTokenizerLegacy(str(path), unk_token=UNKNOWN)


def _python_bpe() -> Any:
    """CTRL's; `@@` marks a piece that the word goes on after."""
    entries = [UNKNOWN, *LETTERS, *(f"{letter}@@" for letter in LETTERS)]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder) / "vocab.json", Path(folder) / "merges.txt"
        vocabulary.write_text(json.dumps({entry: i for i, entry in enumerate(entries)}), encoding="utf-8")
        merges.write_text("#version: 0.2\n", encoding="utf-8")
        return CTRLTokenizer(str(vocabulary), str(merges))


def _sentencepiece(kind: str, byte_fallback: bool = False) -> Any:
    """Trained on the spot: SentencePiece's models are files of its own making."""
    model = io.BytesIO()
    import_module("sentencepiece").SentencePieceTrainer.train(
        sentence_iterator=iter([f"{KNOWN} {' '.join(LETTERS)} {''.join(LETTERS)}"] * 20),
        model_writer=model,
        model_type=kind,
        vocab_size=64 + 256 * byte_fallback,
        hard_vocab_limit=False,
        byte_fallback=byte_fallback,
        minloglevel=2,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spiece.model"
        path.write_bytes(model.getvalue())
        return BertGenerationTokenizer(str(path), unk_token=UNKNOWN)
