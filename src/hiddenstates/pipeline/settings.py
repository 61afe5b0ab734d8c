"""What a stage's parameters come to: what one section leaves to another, and the files that they point to."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hiddenstates.core.params import AUTO, EncoderSource, Section
from hiddenstates.core.paths import resolved

Sections = Mapping[str, Section]

READS_BOTH = ("vlt5", "vlbart")
"""Model types (`config.model_type`) that read text and image together."""

TRAINED = Path("out", "pretrain", "models")
"""Where the stage `pretrain` leaves its models, as params.yaml writes it."""

COUNTRIES = "countries"
NAMED = (COUNTRIES, "huggingface")
"""Sources of a corpus that are no folder."""


@dataclass(frozen=True)
class Settings:
    """What is put into a stage's notebook beside its own section, and what its files are.

    values: parameters by name
    made:   the same, of those that what another stage made decides; DVC sees that by its files, which are dependencies
    reads:  what else of params.yaml decides what the stage does, by name
    paths:  files and folders of the user's, by the key that names them; what other stages make is not among them
    """

    values: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    reads: dict[str, Any] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)


def encoders(sections: Sections) -> dict[str, EncoderSource]:
    """states.encoders; the first is *the* encoder wherever a stage names no other."""
    found: dict[str, EncoderSource] = sections["states"].encoders  # type: ignore[attr-defined]
    return found


def settled(stage: str, sections: Sections) -> Settings:
    """Of one stage. It reads no other stage's outputs, but for the joint encoder, whose kind its folder tells."""
    made = {"joint": _joint(sections)} if stage == "compare" else {}
    return Settings(_values(stage, sections), made, _reads(stage, sections), dict(_paths(stage, sections)))


def _values(stage: str, sections: Sections) -> dict[str, Any]:
    if stage in ("index", "compare", "tokens"):
        name = getattr(sections[stage], "encoder") or next(iter(encoders(sections)))  # noqa: B009 (mypy knows no key)
        return {"encoder": name} | _of_its_own(stage, sections, name)
    if stage in ("tying", "images"):
        return _of_states(sections, "pool")
    return _tagged(sections) if stage == "tagging" else {}


def _of_its_own(stage: str, sections: Sections, encoder: str) -> dict[str, Any]:
    """What a stage wants to know of that encoder, and of how the stage `states` reads the corpus."""
    if stage == "index":
        loading = _of_states(sections, "encoders")["encoders"][encoder] | _of_states(sections, "dtype", "device")
        return {"loading": loading} | _of_states(sections, "engine", "ray")
    return _tokenizers(sections, encoder) | _of_states(sections, "pool") if stage == "tokens" else {}


def _of_states(sections: Sections, *keys: str) -> dict[str, Any]:
    found = sections["states"].model_dump(mode="json")
    return {key: found[key] for key in keys}


def _tagged(sections: Sections) -> dict[str, Any]:
    """The tagged sentences, and the encoder of their words, where the section names none."""
    section: Any = sections["tagging"]
    source = next(iter(encoders(sections).values()))
    own = {"source": section.source or COUNTRIES}  # of another corpus, the stage has nothing to do
    return own | ({} if section.model else {"model": source.model, "revision": source.revision})


def source_of(sections: Sections) -> str:
    """corpus.source."""
    corpus: Any = sections["corpus"]
    return str(corpus.source)


def uses_trained(sections: Sections) -> bool:
    """Whether anything uses what the stage `pretrain` makes."""
    images: Any = sections["images"]
    compare: Any = sections["compare"]
    named = any(TRAINED in Path(source.model).parents for source in encoders(sections).values())
    return named or images.model is None or images.boxes is None or compare.clip is None


def _reads(stage: str, sections: Sections) -> dict[str, Any]:
    if stage in ("pretrain", "tying"):
        return {"models of the stage pretrain are used": uses_trained(sections)}
    if stage == "tagging":
        return {"corpus": source_of(sections)}
    return {"encoders": sections["states"].model_dump(mode="json")["encoders"]} if stage == "compare" else {}


def _joint(sections: Sections) -> str | None:
    """compare.joint; for `auto` the first encoder that reads text and image together, None where there is none."""
    wanted: str | None = sections["compare"].joint  # type: ignore[attr-defined]
    if wanted != AUTO:
        return wanted
    return next((name for name, source in encoders(sections).items() if _reads_both(source)), None)


def _reads_both(source: EncoderSource) -> bool:
    try:
        config = json.loads((resolved(source.model) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") in READS_BOTH


def _tokenizers(sections: Sections, encoder: str) -> dict[str, Any]:
    """tokens.tokenizers, the encoder's own first."""
    source = encoders(sections)[encoder]
    listed = sections["tokens"].model_dump(mode="json")["tokenizers"]
    own = listed.get(encoder) or {"model": source.model, "revision": source.revision, "part": source.part}
    return {"tokenizers": {encoder: own} | listed}


def _paths(stage: str, sections: Sections) -> Iterator[tuple[str, str]]:
    named = {"corpus": _of_corpus, "states": _encoder_paths}.get(stage, _of_models)(sections, stage)
    for key, name in named:
        if name and _is_own(name):
            yield f"{stage}.{key}", name


def _of_corpus(sections: Sections, _: str) -> Iterator[tuple[str, str | None]]:
    section = sections["corpus"].model_dump()
    found, own = section["huggingface"], section["source"]
    if own == "huggingface" and found:
        yield from ((f"huggingface.{key}", found[key]) for key in ("passages", "articles", "queries", "images"))
    elif own not in NAMED:
        yield "source", own


def _encoder_paths(sections: Sections, _: str) -> Iterator[tuple[str, str | None]]:
    for name, source in encoders(sections).items():
        yield f"encoders.{name}", source.model


def _of_models(sections: Sections, stage: str) -> Iterator[tuple[str, str | None]]:
    """Whatever of these keys the section has."""
    section = sections[stage].model_dump() | _values(stage, sections)
    for key in ("source", "model", "boxes", "clip", "names"):
        value = section.get(key)
        yield key, value if isinstance(value, str) and value not in NAMED else None
    for name, source in section.get("tokenizers", {}).items():
        yield f"tokenizers.{name}", source["model"]


def _is_own(name: str) -> bool:
    """Whether it is the user's path: not what a stage makes, and no name of the hub or of what the lab brings."""
    parts = Path(name).parts
    return parts[:1] != ("out",) and (name.startswith((".", "/", "~")) or resolved(name).exists())
