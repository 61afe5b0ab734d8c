"""What SECURITY.md says of files that anybody may have made, held over every module and by files that would do harm."""

import ast
import pickle
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from architecture import PACKAGE, Repository
from hypothesis import given, settings, strategies as st
from jupyter_server.auth.identity import IdentityProvider
from jupyter_server.serverapp import ServerApp
from papermill.translators import translate_parameters
from sound import Harm
from tasks import make_task
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from hiddenstates.core import params
from hiddenstates.core.data import Task, open_dataset
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import load_params
from hiddenstates.core.paths import ROOT

MODULES = Repository(ROOT).modules
PACKAGED = {"corpora.countries.flags"}  # reads the pictures of an installed package
BETWEEN_OWN = {"pretrain.side_by_side"}  # pickles what goes to processes of its own, and never to a file


def calls(module: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(function, its keyword arguments) of each call in a module, as they are written."""
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_runs_what_a_file_says(module: str) -> None:
    short = module.removeprefix(f"{PACKAGE}.")
    for function, arguments in calls(module):
        assert function not in ("eval", "exec", "os.system", "np.load", "pd.read_pickle", "joblib.load")
        assert function not in ("pickle.load", "pickle.loads") or short in BETWEEN_OWN
        assert function != "torch.load" or arguments["weights_only"] == "True"
        assert function != "Image.open" or "formats" in arguments or short in PACKAGED
        assert arguments.get("trust_remote_code", "False") == "False"
        if function.startswith("AutoModel") and function.endswith("from_pretrained"):
            assert arguments["use_safetensors"] == "True"


def test_yaml_makes_plain_values_only() -> None:
    assert issubclass(params._UniqueKeys, yaml.SafeLoader)


@pytest.mark.parametrize("name", ["a.pkl", "a.pt", "a.npy", "a.py"])
def test_a_dataset_of_code_is_not_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"pytest.fail()" if name == "a.py" else pickle.dumps(Harm()))
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(LabError, match="not a readable dataset"):
            open_dataset(str(path), None, None)


def test_a_pickle_in_an_archive_of_a_dataset_stays_bytes(tmp_path: Path) -> None:
    content = pickle.dumps(Harm())
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("row.pkl")
        member.size = len(content)
        archive.addfile(member, BytesIO(content))
    assert open_dataset(str(tmp_path / "a.tar"), None, None)[0]["pkl"] == content


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "a/../../b.png"])
def test_a_saved_task_s_images_cannot_leave_their_folder(tmp_path: Path, name: str) -> None:
    make_task(tmp_path / "images", passage_image=name).save(tmp_path)
    with pytest.raises(LabError, match=rf"image '{name}' leaves the images folder.*Run the stage `corpus` again"):
        Task.load(tmp_path)


HOSTILE = st.text(alphabet=st.sampled_from("a'\"\\{}\n\r\t#%$;()\0é\u2028")) | st.text()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | HOSTILE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HOSTILE, inner, max_size=3),
    max_leaves=5,
)


def injected(values: dict[str, Any]) -> list[ast.stmt]:
    """The statements of the cell that papermill writes for these parameters."""
    return ast.parse(translate_parameters("python3", "python", values, "Parameters")).body


@given(VALUES)
@settings(derandomize=True, max_examples=200, deadline=None)
def test_a_notebook_s_parameters_are_values_and_nothing_else(value: Any) -> None:
    (statement,) = injected({"a": value})
    assert isinstance(statement, ast.Assign)
    assert ast.literal_eval(statement.value) == value  # refuses whatever is no plain value


def test_a_hostile_string_of_params_reaches_the_notebook_as_it_is(tmp_path: Path) -> None:
    hostile = '"; import os; os.abort() #\n\'\'\'"""\\'
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"index": {"factory": hostile}}), "utf-8")
    values = load_params(tmp_path / "params.yaml")["index"].model_dump(mode="json")
    written = {node.targets[0].id: ast.literal_eval(node.value) for node in injected(values)}
    assert written["factory"] == hostile
    assert written.keys() == values.keys()


def lab_config() -> Config:
    return PyFileConfigLoader("jupyter_lab_config.py", str(ROOT / ".jupyter")).load_config()


def test_the_lab_listens_on_this_machine_only_and_wants_a_token() -> None:
    config = lab_config()
    assert config.ServerApp.ip == "127.0.0.1"
    assert config.ServerApp.keys() <= {"ip", "root_dir", "allow_root"}  # no password, no origin, no check is turned off
    assert "IdentityProvider" not in config
    assert not ServerApp(config=config).allow_remote_access
    tokens = {IdentityProvider(config=config).token for _ in range(2)}
    assert [len(token) for token in tokens] == [48, 48]


def test_make_lab_changes_nothing_of_that() -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\nlab: ")[2].splitlines()[1]
    assert recipe == '\tJUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter" $(BIN)/jupyter lab'
