"""Indexes built, and added to, the same each time."""

import faiss

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.threads import one_thread
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.retrieval.index.bundle import IndexBundle, Metric, scales
from hiddenstates.retrieval.index.checks import check_rows, check_vectors, row_hashes
from hiddenstates.retrieval.index.training import METRICS, Trainings, filled, sampled, trained


def build_index(
    embeddings: Embeddings,
    factory: str = "Flat",
    metric: Metric = "cosine",
    kb: KnowledgeBase | None = None,
    seed: int = 0,
    trainings: Trainings | None = None,
) -> IndexBundle:
    """An index of these embeddings. The same each time: built by one thread, trained on a random sample.

    factory: a faiss index_factory string, and after a space what its searches are set to: `IVF{cells},Flat nprobe=8`.
             Flat searches exactly; {cells} stands for the square root of the number of vectors, {pairs} for half
             their dimensions
    metric:  the cosine needs a strategy that normalizes, or a factory that begins with L2norm; a Euclidean score is
             the negative squared distance
    kb:      the knowledge base that the passages stand in: it is pinned, row by row
    trainings: `trainings_of` these embeddings, where several kinds of index are built of them
    """
    if not embeddings.ids:
        raise LabError("index: there is nothing to index. Give it at least one passage.")
    check_vectors(embeddings, unit=metric == "cosine" and not scales(factory))
    rows = None if kb is None else _pins(row_hashes(kb), embeddings.ids)
    made = filled(factory, *embeddings.vectors.shape)
    with one_thread():  # some graphs (NSG) that several threads build at once come out another each time
        index = trained(trainings or trainings_of(embeddings, metric, seed), made)
        index.add(embeddings.vectors)
    return IndexBundle(index, list(embeddings.ids), embeddings.strategy, embeddings.fingerprint, metric, made, rows)


def trainings_of(embeddings: Embeddings, metric: Metric = "cosine", seed: int = 0) -> Trainings:
    """Nothing trained yet, on these embeddings or on a random sample of them."""
    return Trainings(sampled(embeddings.vectors, seed), METRICS[metric])


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


def _pins(found: dict[str, str], ids: list[str]) -> dict[str, str]:
    unknown = [id for id in ids if id not in found]
    if unknown:
        raise LabError(f"index: {unknown[0]!r} is no passage of the knowledge base. Give the one that was embedded.")
    return {id: found[id] for id in ids}
