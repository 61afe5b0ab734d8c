"""What a model's own class publishes as its features, where no sentence-transformers files say: CLIP and SigLIP."""

from typing import Any

from torch import nn

from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.baseline import Baseline
from hiddenstates.encoding.head import Head, LayerNorm, Linear, Step

# Of each part: what pools the last state, and the modules after that by path from the whole model. A tower alone has
# no projection. (Radford et al. 2021, fig. 3)
CLIP = {
    "text": ("eos", ("text_model.final_layer_norm", "text_projection")),
    "vision": ("first", ("vision_model.post_layernorm", "visual_projection")),
}
ALONE = "the pooled output of CLIP's tower"
TOWERS = {"clip_text_model": "text", "clip_vision_model": "vision"}


def own_features(whole: Any, part: str) -> Baseline | None:
    """What CLIP's get_text_features or get_image_features gives, of the last hidden state; None for other models.

    whole: as AutoModel loads it, before `pack`
    """
    kind = whole.config.model_type
    if kind not in ("clip", *TOWERS):
        return None
    pool, paths = CLIP[TOWERS.get(kind, part)]
    found = (_found(whole, path) for path in paths)
    steps = tuple(step_of(module) for module in found if module is not None)
    strategy = Strategy((-1,), "single", pool, head=True)
    if any("WithProjection" in name for name in whole.config.architectures or ()):  # AutoModel leaves it out
        return Baseline(strategy, False, f"{ALONE}; published is another, with a projection", Head(steps))
    return Baseline(strategy, True, "CLIP's features" if kind == "clip" else ALONE, Head(steps))


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
