"""Which parameters of a model are one and the same: by object, by storage, by value, and by what its class declares."""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping

import pandas as pd
from torch import Tensor, nn

KINDS = ("object", "storage", "values")


def audit_tying(model: nn.Module) -> pd.DataFrame:
    """One row per place that holds a parameter, however many places hold the same one.

    index:    the place's dotted path
    columns:  shape, parameters, bytes; `object`, `storage` and `values`, each the first place that holds the same
              Parameter, the same memory, equal numbers; `declared`, the place that transformers says it is tied to

    On the meta device there is neither memory nor a number, and only `object` says anything: `storage` and `values` are
    None. Two constant tensors, such as the ones of two fresh norms, are not called equal.
    """
    places = dict(model.named_parameters(remove_duplicate=False))
    first = {kind: _first(places.items(), _KEYS[kind]) for kind in KINDS}
    declared: Mapping[str, str] = getattr(model, "all_tied_weights_keys", None) or {}
    rows = {
        place: {
            "shape": tuple(parameter.shape),
            "parameters": parameter.numel(),
            "bytes": parameter.numel() * parameter.element_size(),
            **{kind: first[kind][place] for kind in KINDS},
            "declared": declared.get(place, ""),
        }
        for place, parameter in places.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("place")


def embeddings(model: nn.Module) -> pd.DataFrame:
    """The rows of `audit_tying` that embed or predict: every `nn.Embedding`, the head, and what is tied to one."""
    audit = audit_tying(model)
    modules = model.named_modules(remove_duplicate=False)
    tables = {f"{path}.weight" for path, module in modules if isinstance(module, nn.Embedding)}
    tables |= {f"{path}.weight" for path in _heads(model)}
    tied = audit.index[audit["object"].isin(audit["object"][audit.index.isin(tables)])]
    return audit[audit.index.isin(tables) | audit.index.isin(tied)]


def groups(audit: pd.DataFrame, kind: str = "object") -> list[list[str]]:
    """The places that are the same by this kind, for each tensor that more than one place holds."""
    return [list(part.index) for _, part in audit.groupby(kind, sort=False) if len(part) > 1]


def size(audit: pd.DataFrame) -> tuple[int, int]:
    """(parameters, bytes), what is shared counted once."""
    once = audit.drop_duplicates("object")
    return int(once["parameters"].sum()), int(once["bytes"].sum())


def matching(model: nn.Module, other: nn.Module) -> list[str]:
    """The places of one model whose Parameter `is` also held by the other one."""
    theirs = {id(parameter) for parameter in other.parameters()}
    return [place for place, p in model.named_parameters(remove_duplicate=False) if id(p) in theirs]


def _heads(model: nn.Module) -> list[str]:
    head = getattr(model, "get_output_embeddings", lambda: None)()
    return [path for path, module in model.named_modules(remove_duplicate=False) if head is not None and module is head]


def _first(
    places: Iterable[tuple[str, Tensor]], key: Callable[[str, Tensor], Hashable | None]
) -> dict[str, str | None]:
    """The first place with the same key, by place; None where there is no key."""
    keys = {place: key(place, parameter) for place, parameter in places}
    first: dict[Hashable, str] = {}
    for place, found in keys.items():
        first.setdefault(found, place)
    return {place: None if found is None else first[found] for place, found in keys.items()}


def _object(place: str, parameter: Tensor) -> Hashable:
    return id(parameter)


def _storage(place: str, parameter: Tensor) -> Hashable | None:
    # every tensor on the meta device has address 0
    return None if parameter.is_meta else parameter.untyped_storage().data_ptr()


def _values(place: str, parameter: Tensor) -> Hashable | None:
    if parameter.is_meta:
        return None
    values = parameter.detach().float()
    if values.numel() and values.min() == values.max():
        return id(parameter)  # a constant: like nothing but itself
    return tuple(values.shape), hashlib.sha256(values.cpu().contiguous().numpy().data).digest()


_KEYS: Mapping[str, Callable[[str, Tensor], Hashable | None]] = {
    "object": _object,
    "storage": _storage,
    "values": _values,
}
