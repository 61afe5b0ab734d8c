from pathlib import Path

import ir_measures
import pytest
from ir_measures import RR, nDCG

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Judged, Qrels, Run
from hiddenstates.retrieval.measures import evaluate

RUN = Run({"q1": {"b": 0.1 + 0.2, "a": 2.0, "c": -1e-9}, "q2": {"c": 5.0}})
QRELS = Qrels({"q1": {"c": 2.0, "a": 1.0, "x": 0.0}, "q2": {"a": 1.0}})


def test_a_run_is_written_best_first_with_every_digit(tmp_path: Path) -> None:
    RUN.write(tmp_path / "a.run", tag="mine")
    assert (tmp_path / "a.run").read_text("utf-8").splitlines() == [
        "q1 Q0 a 1 2.0 mine",
        "q1 Q0 b 2 0.30000000000000004 mine",
        "q1 Q0 c 3 -1e-09 mine",
        "q2 Q0 c 1 5.0 mine",
    ]
    assert Run.read(tmp_path / "a.run") == RUN


def test_grades_are_whole_numbers_where_they_can_be(tmp_path: Path) -> None:
    qrels = Qrels({"q1": {"a": 2.0, "b": 0.0}, "q2": {"ü": 3.75, "c": -1.0}})
    qrels.write(tmp_path / "qrels")
    assert (tmp_path / "qrels").read_text("utf-8").splitlines() == ["q1 0 a 2", "q1 0 b 0", "q2 0 ü 3.75", "q2 0 c -1"]
    assert Qrels.read(tmp_path / "qrels") == qrels


def test_other_tools_score_the_files_alike(tmp_path: Path) -> None:
    RUN.write(tmp_path / "run", tag="mine")
    QRELS.write(tmp_path / "qrels")
    theirs = ir_measures.calc_aggregate(
        [RR @ 10, nDCG @ 10],
        ir_measures.read_trec_qrels(str(tmp_path / "qrels")),
        ir_measures.read_trec_run(str(tmp_path / "run")),
    )
    ours = evaluate(RUN, QRELS, ["mrr@10", "ndcg@10"]).mean()
    assert (ours["mrr@10"], ours["ndcg@10"]) == pytest.approx((theirs[RR @ 10], theirs[nDCG @ 10]), abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "line", "fields"),
    [
        (Qrels, "q1 0 a", 4),
        (Qrels, "q1 0 a b 1", 4),
        (Qrels, "q1 0 a much", 4),
        (Qrels, "", 4),
        (Qrels, "q1 0 a nan", 4),
        (Run, "q1 Q0 a 1 0.5", 6),
        (Run, "q1 Q0 a 1 high mine", 6),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, kind: type[Judged], line: str, fields: int) -> None:
    path = tmp_path / "file.trec"
    good = "q0 0 a 1" if kind is Qrels else "q0 Q0 a 1 0.5 mine"
    path.write_text(f"{good}\n{line}\n", "utf-8")
    with pytest.raises(LabError, match=rf"file\.trec:2: not a TREC line of {fields} fields: '{line}'\. Fix or delete"):
        kind.read(path)  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [b"q1 0 \xff 1\n", None], ids=["not utf-8", "missing"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "qrels").write_bytes(content)
    with pytest.raises(LabError, match=r"qrels: cannot be read"):
        Qrels.read(tmp_path / "qrels")


def test_select_keeps_the_order_and_a_row_for_each_query() -> None:
    some = QRELS.select(["q2", "q9"])
    assert type(some) is Qrels
    assert list(some) == ["q2", "q9"]
    assert (some["q2"], some["q9"], len(some)) == ({"a": 1.0}, {}, 2)
