"""Every kind of corpus is read, and what it cannot use ends at once; `make kinds` runs all of `dvc repro` on each."""

import json
import os
from pathlib import Path

import pytest
import yaml
from kinds import KINDS, SMALL

from hiddenstates.core.data import Task
from hiddenstates.run import run_stage


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_and_what_it_cannot_use_ends_at_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stages before the encoder's, and those that have nothing to do."""
    (tmp_path / "data").mkdir()
    params = yaml.safe_load(Path("params.yaml").resolve().read_text("utf-8")) if Path("params.yaml").exists() else {}
    for section, values in (SMALL | KINDS[kind](tmp_path / "data")).items():
        params[section] = params.get(section, {}) | values
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    for name in [name for name in os.environ if name.startswith("HIDDENSTATES_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HIDDENSTATES_PARAMS", str(tmp_path / "params.yaml"))
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path / "out"))
    run_stage("corpus")
    task = Task.load(tmp_path / "out" / "corpus" / "task")
    assert len(task.kb.passages) == {"two_passages": 2, "seven_passages": 7, "pairs": 120}.get(kind, 64)
    found = json.loads((tmp_path / "out" / "corpus" / "metrics.json").read_text("utf-8"))
    pictures = {"pictured": (64, 48), "pictures_missing": (64, 48), "viquae": (0, 54)}
    if kind not in pictures:
        assert found["pictured"] == {"passages": 0, "queries": 0}
        assert "picture" in json.loads((run_stage("pretrain") / "metrics.json").read_text("utf-8"))["nothing to do"]
    else:
        assert found["image_questions"] == (kind != "viquae")
