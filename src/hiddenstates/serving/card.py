"""The card of an index's folder: what is in it, and how other libraries read it."""

from hiddenstates import __version__
from hiddenstates.retrieval.index import IndexBundle
from hiddenstates.serving.embedding import Exported

FRONT = """---
tags:
- faiss
- hiddenstates
---
"""
MADE = f"Made by hiddenstates {__version__}.\n"


_OF_SMALL = {
    "`index/index.faiss`": "faiss's own file; row i is passage i",
    "`index/index.json`": "the ids of its rows, what made them, and hashes of it all",
}
_OF_LARGE = {
    "`index/*.faiss`": "faiss's own files, of parts or of cells that are merged; read where they lie on disk",
    "`index/ids.arrow`": "the ids of its rows; row i is passage i",
    "`index/index.json`": "what made it, and hashes of it all",
}


def large(bundle: IndexBundle) -> bool:
    """Whether it is read where it lies on disk: that lies in several files, and pins no passages."""
    return bundle.rows is None


def card(name: str, embedding: Exported, bundle: IndexBundle, n: int) -> str:
    """Its text. name: of the folder; n: how many passages there are"""
    return "\n".join([_head(name, embedding, bundle, n), _files(bundle), _use(name, embedding, bundle), MADE])


def _head(name: str, embedding: Exported, bundle: IndexBundle, n: int) -> str:
    return (
        f"{FRONT}# {name}\n\n{n:,} passages, one vector of {bundle.width} dimensions each, in a FAISS index "
        f"(`{bundle.factory}`, {bundle.metric}). The vectors are those of the embedding `{embedding.folder.name}`: "
        f"strategy `{bundle.strategy}`, model fingerprint {bundle.fingerprint}.\n"
    )


def _files(bundle: IndexBundle) -> str:
    rows = {
        "`passages/`": "a Hugging Face dataset: id, title, text and the vector of each passage",
        **(_OF_LARGE if large(bundle) else _OF_SMALL),
        "`embedding.json`": "where the embedding is, and what pins it and the passages",
    }
    if bundle.words:
        file, told = ("words-*", "how often each stands where") if large(bundle) else ("words", "BM25's weights")
        rows[f"`index/{file}.safetensors`"] = (
            f"the passages' words, {told}. {bundle.weight:g} of the cosine and {1 - bundle.weight:.2g} of "
            "BM25's score, divided by the question's best, were chosen beside each other"
        )
    return "\n".join(["| | |", "|---|---|", *(f"| {file} | {told} |" for file, told in rows.items()), ""])


def _use(name: str, embedding: Exported, bundle: IndexBundle) -> str:
    asked = f'## Use\n\n```sh\nhiddenstates search {name} "a question"\n```\n'
    if large(bundle):  # `load_faiss_index` reads one file, and all of it into memory
        return asked
    trust = ", trust_remote_code=True" if any(embedding.folder.glob("combined_states.py")) else ""
    words = "\nThe last lines search by the vectors alone, `hiddenstates search` by the words, too.\n"
    return (
        f"{asked}\n```python\n"
        "from datasets import load_from_disk\nfrom sentence_transformers import SentenceTransformer\n\n"
        f'model = SentenceTransformer("{embedding.folder.name}"{trust})\n'
        f'passages = load_from_disk("{name}/passages")\n'
        f'passages.load_faiss_index("vector", "{name}/index/index.faiss")\n'
        'question = model.encode_query("a question")\n'
        'scores, found = passages.get_nearest_examples("vector", question, k=10)\n'
        f"```\n{words if bundle.words else ''}"
    )
