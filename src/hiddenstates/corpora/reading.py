"""Lines of JSON and TSV as records that know where they stand, so that every complaint names file and line."""

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiddenstates.core.errors import LabError
from hiddenstates.corpora.tsv import tsv_rows


@dataclass(frozen=True)
class Record:
    """One row of a source. Its readers raise LabError with `where`, the row's file and line."""

    where: str
    values: Mapping[str, Any]

    def text(self, key: str) -> str:
        """Text that must be there; it may be empty."""
        return self._written(key, self._value(key), 'Make it text; "" is allowed.')

    def optional(self, key: str) -> str:
        """Text or a whole number that may be absent or null: then ""."""
        value = self.values.get(key)
        return "" if value is None or value != value else self._named(key, value)  # nan: pandas' null

    def optional_id(self, key: str) -> str:
        """As `optional`, for what is compared with ids elsewhere: accents are composed (NFC)."""
        return unicodedata.normalize("NFC", self.optional(key))

    def id(self, key: str) -> str:
        """An id: text, or a whole number, which becomes text. Accents are composed (NFC)."""
        return unicodedata.normalize("NFC", self._named(key, self._value(key)))

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

    def _named(self, key: str, value: Any) -> str:
        whole = (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value % 1 == 0
        )
        return str(int(value)) if whole else self._written(key, value, "Make it text or a whole number.")

    def _written(self, key: str, value: Any, wanted: str) -> str:
        try:
            text = value.decode() if isinstance(value, bytes) else value
        except UnicodeDecodeError:
            raise LabError(f'{self.where}: "{key}" holds bytes that are not UTF-8. {wanted}') from None
        if not isinstance(text, str):
            raise LabError(f'{self.where}: "{key}" is {_kind(text)}. {wanted}')
        try:
            text.encode()
        except UnicodeEncodeError:
            raise LabError(f'{self.where}: "{key}" holds half a surrogate pair. Write the whole character.') from None
        return text

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
            raise LabError(f"{where}: not JSON ({error}). Fix or delete the line.") from None
        if not isinstance(value, dict):
            raise LabError(f"{where}: {_kind(value)}, not a JSON object. Write one {{…}} a line.")
        yield Record(where, value)


def tsv_records(path: Path, columns: tuple[str, ...]) -> Iterator[Record]:
    """One record a row of a TSV file, quoted or not (`tsv`), whose first line names at least these columns."""
    header: list[str] | None = None
    for where, fields in tsv_rows(list(lines(path, blank=True))):
        if header is None:
            header = fields
            twice = next((column for column in columns if header.count(column) > 1), None)
            if twice:
                raise LabError(f"{where}: the header has {twice} twice. Keep one.")
            missing = [column for column in columns if column not in header]
            if missing:
                raise LabError(f"{where}: the header has no {', '.join(missing)}. Begin with {'<tab>'.join(columns)}.")
        elif len(fields) != len(header):
            raise LabError(f"{where}: {len(fields)} fields, but the header has {len(header)}. Fix or delete the line.")
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
        raise LabError(
            f"{path}:{i}: {_encoding(raw)}not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from None
    except OSError as error:
        raise LabError(f"{path}: cannot be read ({error.strerror}). Put the file there.") from None


def _encoding(raw: bytes) -> str:
    """What the first bytes of a file say that it is instead."""
    known = {b"\xff\xfe": "UTF-16, ", b"\xfe\xff": "UTF-16, ", b"\x1f\x8b": "compressed by gzip, "}
    return known.get(raw[:2], "")


def _kind(value: object) -> str:
    names = {
        type(None): "null",
        bytes: "bytes",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
    }
    return names.get(type(value), "an object")
