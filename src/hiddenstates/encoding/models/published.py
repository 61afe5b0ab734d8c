"""What a model's folder says about its embedding: the files that sentence-transformers saves, read without it.

Its modules become a `Strategy` and the steps of a `Head`; its prompts and limits a `Reading`. What these cannot express
is named in `Published.obstacle`, and then goes into the baseline's name: nothing is left out in silence.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.inputs.prompts import Reading
from hiddenstates.encoding.models.baseline import Baseline, convention
from hiddenstates.encoding.models.head import ACTIVATIONS, LayerNorm, Linear, Normalize, Step

Config = Mapping[str, Any]

MODES = {
    "cls": "first",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "meansqrtlen",
    "weightedmean": "weightedmean",
    "lasttoken": "last",
}
"""What sentence-transformers calls a pooling, and the name of ours."""

SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""A pooling's configuration of old: one switch per mode. Several that are on come in this order."""

OLD_PLACE = "0_Transformer"
"""Where older folders of sentence-transformers hold the transformer."""

TRANSFORMERS = ("Transformer", "CLIPModel")
TRANSFORMER_CONFIGS = ["sentence_bert_config.json"] + [
    f"sentence_{kind}_config.json" for kind in ("roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
]
OWN_FEATURES = ("get_text_features", "get_image_features")
AS_TEXT = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
RESHAPING = ("query_length", "document_length", "query_expansion")
"""Settings of a transformer's configuration under which it reads texts in a way of its own."""


@dataclass(frozen=True)
class Module:
    """One line of modules.json: the class, the folder of its files, and its configuration."""

    kind: str
    folder: Path
    config: Config


@dataclass(frozen=True)
class Published:
    """What a folder says.

    reading:  how its texts are read
    strategy: what is pooled of which states; None where it does not say, or names the model's own features
    steps:    the modules after that
    obstacle: why what it says cannot be expressed; "" where it can
    measure:  what its vectors are compared by, if not by the cosine
    """

    reading: Reading
    strategy: Strategy | None = None
    steps: tuple[Step, ...] = ()
    obstacle: str = ""
    measure: str = ""

    def baseline(self, own: Baseline | None, causal: bool) -> Baseline:
        """The published embedding, else the convention of the kind of model, which then says what is missing.

        own: what the model's own class publishes as its features
        """
        if self.strategy:
            origin = "modules.json" + f"; compared by {self.measure} there, by cosine here" * bool(self.measure)
            return Baseline(self.strategy, True, origin).then(*self.steps)
        if not self.obstacle:
            return own.then(*self.steps) if own else convention(causal)
        found = own or convention(causal)
        return replace(found, published=False, origin=f"{found.origin}; published is another, with {self.obstacle}")


def read_published(folder: Path) -> Published:
    """What the folder's own files say. LabError for files that cannot be read, or would be read elsewhere."""
    modules = read_modules(folder)
    reading = _reading(_read(folder / "config_sentence_transformers.json"), modules)
    if not modules:
        return Published(reading)
    try:
        similarity = _read(folder / "config_sentence_transformers.json").get("similarity_fn_name")
        return _embedding(modules, reading, similarity)
    except _BeyondError as obstacle:
        return Published(reading, obstacle=str(obstacle))


def transformer_folder(folder: Path) -> Path:
    """Where the transformer's own files lie: where modules.json says, else in the folder itself or at `OLD_PLACE`."""
    named = [module.folder for module in read_modules(folder)[:1]]
    places = [*named, folder, folder / OLD_PLACE]
    return next((place for place in places if (place / "config.json").is_file()), folder)


def read_modules(folder: Path) -> list[Module]:
    """The lines of its modules.json; none where it has none."""
    path = folder / "modules.json"
    try:
        lines = sorted(_parsed(path), key=lambda line: line["idx"]) if path.is_file() else []
        return [_module(folder, str(line["type"]), str(line["path"])) for line in lines]
    except (KeyError, TypeError) as error:
        raise LabError(
            f"{path}: it is not as sentence-transformers writes it ({error}). Save the model again."
        ) from error


class _BeyondError(Exception):
    """What no strategy and no head can express."""


def _module(folder: Path, kind: str, path: str) -> Module:
    place = folder / path
    if not place.resolve().is_relative_to(folder.resolve()):
        raise LabError(f"{folder / 'modules.json'}: {path!r} leaves the folder. Save the model again.")
    package, _, name = kind.rpartition(".")
    if package.partition(".")[0] != "sentence_transformers":
        return Module(kind, place, {})
    names = TRANSFORMER_CONFIGS if name in TRANSFORMERS else ["config.json"]
    return Module(name, place, next(filter(None, (_read(place / name) for name in names)), {}))


def _reading(config: Config, modules: Sequence[Module]) -> Reading:
    """The prompts as sentence-transformers takes them for queries, documents and `encode`.

    Where a folder has a prompt for neither side, that of `encode` stands before both. One for passages counts even
    where an empty one for documents, which sentence-transformers adds when it saves, would hide it.
    """
    prompts = config.get("prompts") or {}
    alike = prompts.get(config.get("default_prompt_name")) or ""
    query = prompts.get("query") or ""
    passage = next(filter(None, (prompts.get(name) for name in ("document", "passage", "corpus"))), "")
    if not query and not passage:
        query = passage = alike
    transformer = modules[0].config if modules else {}
    pooled = all(m.config.get("include_prompt", True) for m in modules if m.kind == "Pooling")
    limit, lower = transformer.get("max_seq_length"), bool(transformer.get("do_lower_case"))
    return Reading(query, passage, alike, pooled, limit, lower)


def _embedding(modules: Sequence[Module], reading: Reading, similarity: str | None) -> Published:
    transformer, *rest = [module for module in modules if module.kind != "Dropout"]
    if _own_features(transformer):
        return Published(reading, steps=_ending([step for module in rest for step in _steps(module)]))
    weights = _weights(transformer)
    if rest and rest[0].kind == "WeightedLayerPooling":
        weights = _layer_weights(rest.pop(0), transformer, weights)
    pools = _pools(rest.pop(0) if rest else None)
    if len(weights) > 1 and "max" in pools:
        raise _BeyondError("the maximum of a weighted sum of layers")
    steps = [step for module in rest for step in _steps(module)]
    return Published(reading, _strategy(weights, pools), _ending(steps), measure=_measure(similarity, steps))


def _own_features(transformer: Module) -> bool:
    """Whether it puts out what the model's own class publishes, pooled already. Refuses what is no transformer."""
    config = transformer.config
    if transformer.kind not in TRANSFORMERS:
        raise _BeyondError(f"{transformer.kind} in a transformer's place")
    if config.get("transformer_task", "feature-extraction") != "feature-extraction":
        raise _BeyondError(f"the task {config['transformer_task']}")
    odd = next((name for name in RESHAPING if config.get(name)), None)
    if odd:
        raise _BeyondError(odd)
    return transformer.kind == "CLIPModel" or _way(transformer)["method"] in OWN_FEATURES


def _way(transformer: Module) -> Config:
    """The method of the model that is called for a text, else for an image, and what of its output is taken."""
    ways: dict[str, Config] = transformer.config.get("modality_config", AS_TEXT)
    if "message" in ways:
        raise _BeyondError("a chat template around each text")
    found = ways.get("text") or ways.get("image")
    if not found:
        raise _BeyondError(f"inputs of {', '.join(ways)} only")
    return found


def _weights(transformer: Module) -> dict[int, float]:
    """The state whose tokens are pooled, and its weight."""
    way = _way(transformer)
    output = way["method_output_name"]
    if way["method"] == "forward" and output in ("last_hidden_state", ["last_hidden_state"]):
        return {-1: 1.0}
    if way["method"] == "forward" and isinstance(output, list) and output[0] == "hidden_states":
        return {int(output[1]): 1.0}
    raise _BeyondError(f"the output {output} of {way['method']}")


def _layer_weights(module: Module, transformer: Module, before: dict[int, float]) -> dict[int, float]:
    """The share of each layer in a weighted mean, which a transformer that shows only its last state leaves out."""
    if not _read(transformer.folder / "config.json").get("output_hidden_states"):
        return before
    weights = _tensors(module)["layer_weights"].astype(np.float64)
    start = module.config.get("layer_start", 4)
    return {start + i: float(share) for i, share in enumerate(weights / weights.sum())}


def _pools(module: Module | None) -> list[str]:
    if module is None or module.kind != "Pooling":
        raise _BeyondError(f"{module.kind if module else 'nothing'} in the place of a pooling")
    old = [name for switch, name in SWITCHES.items() if module.config.get(switch)]
    modes = module.config.get("pooling_mode", old or "mean")
    names = [modes] if isinstance(modes, str) else modes
    unknown = next((name for name in names if name not in MODES), None)
    if unknown:
        raise _BeyondError(f"a pooling {unknown}")
    return [MODES[name] for name in names]


def _strategy(weights: dict[int, float], pools: Sequence[str]) -> Strategy:
    if len(weights) == 1:
        return Strategy(tuple(weights), "single", ",".join(pools))
    return Strategy(tuple(weights), "sum", ",".join(pools), weights=tuple(weights.values()))


def _measure(similarity: str | None, steps: Sequence[Step]) -> str:
    """How its vectors are compared, where that is not by the cosine, nor comes to the same."""
    same = similarity in (None, "cosine") or any(isinstance(step, Normalize) for step in steps[-1:])
    return "" if same else str(similarity)


def _ending(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps without those at the end that scale to length 1: every strategy does."""
    kept = list(steps)
    while kept and isinstance(kept[-1], Normalize):
        kept.pop()
    return tuple(kept)


def _steps(module: Module) -> list[Step]:
    """What a module after the pooling does."""
    ends = {module.config.get(f"module_{end}_name") or "sentence_embedding" for end in ("input", "output")}
    if module.kind not in ("Normalize", "LayerNorm", "Dense") or ends != {"sentence_embedding"}:
        raise _BeyondError(f"a module {module.kind} that the lab has no like of")
    if module.kind == "Normalize":
        return [Normalize()]
    tensors = _tensors(module)
    if module.kind == "LayerNorm":
        return [LayerNorm(tensors["norm.weight"], tensors["norm.bias"])]
    return [_dense(module, tensors)]


def _dense(module: Module, tensors: Mapping[str, np.ndarray]) -> Linear:
    path = module.config.get("activation_function", "torch.nn.modules.activation.Tanh")
    name = path.rpartition(".")[2]
    if not path.startswith("torch.nn.") or name not in ACTIVATIONS:
        raise _BeyondError(f"the activation {path}")
    residual = None
    if module.config.get("use_residual"):
        residual = tensors.get("residual.weight", np.eye(len(tensors["linear.weight"]), dtype=np.float32))
    return Linear(tensors["linear.weight"], tensors.get("linear.bias"), name, residual)


def _tensors(module: Module) -> dict[str, np.ndarray]:
    path = module.folder / "model.safetensors"
    try:
        return {name: tensor.astype(np.float32) for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise LabError(
            f"{path}: no weights of {module.kind} can be read from it ({error}). Save the model again by "
            "SentenceTransformer.save_pretrained, which writes safetensors."
        ) from error


def _read(path: Path) -> Config:
    """A JSON object; an empty one where there is no file."""
    found = _parsed(path) if path.is_file() else {}
    if not isinstance(found, dict):
        raise LabError(f"{path}: no JSON object. Save the model again.")
    return found


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LabError(f"{path}: no JSON can be read from it ({error}). Save the model again.") from error
