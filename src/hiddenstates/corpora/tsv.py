"""Rows of tab-separated files, with the quotes of the tool that wrote them taken off, and those of the text left on.

pandas, csv writers and spreadsheets put a field between quotes where it holds a quote (then doubled), a tab or a line
break, some also where it holds a comma, or all fields. Other files, as STS-B's, are written without any quoting, and a
field may begin with a quote of its own. A file is one or the other as a whole; the rule is in `_is_quoted`.
"""

import re
from collections.abc import Iterator, Sequence

Line = tuple[str, str]
"""Where a line stands (file:line), and its text."""
Row = tuple[str, list[str]]

QUOTED = re.compile(r'"(?:[^"]|"")*"')
FIELD = re.compile(r'("(?:[^"]|"")*"|[^"\t\n]*)([\t\n])')


def tsv_rows(lines: Sequence[Line]) -> Iterator[Row]:
    """Where each row begins, and its fields; rows of nothing but blanks are skipped."""
    plain = [(where, line.split("\t")) for where, line in lines if line.strip()]
    if not any('"' in line for _, line in lines):
        yield from plain
    elif len({len(fields) for _, fields in plain}) > 1:  # perhaps tabs or line breaks stand between quotes
        yield from _across_lines(lines) or plain
    else:
        yield from unquoted(plain)


def unquoted(rows: Sequence[Row]) -> Sequence[Row]:
    """Rows of which no field holds a tab or a line break, as they were before a tool quoted them."""
    if not _is_quoted(rows):
        return rows
    return [(where, [_without(field) for field in fields]) for where, fields in rows]


def _is_quoted(rows: Sequence[Row]) -> bool:
    """Whether every field that holds a quote is quoted as a tool does it, and something shows that a tool did.

    That is a doubled quote between the outer ones, a first row all between quotes, or commas that stand between quotes
    only, as Excel writes them, with nothing between quotes that has none.
    """
    fields = [field for _, row in rows for field in row]
    held = [field for field in fields if '"' in field]
    if not held or not all(QUOTED.fullmatch(field) for field in held):
        return False
    doubled = any('""' in field[1:-1] for field in held)
    commas = all("," in field or '""' in field[1:-1] for field in held) and all(
        '"' in field for field in fields if "," in field
    )
    return doubled or commas or all(QUOTED.fullmatch(field) for field in rows[0][1])


def _without(field: str) -> str:
    return field[1:-1].replace('""', '"') if field.startswith('"') else field


def _across_lines(lines: Sequence[Line]) -> list[Row]:
    """The rows, read as quoted ones that may go on in the next line; none where they do not fit together."""
    text = "".join(f"{line}\n" for _, line in lines)
    rows: list[Row] = []
    place = line = 0
    while place < len(text):
        where, fields, end = lines[line][0], [], ""
        while end != "\n":
            if not (found := FIELD.match(text, place)):
                return []
            place, end = found.end(), found[2]
            line += found[0].count("\n")
            fields.append(_without(found[1]))
        if any(field.strip() for field in fields):
            rows.append((where, fields))
    return rows if len({len(fields) for _, fields in rows}) == 1 else []
