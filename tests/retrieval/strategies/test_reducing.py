from numpy.testing import assert_array_equal
from tiny import pooled_states

from hiddenstates.core.joined import parse
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.retrieval.strategies.reducing import reduced

PASSAGES = pooled_states(50)
TRAINING = PASSAGES.ids[:40]


def test_every_way_that_makes_vectors_shorter_is_tried() -> None:
    found = reduced([parse("2/mean"), parse("concat(0,2)/mean+each.5")], [1, 4, 8], PASSAGES, TRAINING)
    assert [str(one) for one in found] == [
        "2/mean+first1", "2/mean+first4", "2/mean+pca1", "2/mean+pca4", "2/mean+white4",
        *(f"concat(0,2)/mean+each.5+{way}{k}" for way in ("first", "pca") for k in (1, 4, 8)),
        "concat(0,2)/mean+each.5+white4", "concat(0,2)/mean+each.5+white8",
    ]  # fmt: skip


def test_what_is_fitted_is_what_the_strategy_alone_would_be_fitted_to() -> None:
    train = PASSAGES.select(TRAINING)
    for strategy, whitening in reduced([parse("concat(0,2)/mean+each.5+raw")], [3], PASSAGES, TRAINING).items():
        alone = fitted(strategy, train)
        assert_array_equal(PASSAGES.embed(strategy, whitening).vectors, PASSAGES.embed(strategy, alone).vectors)


def test_where_few_passages_or_none_can_be_fitted_the_first_dimensions_are_left() -> None:
    assert [str(one) for one in reduced([parse("2/mean")], [4, 6], PASSAGES, TRAINING[:5])] == [
        "2/mean+first4", "2/mean+first6", "2/mean+pca4", "2/mean+white4",
    ]  # fmt: skip
    assert [str(one) for one in reduced([parse("2/mean")], [4], PASSAGES, [])] == ["2/mean+first4"]


def test_joined_ones_and_reduced_ones_are_left_out() -> None:
    left_out = [parse("0.5*1/mean & 0.5*2/mean"), parse("2/mean+first3")]
    assert reduced(left_out, [2], PASSAGES, TRAINING) == {}
