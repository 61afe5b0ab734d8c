"""Tokenizers trained on the knowledge base's own passages."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer, BartConfig, CLIPConfig, PreTrainedTokenizerFast, T5Config

from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Countries
from hiddenstates.corpora.countries.world import read_world
from hiddenstates.tokenizing.training import EXTRA_IDS, TOKENIZERS, extra_tokens, train_tokenizer

PIECES = 2000
CONFIGS = {"t5": T5Config, "bart": BartConfig, "clip": CLIPConfig}
STRANGE = ["São Tomé  and Príncipe's coast", "Åland <extra_id_3> of 12,345 km² 日本", ""]
every_kind = pytest.mark.parametrize("kind", TOKENIZERS)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [row["text"] for row in read_world(Countries(countries=60, cities=100)).passages]


@pytest.fixture(scope="module")
def trained(texts: list[str]) -> dict[str, PreTrainedTokenizerFast]:
    return {kind: train_tokenizer(kind, texts, PIECES) for kind in TOKENIZERS}


@every_kind
def test_the_vocabulary_is_as_large_as_asked_and_in_use(
    kind: str, trained: dict[str, PreTrainedTokenizerFast], texts: list[str]
) -> None:
    tokenizer = trained[kind]
    assert len(tokenizer) == PIECES + (0 if kind == "clip" else 2 * EXTRA_IDS)
    used = {id for ids in tokenizer(texts)["input_ids"] for id in ids}
    assert len(used) > PIECES / 2
    assert kind == "clip" or tokenizer.unk_token_id not in used


@every_kind
def test_a_second_training_gives_the_same_bytes(
    kind: str, trained: dict[str, PreTrainedTokenizerFast], texts: list[str], tmp_path: Path
) -> None:
    for name, tokenizer in {"first": trained[kind], "again": train_tokenizer(kind, texts, PIECES)}.items():
        tokenizer.save_pretrained(tmp_path / name)
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("first", "again")]
    assert files[0] == files[1]


@every_kind
def test_auto_tokenizer_gives_back_what_was_trained(
    kind: str, trained: dict[str, PreTrainedTokenizerFast], texts: list[str], tmp_path: Path
) -> None:
    """Beside a model's configuration, whose own tokenizer class would be another."""
    trained[kind].save_pretrained(tmp_path)
    CONFIGS[kind]().save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    asked = [*STRANGE, *texts[:50]]
    assert loaded(asked)["input_ids"] == trained[kind](asked)["input_ids"]
    assert loaded.special_tokens_map == trained[kind].special_tokens_map
    assert loaded.model_max_length == trained[kind].model_max_length


@pytest.mark.parametrize(
    ("kind", "tokens"),
    [
        ("t5", ["<pad>", "</s>", "<unk>"]),
        ("bart", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]),
    ],
)
def test_special_tokens_stand_where_the_authors_have_them(
    kind: str, tokens: list[str], trained: dict[str, PreTrainedTokenizerFast]
) -> None:
    tokenizer = trained[kind]
    assert tokenizer.convert_ids_to_tokens(list(range(len(tokens)))) == tokens
    assert tokenizer.convert_ids_to_tokens(list(range(PIECES, len(tokenizer)))) == extra_tokens()
    rows = tokenizer.convert_tokens_to_ids([f"<vis_extra_id_{k}>" for k in (0, 1, 99)])
    assert rows == [len(tokenizer) - 1, len(tokenizer) - 2, len(tokenizer) - 100]


def test_each_ends_a_text_as_its_model_expects(trained: dict[str, PreTrainedTokenizerFast]) -> None:
    ends = {kind: t.convert_ids_to_tokens([t("Bern")["input_ids"][i] for i in (0, -1)]) for kind, t in trained.items()}
    assert ends["t5"][1] == "</s>"
    assert ends["bart"] == ["<s>", "</s>"]
    assert ends["clip"] == ["<|startoftext|>", "<|endoftext|>"]
    assert trained["t5"].bos_token is None
    assert trained["clip"].pad_token_id == trained["clip"].eos_token_id == len(trained["clip"]) - 1


def test_what_each_keeps_of_a_text(trained: dict[str, PreTrainedTokenizerFast]) -> None:
    text = "Zürich, 12,345 km² in Peru"
    said = {kind: t.decode(t(text)["input_ids"], skip_special_tokens=True) for kind, t in trained.items()}
    assert said == {"t5": text.replace("²", "2"), "bart": text, "clip": "zürich , 1 2 , 3 4 5 km ² in peru"}


def test_the_case_is_nothing_to_clip(trained: dict[str, PreTrainedTokenizerFast]) -> None:
    ids = trained["clip"](["Bern  is", "bern is"])["input_ids"]
    assert ids[0] == ids[1]


def test_bad_input_is_refused() -> None:
    with pytest.raises(LabError, match=r"tokenizer 'gpt' is not one of t5, bart, clip\."):
        train_tokenizer("gpt", ["a"], PIECES)
    with pytest.raises(LabError, match="a vocabulary of 500 pieces is too small: ask for 600 or more"):
        train_tokenizer("t5", ["a"], 500)
    with pytest.raises(LabError, match="tokenizer 'bart': there is no text to train it on"):
        train_tokenizer("bart", ["", " "], PIECES)
