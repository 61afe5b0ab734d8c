from hypothesis import given, strategies as st

from hiddenstates.encoding.inputs.batching import length_batches


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 100))
def test_every_text_once_no_padding_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(length_batches(lengths, budget))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len({lengths[i] for i in batch}) == 1
        assert sum(lengths[i] for i in batch) <= budget or len(batch) == 1


def test_the_longest_come_first_and_batches_are_as_large_as_the_budget_admits() -> None:
    # 5 alone; of four texts of 3 tokens, two fit in 8 (2 × 3 = 6); the rest by length
    assert list(length_batches([3, 5, 3, 1, 3, 3], budget=8)) == [[1], [0, 2], [4, 5], [3]]


def test_a_text_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    assert list(length_batches([100, 100], budget=10)) == [[0], [1]]


def test_no_texts_no_batches() -> None:
    assert list(length_batches([])) == []
