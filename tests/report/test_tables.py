from pathlib import Path

import pandas as pd
import pytest

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.report.tables import (
    against,
    confirm,
    means,
    nested,
    over_sets,
    paired,
    pooled,
    verdict,
    with_dashes,
    write_runs,
)

SIZE = 12


def task(measure: str = "retrieval") -> Task:
    """Two sets of 12 queries, each about an entity of its own; query i finds passage p1."""
    passages = table([{"id": f"p{i}"} for i in range(3)], PASSAGE_COLUMNS)
    rows = [
        {"id": f"{name}{i}", "set": name, "split": "test", "entity": f"e{i}", "template": f"t{i % 4}"}
        for name in ("named", "alias")
        for i in range(SIZE)
    ]
    qrels = Qrels({row["id"]: {"p1": float(int(row["id"][5:]) % 5 + 1)} for row in rows})
    return Task(KnowledgeBase(passages, Path(), "r"), table(rows, QUERY_COLUMNS), qrels, measure)  # type: ignore[arg-type]


def runs() -> dict[str, Run]:
    """`good` puts p1 first everywhere; `base` on the named questions only, else second; `bad` nowhere."""
    queries = task().queries["id"][:]
    first, second = {"p1": 1.0, "p0": 0.5}, {"p0": 1.0, "p1": 0.5}
    return {
        "base": Run({q: first if q.startswith("named") else second for q in queries}),
        "good": Run(dict.fromkeys(queries, first)),
        "bad": Run({q: {} for q in queries}),
    }


def test_means_by_hand() -> None:
    found = means(runs(), task(), ["mrr@10", "recall@1"])
    assert nested(found) == {
        "base": {"alias": {"mrr@10": 1 / 2, "recall@1": 0}, "named": {"mrr@10": 1, "recall@1": 1}},
        "good": {"alias": {"mrr@10": 1, "recall@1": 1}, "named": {"mrr@10": 1, "recall@1": 1}},
        "bad": {"alias": {"mrr@10": 0, "recall@1": 0}, "named": {"mrr@10": 0, "recall@1": 0}},
    }


def test_over_the_sets_each_weighs_the_same_however_many_queries_it_has() -> None:
    fewer = task().within(["p0", "p1", "p2"], ["alias0", *(f"named{i}" for i in range(SIZE))])
    found = means(runs(), fewer, ["mrr@10", "recall@1"])
    assert over_sets(found, "mrr@10") == {"base": 3 / 4, "good": 1, "bad": 0}


def test_differences_are_paired_and_corrected() -> None:
    gains = paired(runs(), "base", task(), "mrr@10", seed=0)
    assert list(gains.index) == [("named", "good"), ("named", "bad"), ("alias", "good"), ("alias", "bad")]
    assert list(gains["difference"]) == [0, -1, 1 / 2, -1 / 2]
    assert list(gains["n"]) == list(gains["clusters"]) == [SIZE] * 4
    assert gains.loc[("named", "good"), "p"] == 1
    # raw p: 2 of 4,096 sign patterns reach it, estimated from 10,000 draws; times 4, 3 or 2
    assert (gains["p"].drop(("named", "good")) < 4 * 0.002).all()
    assert against(gains)["alias"]["good"]["difference"] == 1 / 2
    assert list(against(gains)) == ["named", "alias"]


def test_all_the_queries_together_make_one_row_a_system() -> None:
    gains = pooled(runs(), "base", task(), "mrr@10", seed=0)
    assert gains["difference"].to_dict() == {"good": (0 + 1 / 2) / 2, "bad": (-1 - 1 / 2) / 2}
    assert list(gains["n"]) == [2 * SIZE] * 2
    assert list(gains["clusters"]) == [SIZE] * 2  # an entity's two queries are flipped together
    assert len(pooled({"base": runs()["base"]}, "base", task(), "mrr@10", seed=0)) == 0


def test_similarity_compares_correlations() -> None:
    part = task("similarity")
    grades = {query: row["p1"] for query, row in part.qrels.rows.items()}
    right = Run({query: {"p1": grade} for query, grade in grades.items()})
    wrong = Run({query: {"p1": -grade} for query, grade in grades.items()})
    gains = paired({"base": wrong, "good": right}, "base", part, "spearman", seed=0)
    assert list(gains["difference"]) == pytest.approx([2, 2])
    assert (gains["p"] < 0.05).all()
    assert nested(means({"good": right}, part, []))["good"]["named"]["spearman"] == pytest.approx(1)


def test_each_set_s_choice_is_confirmed_on_that_set() -> None:
    systems = runs()
    gains = confirm({"named": systems["bad"], "alias": systems["good"]}, systems["base"], task(), "mrr@10", seed=0)
    assert gains["difference"].to_dict() == {"named": -1, "alias": 1 / 2}
    assert gains["n"].to_dict() == {"named": SIZE, "alias": SIZE}
    assert (gains["p"] < 2 * 0.002).all()


def gains(**sets: tuple[float, str]) -> pd.DataFrame:
    """`paired`'s table: for each set its difference and verdict, the interval 0.1 wide."""
    rows = {name: {"difference": d, "low": d - 0.05, "high": d + 0.05, "verdict": v} for name, (d, v) in sets.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("set")


def test_the_verdict_says_better_worse_and_what_nobody_can_tell() -> None:
    sets = gains(named=(0.2, "better"), alias=(-0.1, "worse"), visual=(0.01, "undecided"))
    text = verdict(sets, "`3/max`", "`6/mean`")
    assert text == (
        "On test, `3/max` against `6/mean`: **better** on named (+0.200 [+0.150, +0.250]); "
        "**worse** on alias (-0.100 [-0.150, -0.050]); **undecided** on visual (+0.010 [-0.040, +0.060])."
    )


def test_without_a_gain_the_default_stays() -> None:
    text = verdict(gains(named=(0.2, "undecided"), alias=(-0.1, "worse")), "`3/max`", "`6/mean`")
    assert text.endswith("Nothing beats the default: keep `6/mean`.")
    itself = verdict(gains(named=(0.0, "equivalent")), "`6/mean`", "`6/mean`")
    assert itself == "It is the default itself, or ranks as the default does: nothing beats `6/mean`."


def test_runs_are_written_beside_their_judgements(tmp_path: Path) -> None:
    write_runs(runs(), task(), tmp_path / "runs")
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["bad.run", "base.run", "good.run", "qrels.trec"]
    assert Run.read(tmp_path / "runs" / "good.run") == runs()["good"]
    assert Qrels.read(tmp_path / "runs" / "qrels.trec") == task().qrels


def test_a_system_of_images_has_a_dash_where_no_question_shows_one_and_the_numbers_stay() -> None:
    table = means(runs(), task(), ["mrr@10"])
    before = table.copy()
    shown = with_dashes(table, ["good"], ["named"])
    assert shown.loc[("alias", "mrr@10")].to_dict() == {"base": 0.5, "good": "–", "bad": 0}
    assert shown.loc[("named", "mrr@10")].to_dict() == {"base": 1, "good": 1, "bad": 0}
    pd.testing.assert_frame_equal(table, before)
    assert with_dashes(table, [], []).to_numpy().tolist() == table.T.to_numpy().tolist()
