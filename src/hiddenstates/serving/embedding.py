"""An embedding that `hiddenstates export` wrote, as what makes the vectors of an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256 as sha256_of
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import sha256
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.inputs.prompts import Side
from hiddenstates.encoding.inspection.cutting import TEXTS_AT_ONCE, Cuts
from hiddenstates.export.folder import CHOICE
from hiddenstates.export.reading import read

UNTOLD = {"README.md"}
"""Files of the folder that say nothing about its vectors."""


@dataclass(frozen=True)
class Exported:
    """An exported folder. choice: what was exported, and how much words should weigh beside it."""

    folder: Path
    choice: Choice

    @classmethod
    def open(cls, folder: Path) -> "Exported":
        """LabError for a folder that `hiddenstates export` did not write."""
        if not (folder / CHOICE / "choice.json").is_file() or not (folder / "modules.json").is_file():
            raise LabError(
                f"{folder}: not an embedding that the lab exported. Write one by `hiddenstates export FOLDER --choice "
                "CHOICE`, or `--model MODEL`."
            )
        return cls(folder, Choice.load(folder / CHOICE))

    @cached_property
    def model(self) -> SentenceTransformer:
        """Loaded when it is first wanted."""
        return read(self.folder)

    @cached_property
    def digest(self) -> str:
        """What pins its vectors: a hash over every file but the card."""
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file() and path.name not in UNTOLD]
        told = "".join(f"{path.relative_to(self.folder)} {sha256(path)}\n" for path in files)
        return sha256_of(told.encode()).hexdigest()

    def encode(self, texts: Sequence[str], ids: Sequence[str], side: Side, bar: bool = False) -> Embeddings:
        """The vector of each text, float32. bar: show how far it is."""
        encode: Any = self.model.encode_query if side == "query" else self.model.encode_document
        vectors = np.asarray(encode(list(texts), show_progress_bar=bar), dtype=np.float32)
        return Embeddings(list(ids), vectors, self.choice.strategy, self.choice.fingerprint)

    def cuts(self, texts: Sequence[str]) -> Cuts:
        """What it cuts off these passages."""
        tokenizer: Any = self.model.tokenizer
        limit = int(self.model.max_seq_length or tokenizer.model_max_length)
        prompt = self.model.prompts.get("document", "")
        batches = [
            [f"{prompt}{text}" for text in texts[i : i + TEXTS_AT_ONCE]] for i in range(0, len(texts), TEXTS_AT_ONCE)
        ]
        lengths = [len(ids) for batch in batches for ids in tokenizer(batch, verbose=False)["input_ids"]]
        return Cuts.of(lengths, limit)
