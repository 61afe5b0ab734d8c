from hiddenstates.corpora.countries.wording import listed, plural


def test_listed() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_plural() -> None:
    assert plural("City", 2) == "2 cities"
    assert plural("Province", 1) == "1 province"
    assert plural("Parish", 3) == "3 parishes"
    assert plural("London borough", 32) == "32 london boroughs"
    assert plural("Land", 16) == "16 lands"
    assert plural("City with county rights", 23) == "23 cities with county rights"
    assert plural("Metropolitan district", 36) == "36 metropolitan districts"
    assert plural("Islands, groups of islands", 9) == "9 islands, groups of islands"
    assert plural("Group of islands (20 inhabited islands)", 3) == "3 groups of islands (20 inhabited islands)"
    assert plural("Unitary authority", 80) == "80 unitary authorities"
