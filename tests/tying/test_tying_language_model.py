from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Tying
from hiddenstates.core.relevance import Qrels
from hiddenstates.tying import experiment, summary
from hiddenstates.tying.language_model import LanguageModel, Trained, perplexity, train
from hiddenstates.tying.words import Words, entity_splits, read_words, split_words

PARAMS = Tying(width=8, epochs=2, seeds=2)


def task(texts: Mapping[str, str], asked: Mapping[str, str]) -> Task:
    """A passage an entity, and the split of each query by the entity that it asks about."""
    passages = [{"id": f"p-{entity}", "entity": entity, "text": text} for entity, text in texts.items()]
    queries = [{"id": f"q{i}", "entity": e, "split": split} for i, (e, split) in enumerate(asked.items())]
    kb = KnowledgeBase(table(passages, PASSAGE_COLUMNS), Path("images"), "here")
    return Task(kb, table(queries, QUERY_COLUMNS), Qrels({}))


@pytest.fixture(scope="module")
def words() -> Words:
    """a b c a b c … in every split: after two words the third is certain."""
    stream = torch.arange(240) % 3 + 2
    return Words(["<eos>", "<unk>", "a", "b", "c"], dict.fromkeys(("train", "dev", "test"), stream))


def test_words_as_in_the_penn_treebank() -> None:
    assert split_words("Côte d'Ivoire's 1,234.5 km (2nd), Port-au-Prince!") == [
        *("côte", "d'ivoire's", "N", "km", "N", "nd", "port-au-prince")
    ]


def test_streams_by_hand() -> None:
    about = task({"x": "Red red river", "y": "red sea", "z": "green"}, {"x": "train", "y": "dev", "z": "test"})
    found = read_words(about, least=2, seed=0)
    assert found.vocabulary == ["<eos>", "<unk>", "red"]
    assert {split: ids.tolist() for split, ids in found.streams.items()} == {
        "train": [2, 2, 1, 0],
        "dev": [2, 1, 0],
        "test": [1, 0],
    }
    assert found.unknown("test") == 0.5
    assert found.frequent(2).tolist() == [2, 0]  # twice red, once the end


def test_an_entity_is_in_one_split_whatever_its_order() -> None:
    texts = {f"e{i}": f"word{i}" for i in range(50)}
    first, again = (
        entity_splits(task(dict(items), {"e3": "test"}), seed=1) for items in (texts.items(), reversed(texts.items()))
    )
    assert first == again
    assert first["e3"] == "test"
    assert set(first.values()) == {"train", "dev", "test"}


def test_a_passage_of_no_entity_stands_for_itself() -> None:
    about = task({"": "all the same"}, {})
    assert list(entity_splits(about, seed=0)) == ["p-"]


def test_a_split_without_text_is_named() -> None:
    with pytest.raises(
        LabError, match=r"no passage is about an entity of the test split\. Give the corpus more entities"
    ):
        read_words(task({"x": "a", "y": "b"}, {"x": "train", "y": "dev"}), least=1, seed=0)


def test_tying_is_one_line_and_one_parameter() -> None:
    tied, untied = (LanguageModel(5, PARAMS, tied, seed=0) for tied in (True, False))
    assert tied.head.weight is tied.embedding.weight
    assert untied.head.weight is not untied.embedding.weight
    lstm = 4 * 8 * (8 + 8) + 2 * 4 * 8  # four gates of two matrices and two biases
    assert tied.n_parameters == 5 * 8 + lstm + 5
    assert untied.n_parameters == tied.n_parameters + 5 * 8
    assert torch.equal(tied.embedding.weight, untied.head.weight) is False
    assert torch.equal(tied.lstm.weight_ih_l0, untied.lstm.weight_ih_l0)


def test_perplexity_of_one_who_knows_nothing_is_the_vocabulary() -> None:
    model = LanguageModel(5, PARAMS, tied=False, seed=0)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert perplexity(model, torch.arange(40) % 5) == pytest.approx(5)


def test_it_learns_what_is_certain(words: Words) -> None:
    found = train(words, Tying(width=8, epochs=60, learning_rate=0.05), tied=True, seed=0)
    assert found.test < 1.2
    assert found.dev == found.test  # the same text
    assert found.model.head.weight is found.model.embedding.weight


def test_side_by_side_gives_the_numbers_of_one_by_one(words: Words) -> None:
    runs = experiment.train_pairs(words, PARAMS)
    assert list(runs) == [("tied", 0), ("untied", 0), ("tied", 1), ("untied", 1)]
    assert runs["untied", 1].test == pytest.approx(train(words, PARAMS, tied=False, seed=1).test, rel=1e-6)
    assert len({run.test for run in runs.values()}) == 4


def run(n: int, tied: bool, dev: float, test: float) -> Trained:
    return Trained(LanguageModel(5, PARAMS, tied, seed=n), 1, dev, test)


def test_tables_by_hand() -> None:
    tests = {("tied", 0): 9.0, ("untied", 0): 10.0, ("tied", 1): 12.0, ("untied", 1): 10.0}
    runs = {(kind, seed): run(seed, kind == "tied", test - 1, test) for (kind, seed), test in tests.items()}
    assert experiment.perplexities(runs)["difference", "test"].tolist() == [-1, 2]
    assert summary.spread(runs)["tied"].loc["test"].tolist() == [10.5, 9, 12]
    assert summary.spread(runs)["untied"].loc["dev"].tolist() == [9, 9, 9]
    ours = summary.beside_published(runs).iloc[-1]
    assert ours["perplexity changed"] == pytest.approx(0.05)
    assert ours["parameters saved"] == pytest.approx(40 / ours["untied parameters"])
    assert "**neither better nor worse** in perplexity: the sign" in summary.verdict(runs)
    better = {key: run(key[1], key[0] == "tied", 9.0, 9.0 if key[0] == "tied" else 10.0) for key in tests}
    assert "**better** in perplexity with every seed (-1.000 on average)" in summary.verdict(better)


def test_likeness_of_embeddings(words: Words) -> None:
    runs = experiment.train_pairs(words, PARAMS)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)))[0]
    with torch.no_grad():
        runs["tied", 0].model.embedding.weight.copy_(3 * runs["untied", 0].model.head.weight @ turn)
    found = experiment.similarities(words, runs)
    assert found.loc[0, "out, tied"] == pytest.approx(1, abs=1e-6)  # turned and scaled, no pair of words is nearer
    assert found.loc[0, "in, out"] < 1
    assert found.columns.tolist() == ["in, out", "in, tied", "out, tied", "out, other seed"]


def test_cosines_by_hand() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [9.0, 9.0]])
    half = 0.5**0.5
    np.testing.assert_allclose(experiment.cosines(rows, torch.tensor([0, 1, 2])), [0, half, half], rtol=1e-6)
