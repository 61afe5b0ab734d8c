"""What an eye owes to made-up flags, and whether one seed was luck: the small CLIP trained on three diets.

Names alone, made-up flags alone, and both in turn. Each looks at views of flags that it never saw and searches all
flags, clean ones and the mean of several views of each: the share of views whose flag is first, its 95% interval over
the countries. Beside them pixels, the tower before its first epoch, and the names of countries that it was trained on.
A minute or two per training. Run: python benchmarks/eye.py [--seeds SEED ...] [--views N]
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

os.environ |= {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # before any is read

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from hiddenstates.core import draws
from hiddenstates.core.params import Corpus, Pretrain, load_params
from hiddenstates.core.paths import params_file
from hiddenstates.corpora import load_task
from hiddenstates.corpora.countries.flags import read_flag
from hiddenstates.corpora.countries.views import make_view
from hiddenstates.pretrain.checkpoints import Checkpoints, train_clip
from hiddenstates.pretrain.clip import Pairs, embed_views
from hiddenstates.pretrain.evaluation import named_by_clip, nearest, same_flag
from hiddenstates.pretrain.knowledge import Knowledge, read_knowledge
from hiddenstates.pretrain.progress import Progress
from hiddenstates.pretrain.views import Views, draw_views, flags, made_up_views, normalized
from hiddenstates.report.estimates import estimate, written
from hiddenstates.tokenizing.training import train_tokenizer

DIETS = {
    "names alone": {"made_up": {"flags": 0}},
    "made-up flags alone": {"clip": {"rounds": 0}},
    "both": {},
}
"""What each changes in the section `pretrain`."""


def main(seeds: Sequence[int], n_views: int) -> None:
    torch.set_num_threads(1)
    sections = load_params(params_file())
    corpus, params = sections["corpus"], sections["pretrain"]
    assert isinstance(corpus, Corpus)
    assert isinstance(params, Pretrain)
    with TemporaryDirectory() as images:
        task = load_task(corpus, Path(images))
    knowledge = read_knowledge(task, params)
    views = draw_views(knowledge, params)
    shown = [knowledge.world.by_code[code] for code in sorted({c[0] for c in knowledge.world.classes.values()})]
    clean = flags(shown, params)
    several = [seen_again(clean.codes, number, params) for number in range(n_views)]
    tokenizer = train_tokenizer("clip", knowledge.texts, params.pieces)
    print(f"{len(views['new'])} views of flags never seen, among {len(shown)}; first, with its 95% interval")
    flat = (some.pixels.flatten(1).numpy() for some in (views["new"], clean))
    asking, stored = (part - part.mean(1, keepdims=True) for part in flat)
    told(knowledge, views["new"], "pixels", asking, {"clean": stored}, clean.codes)
    for seed in seeds:
        for name, about in DIETS.items():
            start = process_time()
            made = trained(knowledge, views["train"], tokenizer, changed(params, seed, about))
            print(f"seed {seed}, {name}: {process_time() - start:.0f} s of one core", flush=True)
            for state, clip in made.states.items():
                if state == "trained" or name == "both":
                    asking, stored = (embed_views(clip, some.pixels) for some in (views["new"], clean))
                    mean = np.mean([embed_views(clip, some) for some in several], axis=0)
                    kept = {"clean": stored, f"mean of {n_views} views": mean}
                    told(knowledge, views["new"], f"  {state}", asking, kept, clean.codes)
            if name != "made-up flags alone":
                said = named_by_clip(made.trained, tokenizer, knowledge, views["held_out"])
                right = same_flag(knowledge, views["held_out"], said).mean()
                print(f"  names of train countries, by views not trained on: {right:.3f}", flush=True)


def changed(params: Pretrain, seed: int, about: Mapping[str, Mapping[str, int]]) -> Pretrain:
    parts = {key: getattr(params, key).model_copy(update=dict(values)) for key, values in about.items()}
    return params.model_copy(update={"seed": seed, **parts})


def trained(knowledge: Knowledge, views: Views, tokenizer: PreTrainedTokenizerFast, params: Pretrain) -> Checkpoints:
    with TemporaryDirectory() as progress:
        pairs = Pairs(knowledge, tokenizer, views, made_up_views(params), params)
        return train_clip(pairs, Progress(Path(progress)))


def seen_again(codes: Sequence[str], number: int, params: Pretrain) -> torch.Tensor:
    """One more view of each flag, to be stored."""
    size = params.clip.image_size
    return normalized([make_view(read_flag(c), draws.generator("eye", c, number), size) for c in codes])


def told(
    knowledge: Knowledge,
    views: Views,
    name: str,
    asking: np.ndarray,
    kept: Mapping[str, np.ndarray],
    codes: Sequence[str],
) -> None:
    """The share of views whose flag is first by the cosine; kept: ways to store the flags, which have these codes"""
    entities = {"entity": [knowledge.world.classes[code][0] for code in views.codes]}
    for way, stored in kept.items():
        rows = nearest(asking, stored / np.linalg.norm(stored, axis=1, keepdims=True))
        right = same_flag(knowledge, views, [codes[row] if row >= 0 else "" for row in rows])
        print(f"  {name}, {way}: {written(estimate(right, entities, 0))}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--views", type=int, default=8, help="of each flag, whose mean is stored")
    main(*vars(parser.parse_args()).values())
