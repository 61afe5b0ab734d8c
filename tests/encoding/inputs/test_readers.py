"""Every family behind the one Encoder: its inputs, its padding, its end of text, its parts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tiny import KINDS, save_image, save_tiny
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    BartForConditionalGeneration,
    MT5ForConditionalGeneration,
    T5EncoderModel,
    T5ForConditionalGeneration,
)

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels
from hiddenstates.core.strategy import DEFAULT, Strategy
from hiddenstates.encoding.embeddings.pooling import POOLINGS, HiddenStates
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inputs.readers import Batch, ImageReader, Reader, Row, TextImage, TextReader
from hiddenstates.encoding.models.boxes import TextImageReader
from hiddenstates.encoding.sharding.sharded import pool_task
from hiddenstates.multimodal import VLBartForConditionalGeneration, VLT5ForConditionalGeneration

WORDS = ["the capital of france is paris", "bern", "", "the river of the city of rome is the flag", "red flags"]
TEXTUAL = [name for name, kind in KINDS.items() if kind.reads != "image"]
TEXT_POOLINGS = {
    name: function for name, function in POOLINGS.items() if name not in ("patches", "own")
}  # T5's "" is one token
every_family = pytest.mark.parametrize("name", KINDS)
every_text = pytest.mark.parametrize("name", TEXTUAL)
bfloat16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this CPU has no bfloat16 instructions"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each family, and four pictures."""
    root = tmp_path_factory.mktemp("families")
    for name, kind in KINDS.items():
        save_tiny(root / name, kind.model_type)
    for i in range(4):
        save_image(root / f"{i}.png", seed=i)
    return root


@pytest.fixture(scope="module")
def encoders(root: Path) -> dict[str, Encoder]:
    return {name: load_encoder(str(root / name), part=kind.part) for name, kind in KINDS.items()}


def inputs(name: str, root: Path) -> list[Any]:
    """Five inputs of different lengths where the family's have one; in two of the pairs the image is the same."""
    images = [root / f"{i}.png" for i in range(4)]
    if KINDS[name].reads == "image":
        return images
    pairs = [
        TextImage(text, image) for text, image in zip(WORDS, [images[0], None, images[0], images[1], None], strict=True)
    ]
    return list(pairs) if KINDS[name].reads == "text and boxes" else WORDS


@every_family
def test_alone_padded_and_streamed_agree(encoders: dict[str, Encoder], root: Path, name: str) -> None:
    encoder, items = encoders[name], inputs(name, root)
    poolings = list(TEXT_POOLINGS) if name in TEXTUAL else [p for p in POOLINGS if p not in ("eos", "own")]
    streamed = encoder.pool([str(i) for i in range(len(items))], items, poolings).values
    padded, alone = encoder.states(items), [encoder.states([item]) for item in items]
    for p in poolings:
        assert streamed[p].shape == (4, len(items), 32)
        assert_allclose(POOLINGS[p](padded), streamed[p], rtol=1e-5, atol=1e-5, err_msg=p)
        for i, states in enumerate(alone):
            assert_allclose(POOLINGS[p](states)[:, 0], streamed[p][:, i], rtol=1e-5, atol=1e-5, err_msg=p)


def side_by_side(tokens: list[list[int]], left: Callable[[int, int], int], pad: int) -> tuple[Tensor, Tensor]:
    """Ids and mask, `left(i, missing)` of the missing positions of row i on the left."""
    width = max(map(len, tokens)) + 2
    rows = [(row, left(i, width - len(row)), width - len(row)) for i, row in enumerate(tokens)]
    ids = [[pad] * n + row + [pad] * (missing - n) for row, n, missing in rows]
    mask = [[0] * n + [1] * len(row) + [0] * (missing - n) for row, n, missing in rows]
    return torch.tensor(ids), torch.tensor(mask)


@every_text
@pytest.mark.parametrize(
    ("left", "pad"),
    [(lambda i, n: 0, 0), (lambda i, n: n, 3), (lambda i, n: (i * n) // 4, 7)],
    ids=["right, padding", "left, end of text", "both, a word"],
)
def test_a_tokenised_batch_is_read_wherever_and_with_whatever_it_is_padded(
    encoders: dict[str, Encoder], name: str, left: Callable[[int, int], int], pad: int
) -> None:
    encoder = encoders[name]
    ids, mask = side_by_side(encoder.tokenize(WORDS), left, pad)
    states, alone = encoder.states_of(ids, mask), [encoder.states([text]) for text in WORDS]
    assert torch.equal(states.mask, mask.bool())
    for p, function in TEXT_POOLINGS.items():
        expected = torch.cat([function(one) for one in alone], 1)
        assert_allclose(function(states), expected, rtol=1e-5, atol=1e-5, err_msg=p)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, r"states_of: no attention mask\. Pass the tokenizer's, so that padding is not read as text"),
        ([[1, 1, 1]], r"a mask of shape \(1, 3\) for tokens of shape \(2, 3\)\. Pass the two as"),
        ([[1, 1, 1], [1, 0, 1]], r"the mask of row 1 has a hole\. Padding belongs to the left or right"),
        ([[0, 0, 0], [1, 1, 1]], r"row 0 is nothing but padding\. Leave it out"),
    ],
)
def test_a_batch_whose_mask_tells_nothing_is_refused(
    encoders: dict[str, Encoder], mask: list[list[int]] | None, message: str
) -> None:
    ids = torch.tensor([[2, 5, 3], [2, 6, 3]])
    with pytest.raises(LabError, match=message):
        encoders["bert"].states_of(ids, None if mask is None else torch.tensor(mask))


def test_a_row_longer_than_the_positions_is_refused(encoders: dict[str, Encoder]) -> None:
    ids = torch.full((1, 41), 5)
    with pytest.raises(LabError, match=r"row 0 holds 41 tokens, this encoder takes 40\. Cut it"):
        encoders["clip text"].states_of(ids, torch.ones_like(ids))
    assert encoders["t5 encoder"].states_of(ids, torch.ones_like(ids)).values.shape == (4, 1, 41, 32)


@every_text
def test_a_text_that_does_not_end_has_no_position_to_pool(encoders: dict[str, Encoder], name: str) -> None:
    ids = torch.tensor([[5, 6, 3], [5, 6, 7]])  # the second is cut before its [SEP]
    states = encoders[name].states_of(ids, torch.ones_like(ids))
    assert states.eos is not None
    assert states.eos.tolist() == [2, -1]
    with pytest.raises(
        LabError, match=r"row 1 of the batch has no end-of-text token.*truncation=True keeps.*or choose"
    ):
        POOLINGS["eos"](states)


@every_family
def test_nothing_in_nothing_out(encoders: dict[str, Encoder], name: str) -> None:
    assert encoders[name].encode([], DEFAULT).vectors.shape == (0, 32)
    assert encoders[name].encode([], Strategy.parse("concat(0,1)/mean")).vectors.shape == (0, 64)
    with pytest.raises(LabError, match=r"states: no inputs\. Give at least one"):
        encoders[name].states([])


@pytest.mark.parametrize("name", ["bert", "vl-t5"])
def test_a_text_of_no_tokens_is_refused(
    encoders: dict[str, Encoder], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = encoders[name].tokenizer.backend_tokenizer.encode
    monkeypatch.setattr(
        TextReader, "tokenize", lambda _, texts: [plain(t, add_special_tokens=False).ids for t in texts]
    )
    with pytest.raises(LabError, match=r"text '' has no tokens, so no hidden states\. Leave it out"):
        encoders[name].encode(["bern", ""], DEFAULT)


@every_family
def test_equal_inputs_are_encoded_once(
    encoders: dict[str, Encoder], root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, items = encoders[name], inputs(name, root)[:2]
    read: list[Row] = []
    kind: Any = type(encoder.reader)
    real = kind.batch

    def count(reader: Reader, rows: list[Row]) -> Batch:
        read.extend(rows)
        batch: Batch = real(reader, rows)
        return batch

    monkeypatch.setattr(kind, "batch", count)
    vectors = encoder.encode([items[1], items[0], items[1]], DEFAULT).vectors
    assert len(read) == 2
    assert_array_equal(vectors[0], vectors[2])
    assert_allclose(vectors[:2], encoder.encode(items, DEFAULT).vectors[::-1], rtol=1e-5, atol=1e-6)


@every_family
def test_packed_or_not_and_by_whichever_attention_the_states_are_the_same(
    encoders: dict[str, Encoder], root: Path, name: str
) -> None:
    encoder, items = encoders[name], inputs(name, root)
    whole = AutoModel.from_pretrained(root / name, attn_implementation="eager").eval()
    plain = replace(encoder, model=whole.get_submodule(encoder.part.path))
    assert not any(type(module).__name__ == "PackedLinear" for module in plain.model.modules())
    mask = encoder.states(items).mask[None, :, :, None]
    assert_allclose(encoder.states(items).values * mask, plain.states(items).values * mask, rtol=1e-4, atol=1e-5)


@bfloat16
@every_family
def test_bfloat16_is_near_and_has_another_fingerprint(encoders: dict[str, Encoder], root: Path, name: str) -> None:
    low = load_encoder(str(root / name), dtype="bfloat16", part=KINDS[name].part)
    exact, near = (encoder.encode(inputs(name, root), DEFAULT).vectors for encoder in (encoders[name], low))
    assert not (exact == near).all()
    assert ((exact * near).sum(1) > 0.999).all()
    assert low.states(inputs(name, root)).values.dtype == torch.float32
    assert low.fingerprint != encoders[name].fingerprint


def test_parts_of_one_folder_have_fingerprints_of_their_own(root: Path) -> None:
    marks = {load_encoder(str(root / "clip text"), part=part).fingerprint for part in (None, "text", "vision")}
    assert len(marks) == 2
    with pytest.raises(LabError, match=r"type 'clip' has no part 'decoder'\. Choose 'text' or 'vision'"):
        load_encoder(str(root / "clip text"), part="decoder")


def test_a_tower_alone_gives_what_it_gives_in_the_whole(root: Path, tmp_path: Path) -> None:
    whole = AutoModel.from_pretrained(root / "clip text")
    for part, items in (("text", WORDS), ("vision", inputs("clip vision", root))):
        save_tiny(tmp_path / part, f"clip_{part}_model")
        getattr(whole, f"{part}_model").save_pretrained(tmp_path / part)
        alone, inside = load_encoder(str(tmp_path / part)), load_encoder(str(root / "clip text"), part=part)
        assert_array_equal(alone.encode(items, DEFAULT).vectors, inside.encode(items, DEFAULT).vectors)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("t5 encoder", T5EncoderModel),
        ("t5 encoder", T5ForConditionalGeneration),
        ("t5 decoder", MT5ForConditionalGeneration),
        ("bart encoder", BartForConditionalGeneration),
        ("bart decoder", BartForConditionalGeneration),
        ("vl-t5", VLT5ForConditionalGeneration),
        ("vl-bart", VLBartForConditionalGeneration),
    ],
)
def test_a_model_with_another_head_or_without_its_decoder_is_read_too(name: str, kind: Any, tmp_path: Path) -> None:
    save_tiny(tmp_path, kind.config_class.model_type, decoder_start_token_id=3)
    torch.manual_seed(1)
    model = kind(AutoConfig.from_pretrained(tmp_path)).eval()
    model.save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path), part=KINDS[name].part)
    ids = torch.tensor(encoder.tokenize(["red flag"]))
    arguments = {} if kind is T5EncoderModel else {"decoder_input_ids": ids.roll(1)}  # the end first: our start
    with torch.inference_mode():
        out = model(input_ids=ids, **arguments, output_hidden_states=True)
    field = "decoder_hidden_states" if "decoder" in name else "encoder_hidden_states"
    expected = out.hidden_states if kind is T5EncoderModel else out[field]
    assert_allclose(encoder.states(["red flag"]).values, torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_a_decoder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, "t5")
    T5EncoderModel(AutoConfig.from_pretrained(tmp_path)).save_pretrained(tmp_path)
    with pytest.raises(LabError, match=r"weights are missing, first decoder\.block\.0\..*Save the whole model"):
        load_encoder(str(tmp_path), part="decoder")


def test_the_last_state_is_the_mapped_one_whatever_the_folder_s_config_says(root: Path, tmp_path: Path) -> None:
    save_tiny(tmp_path, "t5", tie_last_hidden_states=False)
    for part in ("encoder", "decoder"):
        expected = load_encoder(str(root / "t5 encoder"), part=part).states(WORDS).values
        assert_array_equal(load_encoder(str(tmp_path), part=part).states(WORDS).values, expected)


def test_a_decoder_reads_the_text_one_later(encoders: dict[str, Encoder]) -> None:
    """As in BartForSequenceClassification: position i of the decoder has read the start and the text before i."""
    encoder = encoders["bart decoder"]
    batch = encoder.reader.batch([Row([2, 5, 6, 3]), Row([2, 7, 3])])
    assert batch.arguments["input_ids"].tolist() == [[2, 5, 6, 3], [2, 7, 3, 0]]
    assert batch.arguments["decoder_input_ids"].tolist() == [[3, 2, 5, 6], [3, 2, 7, 3]]
    assert batch.arguments["decoder_attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch.eos is not None
    assert batch.eos.tolist() == [3, 2]


def test_a_decoder_without_a_start_is_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, "t5", decoder_start_token_id=None)
    with pytest.raises(LabError, match=r"its config has no decoder_start_token_id\. Set it and save it again"):
        load_encoder(str(tmp_path), part="decoder")
    assert load_encoder(str(tmp_path)).part.name == "encoder"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bert", Path("a.png"), "input 1 is of type PosixPath; this encoder reads str"),
        ("clip vision", "a.png", "input 1 is of type str; this encoder reads Path"),
        ("vl-t5", Path("a.png"), "input 1 is of type PosixPath; this encoder reads str or TextImage"),
    ],
)
def test_an_input_of_another_kind_is_refused(
    encoders: dict[str, Encoder], root: Path, name: str, value: Any, message: str
) -> None:
    with pytest.raises(LabError, match=message):
        encoders[name].encode([inputs(name, root)[0], value], DEFAULT)


@pytest.mark.parametrize(("content", "message"), [(None, "no such image"), (b"GIF89a?", "a broken image")])
@pytest.mark.parametrize("name", ["clip vision", "vl-t5"])
def test_a_bad_image_is_named(
    encoders: dict[str, Encoder], tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / "a.gif"
    if content:
        path.write_bytes(content)
    value = path if name == "clip vision" else TextImage("the", path)
    with pytest.raises(LabError, match=rf"a\.gif: {message}"):
        encoders[name].encode([value], DEFAULT)


def test_an_encoder_of_images_has_no_tokens(encoders: dict[str, Encoder]) -> None:
    with pytest.raises(LabError, match=r"this part of it reads images and has no tokens\. Load another part"):
        encoders["clip vision"].tokenize(["a"])
    with pytest.raises(LabError, match="has no tokens"):
        encoders["clip vision"].states_of(torch.ones(1, 2, dtype=torch.long), torch.ones(1, 2))


def test_an_image_has_a_position_a_patch_and_one(encoders: dict[str, Encoder], root: Path) -> None:
    states = encoders["clip vision"].states([root / "0.png"])
    assert states.values.shape == (4, 1, 1 + 3 * 3, 32)  # 12 / 4 = 3 patches to a side
    assert (bool(states.mask.all()), states.eos) == (True, None)


@pytest.mark.parametrize("name", ["vl-t5", "vl-bart"])
def test_boxes_come_after_the_text(encoders: dict[str, Encoder], root: Path, name: str) -> None:
    encoder = encoders[name]
    both, text = encoder.states([TextImage("red flag", root / "0.png"), "bern is red"]), encoder.states(["bern is red"])
    lengths = [len(row) for row in encoder.tokenize(["red flag", "bern is red"])]
    assert both.mask.sum(1).tolist() == [lengths[0] + 9, lengths[1]]
    assert both.mask[:, -9:].all(1).tolist() == [True, False]
    assert both.eos is not None
    assert both.eos.tolist() == [lengths[0] - 1, lengths[1] - 1]
    assert_allclose(both.values[:, 1, : lengths[1]], text.values[:, 0], rtol=1e-5, atol=1e-5)
    other = encoder.states([TextImage("red flag", root / "1.png")]).values[-1, 0, 0]
    assert not torch.allclose(other, both.values[-1, 0, 0])  # the text sees the boxes


def test_boxes_lie_as_the_patches_do(encoders: dict[str, Encoder], root: Path) -> None:
    reader = encoders["vl-t5"].reader
    assert isinstance(reader, TextImageReader)
    assert reader.boxes is not None
    places = reader.boxes.places()
    assert_allclose(places[:2], [[0, 1 / 3, 0, 1 / 3], [1 / 3, 2 / 3, 0, 1 / 3]], rtol=1e-6)  # x1, x2, y1, y2
    assert_allclose(places[-1], [2 / 3, 1, 2 / 3, 1], rtol=1e-6)
    vision = load_encoder(str(root / "vl-t5" / "vision"))
    patches = vision.states([root / "0.png"]).values[-1, :, 1:]
    assert_allclose(reader.boxes.features([root / "0.png"]), patches, rtol=1e-4, atol=1e-5)


def test_a_model_without_vision_reads_texts_only(tmp_path: Path, root: Path) -> None:
    save_tiny(tmp_path, "vlbart")
    (tmp_path / "vision").rename(tmp_path / "elsewhere")
    encoder = load_encoder(str(tmp_path))
    assert encoder.encode(["bern"], DEFAULT).vectors.shape == (1, 32)
    with pytest.raises(LabError, match=r"0\.png: this model came without a vision/ folder to make boxes"):
        encoder.encode([TextImage("bern", root / "0.png")], DEFAULT)


def test_boxes_of_another_width_are_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, "vlbart", feat_dim=20)
    with pytest.raises(LabError, match=r"a clip_vision_model of width 32, wanted is .* feat_dim 20\. Save the one"):
        load_encoder(str(tmp_path))


def test_what_an_encoder_reads_of_a_task(encoders: dict[str, Encoder], root: Path) -> None:
    image = root / "0.png"
    items = (["red", "blue"], [image, None])
    assert encoders["t5 encoder"].reader.inputs(*items) == ["red", "blue"]
    assert encoders["vl-t5"].reader.inputs(*items) == [TextImage("red", image), TextImage("blue")]
    assert encoders["clip vision"].reader.inputs(*items) == [image, None]


def test_what_an_encoder_cannot_read_is_left_out_of_a_task(encoders: dict[str, Encoder], root: Path) -> None:
    passages = table([{"id": "p0", "image": "0.png"}, {"id": "p1"}, {"id": "p2", "image": "1.png"}], PASSAGE_COLUMNS)
    queries = table([{"id": "q0", "text": "red", "image": "1.png"}, {"id": "q1", "text": "blue"}], QUERY_COLUMNS)
    task = Task(KnowledgeBase(passages, root, "r"), queries, Qrels({"q0": {"p2": 1.0}, "q1": {"p1": 1.0}}))
    states = pool_task(encoders["clip vision"], task, ["first"])
    assert (states.passages.ids, states.queries.ids) == (["p0", "p2"], ["q0"])
    assert states.covered(task).qrels == Qrels({"q0": {"p2": 1.0}})
    blind = replace(task, queries=queries.select([1]))
    with pytest.raises(LabError, match=r"it reads images, and no item of the task has one\. Choose another part"):
        pool_task(encoders["clip vision"], blind, ["first"])


def test_each_reader_makes_pictures_as_its_model_s_processor_says(encoders: dict[str, Encoder], root: Path) -> None:
    reader = encoders["clip vision"].reader
    assert isinstance(reader, ImageReader)
    pixels = reader.batch(reader.rows([root / "0.png"])).arguments["pixel_values"]
    assert pixels.shape == (1, 3, 12, 12)
    assert pixels.dtype == torch.float32
    assert isinstance(encoders["clip vision"].states([root / "0.png"]), HiddenStates)
