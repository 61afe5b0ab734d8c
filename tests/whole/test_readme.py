"""The README's numbers are those that the pipeline measured and committed."""

import ast
import json
import re
from typing import Any

import pytest
from PIL import Image

from hiddenstates.core.files import sha256
from hiddenstates.core.params import SECTIONS
from hiddenstates.core.paths import ROOT
from hiddenstates.core.stage import WRITE_TO, open_stage, read_numbers

README = (ROOT / "README.md").read_text("utf-8")
COMPARED, STRATEGIES = (read_numbers(ROOT / "out" / stage) for stage in ("compare", "strategies/minilm"))


def rows(header: str) -> dict[str, list[str]]:
    """The table under this first cell: first cell -> the other cells."""
    lines = README.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {header} |"))
    table = [line for line in lines[start : start + 10] if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0]: row[1:] for row in cells}


ROWS = {
    "BM25": "bm25",
    "`6/mean`, the published embedding": "default",
    "chosen on dev": "chosen",
    "… beside BM25's words: **advised**": "fused",
    "… and the image's vector, in a soft filter": "soft_filter",
}
"""Of the table, by first cell: the system in `compare`'s numbers."""


@pytest.mark.parametrize("row", ROWS)
def test_the_result_table_is_what_was_measured(row: str) -> None:
    table = rows("MRR@10 on test")
    measured = [COMPARED["test"][ROWS[row]][name]["mrr@10"] for name in table["MRR@10 on test"][:-1]]
    means = [*measured, sum(measured) / len(measured)]
    assert [cell.strip("*") for cell in table[row]] == [f"{value:.3f}" for value in means]


def test_bold_is_what_is_surely_better_than_the_default() -> None:
    table = rows("MRR@10 on test")
    against = COMPARED["against the default"]
    for row, system in ROWS.items():
        sets = table["MRR@10 on test"][:-1]
        if system == "soft_filter":  # compared with the text, and on questions that show an image only
            better = {"visual"} if COMPARED["with an image"]["against chosen"][system]["verdict"] == "better" else set()
        else:
            better = {name for name in sets if against[name].get(system, {}).get("verdict") == "better"}
        assert {name for name, cell in zip(sets, table[row], strict=False) if cell.startswith("**")} == better, row


def test_the_measure_of_the_table_is_the_one_that_chose() -> None:
    assert (STRATEGIES["measure"], COMPARED["measure"]) == ("mrr@10", "mrr@10")
    assert COMPARED["advised"]["system"] == "fused"


def test_the_table_says_how_many_questions() -> None:
    table = rows("MRR@10 on test")
    names = table["MRR@10 on test"][:-1]
    assert table["questions"][:-1] == [str(COMPARED["queries"][name]) for name in names]


def test_every_stage_is_listed() -> None:
    assert all(f"| {stage} |" in README for stage in SECTIONS)


@pytest.mark.parametrize(
    ("stage", "sentence", "path"),
    [
        ("states", "through them {:.2f} of unseen views", "view to name, recall@1/projected, as CLIP does/value"),
        ("states", "without them {:.2f}", "view to name, recall@1/last states, unprojected/value"),
        ("tying", "perplexity {:.2f} tied", "perplexity/tied/test/value"),
        ("tying", "{:.2f} untied", "perplexity/untied/test/value"),
        ("images", "{:,} embeddings by name", "both ways/the image, one vector/embeddings, by name"),
        ("images", "by name, {:,} stored", "both ways/the image, one vector/embeddings, stored"),
        ("images", "images {:.1f} GB", "projected GB/CLIP, one vector of 512 float32/GB, once an article"),
        ("images", "against {:.0f} GB", "projected GB/VL-T5, 36 boxes × 2048 float32/GB, once an article"),
        ("images", "by the mean of {} views", "views/kept"),
        ("index", "{:.0%} of the nearest neighbours are kept", "euclidean on raw vectors, recall@10"),
        ("index", "finds {:.1%} of them", "factories/SQ8/recall@10"),
        ("compare", "gain {:.3f} [", "with an image/against chosen/soft_filter/difference"),
        ("compare", " [{:.3f}, ", "with an image/against chosen/soft_filter/low"),
        ("compare", "retrieval would give {:.3f}", "with an image/oracles/test/oracle: right image, then text/value"),
        ("tokens", "all of {:,} names", "names"),
        ("tokens", "{:.1%} are one token", "by_place/minilm/in a sentence/one token"),
        ("tokens", "{:.1%} for GPT-2 (and so BART) in a sentence", "english/one token/gpt2/in a sentence"),
        ("tokens", "sentence, {:.1%} alone", "english/one token/gpt2/alone"),
        ("tokens", "{:.1%} for CLIP", "english/one token/clip/in a sentence"),
        ("tokens", "{:.1%} hold something unknown", "by_place/minilm/in a sentence/unknown"),
    ],
)
def test_what_the_notes_believed_is_held_against_what_was_measured(stage: str, sentence: str, path: str) -> None:
    value: Any = read_numbers(ROOT / "out" / stage)
    for key in path.split("/"):
        value = value[key]
    assert sentence.format(value) in README


def test_the_flags_never_seen_are_found_as_often_as_it_says() -> None:
    images = read_numbers(ROOT / "out" / "images")
    found = images["found"]["recall@1"]["held-out entities"]
    chosen, clean = next(iter(found)), f"published, {images['published']}"
    assert f"{found[clean]['value']:.2f} are first by CLIP's own vector of the clean picture, " in README
    assert f"{found[chosen]['value']:.2f} by the mean of {images['views']['kept']} views |" in README


def test_the_collections_are_those_of_the_document() -> None:
    document = (ROOT / "docs" / "collections.md").read_text("utf-8").splitlines()
    measured = {line.split("|")[1].strip(): line for line in document if line.startswith("| ")}
    table = rows("on test")
    assert len(table) == 6
    for collection, cells in list(table.items())[2:]:
        name = collection.partition(",")[0].lower().replace("-", "")
        numbers = [cell.strip("*") for cell in cells[1:5] if cell != "–"]
        assert all(number in measured[name] for number in numbers), collection


def test_the_gain_on_collections_is_their_mean() -> None:
    gains = [float(cells[4].split()[0]) for cells in rows("on test").values() if cells[0] == "nDCG@10"]
    assert f"gains {sum(gains) / len(gains):.3f} nDCG@10 on the mean" in README.replace("\n", " ")


def test_the_pictures_are_drawn_from_the_committed_numbers() -> None:
    """`make pictures` draws them anew."""
    folder = ROOT / "docs" / "pictures"
    listed = json.loads((folder / "pictures.json").read_text("utf-8"))
    assert set(re.findall(r"\(docs/pictures/(\S+\.png)\)", README)) == set(listed)
    for name, about in listed.items():
        assert sha256(ROOT / "out" / about["numbers"]) == about["sha256"], name
        assert (folder / name).stat().st_size < 300_000
        assert Image.open(folder / name).width > 500


def test_the_python_of_the_readme_runs_and_comes_out_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of out/ there is a small sample."""
    monkeypatch.delenv(WRITE_TO, raising=False)
    stage = open_stage("compare")
    stage.upstream("index")
    known: dict[str, Any] = {}
    results = []
    for block in re.findall(r"```python\n(.*?)```", README, re.S):
        for line in block.replace('"out/', f'"{stage.inputs}/').splitlines():
            if isinstance(ast.parse(line).body[:1] and ast.parse(line).body[0], ast.Expr):
                results.append((eval(line, known), line.partition("  # ")[2]))
            else:
                exec(line, known)
    *shapes, (found, _) = results
    assert len(shapes) == 3
    for shape, told in shapes:
        assert f"{tuple(shape)}" == told.partition(":")[0]
    assert len(found) == 3
    assert list(found.values()) == sorted(found.values(), reverse=True)
