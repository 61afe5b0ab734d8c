"""What the stages cost: time and memory, from what the runner leaves beside each notebook."""

import json
from pathlib import Path

import pandas as pd


def stage_costs(out: Path) -> pd.DataFrame:
    """A row a stage that has run, in the order in which they ended: columns seconds, and peak memory in MB."""
    files = [*out.glob("[a-z]*/timings.json"), *out.glob("[a-z]*/[a-z]*/timings.json")]  # of one that runs by encoder
    rows = {}
    for path in sorted(files, key=lambda path: (path.stat().st_mtime, path)):
        told = json.loads(path.read_text(encoding="utf-8"))
        if "stage" in told:
            rows["@".join(path.parent.relative_to(out).parts)] = told["stage"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["seconds", "peak memory, MB"])
    return table.astype(float).rename_axis("stage")
