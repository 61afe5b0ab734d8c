"""The names that tokenizers are tried on: a corpus's own, a file's, or the world's countries and cities'."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import resolved
from hiddenstates.corpora.countries.spellings import COLUMNS, read_spellings, with_scripts

COUNTRIES = "countries"
EMBEDDED = "countries-[0-9a-f]{12}"  # the revision of the embedded countries


@dataclass(frozen=True)
class Names:
    """Names of entities, and where they come from.

    table:     columns entity, name, language, english, script, as `read_spellings` has them; `english` is the name by
               which an entity is looked for, the name itself where each has but one
    source:    in words
    countries: whether they are those of the world's countries and cities
    """

    table: pd.DataFrame
    source: str
    countries: bool = False

    @property
    def distinct(self) -> pd.DataFrame:
        """Every name once, with the first entity that bears it."""
        return self.table.drop_duplicates("name", ignore_index=True)

    def drawn(self, n: int | None, seed: int) -> "Names":
        """So many of the distinct names, with all their rows; None: all."""
        if n is None or n >= len(self.distinct):
            return self
        kept = self.distinct["name"].sample(n, random_state=seed)
        return replace(self, table=self.table[self.table["name"].isin(set(kept))].reset_index(drop=True))


def read_names(source: str | None, task: Task, cities: int) -> Names:
    """The names that `tokens.names` asks for.

    source: "countries"; a file, one name per line, after a tab its language if it is known; or None, the corpus's own:
            of the embedded countries those of "countries", of any other its titles, else its entities, else none
    cities: how many of the largest stand beside the countries
    """
    if source == COUNTRIES or (source is None and re.fullmatch(EMBEDDED, task.kb.revision)):
        return Names(read_spellings(cities), f"countries, and the {cities:,} largest cities", countries=True)
    return _own(task) if source is None else _file(source)


def _own(task: Task) -> Names:
    titles, entities = (list(task.kb.passages[column][:]) for column in ("title", "entity"))
    if any(map(str.strip, titles)):
        return Names(_table((e or t, t, "") for e, t in zip(entities, titles, strict=True)), "titles of the corpus")
    if any(map(str.strip, entities)):
        return Names(_table((entity, entity, "") for entity in entities), "entities of the corpus")
    return Names(_table([]), "this corpus has no titles and no entities; give tokens.names a file of names")


def _file(source: str) -> Names:
    path = resolved(source)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise LabError(f"tokens.names: {path} cannot be read ({error}). It holds one name per line.") from error
    rows = [(i, line.split("\t")) for i, line in enumerate(lines, 1) if line.strip()]
    for i, fields in rows:
        if len(fields) > 2 or not fields[0].strip():
            raise LabError(f"{path}: line {i}: expected a name, or a name, a tab and its language. Fix that line.")
    if not rows:
        raise LabError(f"tokens.names: {path} holds no name. Write one per line.")
    return Names(_table((fields[0], fields[0], "".join(fields[1:])) for _, fields in rows), f"those of {path.name}")


def _table(rows: Iterable[tuple[str, str, str]]) -> pd.DataFrame:
    """rows: entity, name, language; a name of nothing but blanks is left out."""
    stripped = [(entity.strip(), name.strip(), language.strip()) for entity, name, language in rows if name.strip()]
    found = list(dict.fromkeys((entity, name, language, name) for entity, name, language in stripped))
    return with_scripts(pd.DataFrame(found, columns=list(COLUMNS), dtype=str))
