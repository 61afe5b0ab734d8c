from hiddenstates.corpora.countries.facts import read_countries
from hiddenstates.corpora.countries.flags import SAME, flag_classes, flag_distance, read_flag


def test_flags_that_nobody_can_tell_apart_form_a_class() -> None:
    classes = flag_classes([country.code for country in read_countries()])
    assert {found for found in classes.values() if len(found) > 1} == {
        ("BL", "FR", "GF", "MF", "RE"),
        ("CO", "EC"),
        ("FK", "MS"),
        ("ID", "MC"),
        ("JO", "PS"),
        ("KG", "VN"),
        ("NO", "SJ"),
        ("RO", "TD"),
    }
    assert classes["DE"] == ("DE",)


def test_the_threshold_lies_in_a_gap() -> None:
    assert flag_distance(read_flag("KG"), read_flag("VN")) < SAME - 2
    assert flag_distance(read_flag("NI"), read_flag("SV")) > SAME + 2
    assert flag_distance(read_flag("IE"), read_flag("IT")) > SAME + 2
    assert flag_distance(read_flag("SE"), read_flag("SE")) == 0


def test_native_sizes() -> None:
    assert read_flag("FR").size == (16, 11)
    assert read_flag("CH").size == (11, 11)
    assert read_flag("NP").getpixel((8, 0))[3] == 0  # transparent beside the pennants
