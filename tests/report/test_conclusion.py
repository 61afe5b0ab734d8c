from pathlib import Path

import pandas as pd

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.report.conclusion import advice, best_on, limits, settings, text

SCORES = pd.DataFrame(
    {"n": [9, 9], "value": [0.02, 0.29], "low": [0.0, 0.2], "high": [0.05, 0.4]}, index=["chosen", "weighted"]
)


def gain(difference: float, verdict: str, system: str) -> pd.DataFrame:
    return pd.DataFrame({"difference": [difference], "low": [0.1], "high": [0.3], "verdict": [verdict]}, index=[system])


def test_both_are_returned_where_the_best_on_dev_is_surely_above_the_text() -> None:
    said = advice("weighted", SCORES, gain(0.27, "better", "weighted"), gain(-0.27, "worse", "chosen"), "mrr@10")
    assert said.splitlines()[0] == (
        "**Questions that show an image.** Return **both** vectors, their scores fused by weights (`weighted`, the "
        "best on dev): mrr@10 0.290 (9 on test), where the text alone has 0.020."
    )
    assert said.splitlines()[2:] == [
        "| against `weighted` | mrr@10 | difference |",
        "| --- | --- | --- |",
        "| chosen | 0.020 [0.000, 0.050] | -0.270 [+0.100, +0.300], worse |",
        "| weighted | 0.290 [0.200, 0.400] | – |",
    ]


def test_the_text_is_returned_where_nobody_can_tell_or_where_it_was_the_best() -> None:
    for best, gains in {
        "weighted": gain(0.27, "undecided", "weighted"),
        "chosen": gain(0.27, "better", "weighted"),
    }.items():
        said = advice(best, SCORES, gains, gains, "mrr@10")
        assert "Return **the text's vector alone**: nothing" in said
    assert advice(
        "weighted", SCORES, gain(-0.2, "worse", "weighted"), gain(0.0, "undecided", "image"), "mrr@10"
    ).startswith("**Questions that show an image.** Return **the text's vector alone**")


def test_what_was_seen_and_what_was_not_stand_side_by_side() -> None:
    seen = pd.DataFrame({"n": 9, "value": 0.5, "low": 0.4, "high": 0.6}, index=["image", "name", "weighted"])
    unseen = seen.assign(value=[0.25, 0.0, 0.25])
    names = {"train": "new views of train entities", "test": "held-out entities"}
    said = limits({"train": seen, "test": unseen}, "weighted", seen.iloc[:1].rename({"image": "oracle: all"}), names)
    assert said.splitlines()[0] == (
        "**The eye** puts the right image first for 50% of new views of train entities, 25% of held-out entities. "
        "Could be reached on test: oracle: all 0.500 [0.400, 0.600]."
    )
    assert said.splitlines()[5] == "| `name` | 0.500 [0.400, 0.600] | 0.000 [0.400, 0.600] |"


def test_nothing_is_said_of_training_where_nobody_knows() -> None:
    row = pd.DataFrame({"n": 9, "value": 0.5, "low": 0.4, "high": 0.6}, index=["image", "name", "weighted"])
    said = limits({"test": row, "train": row}, "weighted", row.iloc[:1], {"test": "test"})
    assert "training" not in said
    assert "first for 50% of test." in said
    assert "| `name` | 0.500 [0.400, 0.600] |" in said


def test_text_alone_or_both() -> None:
    columns = pd.MultiIndex.from_product([["a", "b"], ["mrr@10"]], names=["set", "measure"])
    means = pd.DataFrame([[0.2, 0.4], [0.3, 0.5], [0.5, 0.7]], index=["bm25", "default", "fused"], columns=columns)
    rows = {(s, n): {"difference": 0.2, "low": 0.1, "high": 0.3, "verdict": "better"} for s in "ab" for n in ("fused",)}
    gains = pd.DataFrame.from_dict(rows, orient="index").rename_axis(("set", "system"))
    said = text("fused", 0.8, means, gains, "mrr@10", "published embedding").splitlines()
    assert said[0] == (
        "**Text.** Index **both the embedding and the words**, 0.8 to 0.2: mrr@10 0.600 on test, where the published "
        "embedding has 0.400 and BM25 0.300."
    )
    assert said[-1] == "| b | 0.400 | 0.500 | 0.700, better (+0.200 [+0.100, +0.300]) |"
    assert "**the embedding alone**" in text("default", 1.0, means, gains, "mrr@10", "published embedding")


def test_what_was_chosen_is_told() -> None:
    chosen = {"weights": {"text": 0.35, "image": 0.65}, "norm": "none", "nearest images": 2}
    chosen["temperatures"] = {"image": 0.1, "text": 0.4}
    said = settings(chosen, 4071, 240)
    assert "4,071 passages" in said
    assert "0.35 text, 0.65 image, normalisation `none`; the filter keeps the 2 nearest images, the soft" in said
    assert "the filter keeps the nearest image, the" in settings(chosen | {"nearest images": 1}, 4071, 240)
    assert "soft filter divides the image's scores by 0.1 and the text's by 0.4" in said


def test_the_best_is_that_of_the_queries_given() -> None:
    kb = KnowledgeBase(table([{"id": "p"}], PASSAGE_COLUMNS), Path(), "test")
    asked = Task(kb, table([{"id": "q"}, {"id": "r"}], QUERY_COLUMNS), Qrels({"q": {"p": 1.0}, "r": {"p": 1.0}}))
    good, bad = Run({"q": {"p": 1.0}, "r": {"p": 1.0}}), Run({"q": {"p": 1.0}, "other": {"p": 1.0}})
    assert best_on({"bad": bad, "good": good}, asked, "mrr@10") == "good"
    assert best_on({"first": good, "second": good}, asked, "mrr@10") == "first"
