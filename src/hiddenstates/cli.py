"""The command `hiddenstates`: look at an encoder, run a stage, embed texts, take the chosen embedding elsewhere.

What is slow to import is imported when a command runs, so that `--help` answers at once.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hiddenstates import __version__
from hiddenstates.core.errors import LabError, shortened

if TYPE_CHECKING:
    from hiddenstates.serving.collection import Hit

MODEL_HELP = "MODEL is a bundled name, a folder, or a hub name with --revision, the 40 hex digits of a commit."


class Commands(click.Group):
    """Bad input ends with one sentence and exit code 2, whichever command found it."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except LabError as error:
            raise click.UsageError(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="hiddenstates")
def main() -> None:
    """Which hidden states of an encoder, combined and pooled how, make the embedding to index?

    \b
    hiddenstates inspect sentence-transformers/all-MiniLM-L6-v2
    """


@main.command(epilog=MODEL_HELP)
@click.argument("model")
@click.option("--revision", help="The commit of a hub name.")
@click.option("--part", help="encoder, decoder, text or vision, of a model that has several.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(model: str, revision: str | None, part: str | None, as_json: bool) -> None:
    """What made each hidden state of an encoder, and what else can be measured of it.

    \b
    hiddenstates inspect models/clip-vit-base-patch32 --part text --json
    """
    from hiddenstates.encoding.inspection import inspecting

    report = inspecting.inspect(_from_here(model), revision, part)
    click.echo(json.dumps(report.json(), indent=2, ensure_ascii=False) if as_json else report.text())


@main.command()
@click.argument("stage")
def run(stage: str) -> None:
    """Run one stage of the pipeline, as dvc.yaml does.

    \b
    hiddenstates run strategies@minilm
    """
    from hiddenstates.run import run_stage

    click.echo(run_stage(stage))


@main.command(epilog=MODEL_HELP)
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--model", required=True, help="Which encoder.")
@click.option("--revision", help="The commit of a hub name.")
@click.option("--part", help="encoder, decoder or text, of a model that has several.")
@click.option("--strategy", help="Such as 'concat(0,4,6)/mean'. By default the published embedding.")
@click.option("--side", type=click.Choice(["query", "passage"]), default="passage", help="Whose prompt the texts get.")
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A .npy, .safetensors or .parquet file.",
)
def encode(
    texts: Path, model: str, revision: str | None, part: str | None, strategy: str | None, side: str, output: Path
) -> None:
    """Embed TEXTS, one row of float32 per text.

    TEXTS is a file with one text per line, or - for standard input; or JSONL, CSV or Parquet, whose column text is
    read, title before it, and id.

    \b
    hiddenstates encode questions.txt --model sentence-transformers/all-MiniLM-L6-v2 --output questions.npy
    hiddenstates encode corpus.jsonl --model models/mine --output corpus.parquet
    """
    from hiddenstates.core.joined import parse
    from hiddenstates.corpora.texts import read_texts
    from hiddenstates.encoding import embedding
    from hiddenstates.encoding.inputs.prompts import Side

    wanted = parse(strategy) if strategy else None
    asked: Side = "query" if side == "query" else "passage"
    ids, read = read_texts(texts)
    said = embedding.write_embeddings(ids, read, output, _from_here(model), revision, part, wanted, asked)
    click.echo(said, err=True)


@main.command(epilog=MODEL_HELP)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--choice", type=click.Path(exists=True, file_okay=False, path_type=Path), help="What a stage chose.")
@click.option("--model", help="Which encoder, where no --choice names it.")
@click.option("--revision", help="The commit of a hub name.")
@click.option("--part", help="encoder or text, of a model that has several.")
@click.option("--strategy", help="Such as '3/mean'. By default the published embedding.")
def export(
    folder: Path, choice: Path | None, model: str | None, revision: str | None, part: str | None, strategy: str | None
) -> None:
    """Write FOLDER, which sentence-transformers loads, and which gives the same vectors as the lab.

    \b
    hiddenstates export my-embedding --choice out/strategies/minilm/choice
    hiddenstates export half-minilm --model sentence-transformers/all-MiniLM-L6-v2 --strategy 3/mean
    """
    if bool(choice) == bool(model):
        raise LabError("export: give either --choice, a stage's choice, or --model, with or without --strategy.")
    if choice and (strategy or part or revision):
        raise LabError(
            "export: --choice says which model and which strategy. Leave --strategy, --part and --revision out."
        )

    from hiddenstates.core.joined import parse
    from hiddenstates.encoding.encoder import load_encoder
    from hiddenstates.export.chosen import chosen, named
    from hiddenstates.export.folder import export as write

    if choice:
        wanted, encoder = chosen(choice)
    else:
        encoder = load_encoder(_from_here(str(model)), revision, part=part)
        wanted = named(encoder, parse(strategy) if strategy else encoder.baseline.strategy)
    written = write(encoder, wanted, folder, choice.parent if choice else None)
    trust = "" if written.native else ", trust_remote_code=True"
    click.echo(f"{folder}: {wanted.strategy}", err=True)
    click.echo(f'SentenceTransformer("{folder}"{trust})')


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("passages", type=click.Path(path_type=Path))
@click.option("--embedding", required=True, type=click.Path(path_type=Path), help="A folder that `export` wrote.")
@click.option("--factory", default="Flat", show_default=True, help="A faiss index_factory string.")
@click.option("--words/--no-words", default=True, help="Whether BM25's words go along, where they were given a weight.")
@click.option("--language", default="english", show_default=True, help="Of the words; none: as they stand.")
def index(folder: Path, passages: Path, embedding: Path, factory: str, words: bool, language: str) -> None:
    """Write FOLDER: PASSAGES, their vectors and a FAISS index, which `search` asks.

    PASSAGES is a folder in BEIR's layout; JSONL, CSV, Parquet or a dataset saved on disk, with the column text and
    perhaps id and title; or a .txt file with one passage per line.

    \b
    hiddenstates index my-index data/mine --embedding my-embedding
    """
    from hiddenstates.corpora.passages import read_passages
    from hiddenstates.retrieval.bm25 import language_named
    from hiddenstates.serving.collection import build
    from hiddenstates.serving.embedding import Exported

    kb = read_passages(passages)
    built = build(
        folder, kb, Exported.open(embedding), factory, language_named(language), words, bar=sys.stderr.isatty()
    )
    click.echo(f"{folder}: {built.n:,} passages, {built.width} dimensions; {built.cut}.", err=True)


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("questions", nargs=-1)
@click.option(
    "--texts",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="A file of questions, one per line, or - for standard input.",
)
@click.option("--depth", default=5, show_default=True, type=click.IntRange(1), help="How many passages of each.")
@click.option("--embedding", type=click.Path(path_type=Path), help="Where the embedding lies, if it was moved.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one line per question.")
def search(
    folder: Path, questions: tuple[str, ...], texts: Path | None, depth: int, embedding: Path | None, as_json: bool
) -> None:
    """Ask the index in FOLDER one question, or several.

    \b
    hiddenstates search my-index "Where were violins built?"
    hiddenstates search my-index --texts questions.txt --json > found.jsonl
    """
    if bool(questions) == bool(texts):
        raise LabError("search: give questions, or a file of them by --texts.")

    from hiddenstates.corpora.texts import read_lines
    from hiddenstates.serving.collection import Collection

    asked = read_lines(texts) if texts else list(questions)
    found = Collection.open(folder, embedding).search(asked, depth)
    for question, hits in zip(asked, found, strict=True):
        click.echo(_as_json(question, hits) if as_json else _as_text(question, hits, alone=len(asked) == 1))


@main.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def report(folder: Path | None) -> None:
    """Write the executed notebooks as HTML to FOLDER, by default out/report: a front page with every verdict.

    \b
    hiddenstates report my-pages
    """
    from hiddenstates.core.paths import out_folder
    from hiddenstates.pages.folder import write_pages

    click.echo(write_pages(out_folder(), folder or out_folder() / "report"))


def _as_json(question: str, hits: "list[Hit]") -> str:
    return json.dumps({"question": question, "found": [asdict(hit) for hit in hits]}, ensure_ascii=False)


def _as_text(question: str, hits: "list[Hit]", alone: bool) -> str:
    rows = [f"{hit.score:7.4f}  {hit.id}  {shortened(f'{hit.title} {hit.text}'.strip(), 160)}" for hit in hits]
    return "\n".join(rows if alone else [question, *rows, ""])


def _from_here(model: str) -> str:
    """A folder that the caller sees from where they are; params.yaml counts from the repository's root instead."""
    return str(Path(model).resolve()) if Path(model).is_dir() else model


if __name__ == "__main__":
    main()
