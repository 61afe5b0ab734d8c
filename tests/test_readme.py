"""The README's numbers are those that the pipeline measured and committed."""

import json

import pytest

from hiddenstates.core.params import SECTIONS
from hiddenstates.core.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")
COMPARED, STRATEGIES = (
    json.loads((ROOT / "out" / stage / "metrics.json").read_text("utf-8")) for stage in ("compare", "strategies/minilm")
)


def rows(header: str) -> dict[str, list[str]]:
    """The table under this first cell: first cell -> the other cells."""
    lines = README.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {header} |"))
    table = [line for line in lines[start : start + 10] if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0]: row[1:] for row in cells}


@pytest.mark.parametrize(
    ("row", "system"),
    [
        ("BM25", "bm25"),
        ("last state, mean (the published default)", "default"),
        ("chosen on dev", "chosen"),
        ("… and the image's vector, fused by weights", "weighted"),
    ],
)
def test_the_result_table_is_what_was_measured(row: str, system: str) -> None:
    table = rows("MRR@10 on test")
    measured = [COMPARED["test"][system][name]["mrr@10"] for name in table["MRR@10 on test"]]
    assert [cell.strip("*") for cell in table[row]] == [f"{value:.3f}" for value in measured]


def test_each_sets_own_choice_is_what_was_measured() -> None:
    table = rows("MRR@10 on test")
    gains = STRATEGIES["each set's own choice, on test"]
    measured = [
        COMPARED["test"]["default"][name]["mrr@10"] + gains[name]["difference"] for name in table["MRR@10 on test"]
    ]
    cells = [float(cell.strip("*")) for cell in table["chosen on dev for that set alone"]]
    assert cells == pytest.approx(measured, abs=6e-4)


def test_the_table_says_how_many_questions() -> None:
    table = rows("MRR@10 on test")
    assert table["questions"] == [str(COMPARED["queries"][name]) for name in table["MRR@10 on test"]]


def test_every_stage_is_listed() -> None:
    assert all(f"| {stage} |" in README for stage in SECTIONS)


@pytest.mark.parametrize(
    ("stage", "sentence", "path"),
    [
        ("states", "through them {:.2f} of unseen views", "view to name, recall@1/projected, as CLIP does/value"),
        ("states", "without them {:.2f}", "view to name, recall@1/last states, unprojected/value"),
        ("tying", "perplexity {:.2f} tied", "perplexity/tied/test/value"),
        ("tying", "{:.2f} untied", "perplexity/untied/test/value"),
        ("images", "{:,} embeddings by name", "both ways/CLIP: the image/embeddings, by name"),
        ("images", "by name, {:,} stored", "both ways/CLIP: the image/embeddings, stored"),
        ("images", "images {:.1f} GB", "projected GB/CLIP, one vector of 512 float32/GB, once an article"),
        ("images", "against {:.0f} GB", "projected GB/VL-T5, 36 boxes × 2048 float32/GB, once an article"),
        ("index", "{:.0%} of the nearest neighbours are kept", "euclidean on raw vectors, recall@10"),
        ("index", "finds {:.1%} of them", "factories/SQ8/recall@10"),
        ("compare", "gain {:.3f} [", "with an image/against chosen/weighted/difference"),
        ("compare", "gain 0.271 [{:.3f}, ", "with an image/against chosen/weighted/low"),
        ("compare", "would take them to {:.3f}", "with an image/oracles/test/oracle: right image, then text/value"),
        ("tokens", "all of {:,} names", "names"),
        ("tokens", "{:.1%} are one token", "overall/minilm/one token"),
        ("tokens", "{:.1%} hold something unknown", "overall/minilm/unknown"),
    ],
)
def test_what_the_notes_believed_is_held_against_what_was_measured(stage: str, sentence: str, path: str) -> None:
    value = json.loads((ROOT / "out" / stage / "metrics.json").read_text("utf-8"))
    for key in path.split("/"):
        value = value[key]
    assert sentence.format(value) in README
