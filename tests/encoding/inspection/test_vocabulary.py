from pathlib import Path

import pytest
from tiny import VOCABULARY, save_tokenizer

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.inspection.vocabulary import TRAINED, read_tokenizer

TEXTS = [f"Word{i} is the capital of a place" for i in range(200)]


def test_a_folder_needs_no_weights(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    assert len(read_tokenizer(str(tmp_path), None, TEXTS, 600)) == len(VOCABULARY)


def test_a_folder_without_a_vocabulary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}', encoding="utf-8")
    with pytest.raises(LabError, match="no vocabulary in it"):
        read_tokenizer(str(tmp_path), None, TEXTS, 600)


@pytest.mark.parametrize("name", TRAINED)
def test_three_are_trained_on_the_texts(name: str) -> None:
    assert read_tokenizer(name, None, TEXTS, 600)("the capital")["input_ids"]


def test_a_hub_name_must_be_pinned() -> None:
    with pytest.raises(LabError, match="model google/t5: no such folder, and as a hub name it is not pinned"):
        read_tokenizer("google/t5", "main", TEXTS, 600)
