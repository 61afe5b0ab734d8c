"""What is exported gives the lab's own vectors under sentence-transformers, also where the lab is not installed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from exporting import KINDS, chosen, tiny
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from tiny import save_tiny

from hiddenstates.cli import main
from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import parse
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.export.folder import FARTHEST, export

ASKED = ["bern", "the river of rome is a red flag of the city", "What is the capital of France?", "flag " * 40]

NATIVE = ["-1/mean", "1/max", "0/first", "1/last", "2/first,mean", "sum(0..2)/mean", "sum(0*0.3,2*0.7)/weightedmean"]
NATIVE += ["mean(0,2)/first", "1/mean+white.5", "1/meansqrtlen+raw"]
NATIVE += ["1/mean+pca5", "1/mean+first7", "2/mean+white.5+white4"]
OWN = ["concat(0,2)/mean", "1/mean+ln", "sum(0,1)/max", "concat(1,2)/max+ln+each.5", "sum(0,2)/mean+white.5"]
OWN += ["concat(0,2)/mean+first9", "sum(0,2)/mean+pca4", "0.3*1/mean+first5 & 0.7*concat(0,1)/max+white3"]
OWN += ["0.3*-1/mean & 0.7*concat(0,1)/max+each.5", "concat(0,2)/first,mean+ln"]


@pytest.fixture(scope="module", params=KINDS)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return tiny(tmp_path_factory.mktemp("model"), request.param)


def farthest(encoder: Encoder, choice: Choice, folder: Path, trust: bool = False) -> float:
    """1 - cosine of the vectors of texts that the export has not seen."""
    model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=trust)
    found = {"query": model.encode_query(ASKED), "passage": model.encode_document(ASKED)}
    apart = []
    for side, theirs in found.items():
        ours = choice.encode(encoder, ASKED, side=side).vectors  # type: ignore[arg-type]
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        apart.append(float((1 - (ours.astype(float) * theirs).sum(1) / lengths).max()))
    return max(apart)


@pytest.mark.parametrize("strategy", NATIVE)
def test_native_modules_say_what_they_can(tmp_path: Path, encoder: Encoder, strategy: str) -> None:
    choice = chosen(encoder, strategy)
    assert export(encoder, choice, tmp_path / "out").native
    assert farthest(encoder, choice, tmp_path / "out") <= FARTHEST


@pytest.mark.parametrize("strategy", OWN)
def test_the_rest_travels_in_one_file(tmp_path: Path, encoder: Encoder, strategy: str) -> None:
    choice = chosen(encoder, strategy)
    assert not export(encoder, choice, tmp_path / "out").native
    assert farthest(encoder, choice, tmp_path / "out", trust=True) <= FARTHEST


@pytest.mark.parametrize("strategy", ["2/eos", "-1/eos+head", "0.5*-1/eos+head & 0.5*0/max"])
def test_what_clip_publishes_goes_along(tmp_path: Path, strategy: str) -> None:
    encoder = tiny(tmp_path, "clip")
    choice = chosen(encoder, strategy)
    export(encoder, choice, tmp_path / "out")
    assert farthest(encoder, choice, tmp_path / "out", trust=True) <= FARTHEST


@pytest.mark.parametrize("strategy", ["1/mean", "concat(0,1)/mean"])
@pytest.mark.parametrize("pooled", [True, False])
def test_prompts_stand_on_their_side_and_are_pooled_or_not(tmp_path: Path, strategy: str, pooled: bool) -> None:
    encoder = tiny(tmp_path, "bert", query="the flag is ", passage="red ", pool_prompt=pooled)  # type: ignore[arg-type]
    choice = chosen(encoder, strategy)
    export(encoder, choice, tmp_path / "out")
    assert farthest(encoder, choice, tmp_path / "out", trust=True) <= FARTHEST
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "- query: `the flag is `" in card
    assert "- document: `red `" in card


def test_the_model_is_cut_above_the_state(tmp_path: Path) -> None:
    encoder = tiny(tmp_path, "bert")
    export(encoder, chosen(encoder, "1/mean"), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))["num_hidden_layers"] == 1
    assert not any("layer.1." in name for name in load_file(tmp_path / "out" / "model.safetensors"))


def test_it_is_saved_again_and_loaded_where_the_lab_is_not(tmp_path: Path) -> None:
    encoder = tiny(tmp_path, "bert")
    choice = chosen(encoder, "concat(0,1)/max+each.5")
    export(encoder, choice, tmp_path / "out")
    script = (
        "import sys\n"
        "sys.modules['hiddenstates'] = None\n"
        "from sentence_transformers import SentenceTransformer\n"
        "model = SentenceTransformer(sys.argv[1], device='cpu', trust_remote_code=True)\n"
        "model.save_pretrained(sys.argv[2], create_model_card=False)\n"
        "assert not any(name.startswith('hiddenstates.') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "out"), str(tmp_path / "again")], check=True)
    assert farthest(encoder, choice, tmp_path / "again", trust=True) <= FARTHEST


def test_what_cannot_be_exported_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    decoder = load_encoder(str(save_tiny(tmp_path / "t5", "t5")), part="decoder")
    with pytest.raises(LabError, match=r"this part of it reads text, shifted"):
        export(decoder, chosen(decoder, "1/mean"), tmp_path / "out")
    bert = tiny(tmp_path, "bert")
    with pytest.raises(LabError, match=r"made for model other"):
        export(bert, Choice(parse("1/mean"), "other", {}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(LabError, match=r"is there already"):
        export(bert, chosen(bert, "1/mean"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_the_command_exports_what_a_stage_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny(tmp_path, "bert")
    params = {"states": {"encoders": {"other": {"model": "nowhere"}, "mine": {"model": str(tmp_path / "bert")}}}}
    (tmp_path / "params.yaml").write_text(json.dumps(params), "utf-8")
    monkeypatch.setenv("HIDDENSTATES_PARAMS", str(tmp_path / "params.yaml"))
    folder = tmp_path / "strategies" / "mine"
    chosen(encoder, "concat(0,1)/mean").save(folder / "choice")
    done = CliRunner().invoke(main, ["export", str(tmp_path / "out"), "--choice", str(folder / "choice")])
    assert done.exit_code == 0, done.output
    assert "trust_remote_code=True" in done.output
    assert "concat(0,1)/mean" in (tmp_path / "out" / "README.md").read_text("utf-8")
    odd = CliRunner().invoke(main, ["export", str(tmp_path / "x"), "--model", "m", "--choice", str(folder / "choice")])
    assert (odd.exit_code, "give either --choice" in odd.output) == (2, True)
    whitened = ["export", str(tmp_path / "x"), "--model", str(tmp_path / "bert"), "--strategy", "1/mean+white"]
    refused = CliRunner().invoke(main, whitened)
    assert (refused.exit_code, "Export that by --choice" in refused.output) == (2, True)
