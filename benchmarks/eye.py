"""What an eye owes to made-up flags, and whether one seed was luck: the small CLIP trained on three diets.

Names alone, made-up flags alone, and both in turn. Each looks at views of flags that it never saw and searches all
flags, clean ones and the mean of several views of each: the share of views whose flag is first, its 95% interval over
the countries. Beside them pixels, the tower before its first epoch, and the names of countries that it was trained on.
A minute or two per training. Run: python benchmarks/eye.py [--seeds N] [--views N]
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

os.environ |= {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # before any is read

import numpy as np
import pandas as pd
import torch

from hiddenstates.core.params import Corpus, Pretrain, load_params
from hiddenstates.core.paths import params_file
from hiddenstates.corpora import load_task
from hiddenstates.corpora.countries import draws
from hiddenstates.corpora.countries.flags import read_flag
from hiddenstates.corpora.countries.views import make_view
from hiddenstates.pretrain.checkpoints import Checkpoints, train_clip
from hiddenstates.pretrain.clip import Pairs, embed_views
from hiddenstates.pretrain.evaluation import named_by_clip, same_flag
from hiddenstates.pretrain.knowledge import Knowledge, read_knowledge
from hiddenstates.pretrain.progress import Progress
from hiddenstates.pretrain.views import Views, draw_views, flags, made_up_views, normalized
from hiddenstates.report.estimates import estimate, written
from hiddenstates.tokenizing.training import train_tokenizer

DIETS: Mapping[str, dict[str, int]] = {
    "names alone": {"flags": 0},
    "made-up flags alone": {"rounds": 0},
    "both": {},
}


def main(seeds: int, n_views: int) -> None:
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
    flat = [views["new"].pixels.flatten(1).numpy(), clean.pixels.flatten(1).numpy()]
    told(
        knowledge,
        views["new"],
        "pixels",
        {"clean": found(*(part - part.mean(1, keepdims=True) for part in flat))},
        clean,
    )
    for seed in range(seeds):
        for name, about in DIETS.items():
            start = process_time()
            made = trained(knowledge, views["train"], tokenizer, changed(params, seed, about))
            print(f"seed {seed}, {name}: {process_time() - start:.0f} s of one core", flush=True)
            for state, clip in made.states.items():
                if state == "trained" or name == "both":
                    asking, stored = (embed_views(clip, some.pixels) for some in (views["new"], clean))
                    mean = np.mean([embed_views(clip, some) for some in several], axis=0)
                    ranked = {"clean": found(asking, stored), f"mean of {n_views} views": found(asking, mean)}
                    told(knowledge, views["new"], f"  {state}", ranked, clean)
            if "names" in name or name == "both":
                said = named_by_clip(made.trained, tokenizer, knowledge, views["held_out"])
                right = same_flag(knowledge, views["held_out"], said).mean()
                print(f"  names of train countries, by views not trained on: {right:.3f}", flush=True)


def changed(params: Pretrain, seed: int, about: Mapping[str, int]) -> Pretrain:
    made_up = params.made_up.model_copy(update={key: n for key, n in about.items() if key == "flags"})
    clip = params.clip.model_copy(update={key: n for key, n in about.items() if key == "rounds"})
    return params.model_copy(update={"seed": seed, "made_up": made_up, "clip": clip})


def trained(knowledge: Knowledge, views: Views, tokenizer: object, params: Pretrain) -> Checkpoints:
    with TemporaryDirectory() as progress:
        pairs = Pairs(knowledge, tokenizer, views, made_up_views(params), params)  # type: ignore[arg-type]
        return train_clip(pairs, Progress(Path(progress)))


def seen_again(codes: object, number: int, params: Pretrain) -> torch.Tensor:
    """One more view of each flag, to be stored."""
    assert isinstance(codes, list)
    size = params.clip.image_size
    return normalized([make_view(read_flag(c), draws.generator("eye", c, number), size) for c in codes])


def found(asking: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """The row of the stored vector with the highest cosine."""
    return np.argmax(asking @ (stored / np.linalg.norm(stored, axis=1, keepdims=True)).T, axis=1)


def told(knowledge: Knowledge, views: Views, name: str, ranked: Mapping[str, np.ndarray], clean: Views) -> None:
    entities = {"entity": [knowledge.world.classes[code][0] for code in views.codes]}
    for stored, rows in ranked.items():
        right: pd.Series = same_flag(knowledge, views, [clean.codes[row] for row in rows])
        print(f"  {name}, {stored}: {written(estimate(right, entities, 0))}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--views", type=int, default=8, help="of each flag, whose mean is stored")
    main(*vars(parser.parse_args()).values())
