"""What to search: the embedded countries, or your own data in one of a few layouts, without code."""

from collections.abc import Callable
from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Corpus
from hiddenstates.core.paths import ROOT
from hiddenstates.corpora.beir import is_beir, load_beir
from hiddenstates.corpora.checks import checked, counts
from hiddenstates.corpora.countries import load_countries
from hiddenstates.corpora.huggingface import load_huggingface
from hiddenstates.corpora.similarity import is_similarity, load_similarity

__all__ = ["LAYOUTS", "NAMED", "counts", "load_task"]

# name -> loader(params, folder to write images to)
NAMED: dict[str, Callable[[Corpus, Path], Task]] = {
    "countries": load_countries,
    "huggingface": load_huggingface,
}
# what a folder has -> (does this one?, loader(folder, params))
LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path, Corpus], Task]]] = {
    "corpus.jsonl, queries.jsonl and qrels/<split>.tsv (BEIR)": (is_beir, load_beir),
    "<split>.tsv or <split>.jsonl of sentence1, sentence2, score (similarity)": (is_similarity, load_similarity),
}


def load_task(params: Corpus, folder: Path) -> Task:
    """The checked task that `params.source` names.

    source: a name in `NAMED`, or the path, under the repository or absolute, of a folder in one of `LAYOUTS`
    folder: where a source that makes its images leaves them
    """
    if params.source in NAMED:
        return checked(NAMED[params.source](params, folder), params.source)
    own = _folder(params.source)
    for fits, load in LAYOUTS.values():
        if fits(own):
            return checked(load(own, params), str(own))
    raise LabError(
        f"corpus.source is {params.source!r}, and {own} is {'a folder that has none' if own.is_dir() else 'no folder'} "
        f"of the layouts. Name {', '.join(NAMED)}, or a folder with {'; or with '.join(LAYOUTS)}."
    )


def _folder(source: str) -> Path:
    try:
        own = (ROOT / source).resolve()
        own.is_dir()
    except (OSError, ValueError) as error:  # too long, or with a zero byte
        raise LabError(
            f"corpus.source {source[:100]!r} cannot be the path of a folder ({error}). Correct it."
        ) from None
    return own
