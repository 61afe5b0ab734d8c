"""params.yaml: one validated class a stage; an unknown key or a bad value is refused with its path."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hiddenstates.errors import LabError


class Section(BaseModel):
    """A section of params.yaml. Frozen; keys that are not listed are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Shares(Section):
    """How the entities are shared out; what is left of 1 is the test split."""

    train: float = Field(0.4, gt=0, lt=1)
    dev: float = Field(0.25, gt=0, lt=1)


class Countries(Section):
    """The embedded knowledge base."""

    countries: int | None = Field(None, ge=20)  # the most populous ones; null for all
    cities: int = Field(2000, ge=0, le=30000)  # the largest ones of these countries, by population
    views: int = Field(2, ge=1, le=24)  # degraded views of each flag for the visual questions
    questions: int = Field(800, ge=1)  # at most so many in each set, drawn evenly from its templates


class PassageColumns(Section):
    """Which column of a passage dataset is what. Without an id column, the row number is the id."""

    text: str
    id: str | None = None
    title: str | None = None
    image: str | None = None
    entity: str | None = None
    topic: str | None = None


class QueryColumns(Section):
    """Which column of a query dataset is what. Without an id column, split and row number are the id."""

    text: str
    relevant: str  # holds a list of passage ids
    id: str | None = None
    image: str | None = None
    entity: str | None = None


class HuggingFace(Section):
    """A passage dataset and a query dataset, by hub name or local path, and which column is what."""

    passages: str = Field(min_length=1)
    queries: str = Field(min_length=1)
    passages_revision: str | None = None  # the commit that pins a hub name
    queries_revision: str | None = None
    images: str = "images"  # folder that the image columns are relative to
    passage_columns: PassageColumns
    query_columns: QueryColumns
    splits: dict[str, Literal["train", "dev", "test"]] = {"train": "train", "validation": "dev", "test": "test"}


class Corpus(Section):
    """What do we search, and what counts as found?"""

    source: str = "countries"
    seed: int = 0
    shares: Shares = Shares()
    dev_share: float = Field(0.4, gt=0, lt=1)
    countries: Countries = Countries()
    huggingface: HuggingFace | None = None
