from pathlib import Path

import pytest
from tiny import save_tiny

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.inspection.past import past_shapes


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_each_layer_keeps_keys_and_values_by_head(tmp_path: Path, kind: str) -> None:
    rows = past_shapes(load_encoder(str(save_tiny(tmp_path, kind)), part="decoder"), ["the red flag", "bern"])
    width = 4 if kind == "t5" else 5  # three words, the end, and BART's start
    kept = (2, 4, width, 8)  # batch, heads, positions, 32 / 4
    names = [f"{attention}-attention {what}" for attention in ("self", "cross") for what in ("keys", "values")]
    assert rows == [{"hidden state": (2, width, 32)} | dict.fromkeys(names, kept)] * 3


def test_an_encoder_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"only a decoder keeps past key values\. Load it with part='decoder'"):
        past_shapes(load_encoder(str(save_tiny(tmp_path, "t5"))), ["bern"])
