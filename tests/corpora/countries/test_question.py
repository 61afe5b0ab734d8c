from collections import Counter

from hiddenstates.core.params import Shares
from hiddenstates.corpora.countries.question import Question, at_most, numbered, split_of


def question(template: str, entity: str) -> Question:
    return Question("named", template, entity, "?", {"p": 1})


def test_a_draw_takes_from_each_template_in_turn() -> None:
    drafted = [question("named/a", f"country/{i}") for i in range(9)] + [question("named/b", "country/0")]
    kept = at_most(drafted, 4, seed=0)
    assert Counter(q.template for q in kept) == {"named/a": 3, "named/b": 1}
    assert kept == at_most(reversed(drafted), 4, seed=0)[::-1]
    assert at_most(drafted, 99, seed=0) == drafted


def test_numbers_tell_questions_apart() -> None:
    ids = [q.id for q in numbered([question("named/a/0", "country/X")] * 2)]
    assert ids == ["named/country/X/a/0/1", "named/country/X/a/0/2"]


def test_shares_of_the_splits() -> None:
    shares = Shares(train=0.4, dev=0.25)
    counts = Counter(split_of(f"city/{i}", 0, shares) for i in range(10_000))
    assert abs(counts["train"] - 4000) < 150  # three standard deviations
    assert abs(counts["dev"] - 2500) < 150
