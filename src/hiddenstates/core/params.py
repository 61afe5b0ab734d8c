"""params.yaml: one validated class per stage; an unknown key or a bad value is refused with its path.

Here stand types and bounds. What a knob is for, and its default, stand in params.yaml alone.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from hiddenstates.core.errors import LabError

Measure = Annotated[str, Field(pattern=r"^(recall|mrr|ndcg)@[1-9]\d*$")]
Correlation = Literal["spearman", "pearson"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
AUTO = "auto"


def _named(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError("a name should have letters, digits, _, - and . alone, and not begin with - or .")
    return name


Name = Annotated[str, AfterValidator(_named)]
"""What users call their encoders and tokenizers: it becomes the name of a folder."""


SHIPPED = Path(__file__).with_name("params.yaml")
"""The knobs as the lab ships them: the root's params.yaml before anybody edited it. What that leaves out is as here."""


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a later key overwrite an earlier one without a word; here that is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"duplicate key {twice!r}", node.start_mark)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # a SafeLoader itself
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path}: cannot be read ({error}). It holds the lab's parameters.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a number or a nesting without end
        raise LabError(f"{path.name}: not YAML: {error}. Fix that line.") from error
    if raw is None:  # an empty file: every default
        return {}
    if not isinstance(raw, dict):
        raise LabError(f"{path.name}: expected sections, found {type(raw).__name__}. Known: {', '.join(SECTIONS)}.")
    return raw


_SHIPPED = _read(SHIPPED)


def shipped(path: str) -> Any:
    """The default that stands there, as in `corpus.shares.dev`, or of a whole section its mapping."""
    found: Any = _SHIPPED
    for name in path.split("."):
        found = found[name]
    return found


def knob(path: str, **bounds: Any) -> Any:
    """A field of a section: its default is the shipped one, its bounds are pydantic's."""
    return Field(default=shipped(path), validate_default=True, **bounds)


class Section(BaseModel):
    """A section of params.yaml. Frozen; keys that are not listed are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class Shares(Section):
    """How the entities are shared out; what is left of 1 is the test split."""

    train: float = knob("corpus.shares.train", gt=0, lt=1)
    dev: float = knob("corpus.shares.dev", gt=0, lt=1)

    @model_validator(mode="after")
    def _leaves_a_test_split(self) -> "Shares":
        if self.train + self.dev >= 1:
            raise ValueError(f"train {self.train:g} and dev {self.dev:g} leave nothing for test; make them smaller")
        return self


class Countries(Section):
    """The embedded knowledge base."""

    countries: int | None = knob("corpus.countries.countries", ge=20)
    cities: int = knob("corpus.countries.cities", ge=0, le=30000)
    views: int = knob("corpus.countries.views", ge=1, le=24)
    questions: int = knob("corpus.countries.questions", ge=1)


class PassageColumns(Section):
    """Which column of a passage dataset is what. Without an id column, the row number is the id."""

    text: str
    id: str | None = None
    title: str | None = None
    image: str | None = None
    entity: str | None = None
    topic: str | None = None
    article: str | None = None  # the row of its article, from 0


class ArticleColumns(Section):
    """Which column of an article is what; its passages have it, too, where they say nothing of their own."""

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
    """A passage dataset and a query dataset, by hub name or local path, and which column is what.

    articles: one of what the passages are parts of
    """

    passages: str = Field(min_length=1)
    queries: str = Field(min_length=1)
    passages_revision: str | None = None  # the commit that pins a hub name
    queries_revision: str | None = None
    articles: str | None = None
    articles_revision: str | None = None
    images: str = "images"  # folder that the image columns are relative to
    passage_columns: PassageColumns
    article_columns: ArticleColumns | None = None
    query_columns: QueryColumns
    splits: dict[str, Literal["train", "dev", "test"]] = {"train": "train", "validation": "dev", "test": "test"}

    @model_validator(mode="after")
    def _articles_whole(self) -> "HuggingFace":
        if len({self.articles is None, self.article_columns is None, self.passage_columns.article is None}) > 1:
            raise ValueError("articles, article_columns and passage_columns.article belong together: give all or none")
        return self


class Corpus(Section):
    """What do we search, and what counts as found?"""

    source: str = knob("corpus.source")
    seed: Seed = knob("corpus.seed")
    shares: Shares = knob("corpus.shares")
    dev_share: float = knob("corpus.dev_share", gt=0, lt=1)
    countries: Countries = knob("corpus.countries")
    huggingface: HuggingFace | None = knob("corpus.huggingface")


class ViewCounts(Section):
    """How many views of each flag are drawn; none of them is one that the corpus asks about."""

    train: int = knob("pretrain.views.train", ge=1)
    dev: int = knob("pretrain.views.dev", ge=1)
    test: int = knob("pretrain.views.test", ge=1)


class SmallCLIP(Section):
    """A CLIP of a size that trains in a minute."""

    image_size: int = knob("pretrain.clip.image_size", ge=8)
    patch: int = knob("pretrain.clip.patch", ge=2)
    width: int = knob("pretrain.clip.width", ge=32, multiple_of=32)
    layers: int = knob("pretrain.clip.layers", ge=1)
    rounds: int = knob("pretrain.clip.rounds", ge=0)
    rate: float = knob("pretrain.clip.rate", gt=0)

    @model_validator(mode="after")
    def _whole_patches(self) -> "SmallCLIP":
        if self.image_size % self.patch:
            raise ValueError(f"image_size {self.image_size} is no multiple of patch {self.patch}")
        return self


class MadeUp(Section):
    """Flags that no country has; CLIP learns to tell them apart from pairs of views."""

    flags: int = knob("pretrain.made_up.flags", ge=0)
    views: int = knob("pretrain.made_up.views", ge=2)
    batch: int = knob("pretrain.made_up.batch", ge=2)


class SmallVL(Section):
    """VL-T5 and VL-BART of one size, tuned alike."""

    width: int = knob("pretrain.vl.width", ge=16, multiple_of=16)
    layers: int = knob("pretrain.vl.layers", ge=1)
    batch: int = knob("pretrain.vl.batch", ge=1)
    passages: int = knob("pretrain.vl.passages", ge=1)
    rates: list[Annotated[float, Field(gt=0)]] = knob("pretrain.vl.rates", min_length=1)
    tuning_epochs: int = knob("pretrain.vl.tuning_epochs", ge=1)


class Pretrain(Section):
    """What do CLIP, VL-T5 and VL-BART learn in N epochs?"""

    seed: Seed = knob("pretrain.seed")
    countries: int | None = knob("pretrain.countries", ge=20)
    cities: int = knob("pretrain.cities", ge=0, le=30000)
    shares: Shares = knob("pretrain.shares")
    pieces: int = knob("pretrain.pieces", ge=600)
    epochs: int = knob("pretrain.epochs", ge=1)
    views: ViewCounts = knob("pretrain.views")
    made_up: MadeUp = knob("pretrain.made_up")
    clip: SmallCLIP = knob("pretrain.clip")
    vl: SmallVL = knob("pretrain.vl")

    @model_validator(mode="after")
    def _something_to_learn(self) -> "Pretrain":
        if not self.made_up.flags and not self.clip.rounds:
            raise ValueError("made_up.flags and clip.rounds are both 0, so CLIP would learn nothing")
        return self


class Tying(Section):
    """Which embeddings are one and the same tensor, before and after pretraining?"""

    least: int = knob("tying.least", ge=1)
    width: int = knob("tying.width", ge=2)
    epochs: int = knob("tying.epochs", ge=1)
    learning_rate: float = knob("tying.learning_rate", gt=0)
    seeds: int = knob("tying.seeds", ge=2)
    seed: Seed = knob("tying.seed")


class EncoderSource(Section):
    """Which model, and which part of it."""

    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    part: str | None = None  # encoder, decoder, text or vision, where the model has several; null: its family's first
    revision: str | None = None  # the commit that pins a hub name
    max_tokens: int | None = Field(None, ge=2, le=8192)  # a longer text is cut there; null: as the folder says
    query: str | None = None  # the prompt before each question; null: as the folder says, "" is none
    passage: str | None = None  # the prompt before each passage
    pool_prompt: bool | None = None  # pool the prompt's tokens, too? null: as the folder says
    poolings: Annotated[list[str], Field(min_length=1)] | None = None  # null: those that make sense for the encoder


class Cluster(Section):
    """The Ray that makes shards, where that is the engine."""

    address: Annotated[str, Field(pattern=r"^(auto|[\w.-]+:\d+)$")] | None = knob("states.ray.address")


class States(Section):
    """Which layer makes which hidden state?"""

    encoders: dict[Name, EncoderSource] = knob("states.encoders", min_length=1)
    dtype: Literal["float32", "bfloat16"] = knob("states.dtype")
    device: Literal["auto", "cpu", "cuda"] = knob("states.device")
    engine: Literal["local", "ray"] = knob("states.engine")
    ray: Cluster = knob("states.ray")
    pool: int | None = knob("states.pool", ge=10)
    seed: Seed = knob("states.seed")


class Strategies(Section):
    """Which layers, combined and pooled how, make the best embedding?"""

    measure: Measure | Correlation | None = knob("strategies.measure")
    report: list[Measure] = knob("strategies.report", min_length=1)
    sets: Annotated[list[str], Field(min_length=1)] | None = knob("strategies.sets")
    layer_norms: list[bool] = knob("strategies.layer_norms", min_length=1)
    learn_weights: bool = knob("strategies.learn_weights")
    shrinkages: list[Annotated[float, Field(ge=0, le=1)]] = knob("strategies.shrinkages")
    join: bool = knob("strategies.join")
    layers_at_most: Annotated[int, Field(ge=0)] | None = knob("strategies.layers_at_most")
    bytes_at_most: Annotated[int, Field(ge=4)] | None = knob("strategies.bytes_at_most")
    dimensions: list[Annotated[int, Field(ge=1)]] = knob("strategies.dimensions")
    most: int = knob("strategies.most", ge=100)
    margin: float = knob("strategies.margin", ge=0, lt=1)
    depth: int = knob("strategies.depth", ge=10)
    seed: Seed = knob("strategies.seed")


class StoredViews(Section):
    """Views of each stored picture, whose mean may be stored in its place."""

    kind: Literal["camera", "crop"] | None = knob("images.views.kind")
    counts: list[Annotated[int, Field(ge=1)]] = knob("images.views.counts")


class Images(Section):
    """Embed the image each time, or store its features? Boxes or the whole image?"""

    model: str | None = knob("images.model")
    revision: str | None = knob("images.revision")
    boxes: str | None = knob("images.boxes")
    engine: Literal["local", "ray"] = knob("images.engine")
    ray: Cluster = knob("images.ray")
    poolings: list[str] = knob("images.poolings", min_length=1)
    layer_norms: list[bool] = knob("images.layer_norms", min_length=1)
    measure: Measure = knob("images.measure")
    report: list[Measure] = knob("images.report", min_length=1)
    depth: int = knob("images.depth", ge=10)
    pixels: int = knob("images.pixels", ge=4)
    shown: int = knob("images.shown", ge=1)
    views: StoredViews = knob("images.views")
    candidates: int = knob("images.candidates", ge=1)
    articles: int = knob("images.articles", ge=1)
    passages: int = knob("images.passages", ge=1)
    seed: Seed = knob("images.seed")

    @model_validator(mode="after")
    def _with_the_class_token(self) -> "Images":
        if "first" not in self.poolings:
            raise ValueError("poolings lack first, the class token that CLIP itself takes")
        return self


class Tagging(Section):
    """Which hidden states tag the named entities best?"""

    source: str | None = knob("tagging.source")
    token_column: int = knob("tagging.token_column")
    tag_column: int = knob("tagging.tag_column")
    sentences: int = knob("tagging.sentences", ge=1)
    per_template: int = knob("tagging.per_template", ge=1)
    model: str | None = knob("tagging.model")
    revision: str | None = knob("tagging.revision")
    max_tokens: int = knob("tagging.max_tokens", ge=2, le=8192)
    last: int = knob("tagging.last", ge=2)
    penalties: list[Annotated[float, Field(gt=0)]] = knob("tagging.penalties", min_length=1)
    seed: Seed = knob("tagging.seed")


class Index(Section):
    """Which FAISS index serves these vectors?"""

    encoder: str | None = knob("index.encoder")
    factory: str = knob("index.factory")
    factories: list[Annotated[str, Field(min_length=1)]] = knob("index.factories", min_length=1)
    depth: int = knob("index.depth", ge=1)
    wanted_recall: float = knob("index.wanted_recall", gt=0, le=1)
    megabytes: float = knob("index.megabytes", gt=0)
    held_out: float = knob("index.held_out", gt=0, lt=1)
    seed: Seed = knob("index.seed")


class Compare(Section):
    """Text, image or both, and is the difference real?"""

    encoder: str | None = knob("compare.encoder")
    joint: str | None = knob("compare.joint")
    clip: str | None = knob("compare.clip")
    revision: str | None = knob("compare.revision")
    counts: list[Annotated[int, Field(ge=1)]] = knob("compare.counts", min_length=1)
    report: list[Measure] = knob("compare.report", min_length=1)
    depth: int = knob("compare.depth", ge=10)
    shown: int = knob("compare.shown", ge=2)
    seed: Seed = knob("compare.seed")


class TokenizerSource(Section):
    """Where a tokenizer comes from."""

    model: str  # bundled, a local folder or a hub name; or trained on the passages: unigram, byte_bpe, clip_bpe
    revision: str | None = None  # the commit that pins a hub name
    part: str | None = None  # of the encoder's, as in states.encoders: which part of the model reads by it


class Tokens(Section):
    """What does each tokenizer do to our named entities?"""

    tokenizers: dict[Name, TokenizerSource] = knob("tokens.tokenizers", min_length=1)
    pieces: int = knob("tokens.pieces", ge=600)
    names: Annotated[str, Field(min_length=1)] | None = knob("tokens.names")
    drawn: int | None = knob("tokens.drawn", ge=1)
    cities: int = knob("tokens.cities", ge=1)
    worst: int = knob("tokens.worst", ge=1)
    encoder: str | None = knob("tokens.encoder")
    batches: list[Annotated[int, Field(ge=1)]] = knob("tokens.batches", min_length=1)
    limits: list[Annotated[int, Field(ge=8)]] = knob("tokens.limits", min_length=1)
    padded: int = knob("tokens.padded", ge=2)
    asked: int = knob("tokens.asked", ge=1)
    seed: Seed = knob("tokens.seed")


SECTIONS: dict[str, type[Section]] = {
    "corpus": Corpus,
    "pretrain": Pretrain,
    "tying": Tying,
    "states": States,
    "strategies": Strategies,
    "images": Images,
    "tagging": Tagging,
    "index": Index,
    "compare": Compare,
    "tokens": Tokens,
}
"""One section per stage; their names are the stages'."""

PER_ENCODER = ("strategies",)
"""Stages that run once for each of `states.encoders`, as `strategies@minilm`."""


def load_params(path: Path) -> dict[str, Section]:
    """Every section of a params file, validated. Raises LabError that lists all that is wrong, a line each."""
    raw = _read(path)
    wrong = [
        f"{path.name}: {name}: no such section. Known: {', '.join(SECTIONS)}." for name in raw if name not in SECTIONS
    ]
    sections = {}
    for name, section in SECTIONS.items():
        try:
            written = raw.get(name)  # None under a name with nothing below it
            sections[name] = section.model_validate({} if written is None else written)
        except ValidationError as error:
            wrong += [f"{path.name}: {_said(name, section, e)}" for e in error.errors()]
    if not wrong:
        wrong = [f"{path.name}: {line}" for line in _unknown_encoders(sections)]
    if wrong:
        raise LabError("\n".join(wrong))
    return sections


def _unknown_encoders(sections: dict[str, Section]) -> Iterator[str]:
    known = list(sections["states"].model_dump()["encoders"])
    for name, section in sections.items():
        for key in ("encoder", "joint"):
            encoder = getattr(section, key, None)
            if encoder not in (None, AUTO, *known):
                yield f"{name}.{key}: no encoder {encoder!r} in states.encoders. Known: {', '.join(known)}."


def _said(name: str, section: type[Section], error: Any) -> str:
    """One line about one wrong value: its path, what is wrong, what would be right."""
    path = ".".join([name, *(str(part) for part in error["loc"])])
    if error["type"] == "extra_forbidden":
        *parents, _ = error["loc"]
        return f"{path}: unknown key. Known: {', '.join(_keys(section, parents))}."
    said = error["msg"].removeprefix("Value error, ")
    return f"{path.removesuffix('.[key]')}: {said[0].lower()}{said[1:]}, found {error['input']!r}."


def _keys(section: type[Section], parents: list[Any]) -> list[str]:
    for parent in parents:
        if parent not in section.model_fields:  # a name that the user gave, such as an encoder's
            continue
        kinds = [section.model_fields[parent].annotation, *get_args(section.model_fields[parent].annotation)]
        section = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section))
    return list(section.model_fields)
