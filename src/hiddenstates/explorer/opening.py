"""From what the stages wrote to an explorer; from a small sample, where they wrote nothing."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hiddenstates.core.data import KnowledgeBase, Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import WORDS
from hiddenstates.core.params import Section, States, load_params
from hiddenstates.core.paths import out_folder, params_file
from hiddenstates.core.stage import Stage, open_stage
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.explorer.pictures import CLASS_TOKEN, Pictures, pictures_of
from hiddenstates.explorer.search import Explorer
from hiddenstates.images.features import ImageFeatures, embed_files

CLIP = Path("pretrain", "models", "clip", "trained")
FEATURES = Path("images", "features")
SAMPLED = next(iter(States().encoders))  # the encoder of the sample, which is made with the default settings


def open_explorer(encoder: str = SAMPLED) -> Explorer:
    """The explorer of out/, if the stage `states` has been there; else of a small sample. It prints which.

    encoder: one of states.encoders; the sample has the default only
    """
    if not (out_folder() / "states" / "pooled").is_dir():
        return _explorer(_sampled(open_stage("explorer")), encoder, States())
    explorer = _explorer(out_folder(), encoder, load_params(params_file())["states"])
    print(f"The whole knowledge base, as the stages left it in out/: {len(explorer.states.ids):,} passages.")
    return explorer


def known_encoders() -> list[str]:
    """Those of states.encoders whose states are in out/, in their order; the sample's where there are none."""
    pooled = out_folder() / "states" / "pooled"
    if not pooled.is_dir():
        return [SAMPLED]
    return [name for name in load_params(params_file())["states"].model_dump()["encoders"] if (pooled / name).is_dir()]


def _sampled(stage: Stage) -> Path:
    for name in ("states", "pretrain"):
        stage.upstream(name)
    return stage.inputs


def _explorer(inputs: Path, encoder: str, params: Section) -> Explorer:
    sources, folder = params.model_dump()["encoders"], inputs / "states" / "pooled" / encoder
    if encoder not in sources or not folder.is_dir():
        there = ", ".join(path.name for path in sorted(folder.parent.iterdir()))
        raise LabError(f"explorer: no states of an encoder {encoder!r}. Choose one of {there}.")
    states = TaskStates.load(folder)
    task = states.covered(Task.load(inputs / "corpus" / "task"))  # of a large corpus, the pool
    model = load_encoder(**sources[encoder], dtype=params.model_dump()["dtype"])
    ready = _ready(states, inputs / "strategies" / encoder / "choice")
    return Explorer(task, states, model, _pictures(task.kb, inputs), ready)


def _ready(states: TaskStates, choice: Path) -> dict[str, str]:
    """The published embedding, or the conventional one; what the stage `strategies` chose, if it was for this model."""
    found = {states.called.split()[0]: str(states.default)}
    if choice.is_dir():
        chosen = Choice.load(choice)
        found |= {"chosen": str(chosen.system)} if chosen.fingerprint == states.passages.fingerprint else {}
    return found | {"words alone": WORDS}


def _pictures(kb: KnowledgeBase, inputs: Path) -> Pictures | None:
    if not any(kb.passages["image"][:]):
        return None
    encoder = load_encoder(str(inputs / CLIP), part="vision")
    features = _features(kb, encoder, inputs / FEATURES)
    return pictures_of(kb, features, encoder, Choice(CLASS_TOKEN, encoder.fingerprint, {}))


def _features(kb: KnowledgeBase, encoder: Encoder, stored: Path) -> ImageFeatures:
    """What the stage `images` stored, if it is this encoder's, and of the images that it lacks made now.

    It lacks some where it drew a pool of its own.
    """
    known = ImageFeatures.load(stored) if stored.is_dir() else None
    fits = known and known.states.fingerprint == encoder.fingerprint and CLASS_TOKEN.pool in known.states.values
    held = known if fits else None
    there = {"", *held.names, *held.faults} if held else {""}
    missing = [name for name in dict.fromkeys(kb.passages["image"][:]) if name not in there]
    if held and not missing:
        return held
    with TemporaryDirectory() as folder:
        made = embed_files(encoder, kb.images, missing, [CLASS_TOKEN.pool], Path(folder))
    return _together(held, made) if held else made


def _together(one: ImageFeatures, other: ImageFeatures) -> ImageFeatures:
    """Features of different images, under the pooling that is looked at."""
    values = [features.states.values[CLASS_TOKEN.pool] for features in (one, other)]
    ids = [*one.states.ids, *other.states.ids]
    states = replace(one.states, ids=ids, values={CLASS_TOKEN.pool: np.concatenate(values, axis=1)})
    return ImageFeatures(states, one.names | other.names, one.faults | other.faults)
