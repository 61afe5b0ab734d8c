from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels
from hiddenstates.tokenizing.training import train_tokenizer
from hiddenstates.tying import drift
from hiddenstates.tying.cases import small
from hiddenstates.tying.summary import drift_by_kind

TEXTS = ["Bern is the capital of Switzerland", "Paris is the capital of France", "Zzyzx quokka"]


def task() -> Task:
    """Three passages, the last about an entity that a test query asks about."""
    passages = [{"id": f"p{i}", "entity": f"e{i}", "text": text} for i, text in enumerate(TEXTS)]
    queries = [
        {"id": "q0", "entity": "e0", "split": "train", "text": "quo"},
        {"id": "q1", "entity": "e2", "split": "test"},
    ]
    kb = KnowledgeBase(table(passages, PASSAGE_COLUMNS), Path("images"), "here")
    return Task(kb, table(queries, QUERY_COLUMNS), Qrels({}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stage `pretrain` leaves of one model: here training doubled the row of `</s>`, and nothing else."""
    where = tmp_path_factory.mktemp("models") / "vlt5"
    tokenizer = train_tokenizer("t5", TEXTS, 600)
    model = small("VL-T5", vocab_size=len(tokenizer), n_vis_ids=100)
    for epoch in drift.EPOCHS:
        model.save_pretrained(where / epoch)
        tokenizer.save_pretrained(where / epoch)
        with torch.no_grad():
            model.shared.weight[1] *= 2
    return where


def test_what_moved_by_hand() -> None:
    before = np.array([[3.0, 4.0], [1.0, 0.0], [2.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    after = np.array([[3.0, 4.0], [0.0, 1.0], [6.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    found = drift.row_drift(before, after, ["word"] * 4)
    assert found["cosine"].tolist() == pytest.approx([1, 0, 1])  # the row of length 0 is left out
    assert found["moved"].tolist() == pytest.approx([0, 2**0.5, 2])


def test_a_turned_or_scaled_space_moves_as_much() -> None:
    random = np.random.default_rng(0)
    before, after = random.standard_normal((2, 5, 3)).astype("float32")
    turn = np.linalg.qr(random.standard_normal((3, 3)))[0].astype("float32")
    found = [drift.row_drift(a, b, "abcde") for a, b in ((before, after), (before @ turn * 7, after @ turn * 7))]
    pd.testing.assert_frame_equal(*found, rtol=1e-4)


def test_other_shapes_are_another_model() -> None:
    with pytest.raises(LabError, match=r"shape \(2, 3\) at epoch 0 and \(4, 3\) later: not one model"):
        drift.row_drift(np.ones((2, 3), "float32"), np.ones((4, 3), "float32"), ["word"] * 2)


def test_what_a_row_stands_for(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder / "trained")
    size = len(tokenizer)
    named = dict(
        zip(
            [*tokenizer.convert_ids_to_tokens(range(size)), "beyond"],
            drift.kinds(tokenizer, size + 1, {5}),
            strict=True,
        )
    )
    assert [named[token] for token in ("<pad>", "</s>", "<unk>")] == ["special"] * 3
    assert (named["<extra_id_7>"], named["<vis_extra_id_7>"], named["beyond"]) == ("extra id", "visual id", "no token")
    assert list(named.values()).count("word") == 1  # the token number 5


def test_what_training_may_read_is_not_what_is_asked_later(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder / "trained")
    ids = [set(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in [*TEXTS, "quo"]]
    assert drift.open_to_training(task(), tokenizer) == ids[0] | ids[1] | ids[3]


def test_the_model_of_a_folder(folder: Path) -> None:
    found = drift.model_drift(folder, task())
    assert found["moved"].gt(0).sum() == 1
    assert found.loc[1, "kind"] == "special"
    assert found.loc[1, "moved"] == pytest.approx(1)  # doubled: as far again as the row was long
    tables = drift_by_kind({"a": found, "b": found[found["kind"] == "special"]}, "moved")
    assert tables["a"].loc["extra id", "rows"] == 100
    assert np.isnan(tables["b"].loc["extra id", "value"])
    assert tables["a"].loc["special"].tolist() == pytest.approx([3, 0, 0, 0.5])  # of 0, 0, 1


def test_a_folder_without_its_models_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"untrained: no model in it\. Run the stage `pretrain` again"):
        drift.load_epochs(tmp_path)
