"""Lists and plurals, as English writes them."""

import re
from collections.abc import Iterable


def listed(items: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def plural(kind: str, count: int) -> str:
    """ "1 city", "2 cities", "2 cities with county rights": what follows the noun keeps its form."""
    noun, *rest = re.split(r"(?= with | in | under | of | \()", kind.lower(), maxsplit=1)
    if count > 1 and not noun.endswith("s"):
        noun = re.sub("y$", "ie", noun) + "s"
        noun = re.sub("shs$", "shes", noun)
    return f"{count} {noun}{''.join(rest)}"
