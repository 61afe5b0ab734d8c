"""Somebody else's data, of every kind, through the real `dvc repro` in a clone: `python tests/kinds.py [KIND ...]`.

Each kind writes a small corpus of its own and says which lines of params.yaml it edits, as its owner would.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from datasets import Dataset, DatasetDict
from PIL import Image

from hiddenstates.core.paths import ROOT
from hiddenstates.pages.notebooks import executed
from hiddenstates.pipeline import warm
from hiddenstates.preview import PRETRAINED
from hiddenstates.run import declared
from hiddenstates.verify import environment_of

Edit = dict[str, Any]
COLOURS = ("red", "green", "blue", "gold", "black", "white", "purple", "orange")
THINGS = ("river", "mountain", "city", "castle", "bridge", "island", "museum", "harbour")
PLACES = ("north", "south", "east", "west", "old", "new", "upper", "lower")


def text_folder(folder: Path) -> Edit:
    """BEIR's layout, texts only, a test split only."""
    _beir(folder, {"test": range(64)})
    return {"corpus": {"source": str(folder)}}


def pictured(folder: Path) -> Edit:
    """BEIR's layout with pictures and entities, all three splits."""
    _beir(folder, {"train": range(16), "dev": range(16, 40), "test": range(40, 64)}, images=True)
    return {"corpus": {"source": str(folder)}}


def pictures_missing(folder: Path) -> Edit:
    """The same; some of the pictures are not there, and one is broken."""
    edit = pictured(folder)
    for name in ("p3.png", "p20.png", "q21.png", "q50.png"):
        (folder / "images" / name).unlink()
    (folder / "images" / "p5.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return edit


def pairs(folder: Path) -> Edit:
    """Sentence pairs with a score."""
    for split, n in {"train": 30, "dev": 40, "test": 50}.items():
        lines = ["sentence1\tsentence2\tscore"]
        lines += [f"{_text(i)}\t{_text(i + i % 3)}\t{(5, 3, 0.5)[i % 3]}" for i in range(n)]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return {"corpus": {"source": str(folder)}}


def viquae(folder: Path) -> Edit:
    """Two Hugging Face datasets on disk with ViQuAE's columns; the questions have pictures, the passages none."""
    Dataset.from_list([{"passage": f"{_title(i)} [SEP] {_text(i)}", "index": i // 2} for i in range(64)]).save_to_disk(
        folder / "passages"
    )
    (folder / "images").mkdir()
    splits = {}
    for split, rows in {"train": range(20), "validation": range(20, 40), "test": range(40, 60)}.items():
        for i in rows:
            _picture(i).save(folder / "images" / f"{i}.jpg")
        splits[split] = Dataset.from_list([_question(split, i) for i in rows])
    DatasetDict(splits).save_to_disk(folder / "questions")
    columns = {"id": "id", "text": "input", "image": "image", "entity": "wikidata_id", "relevant": "provenance_indices"}
    section = {
        "passages": str(folder / "passages"),
        "queries": str(folder / "questions"),
        "images": str(folder / "images"),
        "passage_columns": {"text": "passage"},
        "query_columns": columns,
    }
    return {"corpus": {"source": "huggingface", "huggingface": section}}


def two_passages(folder: Path) -> Edit:
    """As few as can be."""
    _beir(folder, {"dev": range(1), "test": range(1, 2)}, passages=2)
    return {"corpus": {"source": str(folder)}}


def seven_passages(folder: Path) -> Edit:
    """Fewer than a notebook used to draw."""
    _beir(folder, {"test": range(7)}, passages=7)
    return {"corpus": {"source": str(folder)}}


def six_sentences(folder: Path) -> Edit:
    """Tagged files of two sentences each, beside a text folder."""
    tagged = folder / "tagged"
    tagged.mkdir()
    for i, split in enumerate(("train", "dev", "test")):
        blocks = [f"The\tO\n{_title(k).split()[0]}\tB-LOC\nsleeps\tO\n" for k in (2 * i, 2 * i + 1)]
        (tagged / f"{split}.txt").write_text("\n".join(blocks), "utf-8")
    return text_folder(folder) | {"tagging": {"source": str(tagged)}}


def another_encoder(folder: Path) -> Edit:
    """The encoders are one line, a model of the user's own; strategies are chosen on a pool, and may cost so much."""
    from tiny import save_tiny  # transformers takes seconds to import

    save_tiny(folder / "model")
    _beir(folder, {"test": range(32)})
    states = {"encoders": {"e5-small.v2": {"model": str(folder / "model")}}, "pool": 40}
    limits = {"layers_at_most": 1, "bytes_at_most": 64, "dimensions": [8, 16]}
    return {"corpus": {"source": str(folder)}, "states": states, "strategies": limits}


KINDS: dict[str, Callable[[Path], Edit]] = {
    make.__name__: make
    for make in (
        text_folder,
        pictured,
        pictures_missing,
        pairs,
        viquae,
        two_passages,
        seven_passages,
        six_sentences,
        another_encoder,
    )
}

SMALL: Edit = {"pretrain": PRETRAINED.model_dump(mode="json"), "tying": {"width": 16, "epochs": 1, "seeds": 2}}
"""Knobs that make the stages that train short; the edits of a kind come on top."""


def clone_with(folder: Path, edit: Mapping[str, Any]) -> Path:
    """A clone of HEAD whose params.yaml has these edits; states.encoders is replaced whole."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    take_compiled(ROOT, folder)
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text("utf-8"))
    for section, values in edit.items():
        params[section] |= values
    path.write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    return folder


def take_compiled(source: Path, clone: Path) -> None:
    """What numba compiled of the same code there: a minute that tests nothing. It knows a file by its time and size."""
    for path in (source / "src").rglob("*.py"):
        copy = clone / path.relative_to(source)
        if copy.is_file() and copy.read_bytes() == path.read_bytes():
            shutil.copystat(path, copy)
            _copy_compiled(path, copy)


def give_compiled(clone: Path) -> None:
    """And the other way round, once a clone has compiled what was not compiled here."""
    for path in (ROOT / "src").rglob("*.py"):
        compiled = clone / path.relative_to(ROOT)
        if compiled.is_file() and compiled.stat().st_mtime_ns == path.stat().st_mtime_ns:
            _copy_compiled(compiled, path)


def _copy_compiled(path: Path, copy: Path) -> None:
    """Only what is not there yet; whole files, the code before the index that names it, for others may be reading."""
    for ending in ("nbc", "nbi"):
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.{ending}"):
            target = copy.parent / "__pycache__" / compiled.name
            target.parent.mkdir(exist_ok=True)
            if not target.exists():
                shutil.copy2(compiled, partial := target.with_name(f".{compiled.name}.{os.getpid()}"))
                partial.replace(target)


def repro(clone: Path, *stages: str) -> subprocess.CompletedProcess[str]:
    """`dvc repro` there, as its owner types it."""
    environment = environment_of(clone, None)
    environment["PYTHONPATH"] += os.pathsep + str(ROOT / "tests" / "startup")
    environment |= {name: os.environ[name] for name in (warm.ADDRESS,) if name in os.environ}
    return subprocess.run(["dvc", "repro", *stages], cwd=clone, env=environment, capture_output=True, text=True)


def undeclared(clone: Path, left_out: Collection[str] = ("inputs",)) -> list[str]:
    """What dvc.yaml declares and no stage made, and what a stage made that it does not declare; but for some stages."""
    stages = yaml.safe_load((clone / "dvc.yaml").read_text("utf-8"))["stages"]
    encoders = yaml.safe_load((clone / "params.yaml").read_text("utf-8"))["states"]["encoders"]
    faults = []
    for stage, about in stages.items():
        for each in encoders if "foreach" in about else [""]:
            folder, names = clone / "out" / stage / each, set(declared(stage))
            if stage not in left_out:
                faults += [
                    f"{folder.name}/{name} is declared and not there" for name in names if not (folder / name).exists()
                ]
                beside = names | {"timings.json", "timed.ipynb", "timed", ".gitignore"}
                faults += [f"{p} is there and not declared" for p in folder.iterdir() if p.name not in beside]
    return faults


def verdicts(clone: Path) -> dict[str, str]:
    """What the executed notebooks say at their ends, by stage."""
    return {each.stage: each.verdict for each in executed(clone / "out")}


def _beir(folder: Path, splits: Mapping[str, range], passages: int = 64, images: bool = False) -> None:
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": f"p{i}", "title": _title(i), "text": _text(i)} for i in range(passages)]
    asked = [{"_id": f"q{i}", "text": _asked(i)} for part in splits.values() for i in part]
    if images:
        (folder / "images").mkdir()
        for row in [*rows, *asked]:
            i, row["image"] = int(row["_id"][1:]), f"{row['_id']}.png"
            row["entity"] = f"thing {i}"
            _picture(i, 2 if row["_id"][0] == "q" else 0).save(folder / "images" / row["image"])
    _lines(folder / "corpus.jsonl", rows)
    _lines(folder / "queries.jsonl", asked)
    for split, part in splits.items():
        judged = [f"q{i}\tp{i}\t1" for i in part]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]), "utf-8")


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _title(i: int) -> str:
    return f"{PLACES[i // 8 % 8].title()}{COLOURS[i % 8]} {THINGS[(i + i // 8) % 8]}"


def _text(i: int) -> str:
    return f"The {COLOURS[i % 8]} {THINGS[(i + i // 8) % 8]} lies in the {PLACES[i // 8 % 8]} part of land {i}."


def _asked(i: int) -> str:
    return f"Which {THINGS[(i + i // 8) % 8]} of the {PLACES[i // 8 % 8]} is {COLOURS[i % 8]}?"


def _picture(i: int, shift: int = 0) -> Image.Image:
    image = Image.new("RGB", (24, 16), COLOURS[i % 8])
    image.paste(COLOURS[(i // 8 + 3) % 8], (4 + shift, 4, 14 + shift, 12))
    return image


def _question(split: str, i: int) -> dict[str, Any]:
    found = [] if i % 10 == 9 else [i, i + 1]
    own = {"id": f"{split}_{i}", "input": _asked(i), "image": f"{i}.jpg", "wikidata_id": f"Q{i}"}
    return own | {"output": {"original_answer": "x"}, "provenance_indices": found}


def main(names: list[str]) -> None:
    """Every kind, or the ones named; the whole pretraining and all else as params.yaml has it."""
    failed = []
    for name in names or KINDS:
        with TemporaryDirectory(prefix=f"hiddenstates-{name}-") as folder:
            (Path(folder) / "data").mkdir()
            clone = clone_with(Path(folder) / "clone", SMALL | KINDS[name](Path(folder) / "data"))
            start = time.monotonic()
            done = repro(clone)
            faults = undeclared(clone) if done.returncode == 0 else [done.stdout[-3000:] + done.stderr[-3000:]]
            print(
                f"=== {name}: {time.monotonic() - start:.0f} s, exit {done.returncode}", *faults, sep="\n", flush=True
            )
            if not faults:
                print(*(f"--- {stage}\n{said}" for stage, said in verdicts(clone).items()), sep="\n", flush=True)
            failed += [name] * bool(faults)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
