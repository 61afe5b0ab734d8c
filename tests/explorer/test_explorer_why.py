"""Why a passage stands where it stands: the words' shares add up to the score, and each is the right one."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exploring import asked, pooled
from matplotlib.colors import to_hex, to_rgb
from numpy.testing import assert_allclose
from tiny import save_image, save_tiny

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import parse
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.pooling import POOLINGS, HiddenStates, get_pooling
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inputs.readers import TextImage
from hiddenstates.encoding.models.baseline import Baseline
from hiddenstates.encoding.models.head import Head, LayerNorm, Linear, Normalize
from hiddenstates.explorer.page import STYLE
from hiddenstates.explorer.parts import how, token_parts
from hiddenstates.explorer.search import Explorer, Question
from hiddenstates.explorer.shading import STRONGEST, shaded
from hiddenstates.explorer.spans import Span, token_spans, words
from hiddenstates.explorer.systems import read_system
from hiddenstates.explorer.why import Text, Why, Word, explain
from hiddenstates.report.figures.style import ACCENT, BLUE, contrast

TEXTS = [
    "the capital of italys", "rome is red", "paris the city of the river", "bern", "the blue flag of france is red",
    "city city river", "italy", "is the capital red",
]  # fmt: skip
LINEAR = [name for name in POOLINGS if name != "own"]
QUESTION = Question("the capital of italys")
EXACT = {"rtol": 0, "atol": 2e-6}  # the embedding is of float32


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("bert"))))


@pytest.fixture(scope="module")
def explorer(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    task = asked(tmp_path_factory.mktemp("explorer"))
    return Explorer(task, pooled(encoder, task, ["first", "mean", "max"]), encoder)


@pytest.fixture(scope="module")
def read(encoder: Encoder) -> list[HiddenStates]:
    """The states of each text."""
    return [encoder.states([text]) for text in TEXTS]


FORMS = (
    "3/{}",
    "mean(1,2,3)/{}",
    "sum(0*0.3,2*-0.7)/{}+raw",
    "concat(0,3)/{}+ln",
    "sum(1,3)/{},first+ln",
    "concat(1,3)/{}+ln+each.5",
    "sum(1,3)/{}+each.5+white.9",
    "concat(1,3)/{}+pca3",
    "3/{}+ln+white2",
    "3/{}+first7",
    "0.3*3/{} & 0.7*concat(0,3)/max,{}+ln+each.5",
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pool", LINEAR)
def test_the_tokens_parts_add_up_to_the_embedding(
    pool: str, form: str, encoder: Encoder, read: list[HiddenStates]
) -> None:
    strategy = parse(form.replace("{}", pool)).resolve(4)
    values = {name: np.concatenate([get_pooling(name)(states) for states in read], 1) for name in strategy.pools}
    states = PooledStates(TEXTS, values, encoder.state_map, "tiny")
    whitening = fitted(strategy, states) if strategy.whitened else Whitenings({})
    embedded = states.embed(strategy, whitening).vectors
    for text, given, vector in zip(TEXTS[:3], read, embedded, strict=False):
        parts = token_parts(given, strategy, whitening, encoder.baseline.head)
        assert parts.shape[0] == len(encoder.tokenize([text])[0])
        slack = 1e-4 if whitening.parts else 2e-6  # whitening enlarges the rounding of states that hardly differ
        assert_allclose(parts.sum(0), vector, rtol=0, atol=slack * np.abs(vector).max())


def test_what_the_model_does_after_pooling_is_shared_too(encoder: Encoder) -> None:
    random = np.random.default_rng(0)

    def matrix(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float32)

    steps = (
        Linear(matrix(12, 32), matrix(12), "Tanh", matrix(12, 32)),
        LayerNorm(matrix(12), matrix(12)),
        Linear(matrix(6, 12), None, "Sigmoid"),  # of nothing a half
        Normalize(),
    )
    strategy = parse("3/mean+head").resolve(4)
    for n in range(1, len(steps) + 1):
        head = Head(steps[:n])
        states = encoder.pool(["0"], TEXTS[:1], ["mean"])
        states = replace(states, baseline=Baseline(strategy, True, "made up", head))
        parts = token_parts(encoder.states(TEXTS[:1]), strategy, Whitenings({}), head)
        assert_allclose(parts.sum(0), states.embed(strategy).vectors[0], **EXACT)
    assert how(strategy, Head(steps)) == [
        "Approximate: Tanh, Sigmoid in +head is shared by the Rescale rule (Shrikumar et al. 2017)."
    ]
    assert how(strategy, Head((Normalize(),))) == []


def test_of_the_mean_each_token_adds_its_own_inner_product(explorer: Explorer) -> None:
    why = explain(explorer, QUESTION, parse("2/mean"), "it0")
    passage, asked = (explorer.encoder.states([text]).values[2, 0].double().numpy() for text in
                      ("Italy rome is the capital of italy", QUESTION.text))  # fmt: skip
    one, other = asked.mean(0), passage.mean(0)
    wanted = passage @ one / len(passage) / np.linalg.norm(one) / np.linalg.norm(other)
    pieces = [added for word in why.passage.words for _, added in word.pieces]
    assert_allclose(pieces, wanted, rtol=1e-9)
    assert why.passage.called(why.passage.words[0]) == "[CLS]"
    assert why.passage.called(why.passage.words[1]) == "Italy"
    pairs = asked @ passage.T / len(asked) / len(passage) / np.linalg.norm(one) / np.linalg.norm(other)
    joined = np.vstack([pairs[:4], pairs[4:6].sum(0), pairs[6:]])  # italy and ##s are one word
    assert why.pairs[0][2] == pytest.approx(joined.max())


def test_of_the_maximum_a_dimension_belongs_to_the_token_that_has_it(explorer: Explorer) -> None:
    why = explain(explorer, QUESTION, parse("2/max"), "it0")
    passage, asked = (explorer.encoder.states([text]).values[2, 0].double().numpy() for text in
                      ("Italy rome is the capital of italy", QUESTION.text))  # fmt: skip
    one, other = asked.max(0), passage.max(0)
    adds = one * other / np.linalg.norm(one) / np.linalg.norm(other)  # of each dimension
    wanted = [adds[passage.argmax(0) == token].sum() for token in range(len(passage))]
    assert_allclose([added for word in why.passage.words for _, added in word.pieces], wanted, rtol=1e-9)
    assert "belongs to the token whose value is the largest" in why.notes[0]


def test_of_the_first_token_all_is_its_own(explorer: Explorer) -> None:
    why = explain(explorer, QUESTION, parse("3/first"), "it0")
    first, *others = why.passage.words
    assert first.adds == pytest.approx(why.score)
    assert {word.adds for word in others} == {0.0}
    assert why.notes[0] == "first: one token's state is the embedding, so all belongs to it."


def test_it_says_what_a_state_has_read(explorer: Explorer, tmp_path: Path) -> None:
    notes = {written: explain(explorer, QUESTION, parse(written), "it0").notes for written in ("0/mean", "2/mean+ln")}
    assert notes["0/mean"] == ["State 0 is the embeddings: each has read its own token, and none of the others."]
    assert notes["2/mean+ln"][0] == "+ln: each token's part is divided by the spread of the whole vector."
    assert "has read the text around it" in notes["2/mean+ln"][1]
    causal = load_encoder(str(save_tiny(tmp_path, "clip_text_model")))
    task = explorer.task
    after = explain(Explorer(task, pooled(causal, task, ["eos", "mean"]), causal), QUESTION, parse("2/eos"), "it0")
    assert "has read the text before it" in after.notes[1]


SYSTEMS = [
    "3/mean", "concat(0..3)/max+ln", "0.4*3/mean & 0.6*concat(0,2)/max+ln", "bm25", "0.8*(3/mean) & 0.2*bm25",
    "0.7*(0.4*3/mean & 0.6*concat(0,2)/max+ln) & 0.3*bm25", "sum(1*0.3,3*-0.7)/mean,first",
]  # fmt: skip


@pytest.mark.parametrize("written", SYSTEMS)
@pytest.mark.parametrize("text", ["the capital of italys", "rome, ROME <b>italy</b>", "zürich 東京 👍🏽", "in"])
def test_the_words_of_either_side_add_up_to_the_score_that_ranks(written: str, text: str, explorer: Explorer) -> None:
    system, question = read_system(written, 4), Question(text)
    for passage, score in explorer.rank(question, system)["by_text"].items():
        why = explain(explorer, question, system, str(passage))
        assert why.score == pytest.approx(score, abs=3e-6)
        for side in (why.question, why.passage):
            assert sum(word.adds for word in side.words) == pytest.approx(why.score, abs=1e-9)
            for word in side.words:
                assert sum(added for _, added in word.pieces) == pytest.approx(word.adds, abs=1e-12)
            ends = [word.end for word in side.words]
            assert ends == sorted(ends)


def test_words_add_where_both_sides_have_them_and_nothing_elsewhere(explorer: Explorer) -> None:
    why = explain(explorer, Question("Italy, is the capitals of rome?"), "bm25", "it0")
    adds = {why.passage.called(word): [] for word in why.passage.words}
    for word in why.passage.words:
        adds[why.passage.called(word)].append(word.adds)
    assert sorted(adds) == ["Italy", "capital", "italy", "rome"]  # stop words are left out, endings cut off
    assert adds["Italy"] == pytest.approx(adds["italy"])  # it stands there twice
    alone = explorer.words.scores(["italy"])[0][2] / explorer.words.scores([why.question.text])[0].max()
    assert adds["Italy"][0] + adds["italy"][0] == pytest.approx(alone)
    assert [why.question.called(word) for word in why.question.words] == ["Italy", "capitals", "rome"]


def test_a_prompt_that_is_not_pooled_adds_nothing_and_is_not_shown(explorer: Explorer, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path)
    for pooled_too, shown in ((False, []), (True, ["prompt", "prompt"])):
        encoder = load_encoder(str(folder), query="the flag ", pool_prompt=pooled_too)
        prompted = Explorer(explorer.task, pooled(encoder, explorer.task), encoder)
        why = explain(prompted, QUESTION, parse("3/mean"), "it0")
        assert why.score == pytest.approx(prompted.rank(QUESTION, parse("3/mean"))["by_text"]["it0"], abs=3e-6)
        first = why.question.words[0 if not pooled_too else 1]
        assert [label for label, _ in first.pieces if label == "prompt"] == shown
        assert "italys" in [why.question.called(word) for word in why.question.words]


def test_what_is_cut_off_is_not_read(explorer: Explorer, tmp_path: Path) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path)), max_tokens=5)
    short = Explorer(explorer.task, pooled(encoder, explorer.task), encoder)
    why = explain(short, Question("rome"), parse("3/mean"), "it0")
    assert why.passage.text[why.passage.read :] == " the capital of italy"
    assert why.question.read == len("rome")
    assert 'title="not read: the text is cut here"> the capital of italy</span>' in shaded(why)
    assert 'title="not read' not in shaded(explain(explorer, Question("rome"), parse("3/mean"), "it0"))


def test_an_image_beside_the_text_has_its_share(tmp_path: Path) -> None:
    task = asked(tmp_path)
    encoder = load_encoder(str(save_tiny(tmp_path / "vlt5", "vlt5")))
    inputs = [TextImage(text, task.kb.images / image if image else None) for text, image in
              zip(task.kb.texts(), task.kb.passages["image"][:], strict=True)]  # fmt: skip
    states = pooled(encoder, task)
    seen = Explorer(task, replace(states, passages=encoder.pool(task.kb.ids, inputs, ["first", "mean"])), encoder)
    question = Question("the flag", save_image(tmp_path / "asked.png", 7))
    for passage in ("it0", "x0"):  # with an image and without one
        why = explain(seen, question, parse("3/mean"), passage)
        assert why.score == pytest.approx(seen.rank(question, parse("3/mean"))["by_text"][passage], abs=3e-6)
        assert why.question.called(why.question.words[-1]) == "image (9)"  # boxes
        assert why.question.words[-1].adds != 0.0
        assert ("image (9)" in [why.passage.called(word) for word in why.passage.words]) == (passage == "it0")


def test_of_a_decoder_it_says_that_it_reads_one_word_later(explorer: Explorer, tmp_path: Path) -> None:
    decoder = load_encoder(str(save_tiny(tmp_path, "bart")), part="decoder")
    shifted = Explorer(explorer.task, pooled(decoder, explorer.task, ["last", "mean"]), decoder)
    why = explain(shifted, QUESTION, parse("3/mean"), "it0")
    assert why.score == pytest.approx(shifted.rank(QUESTION, parse("3/mean"))["by_text"]["it0"], abs=3e-6)
    assert why.notes[-1].startswith("A decoder reads one word later")


def test_what_has_no_words_says_so(tmp_path: Path) -> None:
    task = asked(tmp_path)
    encoder = load_encoder(str(save_tiny(tmp_path / "vision", "clip_vision_model")))
    images = [task.kb.images / "fr.png"] * len(task.kb.ids)
    states = encoder.pool(task.kb.ids, images, ["first"])
    queries = encoder.pool(task.queries["id"][:], images[:2], ["first"])
    seen = Explorer(task, TaskStates(states, queries), encoder)
    why = explain(seen, Question("the flag", images[0]), parse("3/first"), "it0")
    assert [why.passage.called(word) for word in why.passage.words] == ["image"]
    assert why.score == pytest.approx(seen.rank(Question("the flag", images[0]), parse("3/first"))["by_text"]["it0"])
    beside = explain(seen, Question("the flag", images[0]), read_system("0.5*(3/first) & 0.5*bm25", 4), "fr1")
    assert beside.score == pytest.approx(1.0)  # the same image, and the best by words
    assert "This encoder reads images: it has no words that could be shaded." in shaded(why)


def test_a_pooling_with_a_network_of_its_own_is_refused(encoder: Encoder) -> None:
    states = replace(encoder.states(["rome"]), pooler=lambda values, mask: values[:, 0])
    with pytest.raises(LabError, match="pooling own weighs what it pools by a network of its own"):
        token_parts(states, parse("3/own"), Whitenings({}), Head())


def test_the_pieces_of_a_word_are_one_word(encoder: Encoder) -> None:
    text = "Italys  red, rome"
    spans = token_spans(encoder, text, "", 7)
    assert [span[:3] for span in spans] == [
        ("[CLS]", 0, 0), ("italy", 0, 5), ("##s", 5, 6), ("red", 8, 11), ("[UNK]", 11, 12), ("rome", 13, 17),
        ("[SEP]", 17, 17),
    ]  # fmt: skip
    assert words(spans, text) == [[0], [1, 2], [3], [4], [5], [6]]
    assert [span.label for span in token_spans(encoder, text, "", 9)[-2:]] == ["image", "image"]


def test_where_words_have_no_letters_of_two_cases_each_token_is_its_own() -> None:
    text = "東京 12ab"
    spans = [Span("東", 0, 1), Span("京", 1, 2), Span("京", 1, 2), Span("12", 3, 5), Span("ab", 5, 7)]
    assert words(spans, text) == [[0], [1, 2], [3, 4]]  # bytes of one letter belong together


def test_a_tokenizer_that_does_not_say_where_its_tokens_stand_is_looked_after(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = token_spans(encoder, "Italys red, rome", "", 0)
    monkeypatch.setattr(type(encoder.tokenizer), "is_fast", False)
    found = token_spans(encoder, "Italys red, rome", "", 0)
    assert [span for span in found if span.label != "[UNK]"] == [span for span in said if span.label != "[UNK]"]


def test_each_word_tells_its_number_and_nothing_is_run() -> None:
    strong, weak = Word(0, 4, 0.5, [("<b>x", 0.5)]), Word(5, 6, -0.25, [("y", -0.15), ("z", -0.1)])
    bare = Word(6, 6, 0.0, [("<sep>", 0.0)])
    html = shaded(Why(Text("<i>x &", [strong, weak, bare], 6), Text("", [], 0), 0.25, [("<i>x", "&", 0.5)], ["<n>"]))
    assert (
        '<span class="hs-word" style="background: rgba(var(--hs-plus), 0.450)" title="+0.5000">&lt;i&gt;x</span>'
        in html
    )
    assert (
        '<span class="hs-word hs-minus" style="background: rgba(var(--hs-minus), 0.225)" '
        'title="-0.2500 = y -0.1500, z -0.1000">&amp;</span>'
    ) in html
    assert (
        '<span class="hs-word hs-bare" style="background: rgba(var(--hs-plus), 0.000)" title="+0.0000">&lt;sep&gt;'
        in html
    )
    assert "<i>&lt;i&gt;x</i> × <i>&amp;</i> +0.500" in html
    assert "&lt;n&gt;" in html
    assert "−0.500" in html


def test_words_are_read_on_the_strongest_shade_in_a_light_page_and_in_a_dark_one() -> None:
    found = re.findall(r"--hs-(?:plus|minus): (\d+), (\d+), (\d+);", STYLE)
    shades = [np.array(shade, dtype=float) / 255 for shade in found]
    assert [to_hex(shade) for shade in shades[:2]] == [BLUE, ACCENT]
    for ground, letters, some in (("white", "black", shades[:2]), ("#111111", "white", shades[2:])):
        for shade in some:
            drawn = STRONGEST * shade + (1 - STRONGEST) * np.array(to_rgb(ground))
            assert contrast(tuple(drawn), letters) >= 4.5
            assert contrast(tuple(drawn), ground) >= 1.5  # it is seen; what is shaded also tells its number
