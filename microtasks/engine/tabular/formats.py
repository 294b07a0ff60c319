"""How an export is written: a table of plain values as CSV, JSON lines, Parquet or crowd-kit's form; one ZIP.

The files of other tools, which need more than one table, are in `interchange`.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from microtasks.core.errors import InputError
from microtasks.core.values import Column, Part
from microtasks.engine.tabular.vectors import (
    NO_TIME,
    Block,
    Moments,
    Vector,
    csv_block,
    in_blocks,
    json_block,
    plain,
)

if TYPE_CHECKING:
    from microtasks.engine.exports.snapshots import View
    from microtasks.engine.site import Site
    from microtasks.store.tables import Project

#: Bytes gathered before they are passed on.
BUFFER = 1 << 16
CSV = "text/csv; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, and rows that have one plain value for each; blocks: the same rows, many at a time.

    Either is read, once, not both.
    """

    columns: tuple[Column, ...]
    rows: Iterator[tuple[Any, ...]]
    blocks: Iterator[Block] | None = None


@dataclass(frozen=True, slots=True)
class File:
    """One file of an export. chunks: its bytes, made while they are read. columns: of a table, its own."""

    name: str
    mime: str
    chunks: Iterator[bytes]
    table: str = ""
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """What the files of another tool are made from. raw: texts in CSV as they are, formulas too."""

    view: View
    project_id: int
    config: Any
    parts: tuple[Part, ...]
    what: str
    raw: bool

    @property
    def site(self) -> Site:
        return self.view.site

    @property
    def project(self) -> Project:
        return self.view.project

    def name(self, contributor: UUID) -> str:
        """The pseudonym of a contributor."""
        return self.view.snapshot.name(contributor)

    def file(self, suffix: str, mime: str, chunks: Iterator[bytes]) -> File:
        """A file named after the project."""
        return File(f"{self.project.slug}-{suffix}", mime, chunks)


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write an export: a table (`write`), or the files of another tool (`files`).

    whats: the tables it can give, the first one where none is asked for; () for all. is_archive: several
    files, sent as one ZIP. is_packed: compressed in itself. fits: is it for what these parts ask? lacks: what
    this project's tasks must have and do not, as a sentence; "" if nothing.
    """

    name: str
    label: str
    use: str  # "use this if ..."
    suffix: str
    mime: str
    whats: tuple[str, ...] = ()
    write: Callable[[Table], Iterator[bytes]] | None = None
    files: Callable[[Source], list[File]] | None = None
    is_archive: bool = False
    is_packed: bool = False
    fits: Callable[[tuple[Part, ...]], bool] = lambda parts: True
    lacks: Callable[[Site, int], str] = lambda site, project_id: ""


def gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, compressed as a .gz file, still streamed."""
    packer = zlib.compressobj(6, wbits=31)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


#: A text that a spreadsheet would run as a formula (OWASP, CSV injection), full-width forms included. The
#: quotes in front keep `defuse` reversible: one more is put before a text that has some already.
DANGEROUS = re.compile("'*[=+\\-@\t\r\n\x00＝＋－＠]")
_FIRST = frozenset("'=+-@\t\r\n\x00＝＋－＠")
#: Cells that are written as they are.
_NUMBERS = frozenset({int, float, type(None)})


def defuse(text: str) -> str:
    """Put ' before a text that a spreadsheet would take for a formula."""
    return f"'{text}" if text[:1] in _FIRST and DANGEROUS.match(text) else text


def unescape(cell: str) -> str:
    """Undo `defuse`."""
    return cell[1:] if cell.startswith("'") and DANGEROUS.match(cell) else cell


def write_csv(table: Table, *, raw: bool = False) -> Iterator[bytes]:
    """Write UTF-8 CSV (RFC 4180: lines end in CR LF), a header first. Times are ISO 8601 in UTC."""
    buffer = io.StringIO(newline="")
    # Only with this line end does the writer quote texts that hold a lone CR.
    writer = csv.writer(buffer, lineterminator="\r\n")
    guard: Callable[[str], str] = str if raw else defuse
    writer.writerow([guard(column.name) for column in table.columns])
    if table.blocks is not None:
        yield buffer.getvalue().encode()
        for block in table.blocks:
            yield csv_block(block, lambda value: _cell(value, guard), guard).encode()
        return
    for row in table.rows:
        writer.writerow([cell if type(cell) in _NUMBERS else _cell(cell, guard) for cell in row])
        if buffer.tell() >= BUFFER:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _cell(value: Any, guard: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return guard(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, float)) for item in value):
        return guard("|".join(map(str, value)))
    if isinstance(value, (dict, list, tuple)):
        return guard(json.dumps(value, ensure_ascii=False))
    return value


def write_jsonl(table: Table) -> Iterator[bytes]:
    """Write one JSON object a line, keys as the CSV's columns; texts exactly as they are."""
    names = [column.name for column in table.columns]
    if table.blocks is not None:
        for block in table.blocks:
            yield json_block(block, names, _plain, _JSONL & ~orjson.OPT_APPEND_NEWLINE)
        return
    lines: list[bytes] = []
    size = 0
    for row in table.rows:
        lines.append(orjson.dumps(dict(zip(names, row, strict=True)), default=_plain, option=_JSONL))
        size += len(lines[-1])
        if size >= BUFFER:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


_JSONL = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _time(value)
    raise TypeError(type(value).__name__)


def utc(moment: datetime) -> datetime:
    """The same moment, told in UTC."""
    return moment.astimezone(UTC)


def shown(value: Any) -> str:
    """A cell as a page shows it: as in CSV, but no text guarded."""
    cell = _cell(value, str)
    return "" if cell is None else str(cell)


def iso(value: datetime | None) -> str | None:
    """A moment as ISO 8601 in UTC, to the millisecond."""
    return None if value is None else _time(value)


def _time(value: datetime) -> str:
    return utc(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_parquet(table: Table) -> Iterator[bytes]:
    """Write Parquet (zstd), streamed: a row group for some ten thousand rows."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError("Parquet needs the package pyarrow: pip install 'microtasks[parquet]'.")
    return _write_parquet(table)


def _write_parquet(table: Table) -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet

    moment = pyarrow.timestamp("us", tz="UTC")
    types = {
        **{"integer": pyarrow.int64(), "number": pyarrow.float64(), "boolean": pyarrow.bool_()},
        "datetime": moment,
    }
    schema = pyarrow.schema(
        [(column.name, types.get(column.type, pyarrow.string())) for column in table.columns]
    )

    def array(vector: Vector, kind: Any) -> Any:
        if isinstance(vector, Moments):
            is_none = vector.values == NO_TIME
            return pyarrow.array(vector.values, pyarrow.int64(), mask=is_none).cast(moment)
        values = plain(vector)
        if kind == pyarrow.string():
            return pyarrow.array([_text(value) for value in values], kind)
        return pyarrow.array(list(values), kind)

    sink = _Sink()
    with parquet.ParquetWriter(pyarrow.PythonFile(sink, "w"), schema, compression="zstd") as writer:
        for block in table.blocks if table.blocks is not None else in_blocks(table.rows):
            arrays = [array(vector, field.type) for vector, field in zip(block, schema, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
            yield sink.take()
    yield sink.take()


def _text(value: Any) -> str | None:
    """A value in a column of texts: JSON for what is none."""
    return value if value is None or isinstance(value, str) else to_json(value).decode()


#: By what they are called: the ending of a compressed file, and its kind.
COMPRESSIONS = {"": ("", ""), "gzip": (".gz", "application/gzip"), "zstd": (".zst", "application/zstd")}
MIMES = {ending.lstrip("."): mime for ending, mime in COMPRESSIONS.values() if ending}
ZSTD_LEVEL = 6


def check_compression(name: str) -> None:
    """Refuse a compression that cannot be done here. Errors: InputError."""
    if name not in COMPRESSIONS:
        raise InputError(f"There is no compression {name!r}. There are: gzip, zstd.")
    if name == "zstd" and importlib.util.find_spec("zstandard") is None:
        raise InputError("zstd needs the package zstandard: pip install 'microtasks[zstd]'.")


def compressed(file: File, name: str) -> File:
    """The same file, compressed while it is written. name: "", "gzip" or "zstd"."""
    check_compression(name)
    if not name:
        return file
    ending, mime = COMPRESSIONS[name]
    chunks = gzipped(file.chunks) if name == "gzip" else _zstd(file.chunks)
    return replace(file, name=file.name + ending, mime=mime, chunks=chunks)


def _zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard

    packer = zstandard.ZstdCompressor(ZSTD_LEVEL).compressobj()
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


def write_crowdkit(table: Table) -> Iterator[bytes]:
    """Write crowd-kit's task, worker, label: counted answers to a question with exactly one field."""
    names = [column.name for column in table.columns]
    own = names[names.index("revision") + 1 : names.index("revised_at")]
    if len(own) != 1 or own[0] == "n_marks":
        raise InputError(
            "crowd-kit wants one label an answer: it is for questions with one field, and for tags."
        )
    task, worker, label, status, kind = map(names.index, ("task", "contributor", own[0], "status", "kind"))
    rows = (
        (row[task], row[worker], row[label])
        for row in table.rows
        if row[status] == "counted" and row[kind] != "cant_tell"
    )
    return write_csv(Table(tuple(Column(name, "string", "") for name in ("task", "worker", "label")), rows))


def json_list(items: Iterable[Any], head: bytes = b"[", tail: bytes = b"]") -> Iterator[bytes]:
    """Write a JSON list one item at a time; `head` and `tail` may put it inside an object."""
    gathered, size, comma = [head], 0, b"\n"
    for item in items:
        gathered.append(comma + to_json(item))
        comma = b",\n"
        size += len(gathered[-1])
        if size >= BUFFER:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join((*gathered, b"\n", tail, b"\n"))


def to_json(value: Any) -> bytes:
    """One value as compact JSON, times in UTC."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)


def zipped(files: Iterable[File]) -> Iterator[bytes]:
    """Several files as one ZIP, streamed: each is read to its end before the next one begins."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            with archive.open(_entry(file.name), "w", force_zip64=True) as entry:
                for chunk in file.chunks:
                    entry.write(chunk)
                    yield sink.take()
            yield sink.take()
    yield sink.take()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


class _Sink:
    """A file that can only be written, and gives away what it holds."""

    def __init__(self) -> None:
        self.held: list[bytes] = []

    closed = False

    def write(self, data: bytes) -> int:
        self.held.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing lies between."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        taken = b"".join(self.held)
        self.held.clear()
        return taken


def _asks_for_one_label(parts: tuple[Part, ...]) -> bool:
    return not parts or (len(parts) == 1 and parts[0].kind != "marks")


PLAIN: tuple[Format, ...] = (
    Format(
        "csv",
        "CSV: spreadsheets, R, pandas",
        "You work in a spreadsheet, R or pandas.",
        ".csv",
        CSV,
        write=write_csv,
    ),
    Format(
        "jsonl",
        "JSON lines: programs",
        "A program of your own reads it: every text exactly as it was written.",
        ".jsonl",
        "application/x-ndjson",
        write=write_jsonl,
    ),
    Format(
        "parquet",
        "Parquet: DuckDB, Arrow",
        "There is much of it, and you query it with DuckDB, Arrow or Polars: typed and compressed.",
        ".parquet",
        "application/vnd.apache.parquet",
        write=write_parquet,
        is_packed=True,
    ),
    Format(
        "crowdkit",
        "crowd-kit",
        "You want to try other consensus methods (Dawid-Skene, GLAD, MACE) with crowd-kit.",
        ".crowdkit.csv",
        CSV,
        ("answers",),
        write=write_crowdkit,
        fits=_asks_for_one_label,
    ),
)
