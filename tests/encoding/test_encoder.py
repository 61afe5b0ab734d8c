import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sentence_transformers import SentenceTransformer
from tiny import VOCABULARY, save_image, save_tiny, save_tokenizer, tiny_model
from transformers import AutoModel, AutoTokenizer

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels
from hiddenstates.core.strategy import DEFAULT, Strategy
from hiddenstates.encoding import encoder as module
from hiddenstates.encoding.embeddings.pooling import POOLINGS
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.models.baseline import Baseline
from hiddenstates.encoding.models.files import model_folder
from hiddenstates.encoding.sharding.sharded import pool_task

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
TEXTS = ["the capital of france is paris", "bern", "", "the river of the city of rome is the flag", "red flags"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("tiny"))))


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return load_encoder(MINILM)


def numbers(texts: list[str]) -> list[str]:
    return [str(i) for i in range(len(texts))]


@pytest.mark.parametrize("pooling", sorted(POOLINGS.keys() - {"patches", "own"}))
def test_alone_padded_and_streamed_agree(tiny: Encoder, pooling: str) -> None:
    streamed = tiny.pool(numbers(TEXTS), TEXTS, [pooling]).values[pooling]  # [layer, item, d_model]
    padded = POOLINGS[pooling](tiny.states(TEXTS)).numpy()
    assert streamed.shape == (4, 5, 32)
    assert_allclose(padded, streamed, rtol=1e-5, atol=1e-6)
    for i, text in enumerate(TEXTS):
        assert_allclose(POOLINGS[pooling](tiny.states([text])).numpy()[:, 0], streamed[:, i], rtol=1e-5, atol=1e-6)


def test_small_batches_give_what_large_ones_do(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = TEXTS * 5
    large = tiny.pool(numbers(texts), texts, ["mean"]).values["mean"]
    monkeypatch.setattr(module, "TOKEN_BUDGET", 10)
    assert_allclose(tiny.pool(numbers(texts), texts, ["mean"]).values["mean"], large, rtol=1e-5, atol=1e-6)


def test_states_name_their_axes(tiny: Encoder) -> None:
    states = tiny.states(TEXTS)
    assert states.values.shape == (len(tiny.state_map), 5, 12, 32)
    assert states.mask.sum(-1).tolist() == [8, 3, 2, 12, 5]  # words, [CLS] and [SEP]; `flags` is flag ##s
    assert states.eos is not None
    assert states.eos.tolist() == [7, 2, 1, 11, 4]


def test_layers_come_in_the_model_s_order(tiny: Encoder) -> None:
    ids = torch.tensor(tiny.tokenize(TEXTS[:1]))
    with torch.inference_mode():
        embedded, last = tiny.model.embeddings(ids), tiny.model(input_ids=ids).last_hidden_state
    values = tiny.states(TEXTS[:1]).values
    assert_allclose(values[0], embedded, rtol=1e-6)
    assert_allclose(values[-1], last, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "combined"),
    [
        ("2/mean", lambda s: s[2]),
        ("-1/mean", lambda s: s[3]),
        ("sum(0,2)/mean", lambda s: s[0] + s[2]),
        ("sum(-2..-1)/mean", lambda s: s[2] + s[3]),
        ("mean(1..3)/mean", lambda s: (s[1] + s[2] + s[3]) / 3),
        ("concat(3,1)/mean", lambda s: np.concatenate([s[1], s[3]], axis=1)),
    ],
)
def test_encode_pools_combines_and_scales(tiny: Encoder, text: str, combined: object) -> None:
    strategy = Strategy.parse(text)
    assert callable(combined)
    expected = combined(POOLINGS["mean"](tiny.states(TEXTS)).numpy())
    raw = tiny.encode(TEXTS, strategy.unscaled)
    assert_allclose(raw.vectors, expected, rtol=1e-5, atol=1e-6)
    scaled = tiny.encode(TEXTS, strategy, ids=list("abcde"))
    assert_allclose(scaled.vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5, atol=1e-6)
    assert (scaled.ids, scaled.strategy, scaled.fingerprint) == (list("abcde"), strategy.resolve(4), tiny.fingerprint)


def test_a_long_text_is_cut(tiny: Encoder, tmp_path: Path) -> None:
    short = load_encoder(str(save_tiny(tmp_path)), max_tokens=5)
    assert short.tokenize(["the capital of france is paris"]) == [
        [VOCABULARY[token] for token in ("[CLS]", "the", "capital", "of", "[SEP]")]
    ]
    assert_allclose(
        short.encode(["the capital of france"], DEFAULT).vectors,
        tiny.encode(["the capital of"], DEFAULT).vectors,
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("kind", "longest"),
    [("bert", 40), ("roberta", 38), ("mpnet", 38), ("distilbert", 40), ("bart", 40), ("clip", 40), ("t5", 8192)],
)
def test_a_text_is_cut_where_the_model_has_no_more_positions(tmp_path: Path, kind: str, longest: int) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path, kind)), max_tokens=8192)
    assert encoder.max_tokens == longest  # the first two of RoBERTa's 40 are the padding's, T5 has none
    assert encoder.encode(["the " * 60], DEFAULT).vectors.shape == (1, 32)


def test_the_end_of_text_is_found_where_a_text_names_it_too(tiny: Encoder) -> None:
    states = tiny.states(["paris [SEP] rome"])
    assert states.eos is not None
    assert states.eos.tolist() == [4]  # the tokenizer's own, not the text's


def test_inputs_of_the_same_tokens_are_run_once(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[int] = []
    forward = Encoder._forward
    monkeypatch.setattr(
        Encoder, "_forward", lambda self, rows, *layers: run.append(len(rows)) or forward(self, rows, *layers)
    )
    texts = ["the flag of bern", "BERN", "bern", "the flag of Bern", "bern"]
    assert len({tuple(ids) for ids in tiny.tokenize(texts)}) == 2
    pooled = tiny.pool([*"abcde"], texts, ["mean"]).values["mean"]
    assert sum(run) == 2
    alone = [tiny.pool(["a"], [text], ["mean"]).values["mean"][:, 0] for text in texts]
    assert_allclose(pooled, np.stack(alone, axis=1), atol=1e-6)


def test_no_gradients_and_no_dropout(tiny: Encoder) -> None:
    once, twice = tiny.states(TEXTS).values, tiny.states(TEXTS).values
    assert not once.requires_grad
    assert torch.equal(once, twice)


def test_a_task_is_pooled_in_its_own_order(tiny: Encoder, tmp_path: Path) -> None:
    passages = table([{"id": f"p{i}", "title": "the", "text": text} for i, text in enumerate(TEXTS)], PASSAGE_COLUMNS)
    queries = table([{"id": "q1", "text": "rome"}, {"id": "q0", "text": "the flag of bern"}], QUERY_COLUMNS)
    task = Task(KnowledgeBase(passages, tmp_path, "r"), queries, Qrels({"q0": {"p1": 1}, "q1": {"p3": 1}}))
    states = pool_task(tiny, task, ["first", "mean"])
    assert (states.passages.ids, states.queries.ids) == ([f"p{i}" for i in range(5)], ["q1", "q0"])
    alone = POOLINGS["mean"](tiny.states([f"the {TEXTS[4]}"])).numpy()[:, 0]
    assert_allclose(states.passages.values["mean"][:, 4], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("measure", ["retrieval", "similarity"])
def test_each_side_of_a_task_has_its_prompt(tmp_path: Path, measure: Literal["retrieval", "similarity"]) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path / "m")), query="red ", passage="blue ")
    passages = table([{"id": "p0", "text": "rome"}], PASSAGE_COLUMNS)
    queries = table([{"id": "q0", "text": "rome"}, {"id": "q1", "text": "bern"}], QUERY_COLUMNS)
    qrels = Qrels({"q0": {"p0": 1}, "q1": {"p0": 1}})
    states = pool_task(encoder, Task(KnowledgeBase(passages, tmp_path, "r"), queries, qrels, measure), ["mean"])
    before = {"retrieval": "blue rome", "similarity": "red rome"}[measure]  # sentences of pairs are read alike
    plain = load_encoder(str(tmp_path / "m"))
    assert_array_equal(states.passages.values["mean"], plain.pool("p", [before], ["mean"]).values["mean"])
    asked = plain.pool(["q0", "q1"], ["red rome", "red bern"], ["mean"])
    assert_allclose(states.queries.values["mean"], asked.values["mean"], rtol=1e-5, atol=1e-6)
    assert states.passages.fingerprint == states.queries.fingerprint != plain.fingerprint


def test_what_the_published_embedding_pools_is_always_pooled(tiny: Encoder, tmp_path: Path) -> None:
    passages, queries = table([{"id": "p", "text": "rome"}], PASSAGE_COLUMNS), table([{"id": "q"}], QUERY_COLUMNS)
    task = Task(KnowledgeBase(passages, tmp_path, "r"), queries, Qrels({"q": {"p": 1}}))
    published = replace(tiny, baseline=Baseline(Strategy.parse("-1/first,weightedmean"), True, "modules.json"))
    states = pool_task(published, task, ["max", "first"])
    assert list(states.queries.values) == ["max", "first", "weightedmean"]
    assert states.passages.embed(states.default).vectors.shape == (1, 64)


def test_a_task_is_read_as_the_encoder_reads(tmp_path: Path) -> None:
    names = [save_image(tmp_path / f"{i}.png", seed=i).name for i in range(3)]
    rows = [{"id": f"p{i}", "text": "red", "image": names[i]} for i in range(2)]
    passages, queries = table(rows, PASSAGE_COLUMNS), table([{"id": "q0", "image": names[2]}], QUERY_COLUMNS)
    task = Task(KnowledgeBase(passages, tmp_path, "r"), queries, Qrels({"q0": {"p1": 1}}))
    vision = load_encoder(str(save_tiny(tmp_path / "clip", "clip")), part="vision")
    states = pool_task(vision, task, ["first"])
    paths = [tmp_path / name for name in names]
    assert_allclose(states.passages.values["first"], vision.pool(["0", "1"], paths[:2], ["first"]).values["first"])
    assert_allclose(states.queries.values["first"], vision.pool(["0"], paths[2:], ["first"]).values["first"])
    both = pool_task(load_encoder(str(save_tiny(tmp_path / "vlt5", "vlt5"))), task, ["mean"]).passages.values["mean"]
    assert not np.allclose(both[:, 0], both[:, 1])  # one text, two images


@pytest.mark.usefixtures("bars_at_once")
def test_one_input_alone_shows_no_bar(tiny: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    for inputs, shown in ((TEXTS[:1], False), (TEXTS[:2], True)):
        tiny.pool(inputs, inputs, ["mean"])
        assert ("encode" in capsys.readouterr().err) is shown


def test_an_unknown_pooling_is_refused_before_any_work(tiny: Encoder) -> None:
    with pytest.raises(LabError, match="unknown pooling 'median'"):
        replace(tiny, model=None).pool(["0"], ["the"], ["mean", "median"])


def test_what_loads_an_encoder_again_is_kept(tiny: Encoder) -> None:
    assert tiny.source is not None
    assert Path(tiny.source.model).is_absolute()
    assert load_encoder(**asdict(tiny.source)).fingerprint == tiny.fingerprint


def test_a_gpu_that_is_asked_for_and_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert load_encoder(str(save_tiny(tmp_path)), device="auto").device.type == "cpu"
    with pytest.raises(LabError, match=r"states\.device is cuda, and torch sees no GPU here\. Choose auto or cpu"):
        load_encoder(str(tmp_path), device="cuda")


def test_a_gpu_that_is_there_is_used_unless_the_cpu_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [module._device(wanted) for wanted in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]


def test_all_that_a_model_reads_goes_to_its_device(tiny: Encoder) -> None:
    seen: dict[str, str] = {}

    class Elsewhere(torch.nn.Module):
        """A model on the device `meta`, which computes nothing and takes no tensor of a CPU."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.empty(1, device="meta"))

        def forward(self, output_hidden_states: bool, **arguments: torch.Tensor) -> dict[str, list[torch.Tensor]]:
            seen.update({name: value.device.type for name, value in arguments.items()})
            shape = (*arguments["input_ids"].shape, 32)
            return {"hidden_states": [torch.empty(shape, device="meta") for _ in range(4)]}

    states = replace(tiny, model=Elsewhere())._forward(tiny.reader.rows(TEXTS))
    assert seen == {"input_ids": "meta", "attention_mask": "meta"}
    assert states.eos is not None
    assert {part.device.type for part in (states.values, states.mask, states.eos)} == {"meta"}
    for name in set(POOLINGS) - {"eos", "patches", "max", "own"}:  # those look at numbers, of which there are none
        assert POOLINGS[name](states).device.type == "meta"


def test_a_causal_model_is_read_too_and_its_first_token_is_named_a_constant(tmp_path: Path) -> None:
    tiny_model("gpt2", n_positions=40, bos_token_id=2, eos_token_id=3).save_pretrained(tmp_path)
    save_tokenizer(tmp_path, "clip")
    encoder = load_encoder(str(tmp_path))
    assert encoder.causal
    assert any("`first` is the same vector for every text" in note for note in encoder.notes)
    first = encoder.pool(["0", "1"], TEXTS[:2], ["first"]).values["first"]
    assert_allclose(first[:, 0], first[:, 1], rtol=1e-5, atol=1e-6)


def test_a_tokenizer_that_ends_no_text_leaves_no_pooling_eos_and_one_without_padding_is_read(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(save_tiny(tmp_path))
    pieces = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(pieces | {"post_processor": None}), "utf-8")
    assert tokenizer.sep_token == "[SEP]"
    encoder = load_encoder(str(tmp_path))
    assert encoder.poolings == ["first", "last", "mean", "max"]
    with pytest.raises(
        LabError, match=r"no pooling eos: its tokenizer ends no text .* Choose among first, last, mean, max\."
    ):
        replace(encoder, model=None).pool(["0"], ["bern"], ["mean", "eos"])
    named = json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))
    named.pop("pad_token")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(named), "utf-8")
    bare = load_encoder(str(tmp_path))
    assert bare.tokenizer.pad_token is None
    texts = ["red", "the flag of bern"]
    assert_allclose(POOLINGS["mean"](bare.states(texts)), POOLINGS["mean"](encoder.states(texts)), rtol=1e-4, atol=1e-5)


QUESTIONS = [
    "What is the capital of France?",
    "Bern",
    "",
    "Reykjavík — høfuðborg Íslands, 東京, 🏳️",
    "The telephone numbers of this country begin with +41. " * 40,
]


def test_the_default_model_embeds_as_published(minilm: Encoder) -> None:
    """The model card's recipe, written out: the mean of the last state over the mask, scaled to length 1."""
    folder = model_folder(MINILM, None)
    batch = AutoTokenizer.from_pretrained(folder)(
        QUESTIONS, padding=True, truncation=True, max_length=256, return_tensors="pt"
    )
    with torch.inference_mode():
        last = AutoModel.from_pretrained(folder)(**batch).last_hidden_state
    mask = batch["attention_mask"][:, :, None]
    published = torch.nn.functional.normalize((last * mask).sum(1) / mask.sum(1)).numpy()
    cosines = (minilm.encode(QUESTIONS, DEFAULT).vectors * published).sum(1)
    assert_allclose(cosines, 1, atol=1e-5)


def test_the_default_model_agrees_with_sentence_transformers(minilm: Encoder) -> None:
    theirs = SentenceTransformer(str(model_folder(MINILM, None)), device="cpu")
    theirs.max_seq_length = 256
    cosines = (minilm.encode(QUESTIONS, DEFAULT).vectors * theirs.encode(QUESTIONS, normalize_embeddings=True)).sum(1)
    assert_allclose(cosines, 1, atol=1e-5)


def test_the_default_model_knows_that_paris_is_no_river(minilm: Encoder) -> None:
    question, city, river = minilm.encode(
        ["What is the capital of France?", "Paris is the capital of France.", "The Nile is a river."], DEFAULT
    ).vectors
    assert question @ city > 0.7 > 0.3 > question @ river
