"""The published embedding is what sentence-transformers itself gives for the folders that it writes."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    CNN,
    LSTM,
    Dense,
    Dropout,
    LayerNorm,
    Normalize,
    Pooling,
    Transformer,
    WeightedLayerPooling,
)
from tiny import save_tiny, tiny_tokenizer
from tokenizers import normalizers
from torch import nn

from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inputs.prompts import Side
from hiddenstates.encoding.models.published import MODES, read_published

TEXTS = [
    "the capital of france is paris",
    "bern",
    "a red flag, the blue river of italy: rome is the city of the flags",
    "",
    "the city of bern is the capital of paris is the river of rome is the flag of italy is red is blue is the end",
    "What is the capital of France?",
]
WIDTH = 32
KINDS = ["bert", "roberta", "mpnet", "t5", "gpt2", "qwen3"]


def saved(folder: Path, *after: nn.Module, kind: str = "bert", of: Path | None = None, **settings: Any) -> Path:
    """A tiny model, then these modules, as the installed sentence-transformers saves them.

    of: a transformer's folder, instead of a tiny one; settings: of the Transformer, but for prompts
    """
    prompts = {name: settings.pop(name) for name in ("prompts", "default_prompt_name") if name in settings}
    source = of or save_tiny(folder / "plain", kind)
    transformer = Transformer(str(source), **settings)
    whole = SentenceTransformer(modules=[transformer, *map(shaken, after)], device="cpu", **prompts)
    whole.save_pretrained(str(folder / "saved"), create_model_card=False)
    return folder / "saved"


def shaken(module: nn.Module) -> nn.Module:
    """The module with random numbers in every parameter: a layer norm fresh from the shelf does next to nothing."""
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random) * 0.5 + 0.1)
    return module


def dense(d_in: int, d_out: int, activation: nn.Module | None = None, **settings: Any) -> Dense:
    return Dense(d_in, d_out, activation_function=activation or nn.Identity(), **settings)


def theirs(folder: Path, side: Side) -> np.ndarray:
    model = SentenceTransformer(str(folder), device="cpu")
    encode = {"query": model.encode_query, "passage": model.encode_document, "alike": model.encode}[side]
    return np.asarray(encode(TEXTS, batch_size=4))


def cosines(encoder: Encoder, folder: Path, side: Side = "passage") -> np.ndarray:
    """Of each text's published embedding, ours and that of sentence-transformers."""
    expected = theirs(folder, side)
    found = encoder.encode(TEXTS, side=side).vectors
    return (found * expected).sum(1) / np.linalg.norm(expected, axis=1)


def agrees(folder: Path, sides: Sequence[Side] = ("passage",)) -> Encoder:
    encoder = load_encoder(str(folder))
    assert encoder.baseline.published
    for side in sides:
        assert_allclose(cosines(encoder, folder, side), 1, atol=1e-6)
    return encoder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_each_pooling_of_each_kind(tmp_path: Path, kind: str, mode: str) -> None:
    encoder = agrees(saved(tmp_path, Pooling(WIDTH, mode), Normalize(), kind=kind))
    assert str(encoder.baseline.strategy) == f"-1/{MODES[mode]}"


@pytest.mark.parametrize(
    "modes", [("cls", "mean"), ("mean", "cls"), ("max", "lasttoken", "weightedmean"), tuple(MODES)]
)
def test_several_poolings_at_once(tmp_path: Path, modes: tuple[str, ...]) -> None:
    encoder = agrees(saved(tmp_path, Pooling(WIDTH, modes)))
    assert encoder.baseline.strategy.pools == [MODES[mode] for mode in modes]


HEADS: dict[str, Callable[[], Sequence[nn.Module]]] = {
    "dense": lambda: [dense(WIDTH, 8)],
    "without a bias": lambda: [dense(WIDTH, 8, bias=False)],
    "wider": lambda: [dense(WIDTH, 48, nn.Tanh())],
    "two": lambda: [dense(WIDTH, 48, nn.ReLU()), dense(48, 6, bias=False)],
    "residual": lambda: [dense(WIDTH, WIDTH, nn.Tanh(), use_residual=True)],
    "residual, projected": lambda: [dense(WIDTH, 8, nn.Tanh(), use_residual=True)],
    "layer norm": lambda: [LayerNorm(WIDTH)],
    "normalised before": lambda: [Normalize(), dense(WIDTH, 8)],
    "all": lambda: [Dropout(0.5), LayerNorm(WIDTH), dense(WIDTH, 8, nn.GELU()), Normalize(), Normalize()],
} | {
    name: lambda name=name: [dense(WIDTH, 8, getattr(nn, name)())]  # type: ignore[misc]
    for name in ("Tanh", "ReLU", "LeakyReLU", "GELU", "SiLU", "Sigmoid", "ELU", "Softplus", "Mish")
}


@pytest.mark.parametrize("head", HEADS)
def test_what_comes_after_the_pooling(tmp_path: Path, head: str) -> None:
    encoder = agrees(saved(tmp_path, Pooling(WIDTH, "mean"), *HEADS[head]()))
    assert str(encoder.baseline.strategy) == "-1/mean+head"
    bare = encoder.encode(TEXTS, Strategy.parse("-1/mean")).vectors
    headed = encoder.encode(TEXTS).vectors
    assert bare.shape != headed.shape or (bare * headed).sum(1).min() < 0.95  # a dropped head would be seen


def test_a_head_takes_what_several_poolings_give(tmp_path: Path) -> None:
    encoder = agrees(saved(tmp_path, Pooling(WIDTH, ("cls", "max")), dense(2 * WIDTH, 8, nn.Tanh()), Normalize()))
    assert str(encoder.baseline.strategy) == "-1/first,max+head"
    assert encoder.encode(TEXTS).vectors.shape == (len(TEXTS), 8)


PROMPTS = {"query": "the flag of rome is ", "document": "paris: ", "other": "red "}


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_each_side_has_its_prompt(tmp_path: Path, mode: str, pooled: bool) -> None:
    after = (Pooling(WIDTH, mode, include_prompt=pooled), dense(WIDTH, 8))
    folder = saved(tmp_path, *after, prompts=PROMPTS, default_prompt_name="other")
    encoder = agrees(folder, ["query", "passage", "alike"])
    assert (encoder.reading.query, encoder.reading.pool_prompt) == (PROMPTS["query"], pooled)


def test_a_prompt_on_the_wrong_side_is_seen(tmp_path: Path) -> None:
    folder = saved(tmp_path, Pooling(WIDTH), prompts=PROMPTS)
    encoder = load_encoder(str(folder))
    swapped = load_encoder(str(folder), query=PROMPTS["document"], passage=PROMPTS["query"])
    for side in ("query", "passage"):
        assert cosines(swapped, folder, side).max() < 1 - 1e-4  # type: ignore[arg-type]
    assert encoder.fingerprint != swapped.fingerprint


@pytest.mark.parametrize(
    ("prompts", "default", "read"),
    [
        ({}, None, ("", "", "")),
        ({"query": "q: "}, None, ("q: ", "", "")),
        ({"query": "q: ", "passage": "p: "}, None, ("q: ", "p: ", "")),
        ({"query": "q: ", "document": "d: ", "passage": "p: "}, "query", ("q: ", "d: ", "q: ")),
        ({"sts": "s: "}, "sts", ("s: ", "s: ", "s: ")),
    ],
)
def test_the_folder_s_prompts(
    tmp_path: Path, prompts: dict[str, str], default: str | None, read: tuple[str, str, str]
) -> None:
    said = {"prompts": prompts, "default_prompt_name": default}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(said), "utf-8")
    reading = read_published(tmp_path).reading
    assert (reading.query, reading.passage, reading.alike) == read
    asked = reading.asked("", "z ", pool_prompt=False)
    assert (asked.query, asked.passage, asked.alike, asked.pool_prompt) == ("", "z ", "", False)


def test_prompts_that_are_given_go_before_the_folder_s(tmp_path: Path) -> None:
    plain, told = saved(tmp_path / "a", Pooling(WIDTH)), saved(tmp_path / "b", Pooling(WIDTH), prompts=PROMPTS)
    given = load_encoder(str(plain), query=PROMPTS["query"], passage=PROMPTS["document"])
    for side in ("query", "passage"):
        assert_allclose(cosines(given, told, side), 1, atol=1e-6)  # type: ignore[arg-type]
    assert_allclose(cosines(load_encoder(str(told), query="", passage=""), plain), 1, atol=1e-6)


def test_texts_are_cut_where_the_folder_says(tmp_path: Path) -> None:
    folder = saved(tmp_path, Pooling(WIDTH), max_seq_length=7)
    assert agrees(folder).max_tokens == 7
    assert load_encoder(str(folder), max_tokens=9).max_tokens == 9
    assert cosines(load_encoder(str(folder), max_tokens=9), folder).min() < 1 - 1e-4


@pytest.mark.parametrize("lower", [False, True])
def test_texts_are_lower_cased_where_the_folder_says(tmp_path: Path, lower: bool) -> None:
    source = save_tiny(tmp_path / "plain")
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.save_pretrained(source)
    folder = saved(tmp_path, Pooling(WIDTH), of=source)
    about = json.loads((folder / "sentence_bert_config.json").read_text("utf-8"))
    (folder / "sentence_bert_config.json").write_text(json.dumps(about | {"do_lower_case": lower}), "utf-8")
    tokens = agrees(folder).tokenize(["The FLAG", "the flag"])
    assert (tokens[0] == tokens[1]) == lower


def old_layout(folder: Path) -> Path:
    """The same model in the layout of sentence-transformers 0.x to 2: names, switches and places of old."""
    below = folder / "0_Transformer"
    below.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.move(folder / name, below / name)
    (folder / "sentence_bert_config.json").unlink()
    said = {"max_seq_length": 9, "do_lower_case": False}
    (below / "sentence_bert_config.json").write_text(json.dumps(said), "utf-8")
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), "utf-8")
    lines = json.loads((folder / "modules.json").read_text("utf-8"))
    for line in lines:
        line["type"] = f"sentence_transformers.models.{line['type'].rpartition('.')[2]}"
    lines[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(lines), "utf-8")
    return folder


def test_a_layout_of_old(tmp_path: Path) -> None:
    folder = old_layout(saved(tmp_path, Pooling(WIDTH, ("cls", "mean")), dense(2 * WIDTH, 8, nn.Tanh())))
    encoder = agrees(folder)
    assert (encoder.max_tokens, str(encoder.baseline.strategy)) == (9, "-1/first,mean+head")


def test_the_files_of_another_layer(tmp_path: Path) -> None:
    way = {"text": {"method": "forward", "method_output_name": ["hidden_states", 2]}}
    folder = saved(tmp_path, Pooling(WIDTH), modality_config=way, module_output_name="token_embeddings")
    assert str(agrees(folder).baseline.strategy) == "2/mean"


@pytest.mark.parametrize("shown", [True, False])
def test_a_weighted_mean_of_layers(tmp_path: Path, shown: bool) -> None:
    layers = WeightedLayerPooling(WIDTH, num_hidden_layers=3, layer_start=1)
    settings = {"config_kwargs": {"output_hidden_states": True}} if shown else {}
    folder = saved(tmp_path, layers, Pooling(WIDTH, "mean"), dense(WIDTH, 8), **settings)
    assert agrees(folder).baseline.strategy.layers == ((1, 2, 3) if shown else (-1,))


@pytest.mark.parametrize("normalised", [True, False])
def test_another_comparison_than_the_cosine_is_named(tmp_path: Path, normalised: bool) -> None:
    folder = saved(tmp_path, Pooling(WIDTH, "cls"), *[Normalize()] * normalised)
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"similarity_fn_name": "dot"}), "utf-8")
    told = "" if normalised else "; compared by dot there, by cosine here"
    assert str(agrees(folder).baseline) == f"published: modules.json{told}"


BEYOND: dict[str, tuple[Callable[[], Sequence[nn.Module]], str]] = {
    "cnn": (lambda: [CNN(WIDTH, 8), Pooling(24)], "CNN in the place of a pooling"),
    "lstm": (lambda: [LSTM(WIDTH, 8), Pooling(16)], "LSTM in the place of a pooling"),
    "activation": (lambda: [Pooling(WIDTH), dense(WIDTH, 8, nn.PReLU())], "the activation torch.nn.*PReLU"),
    "tokens": (
        lambda: [dense(WIDTH, 8, module_input_name="token_embeddings"), Pooling(8)],
        "Dense in the place of a pooling",
    ),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_cannot_be_reproduced_is_named(tmp_path: Path, name: str) -> None:
    modules, obstacle = BEYOND[name]
    encoder = load_encoder(str(saved(tmp_path, *modules())))
    assert not encoder.baseline.published
    assert str(encoder.baseline.strategy) == "-1/mean"
    named = rf"convention: the mean of the last state; published is another, with {obstacle}"
    assert re.fullmatch(named, str(encoder.baseline))


def test_an_outside_class_is_named(tmp_path: Path) -> None:
    folder = saved(tmp_path, Pooling(WIDTH), Normalize())
    changed = (
        (folder / "modules.json").read_text("utf-8").replace("sentence_transformers.base.modules.norm", "own.norm")
    )
    (folder / "modules.json").write_text(changed, "utf-8")
    assert "a module own.normalize.Normalize that the lab has no like of" in str(load_encoder(str(folder)).baseline)


def test_a_folder_that_says_nothing_has_a_convention(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path)))
    assert str(encoder.baseline) == "convention: the mean of the last state"
    causal = load_encoder(str(save_tiny(tmp_path / "gpt2", "gpt2")))
    assert str(causal.baseline) == "convention: the last token of a causal model"
    assert str(causal.baseline.strategy) == "-1/last"


def test_the_default_model_says_how_it_is_pooled() -> None:
    encoder = load_encoder("sentence-transformers/all-MiniLM-L6-v2")
    assert (str(encoder.baseline.strategy), encoder.baseline.published, encoder.max_tokens) == ("-1/mean", True, 256)


def spoilt(folder: Path, file: str, text: str | None) -> Path:
    (folder / file).unlink() if text is None else (folder / file).write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("2_Dense/model.safetensors", None, r"2_Dense/model\.safetensors: no weights of Dense .*save_pretrained"),
        ("2_Dense/model.safetensors", "x", r"2_Dense/model\.safetensors: no weights of Dense"),
        ("modules.json", "{", r"modules\.json: no JSON can be read from it .*Save the model again"),
        ("modules.json", "[1]", r"modules\.json: it is not as sentence-transformers writes it"),
        ("modules.json", '[{"idx": 0, "path": "../x", "type": "a.B"}]', r"modules\.json: '\.\./x' leaves the folder"),
        ("1_Pooling/config.json", "[]", r"1_Pooling/config\.json: no JSON object\. Save the model again"),
    ],
)
def test_a_spoilt_folder_is_refused(tmp_path: Path, file: str, text: str | None, fault: str) -> None:
    folder = spoilt(saved(tmp_path, Pooling(WIDTH), dense(WIDTH, 8)), file, text)
    with pytest.raises(LabError, match=fault):
        load_encoder(str(folder))
