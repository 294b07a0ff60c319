"""Read a table of tasks (CSV, TSV, JSONL, JSON): each record becomes an Item, or Failed with its reason.

Nothing is read ahead but one record, and one bad line costs only itself. Columns, whatever their case:
`id`, `image` or `image_*`, `text`, `question`, `priority` (0..1), `redundancy`, `gold_<field>` or `gold`
(JSON); `#name` is hidden from volunteers, `!name` shown after answering; all others are shown metadata. So
are other tools' files; and an owner may say of each column what it is for: columns.py.
"""

from __future__ import annotations

import codecs
import csv
import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Final, NamedTuple, TextIO

import orjson

from microtasks.core import jsonstrict
from microtasks.core.columns import NAMED, Columns, role, role_of, unwrapped
from microtasks.core.errors import FileInvalid, JsonInvalid, RowInvalid

MAX_COLUMNS: Final = 200
MAX_LINE_CHARACTERS: Final = 1 << 20
MAX_RECORD_LINES: Final = 1000  # a text with more line breaks is rather a quotation mark left open
MAX_ID_CHARACTERS: Final = 200
MAX_REDUNDANCY: Final = 1000
JSON: Final = "[]"
#: How the name of a table ends, and what separates its cells (None: found out; "": JSON Lines; JSON: none).
TABLE_ENDINGS: Final[Mapping[str, str | None]] = {
    ".csv": None,
    ".tsv": "\t",
    ".tab": "\t",
    ".jsonl": "",
    ".ndjson": "",
    ".json": JSON,
}
#: What a row of a JSON file counts for where memory is counted.
OBJECT_CHARACTERS: Final = 1_000
#: A JSON file is read at once: so many bytes at most.
MAX_JSON_BYTES: Final = 64 << 20
#: No cells. Never written to.
NOTHING: Final[Mapping[str, Any]] = {}
_UNDECODED = re.compile("[\ud800-\udfff]")
_NOT_ASCII = re.compile("[^\x00-\x7f\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUOTED = re.compile(r'(?:[^"]++|"")*+"')


class Item(NamedTuple):
    """What one record asks for. `id` is empty if the owner gave none.

    gold: a raw value as in JSON, or None. gold_fields: filled cells of the columns `gold_<field>`.
    n_characters: about how much of the table it is. (A tuple, because it is made very often.)
    """

    line: int
    id: str = ""
    images: tuple[str, ...] = ()
    payload: Mapping[str, Any] = NOTHING
    hidden: Mapping[str, str] = NOTHING
    after: Mapping[str, str] = NOTHING
    priority: float = 0.0
    redundancy: int | None = None
    gold: Any = None
    gold_fields: Mapping[str, str] = NOTHING
    n_characters: int = 0


#: An Item's fields between `payload` and `n_characters`, where it is a text and no more.
_NOTHING_MORE: Final = tuple(Item._field_defaults[name] for name in Item._fields[4:-1])


@dataclass(frozen=True, slots=True)
class Failed:
    """A record or file that cannot become a task, and why, for a person."""

    line: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Survey:
    """How a table's bytes are to be read: encoding, whether some do not fit it, and about how many lines."""

    encoding: str
    is_dirty: bool
    n_lines: int
    notice: str = ""

    @property
    def errors(self) -> str:
        return "surrogateescape" if self.is_dirty else "strict"


# Bytes to lines


def survey(stream: IO[bytes]) -> Survey:
    """Read the whole stream once and find its encoding: UTF-8, UTF-16 with a mark, else Windows-1252.

    A file with no valid UTF-8 outside ASCII is taken for Windows-1252, and the notice says so. One that has
    both is UTF-8 with damage: its bad lines are listed later. Raises FileInvalid for an empty file.
    """
    start = stream.read(4)
    encoding = "utf-8"
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise FileInvalid("This table is in UTF-32, which is not read here. Save it as UTF-8.")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif start.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    elif len(start) == 4 and start[1::2] == b"\0\0":
        encoding = "utf-16-le"
    decoder = codecs.getincrementaldecoder(encoding)(
        "strict" if encoding.startswith("utf-16") else "surrogateescape"
    )
    n_lines = n_returns = n_carried = 0
    bad: tuple[int, int] | None = None
    has_other_characters = is_filled = False
    chunk, is_last = start, False
    while not is_last:
        is_last = not chunk
        try:
            text = decoder.decode(chunk, final=is_last)
        except UnicodeDecodeError:
            raise FileInvalid("This table is damaged: it begins as UTF-16, but is not. Use UTF-8.") from None
        if not text.isascii():
            if bad is None and (found := _UNDECODED.search(text)):
                before = text[: found.start()]
                column = len(before) - before.rfind("\n") + (0 if "\n" in before else n_carried)
                bad = (n_lines + before.count("\n") + 1, column)
            has_other_characters = has_other_characters or _NOT_ASCII.search(text) is not None
        is_filled = is_filled or bool(text.strip("\ufeff \t\r\n"))
        n_lines += text.count("\n")
        n_returns += text.count("\r")
        n_carried = len(text) - text.rfind("\n") - 1 + (0 if "\n" in text else n_carried)
        chunk = stream.read(1 << 20)
    if not is_filled:
        raise FileInvalid("This table is empty.")
    n_lines = max(n_lines, n_returns) + (n_carried > 0 or n_lines == 0)
    if bad is None:
        return Survey(encoding, False, n_lines)
    if has_other_characters:
        return Survey(encoding, True, n_lines)
    return Survey(
        "cp1252",
        True,
        n_lines,
        f"The table is not in UTF-8 (line {bad[0]}, column {bad[1]}): it was read as Windows-1252. "
        "Please check accents and special characters.",
    )


def lines(stream: TextIO) -> Iterator[tuple[int, str | RowInvalid]]:
    """Number the lines of a stream opened with newline="". A line that cannot be used comes as its reason."""
    number = 0
    while text := stream.readline(MAX_LINE_CHARACTERS):
        number += 1
        problem = ""
        if len(text) == MAX_LINE_CHARACTERS and text[-1] not in "\r\n":
            while (rest := stream.readline(MAX_LINE_CHARACTERS)) and rest[-1] not in "\r\n":
                pass
            problem = "This line is longer than a million characters."
        elif "\0" in text:
            problem = "This line contains the character NUL: the file is damaged, or it is no table."
        elif not text.isascii() and (found := _UNDECODED.search(text)):
            problem = f"The character in column {found.start() + 1} is damaged. Save the table as UTF-8."
        yield number, RowInvalid(problem) if problem else text


# Lines to records


def records(
    numbered: Iterable[tuple[int, str | RowInvalid]], delimiter: str
) -> Iterator[tuple[int, list[str] | RowInvalid]]:
    """Split lines into cells by RFC 4180, with the line each record begins in.

    A quotation mark that is never closed fails the line where it opened; reading goes on after that line.
    """
    source, again = iter(numbered), deque[tuple[int, str | RowInvalid]]()
    while (first := again.popleft() if again else next(source, None)) is not None:
        number, text = first
        if isinstance(text, RowInvalid):
            yield number, text
        elif '"' not in text:
            if text := text.rstrip("\r\n"):
                yield number, text.split(delimiter)
        else:
            parts, opened, n_characters = [first], 0, len(text)
            is_open = _ends_open(text, delimiter)
            while is_open and (following := again.popleft() if again else next(source, None)):
                text = following[1]
                n_characters += MAX_LINE_CHARACTERS if isinstance(text, RowInvalid) else len(text)
                if len(parts) == MAX_RECORD_LINES or n_characters > MAX_LINE_CHARACTERS:
                    again.appendleft(following)
                    break
                parts.append(following)
                is_open, was_closed = _continues_open(str(text), delimiter)
                opened = len(parts) - 1 if is_open and was_closed else opened
            cells = None if is_open else _cells("".join(str(part[1]) for part in parts), delimiter)
            if cells is not None:
                yield number, cells
                continue
            again.extendleft(reversed(parts[opened + 1 :]))
            problem = "opened in line {} is never closed." if is_open else "in line {} stands inside a cell."
            yield number, RowInvalid("A quotation mark " + problem.format(parts[opened][0]))


def _ends_open(line: str, delimiter: str, at: int = 0) -> bool:
    """Does a quoted cell go on in the next line? `at` is where a cell begins."""
    while True:
        if line.startswith('"', at):
            closed = _QUOTED.match(line, at + 1)
            if closed is None:
                return True
            at = closed.end()
        at = line.find(delimiter, at)
        if at < 0:
            return False
        at += 1


def _continues_open(line: str, delimiter: str) -> tuple[bool, bool]:
    """The same for a line that begins inside a quoted cell, and whether that cell ended in it."""
    closed = _QUOTED.match(line)
    if closed is None:
        return True, False
    at = line.find(delimiter, closed.end())
    return at >= 0 and _ends_open(line, delimiter, at + 1), True


def _cells(record: str, delimiter: str) -> list[str] | None:
    csv.field_size_limit(MAX_LINE_CHARACTERS * MAX_RECORD_LINES)
    try:
        return next(csv.reader([record], delimiter=delimiter, strict=True))
    except csv.Error:
        return None


# Records to items


class Header:
    """The first record of a CSV or TSV: what each column is for. Raises FileInvalid for an unusable one."""

    def __init__(self, names: Sequence[str], columns: Columns = NOTHING) -> None:
        if len(names) > MAX_COLUMNS:
            raise FileInvalid(f"This table has {len(names):,} columns; at most {MAX_COLUMNS} can be used.")
        self.n_columns = len(names)
        self.notices: list[str] = []
        self._parts = [""] * len(names)  # what each column is, where it is the only one of its kind
        self._named: dict[str, list[tuple[str, int]]] = {}
        seen: set[tuple[str, str]] = set()
        for at, written in enumerate(names):
            part, name = role_of(written, columns)
            if not name:
                if not columns and any(
                    role(later)[1] for later in names[at:]
                ):  # a spreadsheet's trailing commas are no news
                    self.notices.append(f"Column {at + 1} of the table has no name and was left out.")
                continue
            if _CONTROL.search(name) or len(name) > MAX_ID_CHARACTERS:
                raise FileInvalid(f"The first line does not name the columns (column {at + 1}).")
            if (part, name.casefold()) in seen:
                raise FileInvalid(f"Two columns of the table are called “{name}”.")
            seen.add((part, name.casefold()))
            if part in NAMED:
                self._named.setdefault(part, []).append((name, at))
            else:
                self._parts[at] = part
        if not seen:
            raise FileInvalid("The first line of the table must name its columns.")
        # A plain table shows texts and no more. (Most large ones are plain, and a plan saves half the work.)
        texts = [(part, self._parts.index(part)) for part in ("text", "question") if part in self._parts]
        self._id_at = self._parts.index("id") if "id" in self._parts else None
        is_plain = not self._named and {*self._parts} <= {"", "id", "text", "question"}
        self._texts_at = texts if is_plain else None
        if not ({"id", "text", "question"} & set(self._parts) or "image" in self._named):
            self.notices.append(
                "No column of the table is called id, image, text or question: "
                "its first line was taken as names, and every column is shown as a fact."
            )

    def item(self, line: int, cells: Sequence[str]) -> Item | None:
        """Turn a record into an Item; None for one with empty cells only. Raises RowInvalid."""
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            return None
        if len(cells) > self.n_columns and not any(cells[self.n_columns :]):
            cells = cells[: self.n_columns]
        if len(cells) != self.n_columns:
            raise RowInvalid(f"This line has {len(cells)} cells, but the table has {self.n_columns} columns.")
        n_characters = sum(map(len, cells))
        if self._texts_at is not None:
            payload: dict[str, Any] = {}
            for part, at in self._texts_at:
                if cell := cells[at]:
                    payload[part] = cell
            identity = "" if self._id_at is None else _identity(cells[self._id_at])
            return Item._make((line, identity, (), payload, *_NOTHING_MORE, n_characters))
        named = NOTHING
        if self._named:
            named = {
                part: {name: cells[at] for name, at in listed if cells[at]}
                for part, listed in self._named.items()
            }
        return _item(line, dict(zip(self._parts, cells, strict=True)), named, n_characters)


def json_item(line: int, text: str, columns: Columns = NOTHING) -> Item | None:
    """Turn one line of JSONL into an Item; None for an empty line. Raises RowInvalid."""
    if not text.strip():
        return None
    try:
        raw = jsonstrict.loads(text.lstrip("\ufeff"))
    except JsonInvalid as error:
        raise RowInvalid(error.message) from None
    return object_item(line, raw, len(text), columns)


def object_item(line: int, raw: Any, n_characters: int, columns: Columns = NOTHING) -> Item:
    """Turn one object of JSON into an Item. Raises RowInvalid."""
    raw = unwrapped(raw)
    if len(raw) > MAX_COLUMNS:
        raise RowInvalid(f"This object has {len(raw):,} fields; at most {MAX_COLUMNS} can be used.")
    single: dict[str, str] = {}
    named: dict[str, dict[str, str]] = {part: {} for part in NAMED}
    gold: Any = None
    for key, value in raw.items():
        part, name = role_of(key, columns)
        if value is None or not name:
            continue
        if part == "gold":
            gold = value
        elif part == "image" and isinstance(value, list):
            named[part] |= {f"{name}_{index}": _as_text(each) for index, each in enumerate(value)}
        elif part in NAMED:
            if name in named[part]:
                raise RowInvalid(f"Two fields are called “{name}”.")
            named[part][name] = _as_text(value)
        else:
            single[part] = _as_text(value)
    filled = {part: {name: cell for name, cell in cells.items() if cell} for part, cells in named.items()}
    return _item(line, single, filled, n_characters, gold)


def _as_text(value: Any) -> str:
    return (
        value.strip() if isinstance(value, str) else orjson.dumps(value).decode() if value is not None else ""
    )


def _item(
    line: int,
    single: Mapping[str, str],
    named: Mapping[str, Mapping[str, str]],
    n_characters: int,
    gold: Any = None,
) -> Item:
    filled = single.get
    identity = _identity(filled("id") or "")
    payload: dict[str, Any] = {}
    if text := filled("text"):
        payload["text"] = text
    if question := filled("question"):
        payload["question"] = question
    if shown := named.get("shown"):
        payload["metadata"] = shown
    if gold is None and (written := filled("gold")):
        try:
            gold = jsonstrict.loads(written)
        except JsonInvalid as error:
            raise RowInvalid(f"Column gold: {error.message}") from None
    return Item(
        line,
        identity,
        tuple(named["image"].values()) if "image" in named else (),
        payload,
        named.get("hidden", NOTHING),
        named.get("after", NOTHING),
        _priority(cell) if (cell := filled("priority")) else 0.0,
        _redundancy(cell) if (cell := filled("redundancy")) else None,
        gold,
        named.get("gold_field", NOTHING),
        n_characters,
    )


def _identity(cell: str) -> str:
    if not cell.isascii():
        cell = unicodedata.normalize("NFC", cell)
    if len(cell) > MAX_ID_CHARACTERS or (not cell.isprintable() and _CONTROL.search(cell)):
        raise RowInvalid(f"The id must be one line of at most {MAX_ID_CHARACTERS} characters.")
    return cell


def _priority(cell: str) -> float:
    try:
        priority = float(cell)
    except ValueError:
        priority = -1.0
    if not 0 <= priority <= 1:
        raise RowInvalid(f"The priority must be a number from 0 to 1, not “{cell[:40]}”.")
    return priority


def _redundancy(cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) < 6 and 1 <= int(cell) <= MAX_REDUNDANCY):
        raise RowInvalid(
            f"The redundancy must be a whole number from 1 to {MAX_REDUNDANCY}, not “{cell[:40]}”."
        )
    return int(cell)


# All of it


class Table:
    """A whole table: iterate over its Items and Failed lines; blank lines are nothing.

    separator: as in TABLE_ENDINGS. columns: what the owner said that columns are for, by name. notices: what
    the owner should know (complete once iterating has begun). Raises FileInvalid when the first line cannot
    be used, or nothing follows it.
    """

    def __init__(self, stream: TextIO, separator: str | None, columns: Columns = NOTHING) -> None:
        self.notices: list[str] = []
        self._columns = columns
        self._lines = lines(stream)
        self._header: Header | None = None
        self._objects = _objects(stream) if separator == JSON else None
        self.n_objects = len(self._objects or ())  # 0: it is no JSON file
        if separator in ("", JSON):
            return
        first = next(self._lines, None)
        if first and isinstance(first[1], str) and re.fullmatch(r"sep=.[\r\n]*", first[1].lstrip("\ufeff")):
            separator, first = first[1].lstrip("\ufeff")[4], next(self._lines, None)
        while first and isinstance(first[1], str) and not first[1].strip():
            first = next(self._lines, None)
        if first is None:
            raise FileInvalid("This table is empty.")
        if isinstance(first[1], RowInvalid):
            raise FileInvalid(f"The first line cannot be read. {first[1].message}")
        if separator is None:
            bare = re.sub(r'"[^"]*"', "", first[1])
            separator = max(",;\t|", key=bare.count)  # a tie, as of none, goes to the comma
            if separator != ",":
                named = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}[separator]
                self.notices.append(f"The cells of the table are separated by {named}.")
        self._records = records(_chain(first, self._lines), separator)
        _, names = next(self._records)
        if isinstance(names, RowInvalid):
            raise FileInvalid(f"The first line cannot be read. {names.message}")
        self._names = [name.lstrip("\ufeff").strip() for name in names]
        self._header = Header(self._names, columns)
        self.notices += self._header.notices

    def __iter__(self) -> Iterator[Item | Failed]:
        made = self._header.item if self._header else self._item
        for number, record in self._numbered():
            try:
                if isinstance(record, RowInvalid):
                    raise record
                item = made(number, record)
            except RowInvalid as error:
                yield Failed(number, "", error.message)
            else:
                if item is not None:
                    yield item

    def _numbered(self) -> Iterator[tuple[int, Any]]:
        if self._objects is not None:
            return enumerate(self._objects, 1)
        return self._records if self._header else self._lines

    def _item(self, number: int, record: Any) -> Item | None:
        if self._objects is not None:
            return object_item(number, record, OBJECT_CHARACTERS, self._columns)
        return json_item(number, record, self._columns)

    def sample(self, n: int) -> tuple[list[str], list[list[str]]]:
        """Read on: the names of all columns, and the cells of the next `n` rows that can be read."""
        if self._header:
            found = (cells for _, cells in self._records if isinstance(cells, list) and any(cells))
            width = len(self._names)
            return self._names, [(cells + [""] * width)[:width] for cells in islice(found, n)]
        rows: list[dict[str, Any]] = []
        for _, record in self._numbered():
            try:
                if isinstance(record, RowInvalid) or (isinstance(record, str) and not record.strip()):
                    continue
                raw = jsonstrict.loads(record.lstrip("\ufeff")) if isinstance(record, str) else record
                rows.append(unwrapped(raw))
            except (JsonInvalid, RowInvalid):
                continue
            if len(rows) == n:
                break
        names = list(dict.fromkeys(name for row in rows for name in row))[:MAX_COLUMNS]
        return names, [[_as_text(row[name]) if name in row else "" for name in names] for row in rows]

    def count(self, at_most: int) -> int:
        """Read on and count the records, up to `at_most`."""
        return sum(1 for _ in islice(self, at_most))


def _objects(stream: TextIO) -> list[Any]:
    text = stream.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise FileInvalid(
            f"This JSON file is larger than {MAX_JSON_BYTES >> 20} MB. Save it as JSON Lines (.jsonl)."
        )
    try:
        found = jsonstrict.loads(text.lstrip("\ufeff"))
    except JsonInvalid as error:
        raise FileInvalid(f"This JSON file cannot be read. {error.message}") from None
    if not isinstance(found, list) or not found:
        raise FileInvalid("A JSON file must be a list of tasks: [{...}, {...}].")
    return found


def _chain(
    first: tuple[int, str | RowInvalid], rest: Iterator[tuple[int, str | RowInvalid]]
) -> Iterator[tuple[int, str | RowInvalid]]:
    yield first
    yield from rest
