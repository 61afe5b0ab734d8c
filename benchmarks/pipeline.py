"""How the whole pipeline grows with the corpus: `dvc repro` in a clone, over SYNTHETIC passages under a tiny encoder.

The encoder is a BERT of two narrow layers with random weights, so that encoding takes minutes, not days: what is
measured is the lab, not a model. Passages and questions are made of drawn syllables; each question asks with some words
of its passage. Strategies are chosen on a pool (`--pool`), everything else reads all passages.
Run: python benchmarks/pipeline.py [PASSAGES ...] [--pool N] [--viquae]

With --viquae the corpus is three Hugging Face datasets with the columns of ViQuAE's (docs/own-data.md): passages, their
articles, and questions that show a picture; a thousand small JPEGs of drawn colours. What looks at them is a CLIP and a
VL-T5 of the stage pretrain, which trains for a moment only.

seconds and peak memory, that of the largest process, are those that each stage's runner notes in timings.json. Private
is the most of the memory that no file stands behind (RssAnon, asked every 20 ms, Linux), of all processes of a stage
together (pretrain has two at a time): the peak counts pages of mapped files, too, which the system may drop. growth is
the slope of a column's log on log passages between the smallest corpus and the largest.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from datasets import Dataset, DatasetDict
from PIL import Image
from private import peaks
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from hiddenstates.core.paths import ROOT
from hiddenstates.pages.notebooks import Executed
from hiddenstates.preview import PRETRAINED
from hiddenstates.verify import environment_of

SYLLABLES = ["ba", "den", "kir", "lo", "mun", "pe", "ras", "ti", "vol", "zan", "mer", "ou", "gra", "sel", "no", "fi"]
STAGES = ("corpus", "pretrain", "states", "strategies", "images", "index", "compare")
BLOCK = 10_000
QUESTIONS = {"dev": 200, "test": 200}
SHOWN = {"train": 20, "validation": 180, "test": 200}
PICTURED, LONG = 600, 8
"""Articles that have a picture; passages of an article."""


def words(n: int) -> np.ndarray:
    """So many different words."""
    grid = np.stack(np.meshgrid(*[SYLLABLES] * 4), -1).reshape(-1, 4)
    return np.array(["".join(row) for row in np.random.default_rng(0).permutation(grid)[:n]])


def passages(n: int, vocabulary: np.ndarray) -> Iterator[dict[str, str]]:
    """Forty words each, frequent ones more often, as Zipf found."""
    random = np.random.default_rng(1)
    chances = np.cumsum(1 / np.arange(1, len(vocabulary) + 1))
    for first in range(0, n, BLOCK):
        draws = random.random((min(BLOCK, n - first), 40)) * chances[-1]
        for i, drawn in enumerate(vocabulary[np.searchsorted(chances, draws)], first):
            yield {"_id": f"p{i}", "title": " ".join(drawn[:3]), "text": " ".join(drawn[3:])}


def write_corpus(folder: Path, n: int, vocabulary: np.ndarray) -> None:
    """BEIR's layout."""
    (folder / "qrels").mkdir(parents=True)
    asked = np.random.default_rng(2).choice(n, sum(QUESTIONS.values()), replace=False)
    places = {f"p{i}": k for k, i in enumerate(asked.tolist())}
    questions = []
    with (folder / "corpus.jsonl").open("w") as file:
        for row in passages(n, vocabulary):
            file.write(json.dumps(row) + "\n")
            if row["_id"] in places:
                questions.append((places[row["_id"]], row))
    rows = [row for _, row in sorted(questions, key=lambda pair: pair[0])]
    lines = [{"_id": f"q{k}", "text": " ".join(row["text"].split()[::6])} for k, row in enumerate(rows)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    first = 0
    for split, count in QUESTIONS.items():
        judged = [f"q{k}\t{rows[k]['_id']}\t1" for k in range(first, first + count)]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n")
        first += count


def write_viquae(folder: Path, n: int, vocabulary: np.ndarray) -> dict[str, object]:
    """Datasets as `save_to_disk` leaves them, with ViQuAE's columns; returns the section corpus.huggingface."""
    (folder / "images").mkdir(parents=True)
    articles = -(-n // LONG)
    shown = np.random.default_rng(2).choice(articles, PICTURED, replace=False).tolist()
    names = dict.fromkeys(range(articles)) | {article: f"{article}.jpg" for article in shown}
    for article in shown:
        picture(article, folder / "images" / f"{article}.jpg")
    rows = [
        {"passage": f"{row['title']} [SEP] {row['text']}", "index": i // LONG}
        for i, row in enumerate(passages(n, vocabulary))
    ]
    kept = Dataset.from_list(rows)
    kept.save_to_disk(folder / "passages")
    titles = [kept[article * LONG]["passage"].partition(" [SEP] ")[0] for article in range(articles)]
    ids = [{"wikidata_id": f"Q{article}"} for article in range(articles)]
    columns = {"wikipedia_title": titles, "image": list(names.values()), "wikidata_info": ids}
    Dataset.from_dict(columns).save_to_disk(folder / "articles")
    asked, splits = iter(shown), {}
    for split, count in SHOWN.items():
        splits[split] = Dataset.from_list([question(next(asked), kept, folder / "images") for _ in range(count)])
    DatasetDict(splits).save_to_disk(folder / "questions")
    return {
        **{name: str(folder / name) for name in ("passages", "articles", "images")},
        "queries": str(folder / "questions"),
        "passage_columns": {"text": "passage", "article": "index"},
        "article_columns": {"title": "wikipedia_title", "image": "image", "entity": "wikidata_info.wikidata_id"},
        "query_columns": {
            "id": "id",
            "text": "input",
            "image": "image",
            "entity": "wikidata_id",
            "relevant": "provenance_indices",
        },
    }


def question(article: int, kept: Dataset, images: Path) -> dict[str, object]:
    """Some words of the article's second passage, under another view of its picture."""
    row = article * LONG + 1
    picture(article, images / f"view-{article}.jpg", seen=True)
    words = kept[min(row, len(kept) - 1)]["passage"].split()[4::6]
    own = {"image": f"view-{article}.jpg", "input": " ".join(words), "kilt_id": f"k{article}", "id": f"q{article}"}
    return own | {"wikidata_id": f"Q{article}", "provenance_indices": [min(row, len(kept) - 1)]}


def picture(article: int, path: Path, seen: bool = False) -> None:
    """Sixteen drawn colours; seen: darker, and noisy."""
    colours = np.random.default_rng([3, article]).integers(256, size=(4, 4, 3)).astype(np.uint8)
    whole = np.asarray(Image.fromarray(colours).resize((48, 48), Image.Resampling.BICUBIC), dtype=float)
    if seen:
        whole = 0.8 * whole + np.random.default_rng([4, article]).normal(0, 20, whole.shape)
    Image.fromarray(whole.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def write_model(folder: Path, vocabulary: np.ndarray) -> None:
    """A BERT of two layers of 32 dimensions, to which each word of the vocabulary is a token."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate([*special, *vocabulary])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def measured(n: int, pool: int, viquae: bool) -> pd.DataFrame:
    """Seconds, peak and private memory, and bytes left of each stage that has something to do, by `dvc repro`."""
    with tempfile.TemporaryDirectory(prefix="hiddenstates-") as name:
        folder = Path(name)
        vocabulary = words(20_000)
        write_model(folder / "model", vocabulary)
        clone = folder / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        params = yaml.safe_load((clone / "params.yaml").read_text())
        if viquae:
            params["corpus"] |= {"source": "huggingface", "huggingface": write_viquae(folder / "corpus", n, vocabulary)}
            params["pretrain"] |= PRETRAINED.model_dump(mode="json")
        else:
            write_corpus(folder / "corpus", n, vocabulary)
            params["corpus"]["source"] = str(folder / "corpus")
        params["states"] |= {"encoders": {"tiny": {"model": str(folder / "model")}}, "pool": pool}
        (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        environment = environment_of(clone, None) | {"TQDM_DISABLE": "1"}
        private = peaks(["dvc", "repro", "--quiet", "compare"], stage_of, clone, environment)
        print(Executed("compare", clone / "out" / "compare").verdict, flush=True)
        ran = [stage for stage in STAGES if any((clone / "out" / stage).glob("**/timings.json"))]
        return pd.DataFrame({stage: _stage(clone, stage, private.get(stage, 0)) for stage in ran}).T


def stage_of(arguments: list[str]) -> str | None:
    """The stage that a process with these arguments runs: `python -m hiddenstates.run strategies@tiny`."""
    if "hiddenstates.run" not in arguments:
        return None
    return arguments[arguments.index("hiddenstates.run") + 1].partition("@")[0]


def _stage(clone: Path, stage: str, private: int) -> dict[str, float]:
    out = clone / "out" / stage / ("tiny" if stage == "strategies" else "")
    said = json.loads((out / "timings.json").read_text())["stage"]
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file() and not path.is_symlink())
    memory = {"peak MB": said["peak memory, MB"], "private MB": private / 2**20}
    return {"seconds": said["seconds"], **memory, "MB left": size / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("passages", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--pool", type=int, default=5_000)
    parser.add_argument("--viquae", action="store_true", help="questions that show pictures, articles that have some")
    arguments = parser.parse_args()
    tables = {n: measured(n, arguments.pool, arguments.viquae) for n in arguments.passages}
    table = pd.concat(tables, names=["passages", "stage"])
    print(table.round(1).to_string())
    first, last = min(tables), max(tables)
    if first < last:
        growth = np.log(tables[last] / tables[first]) / np.log(last / first)
        print(f"\ngrowth from {first:,} to {last:,} passages (1 is proportional, 0 is none):")
        print(growth.round(2).to_string())


if __name__ == "__main__":
    main()
