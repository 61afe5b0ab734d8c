"""Indexes built, and added to, the same each time."""

from typing import Any

import faiss
import numpy as np
from jaxtyping import Float32, Int64

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.threads import one_thread
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.retrieval.index.bundle import IndexBundle, Metric, scales
from hiddenstates.retrieval.index.checks import check_rows, check_vectors, row_hashes

TRAINED_ON = 100_000
"""At most so many vectors train the cells and the codes of an index."""


class TooFewError(LabError):
    """So few vectors train no cells and no codes of this kind."""


METRICS = {
    "cosine": faiss.METRIC_INNER_PRODUCT,
    "inner product": faiss.METRIC_INNER_PRODUCT,
    "euclidean": faiss.METRIC_L2,
}


def build_index(
    embeddings: Embeddings,
    factory: str = "Flat",
    metric: Metric = "cosine",
    kb: KnowledgeBase | None = None,
    seed: int = 0,
) -> IndexBundle:
    """An index of these embeddings. The same each time: built by one thread, trained on a random sample.

    factory: a faiss index_factory string, and after a space what its searches are set to: `IVF{cells},Flat nprobe=8`.
             Flat searches exactly; {cells} stands for the square root of the number of vectors, {pairs} for half
             their dimensions
    metric:  the cosine needs a strategy that normalizes, or a factory that begins with L2norm; a Euclidean score is
             the negative squared distance
    kb:      the knowledge base that the passages stand in: it is pinned, row by row
    """
    if not embeddings.ids:
        raise LabError("index: there is nothing to index. Give it at least one passage.")
    check_vectors(embeddings, unit=metric == "cosine" and not scales(factory))
    rows = None if kb is None else _pins(row_hashes(kb), embeddings.ids)
    made = filled(factory, *embeddings.vectors.shape)
    with one_thread():  # some graphs (NSG) that several threads build at once come out another each time
        index = trained(_sample(embeddings.vectors, seed), made, METRICS[metric])
        index.add(embeddings.vectors)
    return IndexBundle(index, list(embeddings.ids), embeddings.strategy, embeddings.fingerprint, metric, made, rows)


def missing(bundle: IndexBundle, kb: KnowledgeBase) -> list[str]:
    """The passages of the knowledge base that are not in the index yet: all that need be embedded.

    LabError where a passage that is in it has changed or is gone: an index takes passages in, never back.
    """
    found = row_hashes(kb)
    check_rows(bundle.pinned, found)
    return [id for id in found if id not in bundle.pinned]


def added(bundle: IndexBundle, embeddings: Embeddings, kb: KnowledgeBase | None = None) -> IndexBundle:
    """A new bundle with these passages behind its own; the one given stays as it is.

    A Flat index is then the one that a fresh build of all would be. Cells and codes stay as the old passages trained
    them, and a graph grows in another order: measure what they still find.

    kb: the knowledge base that old and new passages stand in; needed where the bundle pins them
    """
    bundle.check_in_memory()
    bundle.check(embeddings)
    known = set(bundle.ids).intersection(embeddings.ids)
    if known:
        raise LabError(f"index: {len(known)} passages are in it already, first {min(known)!r}. Give it `missing` ones.")
    rows = None
    if kb is None and bundle.words is not None:
        raise LabError("index: it has words, which weigh by all passages. Give `added` the knowledge base, too.")
    if kb is not None:
        found = row_hashes(kb)
        check_rows(bundle.pinned, found)
        rows = bundle.pinned | _pins(found, embeddings.ids)
    elif bundle.rows is not None:
        raise LabError("index: it pins its passages. Give `added` the knowledge base that the new ones stand in, too.")
    index = faiss.deserialize_index(faiss.serialize_index(bundle.index))  # clone_index cannot copy an L2norm
    with one_thread():
        index.add(embeddings.vectors)
    ids = [*bundle.ids, *embeddings.ids]
    whole = IndexBundle(index, ids, bundle.strategy, bundle.fingerprint, bundle.metric, bundle.factory, rows)
    if kb is None or bundle.words is None:
        return whole
    return whole.with_words(kb, bundle.weight, bundle.words.language)


def filled(factory: str, n: int, width: int) -> str:
    """The factory string for n vectors of this width."""
    try:
        return factory.format(cells=max(1, round(n**0.5)), pairs=width // 2)
    except (AttributeError, IndexError, KeyError, ValueError) as error:
        raise LabError(
            f"index.factories: {factory!r}: braces that are not understood. {{cells}} and {{pairs}} may stand in it."
        ) from error


def trained(sample: Float32[np.ndarray, "chosen width"], factory: str, metric: int) -> Any:
    """An empty index of faiss, its cells and codes trained on these vectors. factory: placeholders filled in."""
    n, width = sample.shape
    structure, _, settings = factory.partition(" ")
    try:
        index = faiss.index_factory(width, structure, metric)
        _train_on_few(index)
        index.train(sample)
        for setting in filter(None, settings.split(",")):
            name, _, value = setting.partition("=")
            faiss.ParameterSpace().set_index_parameter(index, name, float(value))
    except (RuntimeError, ValueError) as error:
        # what stands before the last colon of an error of faiss is the place in its sources
        reason = str(error).rpartition(": ")[2] if isinstance(error, RuntimeError) else error
        kind = TooFewError if "Number of training points" in str(error) else LabError
        raise kind(
            f"index.factories: faiss cannot make {factory!r} of {n} vectors of {width} dimensions ({reason}). "
            "Write Flat, HNSW32 efSearch=64, IVF{cells},Flat nprobe=8 or PQ{pairs}x4fs,RFlat, say."
        ) from error
    return index


def _train_on_few(index: Any) -> None:
    """No line on stderr for each clustering of few vectors: what an index finds is measured, however it was trained."""
    index = faiss.downcast_index(index)
    clustered: tuple[Any, ...] = (index, getattr(index, "pq", None))
    for owner in clustered:
        if hasattr(owner, "cp"):
            owner.cp.min_points_per_centroid = 1
    for name in ("index", "base_index", "quantizer"):  # of a transform, a refinement, cells
        if getattr(index, name, None) is not None:
            _train_on_few(getattr(index, name))


def drawn(n: int, seed: int) -> Int64[np.ndarray, "chosen"]:
    """The rows that train an index of n: drawn from all, for the first ones would be those of a few topics."""
    if n <= TRAINED_ON:
        return np.arange(n)
    return np.random.default_rng(seed).choice(n, TRAINED_ON, replace=False)


def _sample(vectors: Float32[np.ndarray, "item width"], seed: int) -> Float32[np.ndarray, "chosen width"]:
    return vectors if len(vectors) <= TRAINED_ON else vectors[drawn(len(vectors), seed)]


def _pins(found: dict[str, str], ids: list[str]) -> dict[str, str]:
    unknown = [id for id in ids if id not in found]
    if unknown:
        raise LabError(f"index: {unknown[0]!r} is no passage of the knowledge base. Give the one that was embedded.")
    return {id: found[id] for id in ids}
