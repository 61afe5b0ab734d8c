"""The command: what it prints, what it refuses, and in which words."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from numpy.testing import assert_allclose
from safetensors import safe_open
from tiny import save_tiny

import hiddenstates
from hiddenstates.cli import main
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.encoder import load_encoder

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
COMMANDS = ("inspect", "run", "encode", "export", "index", "search", "report")


def run(*arguments: object, given: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("clip"), "clip")


def test_help_has_an_example_for_each_command() -> None:
    assert "hiddenstates inspect sentence-transformers" in run("--help").output
    for command in COMMANDS:
        shown = run(command, "--help")
        assert shown.exit_code == 0
        assert f"hiddenstates {command} " in shown.output


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; from hiddenstates.cli import main; main(['--help'], standalone_mode=False); "
    code += "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_version_is_the_package_s() -> None:
    assert run("--version").output == f"hiddenstates, version {hiddenstates.__version__}\n"
    assert hiddenstates.Strategy is Strategy
    assert hiddenstates.load_encoder is load_encoder
    assert "load_encoder" in dir(hiddenstates)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hiddenstates.nothing


def test_inspect_says_what_made_each_state() -> None:
    said = json.loads(run("inspect", MINILM, "--json").output)
    assert (said["model_type"], said["part"], said["causal"]) == ("bert", None, False)
    assert [state["index"] for state in said["states"]] == list(range(7))
    assert said["states"][6]["module"] == "encoder.layer.5"
    assert said["states"][6]["norm"] == "encoder.layer.5.output.LayerNorm"
    assert (said["width"], said["longest_input"], said["pads_safely"]) == (384, 512, True)
    assert said["published"]["strategy"] == "-1/mean"
    assert said["published"]["dimensions"] == 384
    assert said["parameters"] > 22_000_000
    assert "encoder.layer.5.output.LayerNorm" in run("inspect", MINILM).output


def test_inspect_takes_a_part(folder: Path) -> None:
    said = json.loads(run("inspect", folder, "--part", "vision", "--json").output)
    assert (said["part"], said["reads"], said["causal"]) == ("vision", "image", None)
    assert said["poolings"] == ["first", "patches", "mean", "max"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "own/model"], "Give the 40 hex digits of a commit, which stand on the model's page"),
        (["inspect", "own/model"], "git ls-remote https://huggingface.co/own/model HEAD"),
        (["inspect", "nowhere"], "no such folder, and no hub name"),
        (["run", "nothing"], "stage 'nothing': expected one notebooks/NN_nothing.ipynb"),
        (
            ["encode", "-", "--model", MINILM, "--output", "/nowhere/a.npy"],
            ".parquet file in a folder that exists",
        ),
        (["encode", "-", "--model", MINILM, "--output", "a.txt"], "name a .npy, .safetensors"),
    ],
)
def test_bad_input_ends_with_a_sentence_and_exit_code_2(arguments: list[str], message: str) -> None:
    result = run(*arguments, given="bern\n")
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_part_that_is_not_there_is_refused(folder: Path) -> None:
    result = run("inspect", folder, "--part", "decoder")
    assert result.exit_code == 2
    assert "has no part 'decoder'. Choose 'text' or 'vision'." in result.output


def test_encode_writes_a_row_per_line(folder: Path, tmp_path: Path) -> None:
    texts, output = tmp_path / "texts.txt", tmp_path / "vectors.npy"
    texts.write_bytes("\ufeffred flag\r\nbern\r\n".encode())
    asked = ("--model", folder, "--part", "text", "--strategy", "concat(0,2)/eos", "--output", output)
    result = run("encode", texts, *asked)
    assert result.exit_code == 0, result.output
    assert "2 × 64 by concat(0,2)/eos; none of 2 texts is longer than 40 tokens." in result.output
    expected = load_encoder(str(folder), part="text").encode(["red flag", "bern"], Strategy.parse("concat(0,2)/eos"))
    assert_allclose(np.load(output), expected.vectors, rtol=1e-6)
    assert np.load(output).dtype == np.float32


def test_encode_reads_standard_input_and_takes_the_published_embedding(tmp_path: Path) -> None:
    output = tmp_path / "vectors.npy"
    assert run("encode", "-", "--model", MINILM, "--output", output, given="bern\nparis\n").exit_code == 0
    expected = load_encoder(MINILM).encode(["bern", "paris"], Strategy.parse("-1/mean"))
    assert_allclose(np.load(output), expected.vectors, rtol=1e-5, atol=1e-6)


def test_encode_reads_rows_with_ids_and_writes_what_others_read(folder: Path, tmp_path: Path) -> None:
    rows = [{"_id": "b", "title": "bern", "text": "red flag"}, {"_id": "p", "text": "paris"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    asked = ("--model", folder, "--part", "text", "--strategy", "2/eos")
    expected = load_encoder(str(folder), part="text").encode(["bern red flag", "paris"], "2/eos").vectors
    for ending in ("npy", "safetensors", "parquet"):
        result = run("encode", tmp_path / "rows.jsonl", *asked, "--output", tmp_path / f"out.{ending}")
        assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
    with safe_open(tmp_path / "out.safetensors", "np") as file:
        np.testing.assert_array_equal(file.get_tensor("vector"), expected)
        assert json.loads(file.metadata()["about"]) == {"ids": ["b", "p"]}
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert list(table["id"]) == ["b", "p"]
    assert list(table["text"]) == ["bern red flag", "paris"]
    np.testing.assert_array_equal(np.stack(table["vector"]), expected)


def test_encode_refuses_what_the_encoder_cannot_do(folder: Path, tmp_path: Path) -> None:
    asked = ("--model", folder, "--part", "vision", "--output", tmp_path / "a.npy")
    assert "has no tokens" in run("encode", "-", *asked, given="a\n").output
    empty = run("encode", "-", *asked, given="")
    assert (empty.exit_code, "no texts in it" in empty.output) == (2, True)
