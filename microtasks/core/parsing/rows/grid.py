"""A table before anybody says what its columns are for: names and cells, or objects, each with its line.

The form is found in the content: separated cells, JSON Lines, one JSON document. A workbook comes as its
sheet's cells: workbook.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, Final, TextIO

from microtasks.core.errors import FileInvalid, JsonInvalid, RowInvalid
from microtasks.core.parsing import jsonstrict
from microtasks.core.parsing.columns import is_known
from microtasks.core.parsing.formulas import unescape_formulas
from microtasks.core.parsing.rows.records import SEPARATORS, dialect, records, separator_of
from microtasks.core.parsing.rows.text import MAX_LINE_CHARACTERS, lines

JSON: Final = "[]"
#: How the name of a table ends, and what separates its cells (None: found out; "": JSON Lines; JSON: one
#: document). A hint, where the content does not say otherwise.
TABLE_ENDINGS: Final[Mapping[str, str | None]] = {
    ".csv": None,
    ".tsv": "\t",
    ".tab": "\t",
    ".jsonl": "",
    ".ndjson": "",
    ".json": JSON,
    ".geojson": JSON,
    ".xlsx": None,
    ".xlsm": None,
    ".ods": None,
}
#: A JSON file is read at once: so many bytes at most.
MAX_JSON_BYTES: Final = 64 << 20
#: Lines that are looked at to find header, separator and quoting.
SAMPLE_LINES: Final = 200
#: Lines above a header that are passed over without being told to.
MAX_TITLE_LINES: Final = 20
#: The first columns of a table that we exported: its cells have the mark of formulas.
OWN_EXPORT: Final = ("project", "task", "external_id")
TITLE_NOTICE: Final = (
    "The columns are named in line {}; what stands above it was passed over. "
    "If that is wrong, choose the line with the names."
)
Cells = tuple[int, list[str] | RowInvalid]


class Grid:
    """A table's records. names: of its columns, None for JSON, whose objects each have their own.

    notices: what the owner should know. n_objects: of a JSON document, else 0. header_line: 1-based, 0: none.
    """

    def __init__(
        self,
        names: list[str] | None,
        numbered: Iterable[tuple[int, Any]],
        notices: Iterable[str] = (),
        *,
        n_objects: int = 0,
        header_line: int = 0,
        has_comma_decimals: bool = False,
    ) -> None:
        self.names, self.notices = names, list(notices)
        self.n_objects, self.header_line = n_objects, header_line
        self._numbered = iter(numbered)
        if names is not None and tuple(names[:3]) == OWN_EXPORT:
            self._numbered = map(_without_mark, self._numbered)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """(line, cells as texts), or (line, object or text of it), or (line, RowInvalid)."""
        return self._numbered


def _without_mark(record: tuple[int, Any]) -> tuple[int, Any]:
    number, cells = record
    return number, cells if isinstance(cells, RowInvalid) else [unescape_formulas(cell) for cell in cells]


def read_text(stream: TextIO, separator: str | None = None, header_line: int = 0) -> Grid:
    """Read a table from characters (opened with newline=""); the form is found in what it holds.

    separator: as in TABLE_ENDINGS. header_line: the line that names the columns, 0 to find it.
    Raises FileInvalid when no names of columns can be read, or a JSON document is no list.
    """
    pushed: Any = _Pushed(stream)
    start = pushed.peek().lstrip("\ufeff \t\r\n")
    if re.match(r'\{\s*("|\}|$)', start):
        return _read_objects(pushed, start)
    if re.match(r"\[\s*([{\[\]]|$)", start) or separator == JSON:
        return _document(pushed)
    if separator == "":
        return Grid(None, lines(pushed))
    return delimited(pushed, separator, header_line)


class _Pushed:
    """A stream of characters whose first line can be looked at."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._first = stream, ""
        while not self._first.strip("\ufeff \t\r\n") and (line := stream.readline(MAX_LINE_CHARACTERS)):
            self._first += line
            if len(self._first) > MAX_LINE_CHARACTERS:
                break

    def peek(self) -> str:
        return self._first

    def readline(self, limit: int = -1) -> str:
        if not self._first:
            return self._stream.readline(limit)
        match = re.match(r"[^\r\n]*(\r\n|\r|\n|$)", self._first)
        end = min(match.end() if match else 0, limit if limit >= 0 else len(self._first))
        line, self._first = self._first[:end], self._first[end:]
        return line

    def read(self, limit: int = -1) -> str:
        first, self._first = self._first, ""
        return first + self._stream.read(limit if limit < 0 else max(0, limit - len(first)))


# Separated cells


def delimited(stream: TextIO, separator: str | None, header_line: int) -> Grid:
    """Cells parted by commas, semicolons, tabs or bars, below a line that names the columns."""
    notices: list[str] = []
    numbered = lines(stream)
    sample = list(islice(numbered, SAMPLE_LINES))
    if sample and isinstance(sample[0][1], str):
        first = sample[0][1].lstrip("\ufeff")
        if separator_line := re.fullmatch(r'"?sep=(.)"?[,;\t]*[\r\n]*', first):
            separator, sample = separator_line[1], sample[1:]
        else:
            sample[0] = (sample[0][0], first)
    while sample and isinstance(sample[0][1], str) and not sample[0][1].strip() and not header_line:
        sample = sample[1:]
    if header_line:
        sample = [line for line in sample if line[0] >= header_line]
        if not sample or sample[0][0] != header_line:
            raise FileInvalid(f"The table has no line {header_line} that could name its columns.")
    if not sample:
        raise FileInvalid("This table is empty.")
    if isinstance(sample[0][1], RowInvalid):
        raise FileInvalid(f"The first line cannot be read. {sample[0][1].message}")
    if not header_line and (skipped := _title_lines(sample, separator)):
        sample = [line for line in sample if line[0] >= skipped]
        notices.append(TITLE_NOTICE.format(skipped))
    header = str(sample[0][1])
    if separator is None or (separator not in header and separator_of(header) in header):
        is_told = separator is None
        separator = separator_of(header)
        if separator != "," or not is_told:
            named = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}[separator]
            notices.append(f"The cells of the table are separated by {named}.")
    probe = next(records(iter(sample), separator), None)
    n_cells = len(probe[1]) if probe and not isinstance(probe[1], RowInvalid) else 0
    is_escaped = dialect(sample, separator, n_cells)
    read = records(chain(sample, numbered), separator, n_cells or None, is_escaped)
    number, names = next(read)
    if isinstance(names, RowInvalid):
        raise FileInvalid(f"The first line cannot be read. {names.message}")
    return Grid([name.lstrip("\ufeff").strip() for name in names], read, notices, header_line=number)


def _title_lines(sample: list[tuple[int, str | RowInvalid]], separator: str | None) -> int:
    """The line of the header, if lines of a title stand above it; 0 if not."""
    for candidate in (separator,) if separator else SEPARATORS:
        read = records(iter(sample), candidate)
        if line := _header_below([(n, row) for n, row in read if not isinstance(row, RowInvalid)]):
            return line
    return 0


def _header_below(rows: list[tuple[int, list[str]]]) -> int:
    """The line of a header below a title; 0 if there is none.

    A title is one cell that is no column's known name, and the rows below the header agree about their number
    of cells with it: at least two rows, two cells.
    """
    cells = [(number, [cell for cell in row if cell.strip()], len(row)) for number, row in rows]
    cells = [row for row in cells if row[1]]
    if len(cells) < 4 or len(cells[0][1]) != 1 or is_known(cells[0][1][0]):
        return 0
    at = next((at for at, (_, filled, _) in enumerate(cells) if len(filled) > 1), None)
    if at is None or at > MAX_TITLE_LINES:
        return 0
    number, filled, width = cells[at]
    below = cells[at + 1 :]
    is_even = len(below) >= 2 and all(n == width for *_, n in below[:10])
    return number if is_even and len(filled) >= width - 1 else 0


def from_cells(numbered: Iterator[tuple[int, list[str]]], header_line: int) -> Grid:
    """A grid of rows of cells, as a sheet gives them: without its empty columns at the right."""
    sample = list(islice(((n, row) for n, row in numbered if any(row) or n == header_line), SAMPLE_LINES))
    notices: list[str] = []
    if header_line:
        sample = [row for row in sample if row[0] >= header_line]
        if not sample or sample[0][0] != header_line:
            raise FileInvalid(f"The table has no line {header_line} that could name its columns.")
    if not sample:
        raise FileInvalid("This table is empty.")
    widest = max(max((at for at, cell in enumerate(row) if cell), default=-1) for _, row in sample) + 1
    even = [(n, (row + [""] * widest)[:widest]) for n, row in sample]
    if not header_line and (skipped := _header_below(even)):
        sample = [row for row in sample if row[0] >= skipped]
        notices.append(TITLE_NOTICE.format(skipped))
    number, names = sample[0]
    names = [name.strip() for name in names]
    while names and not names[-1]:
        names.pop()
    width = len(names)
    rest = ((n, row + [""] * (width - len(row))) for n, row in chain(sample[1:], numbered) if any(row))
    return Grid(names, rest, notices, header_line=number)


# JSON


def _read_objects(stream: Any, start: str) -> Grid:
    """A text that begins with an object: JSON Lines, or one document."""
    try:
        jsonstrict.loads(start.strip())
    except JsonInvalid:
        if not start.rstrip().endswith("}"):  # the object goes on: no line of its own
            return _document(stream)
    else:
        rest = _Pushed(stream) if (first := stream.readline()) else stream
        whole = jsonstrict.loads(start)
        if rest.peek().strip() or (whole and _held(whole) is None):
            return Grid(None, lines(_Joined(first, rest)))  # type: ignore[arg-type]
        return _document(_Joined(first, rest))
    return Grid(None, lines(stream))


class _Joined:
    """A first line, and the rest of a stream."""

    def __init__(self, first: str, rest: Any) -> None:
        self._first, self._rest = first, rest

    def readline(self, limit: int = -1) -> str:
        if self._first:
            line, self._first = self._first, ""
            return line
        return str(self._rest.readline(limit))

    def read(self, limit: int = -1) -> str:
        first, self._first = self._first, ""
        return first + str(self._rest.read(limit))


def _document(stream: Any) -> Grid:
    text = stream.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise FileInvalid(
            f"This JSON file is larger than {MAX_JSON_BYTES >> 20} MB. Save it as JSON Lines (.jsonl)."
        )
    text = text.lstrip("\ufeff")
    notices: list[str] = []
    objects: list[Any]
    try:
        whole = jsonstrict.loads(text)
    except JsonInvalid as error:
        if not text.lstrip().startswith("["):
            raise FileInvalid(f"This JSON file cannot be read. {error.message}") from None
        objects = list(_elements(text))
        if not any(isinstance(each, dict) for each in objects):
            raise FileInvalid(f"This JSON file cannot be read. {error.message}") from None
    else:
        objects = _listed(whole, notices)
    if not objects:
        raise FileInvalid("A JSON file must be a list of tasks: [{...}, {...}].")
    return Grid(None, enumerate(objects, 1), notices, n_objects=len(objects))


def _listed(whole: Any, notices: list[str]) -> list[Any]:
    """The objects of a document: a list, the features of a GeoJSON, or the only list in an object."""
    if isinstance(whole, list):
        return whole
    if isinstance(whole, dict):
        if whole.get("type") == "FeatureCollection" and isinstance(whole.get("features"), list):
            notices.append("This is GeoJSON: a task a feature, its properties are the columns.")
            return [_feature(each) for each in whole["features"]]
        key = _held(whole)
        if key is not None:
            notices.append(f"The tasks are in the list “{key}” of this JSON file.")
            return list(whole[key])
        if "id" in whole or "data" in whole:
            return [whole]
    raise FileInvalid("A JSON file must be a list of tasks: [{...}, {...}].")


def _held(whole: Mapping[str, Any]) -> str | None:
    """The key of the list of tasks in an object that is no task itself."""
    if "id" in whole or "data" in whole:
        return None
    lists = [key for key, value in whole.items() if isinstance(value, list) and value]
    if len(lists) == 1 and all(isinstance(each, dict) for each in whole[lists[0]]):
        return lists[0]
    return "features" if whole.get("type") == "FeatureCollection" else None


def _feature(raw: Any) -> Any:
    if not isinstance(raw, dict) or not isinstance(raw.get("properties") or {}, dict):
        return raw
    row = dict(raw.get("properties") or {})
    if raw.get("id") is not None:
        row.setdefault("id", raw["id"])
    geometry = raw.get("geometry")
    if isinstance(geometry, dict):
        place = geometry.get("coordinates")
        if geometry.get("type") == "Point" and isinstance(place, list) and len(place) >= 2:
            row.setdefault("longitude", place[0])
            row.setdefault("latitude", place[1])
        else:
            row.setdefault("#geometry", geometry)
    return row


_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],]', re.DOTALL)
_ID = re.compile(r'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?[0-9.eE+]+)')


def _elements(text: str) -> Iterator[Any]:
    """The elements of a JSON list some of which cannot be read: those as RowInvalid with their number."""
    depth, begun, number = 0, 0, 0
    for token in _TOKENS.finditer(text):
        kind = token[0]
        if kind in ("{", "["):
            depth += 1
            if depth == 1:
                begun = token.end()
            continue
        if kind in ("}", "]"):
            depth -= 1
        if (kind == "," and depth == 1) or depth == 0:
            if (element := text[begun : token.start()].strip()) or kind == ",":
                number += 1
                yield _element(element, number)
            begun = token.end()
            if depth == 0:
                return
    if text[begun:].strip():
        yield _element(text[begun:].strip(), number + 1)


def _element(text: str, number: int) -> Any:
    try:
        return jsonstrict.loads(text)
    except JsonInvalid as error:
        identity = _ID.search(text)
        named = f" (id {identity[1].strip(chr(34))[:60]})" if identity else ""
        return RowInvalid(f"Object {number}{named}: {error.message}")
