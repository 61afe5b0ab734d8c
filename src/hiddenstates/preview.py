"""Small samples of what each stage writes, for a notebook that is opened by hand. The pipeline never needs them."""

from collections.abc import Callable
from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.core.params import (
    Corpus,
    Countries,
    EncoderSource,
    Images,
    MadeUp,
    Pretrain,
    SmallCLIP,
    SmallVL,
    Strategies,
    ViewCounts,
)
from hiddenstates.corpora import load_task
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.clip import load_clip
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.sharding.sharded import pool_task
from hiddenstates.images.features import embed_files, embed_images
from hiddenstates.images.task import image_task
from hiddenstates.pretrain.experiment import run_experiment
from hiddenstates.pretrain.knowledge import read_knowledge
from hiddenstates.pretrain.progress import Progress
from hiddenstates.report.tables import write_runs
from hiddenstates.retrieval.choosing.best import choose
from hiddenstates.retrieval.index import build_index
from hiddenstates.retrieval.search import search
from hiddenstates.retrieval.strategies.sweep import sweep

ENCODER = "minilm"
SAMPLE = Corpus(countries=Countries(countries=40, cities=30, views=1, questions=60))

PRETRAINED = Pretrain(
    countries=40,
    cities=30,
    pieces=1200,
    epochs=4,
    views=ViewCounts(train=4, dev=1, test=1),
    made_up=MadeUp(flags=64, views=2, batch=32),
    clip=SmallCLIP(layers=2, rounds=4),
    vl=SmallVL(width=32, batch=16, passages=16, rates=[0.003], tuning_epochs=1),
)


def ensure(stage: str, inputs: Path) -> None:
    """Make the sample of this stage, and of those that it reads, unless it is there."""
    folder = inputs / stage
    if not folder.exists():
        folder.mkdir()
        _SAMPLES[stage](folder, inputs)


def _corpus(folder: Path, inputs: Path) -> None:
    load_task(SAMPLE, folder / "task").save(folder / "task")


def _pretrain(folder: Path, inputs: Path) -> None:
    ensure("corpus", inputs)
    knowledge = read_knowledge(Task.load(inputs / "corpus" / "task"), PRETRAINED)
    run_experiment(knowledge, PRETRAINED, Progress(folder / "progress" / "sample")).save(folder / "models")


def _states(folder: Path, inputs: Path) -> None:
    ensure("corpus", inputs)
    encoder = load_encoder(**EncoderSource().model_dump())
    pooled = pool_task(encoder, Task.load(inputs / "corpus" / "task"), encoder.poolings)
    pooled.save(folder / "pooled" / ENCODER)


def _strategies(folder: Path, inputs: Path) -> None:
    ensure("corpus", inputs)
    ensure("states", inputs)
    params, task = Strategies(), Task.load(inputs / "corpus" / "task")
    states = TaskStates.load(inputs / "states" / "pooled" / ENCODER)
    dev, test = (task.select(split=split) for split in ("dev", "test"))
    swept = sweep(states, dev, params.report)
    choice = choose(swept, dev.default_measure, params.sets, states.passages.fingerprint)
    choice.save(folder / ENCODER / "choice")
    tried = {"default": states.default, "chosen": choice.strategy}
    runs = {name: search(states, test, strategy, params.depth) for name, strategy in tried.items()}
    write_runs(runs, test, folder / ENCODER / "runs")


def _images(folder: Path, inputs: Path) -> None:
    ensure("corpus", inputs)
    ensure("pretrain", inputs)
    params, task = Images(), Task.load(inputs / "corpus" / "task")
    vision, images = load_clip(str(inputs / "pretrain" / "models" / "clip" / "trained")).vision, image_task(task)
    features = embed_images(vision, task.kb, params.poolings, folder / "shards")
    names = images.queries["id"][:]
    queries = embed_files(vision, task.kb.images, names, params.poolings, folder / "shards").of_items(names, names)
    states = TaskStates(features.states, queries)
    dev = states.covered(images).select(split="dev")
    swept = sweep(states, dev, params.report, params.layer_norms)
    features.save(folder / "features")
    (folder / "queries").mkdir()
    queries.save(folder / "queries" / "queries.safetensors")
    choose(swept, params.measure, None, queries.fingerprint).save(folder / "choice")


def _index(folder: Path, inputs: Path) -> None:
    for stage in ("corpus", "states", "strategies"):
        ensure(stage, inputs)
    passages = TaskStates.load(inputs / "states" / "pooled" / ENCODER).passages
    embeddings = Choice.load(inputs / "strategies" / ENCODER / "choice").embed(passages)
    build_index(embeddings, kb=Task.load(inputs / "corpus" / "task").kb).save(folder / "index")


_SAMPLES: dict[str, Callable[[Path, Path], None]] = {
    "corpus": _corpus,
    "pretrain": _pretrain,
    "states": _states,
    "strategies": _strategies,
    "images": _images,
    "index": _index,
}
