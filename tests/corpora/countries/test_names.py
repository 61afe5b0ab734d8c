from hiddenstates.corpora.countries import names


def test_key_is_one_for_the_spellings_of_a_name() -> None:
    assert names.key("Tai-pei") == names.key("taipei") == "taipei"
    assert names.key("São Tomé") == "saotome"
    assert names.key("Łódź") == "lodz"
    assert names.key("Nuku'alofa") == names.key("Nukuʻalofa") == "nukualofa"


def test_is_latin() -> None:
    assert names.is_latin("Thượng Hải 2")
    assert not names.is_latin("Pekin Пекин")


def test_telling_words_leave_the_common_ones_out() -> None:
    assert names.telling_words(["Republic of the Congo", "South Sudan"]) == {"congo", "sudan"}


def test_gives_away() -> None:
    assert names.gives_away("speaks Arabic", {"arabia"})
    assert names.gives_away("speaks Lao", {"laos"})
    assert names.gives_away("pays with Swiss money", {"switzerland", "swiss"})
    assert not names.gives_away("borders the Republic of Chad", {"congo"})
    assert not names.gives_away("borders Mongolia", {"montenegro"})
