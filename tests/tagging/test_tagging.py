import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from seqeval.metrics import f1_score
from tiny import save_tiny
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hiddenstates.core.errors import LabError
from hiddenstates.corpora.sentence import Sentence
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.report.significance import Comparison
from hiddenstates.tagging import probe, scores, summary
from hiddenstates.tagging.features import Feature, combined, grid, learn_mix
from hiddenstates.tagging.words import WordStates, word_states

BLANK_TOKEN = "\u200b"


def sentence(words: str, tags: str = "", split: str = "train", entity: str = "") -> Sentence:
    row = tuple(words.split())
    return Sentence(row, tuple(tags.split()) or ("O",) * len(row), split, f"here:{words}", entity, entity and "t")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("tiny"))))


def test_a_word_is_pooled_from_its_pieces(tiny: Encoder) -> None:
    # [CLS] bern ##s the | [CLS] rivers is: the second word of the first sentence is one piece, "citys" two
    sentences = [sentence("berns the"), sentence("paris is citys blue")]
    states = word_states(tiny, sentences)
    alone = [tiny.states([" ".join(s.words)]).values[:, 0].numpy() for s in sentences]  # [layer, position, d_model]
    at = [(0, [1, 2]), (0, [3]), (1, [1]), (1, [2]), (1, [3, 4]), (1, [5])]  # sentence and positions of each word
    for layer in range(len(tiny.state_map)):
        pieces = [alone[s][layer, positions] for s, positions in at]
        assert_allclose(states.words(layer, "first"), [p[0] for p in pieces], rtol=1e-4, atol=1e-5)
        assert_allclose(states.words(layer, "last"), [p[-1] for p in pieces], rtol=1e-4, atol=1e-5)
        assert_allclose(states.words(layer, "mean"), [p.mean(0) for p in pieces], rtol=1e-4, atol=1e-5)
    assert states.megabytes == 4 * 8 * 32 * 4 / 1e6  # 4 states of 8 pieces, 32 dimensions, 4 bytes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (f"bern {BLANK_TOKEN} paris", r"makes no token of '\\u200b' \(here:bern .*\)\. Delete these words"),
        ("bern " * 39, r"a sentence of 41 tokens, but the model takes 40\. Split the sentence"),
    ],
)
def test_what_the_model_cannot_take_is_refused(tiny: Encoder, words: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        word_states(tiny, [sentence("the city"), sentence(words)])


def test_byte_level_words_are_those_of_the_running_text(tiny: Encoder) -> None:
    from dataclasses import replace

    backend = Tokenizer(models.BPE({"Ġ": 0, "a": 1, "b": 2, "Ġa": 3, "Ġb": 4}, [("Ġ", "a"), ("Ġ", "b")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise = replace(
        tiny, reader=replace(tiny.text, tokenizer=PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]"))
    )
    running = bytewise.states(["a b ab"]).values[:, 0].numpy()  # a Ġb Ġa b
    states = word_states(bytewise, [sentence("a b ab")])
    assert_allclose(states.values, running, rtol=1e-4, atol=1e-5)
    assert (states.last - states.first).tolist() == [0, 0, 1]


def test_the_grid_has_the_rows_of_bert_s_table() -> None:
    named = {str(feature) for feature in grid(13, 4)}
    assert len(named) == (13 + 5) * 3
    assert named > {"0/first", "11/first", "12/first", "mix(1..12)/first", "mix(9..12)/first", "concat(9..12)/first"}
    with pytest.raises(LabError, match=r"tagging\.last is 6, but this model has 5 layers"):
        grid(6, 6)


def test_combinations_by_hand() -> None:
    stacked = np.array([[[1, 2]], [[10, 20]]], dtype=np.float32)  # [layer, word, d_model]
    assert combined(stacked[:1], "single").tolist() == [[1, 2]]
    assert combined(stacked, "sum").tolist() == [[11, 22]]
    assert combined(stacked, "concat").tolist() == [[1, 2, 10, 20]]
    assert combined(stacked, "mix", np.array([0.25, 0.75])).tolist() == [[7.75, 15.5]]


def layered(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three layers of noise, of which layer 1 tells the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(3, size=600)
    stacked = random.normal(size=(3, 600, 8)).astype(np.float32)
    stacked[1, np.arange(600), labels] += 4
    return stacked, labels


def test_the_mix_finds_the_layer_that_tells() -> None:
    stacked, labels = layered()
    weights = learn_mix(stacked, labels, seed=0)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] > 0.8
    assert np.array_equal(weights, learn_mix(stacked, labels, seed=0))


def token_task() -> probe.TokenTask:
    """One word per sentence, each a piece; the states are those of `layered`."""
    stacked, labels = layered()
    tags = np.array(["O", "B-A", "B-B"])[labels]
    splits = np.array(["train"] * 300 + ["dev"] * 150 + ["test"] * 150)
    sentences = [Sentence((str(i),), (t,), s, f"f:{i}") for i, (t, s) in enumerate(zip(tags, splits, strict=True))]
    return probe.TokenTask(sentences, WordStates(stacked, np.arange(600), np.arange(600)))


def test_a_probe_on_separable_words_finds_all() -> None:
    random = np.random.default_rng(0)
    tags = np.array(["O", "B-A"])[random.integers(2, size=200)]
    vectors = random.normal(size=(200, 3)).astype(np.float32)
    vectors[:, 0] = np.where(tags == "O", -5, 5)
    assert (probe.fit(vectors, tags, penalty=1.0).predict(vectors) == tags).all()


def test_the_best_tagger_sees_the_layer_that_tells() -> None:
    task = token_task()
    features = [Feature((i,), "single", "first") for i in range(3)] + [Feature((0, 1, 2), "mix", "first")]
    taggers = probe.train_taggers(task, features, [0.1, 1.0], seed=0)
    assert list(taggers) == ["0/first", "1/first", "2/first", "mix(0..2)/first"]
    assert probe.best(taggers).feature in (features[1], features[3])
    assert scores.f1(probe.score(task, taggers["1/first"], "test")) > 0.95
    assert scores.f1(probe.score(task, taggers["0/first"], "test")) < 0.6
    assert "0/first" not in summary.not_told_apart(task, taggers, taggers["1/first"], seed=0)
    table = summary.on_dev(task, taggers, seed=0)["first"]
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert table.loc["1", "value"] == scores.f1(taggers["1/first"].dev)


GOLD = [["B-A", "I-A", "O", "B-B"], ["O", "B-A"], ["O", "O"]]
FOUND = [["B-A", "O", "O", "B-B"], ["O", "B-B"], ["B-A", "I-A"]]  # too short, right; wrong type; invented


def test_entities_are_counted_by_hand_and_as_seqeval_does() -> None:
    found = scores.count(GOLD, FOUND)
    assert found.tolist() == [[1, 1, 1], [0, 1, 1], [0, 1, 0]]
    assert scores.f1(found) == pytest.approx(2 * 1 / (2 * 1 + 3 + 2))
    assert scores.f1(found) == pytest.approx(f1_score(GOLD, FOUND))
    assert scores.f1(scores.count([["O"]], [["O"]])) == 0


def test_f1_is_seqeval_s_on_random_tags() -> None:
    random = np.random.default_rng(0)
    kinds = np.array(["O", "B-A", "I-A", "B-B", "I-B"])
    gold, found = (kinds[random.integers(5, size=(80, 9))].tolist() for _ in range(2))
    assert scores.f1(scores.count(gold, found)) == pytest.approx(f1_score(gold, found))


def test_equal_taggers_do_not_differ() -> None:
    counts = scores.count(GOLD, FOUND)
    groups = {"sentence": ["a", "b", "c"]}
    found = scores.compare(counts, counts, groups, seed=0)
    assert (found.n, found.clusters, found.difference, found.low, found.high, found.p) == (3, 3, 0, 0, 0, 1)


def test_swaps_of_three_clusters_by_hand() -> None:
    # perfect against blind in each of four sentences; of 8 swaps of 3 clusters, 2 give a difference of 1
    perfect = np.tile([1, 0, 0], (4, 1))
    blind = np.tile([0, 0, 1], (4, 1))
    found = scores.compare(perfect, blind, {"entity": list("aabc")}, seed=0)
    assert (found.n, found.clusters, found.difference) == (4, 3, 1.0)
    assert found.p == pytest.approx(2 / 8, abs=0.02)


def test_the_interval_of_clusters_is_wider_than_of_sentences() -> None:
    good = np.repeat(np.random.default_rng(0).integers(2, size=20), 10)
    counts = np.stack([good, np.zeros_like(good), 1 - good], axis=1)
    alone = {"sentence": [str(i) for i in range(200)]}
    together = {"entity": [str(i // 10) for i in range(200)]}
    widths = [np.ptp(scores.interval(counts, groups, seed=0)) for groups in (together, alone)]
    assert widths[0] > 2 * widths[1]


def test_clusters_are_entity_and_template_or_the_sentence() -> None:
    made = [sentence("a", entity="x"), sentence("b", entity="y")]
    assert scores.clusters(made) == {"entity": ["x", "y"], "template": ["t", "t"]}
    assert scores.clusters([sentence("a"), sentence("b")]) == {"sentence": ["here:a", "here:b"]}


def test_beside_the_published_table() -> None:
    rows = ["0", "5", "6", "mix(1..6)", "mix(3..6)", "concat(3..6)"]
    table = summary.beside_published(pd.DataFrame({"value": np.arange(6) / 10}, index=rows), 7)
    assert table["here"].tolist() == pytest.approx([0, 10, 20, 30, 40, 50])
    assert table.loc["last", "published"] == 94.9


@pytest.mark.parametrize(
    ("difference", "p", "said"), [(0.1, 0.01, "**better**"), (-0.1, 0.01, "**worse**"), (0.1, 0.2, "Keep `6/first`")]
)
def test_the_verdict_follows_the_numbers(difference: float, p: float, said: str) -> None:
    gain = Comparison(10, 5, difference, -0.2, 0.2, p)
    pair = Feature((3,), "single", "mean"), Feature((6,), "single", "first")
    assert said in summary.verdict(*pair, gain, candidates=36)
    advised = "**Tag with `3/mean`, not with `6/first`**" if said == "**better**" else "**Keep `6/first`**"
    assert summary.verdict(*pair, gain, candidates=36).startswith(advised)


def test_the_numbers_below_the_verdict() -> None:
    columns = ["value", "low", "high", "C"]
    tables = {"mean": pd.DataFrame([[0.5, 0.4, 0.6, 1], [0.7, 0.6, 0.8, 1]], index=["0", "3"], columns=columns)}
    said = summary.numbers({"chosen": Feature((3,), "single", "mean")}, {"chosen": (0.6, 0.5, 0.7)}, tables)
    assert said.splitlines()[2:] == [
        "| chosen | `3/mean` | 0.700 [0.600, 0.800] | 0.600 [0.500, 0.700] |",
        "| best by mean | `3/mean` | 0.700 [0.600, 0.800] | – |",
        "| embeddings alone | `0/mean` | 0.500 [0.400, 0.600] | – |",
    ]
