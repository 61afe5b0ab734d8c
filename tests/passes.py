"""What an encoder is given, pass by pass: who counts it sees what is made again, and what is not."""

from collections.abc import Callable
from typing import Any

import pytest

from hiddenstates.encoding.encoder import Encoder


def watch_passes(monkeypatch: pytest.MonkeyPatch, watch: Callable[[Any], None]) -> None:
    """Every `Encoder.pool` shows its inputs first."""
    real = Encoder.pool

    def watched(encoder: Encoder, ids: Any, inputs: Any, *more: Any) -> Any:
        watch(inputs)
        return real(encoder, ids, inputs, *more)

    monkeypatch.setattr(Encoder, "pool", watched)
