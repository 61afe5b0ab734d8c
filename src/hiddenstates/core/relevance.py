"""What was found and what counts as found: `Run` and `Qrels`, with their TREC files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Self

from hiddenstates.core.errors import LabError


@dataclass(frozen=True)
class Judged:
    """query id -> {passage id: number}. Larger is better, always."""

    rows: Mapping[str, Mapping[str, float]]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __getitem__(self, query: str) -> Mapping[str, float]:
        return self.rows[query]

    def select(self, queries: Iterable[str]) -> Self:
        """The same judgements for these queries only; a query without any keeps an empty row."""
        return type(self)({query: self.rows.get(query, {}) for query in queries})


class Qrels(Judged):
    """Relevance judgements: query id -> {passage id: grade}; a grade above 0 is relevant."""

    def write(self, path: Path) -> None:
        """TREC qrels: `query 0 passage grade` a line; whole grades have no decimal point, others every digit."""
        lines = (f"{q} 0 {p} {_digits(grade)}\n" for q, row in self.rows.items() for p, grade in row.items())
        path.write_text("".join(lines), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(_rows(path, fields=4, passage=2, number=3))


class Run(Judged):
    """What a search returned: query id -> {passage id: score}."""

    def write(self, path: Path, tag: str) -> None:
        """TREC run: `query Q0 passage rank score tag` a line, best first; scores keep every digit."""
        lines = []
        for query, row in self.rows.items():
            ranked = sorted(row.items(), key=lambda item: -item[1])
            lines += [f"{query} Q0 {p} {rank} {score!r} {tag}\n" for rank, (p, score) in enumerate(ranked, 1)]
        path.write_text("".join(lines), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(_rows(path, fields=6, passage=2, number=4))


def _digits(grade: float) -> str:
    return str(int(grade)) if grade == int(grade) else repr(float(grade))


def _rows(path: Path, fields: int, passage: int, number: int) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path}: cannot be read ({error}). Run the stage that writes it again.") from error
    for i, line in enumerate(lines[:-1] if lines[-1] == "" else lines, 1):
        parts = line.split()
        try:
            if len(parts) != fields or not isfinite(float(parts[number])):
                raise ValueError
        except ValueError:
            raise LabError(
                f"{path}:{i}: not a TREC line of {fields} fields: {line!r}. Fix or delete the line."
            ) from None
        row = rows.setdefault(parts[0], {})
        if parts[passage] in row:
            raise LabError(
                f"{path}:{i}: query {parts[0]!r} has passage {parts[passage]!r} twice. Keep one of the lines."
            )
        row[parts[passage]] = float(parts[number])
    return rows
