import numpy as np
import pytest

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.retrieval.fusion.runs import NORMS, weighted
from hiddenstates.retrieval.fusion.weighing import choose_count, choose_weights
from hiddenstates.retrieval.measures import evaluate, mean_score

TEXT = Run({"q": {"right": 0.4, "topic": 0.4, "flag": 0.1}, "r": {"right": 0.9, "topic": 0.3}})
IMAGE = Run({"q": {"right": 1.0, "flag": 1.0, "topic": 0.0}, "r": {"right": 0.5, "topic": 0.6}})
QRELS = Qrels({"q": {"right": 1.0}, "r": {"right": 1.0}})


def test_both_are_needed_and_the_first_weights_that_do_are_taken() -> None:
    chosen = choose_weights({"text": TEXT, "image": IMAGE}, QRELS, "mrr@10", ["none"], steps=4)
    assert chosen.weights == {"text": 0.25, "image": 0.75}  # r: 0.25 * 0.6 of text against 0.75 * 0.1 of image
    assert (chosen.norm, chosen.score, chosen.tried) == ("none", 1.0, 3)
    fused = chosen.fuse({"text": TEXT, "image": IMAGE})
    assert evaluate(fused, QRELS, ["recall@1"])["recall@1"].tolist() == [1.0, 1.0]


def test_one_run_alone_has_all_the_weight() -> None:
    assert choose_weights({"text": TEXT}, QRELS, "mrr@10", ["minmax"]).weights == {"text": 1.0}


def test_three_runs_share_the_weight() -> None:
    runs = {"text": TEXT, "image": IMAGE, "words": TEXT}
    chosen = choose_weights(runs, QRELS, "mrr@10", ["none"], steps=5)
    assert chosen.tried == 6  # 3 1 1, 2 2 1, 2 1 2, 1 3 1, 1 2 2, 1 1 3
    assert sum(chosen.weights.values()) == pytest.approx(1)


def random_runs(seed: int) -> tuple[dict[str, Run], Qrels]:
    """Few different scores, so many ties; lists that hold different passages; graded, and one beyond every list."""
    random = np.random.default_rng(seed)
    queries, passages = ([f"{kind}{i}" for i in range(n)] for kind, n in (("q", 12), ("p", 30)))
    runs = {
        name: Run({q: {p: float(random.integers(4)) for p in passages if random.random() < 0.7} for q in queries})
        for name in ("text", "image")
    }
    grades = {
        q: {p: float(random.integers(3)) for p in [*random.choice(passages, 4, replace=False), "x"]} for q in queries
    }
    return runs, Qrels(grades)


@pytest.mark.parametrize("measure", ["mrr@10", "recall@5", "ndcg@10"])
@pytest.mark.parametrize("norm", NORMS)
def test_the_score_is_what_the_fused_run_scores(measure: str, norm: str) -> None:
    for seed in range(5):
        runs, qrels = random_runs(seed)
        chosen = choose_weights(runs, qrels, measure, [norm], steps=2)  # only 1/2 and 1/2
        fused = weighted(runs, {"text": 0.5, "image": 0.5}, norm)
        assert chosen.score == pytest.approx(mean_score(fused, qrels, measure))


def test_other_queries_than_the_judged_do_not_count() -> None:
    runs = {"text": TEXT, "image": IMAGE}
    few = Qrels({"r": {"right": 1.0}})
    more = {name: Run({**run.rows, "test": {"right": 9.0, "wrong": 1.0}}) for name, run in runs.items()}
    assert choose_weights(more, few, "mrr@10") == choose_weights(runs, few, "mrr@10")


def test_of_equal_counts_the_first_is_chosen() -> None:
    runs = {1: Run({"q": {"flag": 1.0}}), 2: TEXT, 3: TEXT}
    count, score = choose_count(runs.__getitem__, [1, 2, 3], Qrels({"q": {"right": 1.0}}), "mrr@10")
    assert (count, score) == (2, 0.5)  # tied with `topic`, and a tie is never found first


def test_nothing_to_choose_from_is_refused() -> None:
    with pytest.raises(LabError, match="no count to choose from"):
        choose_count(lambda _: TEXT, [], QRELS, "mrr@10")
