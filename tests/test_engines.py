import importlib.util

import pytest

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.engines import LOCAL, OnRay, open_engine


def test_params_name_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert open_engine("local", {"address": "auto"}) == LOCAL
    assert open_engine("ray", {"address": "head:6379"}) == OnRay("head:6379")


def test_without_ray_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert open_engine("local", {"address": None}) == LOCAL
    with pytest.raises(LabError, match=r"engine is ray, which is not installed\. Run .*ray\[data\].* or choose"):
        open_engine("ray", {"address": None})
