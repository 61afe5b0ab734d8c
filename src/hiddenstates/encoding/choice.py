"""`Choice`: the strategy that later stages use, as files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import read_as, sha256
from hiddenstates.core.joined import AnyStrategy, AnySystem, fused, parse
from hiddenstates.encoding.embeddings.pooled import Embeddings, PooledStates
from hiddenstates.encoding.embeddings.whitening import Whitenings

if TYPE_CHECKING:  # not to load transformers where no text is encoded
    from hiddenstates.encoding.encoder import Encoder
    from hiddenstates.encoding.inputs.prompts import Side
    from hiddenstates.encoding.inputs.readers import Input


class _About(BaseModel):
    """What choice.json says. sha256: of the whitening."""

    strategy: str
    fingerprint: str
    evidence: dict[str, Any]
    sha256: str | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Choice:
    """The strategy that later stages use, for which model, and why; its whitening, if it wants one.

    weight: of its cosine beside BM25; 1: without words
    """

    strategy: AnyStrategy
    fingerprint: str
    evidence: dict[str, Any]
    whitening: Whitenings | None = None
    weight: float = 1.0

    @property
    def system(self) -> AnySystem:
        """The strategy, and the words where they weigh anything: what is searched with."""
        return fused(self.strategy, self.weight)

    def embed(self, states: PooledStates) -> Embeddings:
        """The embedding of each item. Refuses the states of another model."""
        self._check_model(states.fingerprint)
        return states.embed(self.strategy, self.whitening)

    def _check_model(self, fingerprint: str) -> None:
        if fingerprint != self.fingerprint:
            raise LabError(
                f"choice: made for model {self.fingerprint}, these states are of {fingerprint}. "
                "Run the stage `strategies` again."
            )

    def encode(
        self, encoder: "Encoder", inputs: "Sequence[Input]", ids: Sequence[str] | None = None, side: "Side" = "passage"
    ) -> Embeddings:
        """The embedding of each input. Refuses another model than the choice was made for.

        side: whose prompt stands before each text
        """
        names = [str(i) for i in range(len(inputs))] if ids is None else ids
        self._check_model(encoder.fingerprint)
        return encoder.encode(inputs, self.strategy, names, side, self.whitening)

    def save(self, folder: Path) -> None:
        """choice.json; with a whitening, whitening.safetensors and its hash."""
        folder.mkdir(parents=True, exist_ok=True)
        about = {"strategy": str(self.strategy), "weight": self.weight, "fingerprint": self.fingerprint}
        about["evidence"] = self.evidence
        if self.whitening and self.whitening.parts:
            self.whitening.save(folder / "whitening.safetensors")
            about["sha256"] = sha256(folder / "whitening.safetensors")
        (folder / "choice.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> "Choice":
        """What `save` wrote. Refuses a whitening that is not the one that choice.json describes."""
        folder = Path(folder)
        try:
            about = read_as(_About, (folder / "choice.json").read_bytes())
            strategy = parse(about.strategy)
            whitening = _load_whitening(folder, about.sha256) if strategy.whitened else None
            return cls(strategy, about.fingerprint, about.evidence, whitening, about.weight)
        except (OSError, ValueError) as error:
            raise LabError(
                f"{folder / 'choice.json'}: no choice can be read from it ({error}). Run the stage `strategies` again."
            ) from error


def _load_whitening(folder: Path, expected: str | None) -> Whitenings:
    path = folder / "whitening.safetensors"
    if sha256(path) != expected:
        raise LabError(f"{path} is not the file that choice.json describes. Run the stage `strategies` again.")
    return Whitenings.load(path)
