"""Lines of JSON and TSV as records that know where they stand, so that every complaint names file and line."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiddenstates.core.errors import LabError


@dataclass(frozen=True)
class Record:
    """One row of a source. Its readers raise LabError with `where`, the row's file and line."""

    where: str
    values: Mapping[str, Any]

    def text(self, key: str) -> str:
        """Text that must be there; it may be empty."""
        value = self._value(key)
        if not isinstance(value, str):
            raise LabError(f'{self.where}: "{key}" is {_kind(value)}. Make it text; "" is fine.')
        try:
            value.encode()
        except UnicodeEncodeError:
            raise LabError(f'{self.where}: "{key}" holds half a surrogate pair. Write the whole character.') from None
        return value

    def optional(self, key: str) -> str:
        """Text or a whole number that may be absent or null: then ""."""
        return "" if self.values.get(key) is None else self.id(key)

    def id(self, key: str) -> str:
        """An id: text, or a whole number, which becomes text."""
        value = self._value(key)
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else self.text(key)

    def ids(self, key: str) -> list[str]:
        """A list of ids; null is an empty one."""
        values = [] if self._value(key) is None else self._value(key)
        if not isinstance(values, list):
            raise LabError(f'{self.where}: "{key}" is {_kind(values)}. Make it a list of ids.')
        return [Record(self.where, {key: value}).id(key) for value in values]

    def number(self, key: str) -> float:
        """A finite number, written as such or as text."""
        value = self._value(key)
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise LabError(f'{self.where}: "{key}" is {value!r}. Make it a finite number.')
        return number

    def _value(self, key: str) -> Any:
        if key not in self.values:
            raise LabError(f'{self.where}: no "{key}" among {", ".join(self.values) or "no keys at all"}. Add it.')
        return self.values[key]


def json_records(path: Path) -> Iterator[Record]:
    """One record a line of a JSONL file; blank lines are skipped."""
    for where, line in lines(path):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise LabError(f"{where}: not JSON ({error}). Mend or delete the line.") from None
        if not isinstance(value, dict):
            raise LabError(f"{where}: {_kind(value)}, not a JSON object. Write one {{…}} a line.")
        yield Record(where, value)


def tsv_records(path: Path, columns: tuple[str, ...]) -> Iterator[Record]:
    """One record a line of a TSV file without quoting, whose first line names at least these columns."""
    header: list[str] | None = None
    for where, line in lines(path):
        fields = line.split("\t")
        if header is None:
            header = fields
            twice = next((column for column in columns if header.count(column) > 1), None)
            if twice:
                raise LabError(f"{where}: the header has {twice} twice. Keep one.")
            missing = [column for column in columns if column not in header]
            if missing:
                raise LabError(f"{where}: the header has no {', '.join(missing)}. Begin with {'<tab>'.join(columns)}.")
        elif len(fields) != len(header):
            raise LabError(f"{where}: {len(fields)} fields, but the header has {len(header)}. Mend or delete the line.")
        else:
            yield Record(where, dict(zip(header, fields, strict=True)))


def lines(path: Path, blank: bool = False) -> Iterator[tuple[str, str]]:
    """(file:line, text) of each line; of blank ones too if asked. Only \\n ends one: text may hold other separators."""
    try:
        with path.open("rb") as file:
            for i, raw in enumerate(file, 1):
                line = raw.decode("utf-8-sig" if i == 1 else "utf-8").rstrip("\r\n")
                if blank or line.strip():
                    yield f"{path}:{i}", line
    except UnicodeDecodeError as error:
        raise LabError(f"{path}:{i}: not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.") from None
    except OSError as error:
        raise LabError(f"{path}: cannot be read ({error.strerror}). Put the file there.") from None


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "an object")
