"""params.yaml: one validated class a stage; an unknown key or a bad value is refused with its path."""

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


class Section(BaseModel):
    """A section of params.yaml. Frozen; keys that are not listed are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class Shares(Section):
    """How the entities are shared out; what is left of 1 is the test split."""

    train: float = Field(0.4, gt=0, lt=1)
    dev: float = Field(0.25, gt=0, lt=1)

    @model_validator(mode="after")
    def _leaves_a_test_split(self) -> "Shares":
        if self.train + self.dev >= 1:
            raise ValueError(f"train {self.train:g} and dev {self.dev:g} leave nothing for test; make them smaller")
        return self


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

    source: str = "countries"
    seed: Seed = 0
    shares: Shares = Shares()
    dev_share: float = Field(0.4, gt=0, lt=1)
    countries: Countries = Countries()
    huggingface: HuggingFace | None = None


class ViewCounts(Section):
    """How many views of each flag are drawn; none of them is one that the corpus asks about."""

    train: int = Field(24, ge=1)
    dev: int = Field(2, ge=1)  # of the same countries: learning rates are chosen by these
    test: int = Field(4, ge=1)  # of the same countries and of those never trained on: results are told by these


class SmallCLIP(Section):
    """A CLIP of a size that trains in a minute."""

    image_size: int = Field(32, ge=8)  # pixels, each way
    patch: int = Field(8, ge=2)  # pixels, each way; a patch is a box
    width: int = Field(64, ge=32, multiple_of=32)
    layers: int = Field(3, ge=1)
    rounds: int = Field(8, ge=0)  # of an epoch: in each, every train flag is shown once under its country's name
    rate: float = Field(0.002, gt=0)  # AdamW's, at its highest

    @model_validator(mode="after")
    def _whole_patches(self) -> "SmallCLIP":
        if self.image_size % self.patch:
            raise ValueError(f"image_size {self.image_size} is no multiple of patch {self.patch}")
        return self


class MadeUp(Section):
    """Flags that no country has; CLIP learns to tell them apart from pairs of views."""

    flags: int = Field(2560, ge=0)  # 0: it learns names alone
    views: int = Field(4, ge=2)  # of each
    batch: int = Field(64, ge=2)  # flags that are told apart at once


class SmallVL(Section):
    """VL-T5 and VL-BART of one size, tuned alike."""

    width: int = Field(64, ge=16, multiple_of=16)
    layers: int = Field(2, ge=1)  # of the encoder, and of the decoder
    batch: int = Field(48, ge=1)  # questions; of passages half as many
    passages: int = Field(64, ge=1)  # restored in an epoch
    rates: list[Annotated[float, Field(gt=0)]] = Field(default=[0.001, 0.003], min_length=1)
    tuning_epochs: int = Field(2, ge=1)  # that each rate is tried for


class Pretrain(Section):
    """What do CLIP, VL-T5 and VL-BART learn in N epochs?"""

    seed: Seed = 0
    countries: int | None = Field(None, ge=20)  # as in the corpus, whatever that is
    cities: int = Field(2000, ge=0, le=30000)
    shares: Shares = Shares()  # of the countries that the corpus does not ask about
    pieces: int = Field(4000, ge=600)  # entries of each vocabulary, before the extra ids
    epochs: int = Field(30, ge=1)
    views: ViewCounts = ViewCounts()
    made_up: MadeUp = MadeUp()
    clip: SmallCLIP = SmallCLIP()
    vl: SmallVL = SmallVL()

    @model_validator(mode="after")
    def _something_to_learn(self) -> "Pretrain":
        if not self.made_up.flags and not self.clip.rounds:
            raise ValueError("made_up.flags and clip.rounds are both 0, so CLIP would learn nothing")
        return self


class Tying(Section):
    """Which embeddings are one and the same tensor, before and after pretraining?"""

    least: int = Field(2, ge=1)  # a rarer word of the language models' text is unknown
    width: int = Field(96, ge=2)  # of a word's vector, and of the LSTM
    epochs: int = Field(10, ge=1)  # the best one on dev is kept
    learning_rate: float = Field(0.01, gt=0)  # falls to nothing over the epochs
    seeds: int = Field(3, ge=2)  # pairs of a tied and an untied language model
    seed: Seed = 0  # the first of them; shares out the entities that no query asks about


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

    address: Annotated[str, Field(pattern=r"^(auto|[\w.-]+:\d+)$")] | None = None  # null starts one on this machine


class States(Section):
    """Which layer makes which hidden state?"""

    encoders: dict[Name, EncoderSource] = Field(
        default={
            "minilm": EncoderSource(),
            "clip_text": EncoderSource(model="out/pretrain/models/clip/trained", part="text"),
            "vlt5": EncoderSource(model="out/pretrain/models/vlt5/trained"),
            "vlbart": EncoderSource(model="out/pretrain/models/vlbart/trained"),
        },
        min_length=1,
    )
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the linear layers
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: the GPU where there is one
    engine: Literal["local", "ray"] = "local"
    ray: Cluster = Cluster()
    pool: int | None = Field(30_000, ge=10)  # passages that strategies are chosen on; null: all
    seed: Seed = 0  # draws the pool


class Strategies(Section):
    """Which layers, combined and pooled how, make the best embedding?"""

    measure: Measure | Correlation | None = None  # chooses; null: as the judgements are (docs/own-data.md)
    report: list[Measure] = Field(default=["recall@10", "mrr@10", "ndcg@10"], min_length=1)
    sets: Annotated[list[str], Field(min_length=1)] | None = None  # the query sets that choose; null: all of them
    layer_norms: list[bool] = Field(default=[False, True], min_length=1)  # each state through a layer norm first?
    learn_weights: bool = True  # of the layers, on dev
    shrinkages: list[Annotated[float, Field(ge=0, le=1)]] = [0.5]  # each state also whitened so, before combining
    join: bool = True  # the default joined with the leading others, too
    layers_at_most: Annotated[int, Field(ge=0)] | None = None  # what is chosen runs no more; null: any number
    bytes_at_most: Annotated[int, Field(ge=4)] | None = None  # of a vector in float32 that is chosen; null: any number
    dimensions: list[Annotated[int, Field(ge=1)]] = [64, 128]  # fewer, tried for the leading strategies; []: none
    most: int = Field(20_000, ge=100)  # strategies of one pooling that are all tried; of more, some are searched for
    margin: float = Field(0.01, ge=0, lt=1)  # of the measure: a smaller difference does not matter
    depth: int = Field(100, ge=10)  # passages that a search returns
    seed: Seed = 0


class StoredViews(Section):
    """Views of each stored picture, whose mean may be stored in its place."""

    kind: Literal["camera", "crop"] | None = "camera"  # the whole, by a poor camera; or a part, as suits photographs
    counts: list[Annotated[int, Field(ge=1)]] = [1, 2, 4, 8, 16]  # how many of each picture; none or no kind: not tried


class Images(Section):
    """Embed the image each time, or store its features? Boxes or the whole image?"""

    model: str | None = None  # a CLIP, SigLIP or vision model; null: the CLIP that the stage pretrain trained
    revision: str | None = None  # the commit that pins a hub name
    boxes: str | None = None  # the folder of a VL-T5 or VL-BART; null: the VL-T5 that the stage pretrain trained
    engine: Literal["local", "ray"] = "local"
    ray: Cluster = Cluster()
    poolings: list[str] = Field(default=["first", "patches", "mean", "max"], min_length=1)
    layer_norms: list[bool] = Field(default=[False, True], min_length=1)  # each state through a layer norm first?
    measure: Measure = "mrr@10"  # chooses
    report: list[Measure] = Field(default=["recall@1", "mrr@10"], min_length=1)
    depth: int = Field(100, ge=10)  # images that a search returns
    pixels: int = Field(32, ge=4)  # to a side, of the pictures that are compared without a model
    shown: int = Field(3, ge=1)  # images that are drawn with their boxes
    views: StoredViews = StoredViews()
    candidates: int = Field(10, ge=1)  # passages whose images a query looks at, where costs are compared
    articles: int = Field(1_500_000, ge=1)  # of the knowledge base that costs are projected to, an image each
    passages: int = Field(12_000_000, ge=1)  # of the same
    seed: Seed = 0

    @model_validator(mode="after")
    def _with_the_class_token(self) -> "Images":
        if "first" not in self.poolings:
            raise ValueError("poolings lack first, the class token that CLIP itself takes")
        return self


class Tagging(Section):
    """Which hidden states tag the named entities best?"""

    source: str | None = None  # a folder of tagged files, or countries; null: the corpus's own, if it is the countries
    token_column: int = 0
    tag_column: int = -1  # -1 is the last
    sentences: int = Field(400, ge=1)  # at most so many a split
    per_template: int = Field(20, ge=1)  # of one wording, a split; only the countries have wordings
    model: str | None = None  # as in states; null: that of the first of states.encoders
    revision: str | None = None  # the commit that pins a hub name
    max_tokens: int = Field(256, ge=2, le=8192)
    last: int = Field(4, ge=2)  # sum, concat and weighted sum of the last so many states
    penalties: list[Annotated[float, Field(gt=0)]] = Field(default=[0.03, 0.3], min_length=1)  # small is strict
    seed: Seed = 0


class Index(Section):
    """Which FAISS index serves these vectors?"""

    encoder: str | None = None  # one of states.encoders; null: the first
    factory: str = "Flat"  # the one that later stages search
    factories: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[
            "Flat",
            "L2norm,Flat",
            "SQ8",
            "IVF{cells},Flat nprobe=8",
            "IVF{cells},Flat nprobe=32",
            "HNSW32 efSearch=16",
            "HNSW32 efSearch=64",
            "PQ{pairs}x4fs",
            "PQ{pairs}x4fs,RFlat k_factor_rf=4",
            "PQ{pairs}x4fs,Refine(SQ8) k_factor_rf=4",
            "IVF{cells},PQ{pairs}x4fs,RFlat nprobe=32,k_factor_rf=4",
        ],
        min_length=1,
    )
    depth: int = Field(10, ge=1)
    wanted_recall: float = Field(0.95, gt=0, le=1)
    megabytes: float = Field(5, gt=0)
    held_out: float = Field(0.1, gt=0, lt=1)  # share of the passages that is added later
    seed: Seed = 0


class Compare(Section):
    """Text, image or both, and is the difference real?"""

    encoder: str | None = None  # one of states.encoders; null: the first
    joint: str | None = AUTO  # one that reads text and image together; auto: the first that does; null: none
    clip: str | None = None  # a whole CLIP, which names images; null: the one that the stage pretrain trained
    revision: str | None = None  # the commit that pins a hub name
    counts: list[Annotated[int, Field(ge=1)]] = Field(default=[1, 2, 3, 5, 10, 20], min_length=1)  # nearest images kept
    report: list[Measure] = Field(default=["recall@10", "mrr@10", "ndcg@10"], min_length=1)
    depth: int = Field(100, ge=10)
    shown: int = Field(6, ge=2)  # questions of the gallery
    seed: Seed = 0


class TokenizerSource(Section):
    """Where a tokenizer comes from."""

    model: str  # bundled, a local folder or a hub name; or trained on the passages: unigram, byte_bpe, clip_bpe
    revision: str | None = None  # the commit that pins a hub name
    part: str | None = None  # of the encoder's, as in states.encoders: which part of the model reads by it


class Tokens(Section):
    """What does each tokenizer do to our named entities?"""

    tokenizers: dict[Name, TokenizerSource] = Field(
        default={
            "gpt2": TokenizerSource(model="openai-community/gpt2"),
            "clip": TokenizerSource(model="openai/clip-vit-base-patch32"),
            "unigram": TokenizerSource(model="unigram"),
            "byte_bpe": TokenizerSource(model="byte_bpe"),
            "clip_bpe": TokenizerSource(model="clip_bpe"),
        },
        min_length=1,
    )
    pieces: int = Field(4000, ge=600)  # entries of each trained vocabulary, before the extra ids
    names: Annotated[str, Field(min_length=1)] | None = None  # a file, or countries; null: the corpus's own
    drawn: int | None = Field(None, ge=1)  # so many of the names are tried; null: all
    cities: int = Field(2000, ge=1)  # the largest ones, whose alternate names are tried beside the countries'
    worst: int = Field(6, ge=1)  # names that are shown with their pieces
    encoder: str | None = None  # whose padding and search are looked at: one of states.encoders; null: the first
    batches: list[Annotated[int, Field(ge=1)]] = Field(default=[8, 32, 128], min_length=1)
    limits: list[Annotated[int, Field(ge=8)]] = Field(default=[32, 64, 128], min_length=1)  # tokens a passage is cut to
    padded: int = Field(64, ge=2)  # passages that are embedded with and without the mask
    asked: int = Field(60, ge=1)  # names of each script that are searched for
    seed: Seed = 0


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
