"""pyproject.toml asks, requirements.lock pins, environment.yml repeats: three files, one environment."""

import re
import tomllib
from importlib.metadata import version

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from hiddenstates.core.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]  # "bench" has no wheels, and is in no lock
OWN = PROJECT["name"]  # the test extra asks for another extra of ours by "hiddenstates[mteb]"
REFERRED = {extra for text in EXTRAS["test"] if (r := Requirement(text)).name == OWN for extra in r.extras}
TEXTS = [*PROJECT["dependencies"], *EXTRAS["test"], *(text for extra in REFERRED for text in EXTRAS[extra])]
ASKED = [requirement for text in TEXTS if (requirement := Requirement(text)).name != OWN]
LINES = [line.split("#")[0].strip() for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines()]
PINS = dict(line.split("==") for line in LINES if line)
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]


@pytest.mark.parametrize("requirement", ASKED, ids=str)
def test_the_lock_holds_what_pyproject_asks_for(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert name in PINS, "run `make lock`"
    assert requirement.specifier.contains(PINS[name]), "run `make lock`"


def test_each_pin_installs_from_the_public_registry() -> None:
    # a name and a version: no path, no url, no hash, no local version such as +cpu
    pin = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*")
    assert [line for line in LINES if line and not pin.fullmatch(line)] == []


def test_the_lock_leaves_cuda_to_torch() -> None:
    assert [name for name in PINS if name.startswith(("nvidia-", "cuda-", "triton"))] == []


def test_torch_is_exact_in_both() -> None:
    (torch,) = [requirement for requirement in ASKED if requirement.name == "torch"]
    assert str(torch.specifier) == "==" + PINS["torch"]


def test_conda_installs_the_lock_on_a_python_that_is_supported() -> None:
    python, _, pip = CONDA
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    assert pip == {"pip": ["--requirement requirements.lock", "--editable ."]}


def test_what_is_installed_is_what_the_lock_pins() -> None:
    installed = {name: Version(version(name)).public for name in PINS}
    assert installed == PINS, "run `make` again, or `pip install -r requirements.lock`"
