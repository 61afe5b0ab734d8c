"""What a model's own class publishes as its features, where no sentence-transformers files say: CLIP and SigLIP."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooling import Pooler
from hiddenstates.encoding.models.baseline import Baseline
from hiddenstates.encoding.models.head import Head, LayerNorm, Linear, Step

Ways = Mapping[str, tuple[str, tuple[str, ...]]]
"""Of each part: what pools the last state, and the modules after that by path from the whole model."""

CLIP: Ways = {  # Radford et al. 2021, fig. 3; a tower alone has no projection
    "text": ("eos", ("text_model.final_layer_norm", "text_projection")),
    "vision": ("first", ("vision_model.post_layernorm", "visual_projection")),
}
SIGLIP: Ways = {  # Zhai et al. 2023
    "text": ("last", ("text_model.final_layer_norm", "text_model.head")),
    "vision": ("own", ()),
}
NAMES: dict[str, tuple[str, Ways]] = {
    "clip": ("CLIP", CLIP),
    "siglip": ("SigLIP", SIGLIP),
    "siglip2": ("SigLIP", SIGLIP),
}


def own_features(whole: Any, part: str) -> Baseline | None:
    """What get_text_features or get_image_features gives, of the last hidden state; None for other models.

    whole: as AutoModel loads it, before `pack`
    part:  text or vision
    """
    kind = whole.config.model_type
    family = kind.removesuffix(f"_{part}_model")
    if family not in NAMES or part not in CLIP:
        return None
    name, ways = NAMES[family]
    pool, paths = ways[part]
    found = (_found(whole, path) for path in paths)
    head = Head(tuple(step_of(module) for module in found if module is not None))
    strategy = Strategy((-1,), "single", pool, head=bool(head.steps))
    if any("WithProjection" in name for name in whole.config.architectures or ()):  # AutoModel leaves it out
        return Baseline(strategy, False, f"{name}'s tower; published is another, with a projection", head)
    return Baseline(strategy, True, f"{name}'s features" if kind == family else f"{name}'s tower", head)


def own_pooler(model: Any, kind: str) -> Pooler | None:
    """What SigLIP pools an image with: its post-norm, then a learned probe that attends to all patches.

    model: the part that runs; kind: the model type of the whole
    """
    if not kind.startswith("siglip") or not hasattr(model, "post_layernorm") or not hasattr(model, "head"):
        return None

    def pooled(values: Tensor, mask: Tensor) -> Tensor:  # an image has no padding
        vectors: Tensor = model.head(model.post_layernorm(values))
        return vectors

    return pooled


def step_of(module: nn.Module) -> Step:
    """A linear layer or a layer norm as a step of a head."""
    tensors = {name: tensor.detach().float().cpu().numpy().copy() for name, tensor in module.named_parameters()}
    if isinstance(module, nn.LayerNorm):
        return LayerNorm(tensors["weight"], tensors["bias"], module.eps)
    return Linear(tensors["weight"], tensors.get("bias"))


def _found(whole: Any, path: str) -> nn.Module | None:
    """The module at this path, in a tower alone at the path without the tower; None where it has no such module."""
    modules = dict(whole.named_modules())
    return modules.get(path, modules.get(path.partition(".")[2] or path))
