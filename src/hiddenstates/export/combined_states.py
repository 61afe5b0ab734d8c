"""One vector per text from several hidden states of a transformer, for sentence-transformers.

This file travels with the model, and needs torch and sentence-transformers alone. Each part pools some hidden states
over the tokens, may put each through a layer norm or whiten it, combines them, and may whiten, reduce or scale what
comes out; the parts then stand side by side. config.json says which, model.safetensors holds the numbers.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.modules import Module
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor, nn

MODES = {
    "first": "cls",
    "last": "lasttoken",
    "mean": "mean",
    "max": "max",
    "meansqrtlen": "mean_sqrt_len_tokens",
    "weightedmean": "weightedmean",
}
EPSILON = 1e-12
"""Of the layer norm, as BERT's."""


class CombinedStates(Module):
    """Parts of hidden states, side by side.

    width:      d_model of the hidden states
    dimensions: of the vector that comes out
    parts:      what each is made of; see `_part`
    shapes:     of the tensors by name: 0.each.2.mean belongs to the state 2 of part 0
    end:        of the token that the pooling `eos` takes: its id, its place from the last token of a text, and whether
                the first token of that id is taken instead
    """

    config_keys: list[str] = ["width", "dimensions", "parts", "shapes", "end", "include_prompt"]  # noqa: RUF012

    def __init__(
        self,
        width: int,
        dimensions: int,
        parts: list[dict[str, Any]],
        shapes: dict[str, list[int]],
        end: dict[str, Any] | None = None,
        include_prompt: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.width, self.dimensions, self.parts, self.shapes, self.end = width, dimensions, parts, shapes, end
        self.include_prompt = include_prompt
        self.poolings = {pool: Pooling(width, mode, include_prompt) for pool, mode in MODES.items()}
        for name, shape in shapes.items():
            self.register_buffer(name.replace(".", "_"), torch.zeros(shape))

    def get_embedding_dimension(self) -> int:
        return self.dimensions

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Reads `all_layer_embeddings` and `attention_mask`, writes `sentence_embedding` [batch, dimensions]."""
        vectors = [self._part(f"{i}", part, features) for i, part in enumerate(self.parts)]
        features["sentence_embedding"] = torch.cat(vectors, dim=1)
        return features

    def _part(self, name: str, part: dict[str, Any], features: dict[str, Any]) -> Tensor:
        states = [self._state(f"{name}.each.{layer}", layer, part, features) for layer in part["layers"]]
        weighted = [state * weight for state, weight in zip(states, part["weights"], strict=True)]
        vectors = torch.cat(weighted, dim=1) if part["combine"] == "concat" else torch.stack(weighted).sum(0)
        for i, step in enumerate(part["head"]):
            vectors = self._step(f"{name}.head.{i}", step, vectors)
        for fitted in ("white", "reduced"):
            vectors = self._whitened(f"{name}.{fitted}", vectors)
        vectors = vectors[:, : part.get("first")]
        if part["normalize"]:
            vectors = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        return vectors * part["scale"]

    def _state(self, name: str, layer: int, part: dict[str, Any], features: dict[str, Any]) -> Tensor:
        """One hidden state of each text, pooled over its tokens."""
        values = features["all_layer_embeddings"][layer]
        vectors = torch.cat([self._pooled(pool, values, features) for pool in part["pools"]], dim=1)
        if part["layer_norm"]:
            vectors = nn.functional.layer_norm(vectors, vectors.shape[1:], eps=EPSILON)
        return self._whitened(name, vectors)

    def _pooled(self, pool: str, values: Tensor, features: dict[str, Any]) -> Tensor:
        if pool == "eos":
            ends = self._ends(features["input_ids"], features["attention_mask"])
            return values[torch.arange(len(values), device=values.device), ends]
        pooled: Tensor = self.poolings[pool]({**features, "token_embeddings": values})["sentence_embedding"]
        return pooled

    def _ends(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Position of the token that ends each text."""
        assert self.end is not None
        if self.end["first"]:
            return ((ids == self.end["id"]) & mask.bool()).int().argmax(1)
        places = torch.arange(ids.shape[1], device=ids.device)
        return (places * mask).argmax(1) - self.end["back"]

    def _step(self, name: str, step: dict[str, Any], vectors: Tensor) -> Tensor:
        """A linear layer, a layer norm or a scaling that the model's own folder puts after its pooling."""
        weight, bias, residual = (self.tensor(f"{name}.{key}") for key in ("weight", "bias", "residual"))
        if step["kind"] == "normalize":
            return nn.functional.normalize(vectors, dim=1)
        if step["kind"] == "layer_norm":
            return nn.functional.layer_norm(vectors, vectors.shape[1:], weight, bias, step["epsilon"])
        out: Tensor = getattr(nn, step["activation"])()(nn.functional.linear(vectors, weight, bias))
        return out if residual is None else out + nn.functional.linear(vectors, residual)

    def _whitened(self, name: str, vectors: Tensor) -> Tensor:
        mean, matrix = self.tensor(f"{name}.mean"), self.tensor(f"{name}.matrix")
        return vectors if mean is None else (vectors - mean) @ matrix

    def tensor(self, name: str) -> Any:
        """The tensor of that name in `shapes`; None where there is none."""
        return getattr(self, name.replace(".", "_")) if name in self.shapes else None

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Its configuration and numbers, and this file in the folder above, where it is looked for."""
        shutil.copy(__file__, Path(output_path).parent)
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(cls, model_name_or_path: str, *args: Any, **kwargs: Any) -> "CombinedStates":
        names = ("subfolder", "token", "cache_folder", "revision", "local_files_only")
        places = {name: kwargs[name] for name in names if name in kwargs}
        model = cls(**cls.load_config(model_name_or_path, **places))
        cls.load_torch_weights(model_name_or_path, model=model, **places)
        return model
