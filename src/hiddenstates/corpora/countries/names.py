"""Names compared as people compare them, without case, accents and hyphens; and which words give a name away."""

import re
import unicodedata
from collections.abc import Iterable

# Letters that Unicode does not take apart into a base letter and an accent.
BASE_LETTERS = str.maketrans(
    dict(zip("øłđıæœþðħŋə", ("o", "l", "d", "i", "ae", "oe", "th", "d", "h", "n", "a"), strict=True))
)

# Words of names and questions that point at no country in particular; "Viet Nam" is still told by "viet".
COMMON = frozenset(
    {"and", "the", "of", "part", "island", "islands", "republic", "democratic", "kingdom"}
    | {"united", "states", "state", "territory", "territories", "saint", "sint", "city", "new"}
    | {"north", "south", "east", "west", "northern", "southern", "eastern", "western", "central"}
    | {"federated", "federation", "federal", "people", "peoples", "plurinational", "bolivarian", "islamic", "province"}
    | {"special", "region", "commonwealth", "principality", "grand", "duchy", "union", "confederation", "arab"}
    | {"equatorial", "outlying", "minor", "sar", "convertible", "bank", "holy", "see", "nam", "has"}
)


def fold(text: str) -> str:
    """Lower case without accents: "São Tomé" -> "sao tome"."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return text.casefold().translate(BASE_LETTERS)


def words(text: str) -> list[str]:
    """The folded words of a text; an apostrophe belongs to its word."""
    return re.findall(r"\w+", re.sub("['’‘ʻ`]", "", fold(text)))


def key(text: str) -> str:
    """What two spellings of one name have in common: "Tai-pei" and "Taipei" -> "taipei"."""
    return "".join(words(text))


def is_latin(text: str) -> bool:
    """Whether every letter is of the Latin script."""
    return all(unicodedata.name(c, "").startswith("LATIN") for c in text if c.isalpha())


def telling_words(names: Iterable[str]) -> frozenset[str]:
    """The words of these names that tell which place is meant."""
    return frozenset(w for name in names for w in words(name) if len(w) > 2 and w not in COMMON)


def gives_away(text: str, telling: Iterable[str]) -> bool:
    """Whether a word of the text looks like a telling one.

    Four letters in common at the start ("Arabic", "Arabia"), or one the start of the other ("Lao", "Laos").
    """
    found = [w for w in words(text) if len(w) > 2 and w not in COMMON]
    return any(w[: min(4, len(t))] == t[: min(4, len(w))] for t in telling for w in found)
