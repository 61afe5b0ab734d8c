import importlib.util

import pytest

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.sharding.engines import LOCAL, Engine, open_engine


def test_the_local_engine_is_open_already() -> None:
    with open_engine("local", {"address": "auto"}) as engine:
        assert engine == LOCAL
        assert isinstance(engine, Engine)


def test_without_ray_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with open_engine("local", {"address": None}) as engine:
        assert engine == LOCAL
    with (
        pytest.raises(LabError, match=r"engine is ray, which is not installed\. Run .*ray\[data\].* or choose"),
        open_engine("ray", {"address": None}),
    ):
        pass
