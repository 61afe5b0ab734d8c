import json
import os
from pathlib import Path

from hiddenstates.report.costs import stage_costs


def leave(folder: Path, content: dict[str, dict[str, float]], moment: int) -> None:
    folder.mkdir(parents=True)
    (folder / "timings.json").write_text(json.dumps(content), "utf-8")
    os.utime(folder / "timings.json", (moment, moment))


def test_stages_stand_in_the_order_in_which_they_ended(tmp_path: Path) -> None:
    cost = {"seconds": 2.5, "peak memory, MB": 300.0}
    leave(tmp_path / "strategies" / "minilm", {"stage": cost}, 3)
    leave(tmp_path / "corpus", {"stage": {**cost, "seconds": 1.0}, "own": {"a": 1.0}}, 1)
    leave(tmp_path / "unmeasured", {"own": {"a": 1.0}}, 2)
    leave(tmp_path / ".killed.partial", {"stage": cost}, 2)
    table = stage_costs(tmp_path)
    assert list(table.index) == ["corpus", "strategies@minilm"]
    assert table["seconds"].tolist() == [1.0, 2.5]
    assert table.loc["corpus", "peak memory, MB"] == 300


def test_where_nothing_has_run_nothing_is_told(tmp_path: Path) -> None:
    assert list(stage_costs(tmp_path).columns) == ["seconds", "peak memory, MB"]
    assert len(stage_costs(tmp_path)) == 0
