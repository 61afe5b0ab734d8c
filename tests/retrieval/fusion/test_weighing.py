from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.retrieval.fusion.runs import NORMS, Aligned, align, weighted
from hiddenstates.retrieval.fusion.weighing import Weighting, choose_count, choose_weights
from hiddenstates.retrieval.measures import evaluate, mean_score

TEXT = Run({"q": {"right": 0.4, "topic": 0.4, "flag": 0.1}, "r": {"right": 0.9, "topic": 0.3}})
IMAGE = Run({"q": {"right": 1.0, "flag": 1.0, "topic": 0.0}, "r": {"right": 0.5, "topic": 0.6}})
QRELS = Qrels({"q": {"right": 1.0}, "r": {"right": 1.0}})


def chosen_of(
    runs: Mapping[str, Run], qrels: Qrels, measure: str, norms: Sequence[str] = NORMS, steps: int = 20
) -> Weighting:
    """The lists come a query at a time, as of a large corpus they do."""
    return choose_weights(list(runs), one_by_one(runs, qrels), qrels, measure, norms, steps)


def one_by_one(runs: Mapping[str, Run], qrels: Qrels) -> Iterator[Aligned]:
    return (align({name: run.select([query]) for name, run in runs.items()}) for query in qrels)


def test_both_are_needed_and_the_first_weights_that_do_are_taken() -> None:
    chosen = chosen_of({"text": TEXT, "image": IMAGE}, QRELS, "mrr@10", ["none"], steps=4)
    assert chosen.weights == {"text": 0.25, "image": 0.75}  # r: 0.25 * 0.6 of text against 0.75 * 0.1 of image
    assert (chosen.norm, chosen.score, chosen.tried) == ("none", 1.0, 3)
    both = align({"text": TEXT, "image": IMAGE})
    fused = both.fused(chosen.scores(both))
    assert evaluate(fused, QRELS, ["recall@1"])["recall@1"].tolist() == [1.0, 1.0]


def test_one_run_alone_has_all_the_weight() -> None:
    assert chosen_of({"text": TEXT}, QRELS, "mrr@10", ["minmax"]).weights == {"text": 1.0}


def test_three_runs_share_the_weight() -> None:
    runs = {"text": TEXT, "image": IMAGE, "words": TEXT}
    chosen = chosen_of(runs, QRELS, "mrr@10", ["none"], steps=5)
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
        chosen = choose_weights(list(runs), [align(runs)], qrels, measure, [norm], steps=2)  # only 1/2 and 1/2
        fused = weighted(runs, {"text": 0.5, "image": 0.5}, norm)
        assert chosen.score == pytest.approx(mean_score(fused, qrels, measure))


@pytest.mark.parametrize("measure", ["mrr@10", "ndcg@10"])
def test_all_queries_at_once_choose_as_one_after_the_other(measure: str) -> None:
    runs, qrels = random_runs(7)
    at_once = choose_weights(list(runs), [align(runs)], qrels, measure)
    one_each = chosen_of(runs, qrels, measure)
    assert (at_once.weights, at_once.norm, at_once.tried) == (one_each.weights, one_each.norm, one_each.tried)
    assert at_once.score == pytest.approx(one_each.score)


def test_of_equal_counts_the_first_is_chosen() -> None:
    text = TEXT.select(["q"])
    runs = {1: Run({"q": {"flag": 1.0}}), 2: text, 3: text}
    count, score = choose_count([runs], [1, 2, 3], Qrels({"q": {"right": 1.0}}), "mrr@10")
    assert (count, score) == (2, 0.5)  # tied with `topic`, and a tie is never found first


def test_nothing_to_choose_from_is_refused() -> None:
    with pytest.raises(LabError, match="no count to choose from"):
        choose_count([{1: TEXT}], [], QRELS, "mrr@10")
