"""`Choice`: the strategy that later stages use, as a file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy


@dataclass(frozen=True)
class Choice:
    """The strategy that later stages use, for which model, and why."""

    strategy: Strategy
    fingerprint: str
    evidence: dict[str, Any]

    def save(self, path: Path) -> None:
        about = asdict(self) | {"strategy": str(self.strategy)}
        path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Choice":
        """What `save` wrote."""
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            return cls(Strategy.parse(about["strategy"]), about["fingerprint"], about["evidence"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LabError(
                f"{path}: no choice can be read from it ({error}). Run the stage `strategies` again."
            ) from error
