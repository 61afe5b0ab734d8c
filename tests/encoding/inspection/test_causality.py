from pathlib import Path

import pytest
from tiny import save_tiny

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.inspection.causality import changed

TOKENS = [2, 5, 6, 7, 8, 3]


@pytest.mark.parametrize(
    ("kind", "part", "embeddings", "layers"),
    [
        ("bert", None, [3], [0, 1, 2, 3, 4, 5]),
        ("t5", "encoder", [3], [0, 1, 2, 3, 4, 5]),
        ("clip", "text", [3], [3, 4, 5]),
        ("bart", "decoder", [4], [0, 1, 2, 3, 4, 5]),  # one later, but the encoder has read the whole text
    ],
)
def test_which_positions_see_a_changed_token(
    tmp_path: Path, kind: str, part: str | None, embeddings: list[int], layers: list[int]
) -> None:
    seen = changed(load_encoder(str(save_tiny(tmp_path, kind)), part=part), TOKENS, position=3, token=9)
    assert [row.nonzero()[:, 0].tolist() for row in seen] == [embeddings, layers, layers, layers]


@pytest.mark.parametrize(("position", "token"), [(6, 9), (-1, 9), (3, 7)])
def test_a_change_that_is_none_is_refused(tmp_path: Path, position: int, token: int) -> None:
    with pytest.raises(LabError, match=rf"position {position} of 6 tokens must exist and get another token"):
        changed(load_encoder(str(save_tiny(tmp_path))), TOKENS, position, token)
