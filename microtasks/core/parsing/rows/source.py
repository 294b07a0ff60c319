"""A table in a file, however it comes: packed, as a spreadsheet, in any encoding; and how to read it."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import PurePosixPath
from typing import IO, Any, Self, cast

from microtasks.core.errors import FileInvalid
from microtasks.core.parsing.rows.encoding import checked, first_bytes
from microtasks.core.parsing.rows.grid import JSON, TABLE_ENDINGS, Grid, read_text
from microtasks.core.parsing.rows.text import Survey, survey
from microtasks.core.parsing.rows.workbook import DAMAGED, MAX_BYTES, kind_of, read_workbook

GZIP = b"\x1f\x8b"

WORKBOOKS = (".xlsx", ".xlsm", ".ods")


@dataclass(frozen=True, slots=True)
class Choices:
    """How an owner wants a table to be read. encoding: "" to find it; header_line: 0 to find it; sheet: ""
    for the first.
    """

    encoding: str = ""
    header_line: int = 0
    sheet: str = ""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """From a batch's options."""
        return cls(options.get("encoding") or "", options.get("header_line") or 0, options.get("sheet") or "")

    def checked(self) -> Self:
        """With the codec's own name; FileInvalid for an encoding that does not exist."""
        if not self.encoding:
            return self
        return type(self)(checked(self.encoding), self.header_line, self.sheet)


def table_ending(name: str) -> str:
    """How the name of a table ends, in small letters and without .gz."""
    plain = name.lower().removesuffix(".gz")
    return PurePosixPath(plain).suffix


@dataclass
class TableFile:
    """A table in a file. survey: how its bytes are read, None for a spreadsheet; sheets: names of all.

    Open it with `TableFile.survey_of`; `grid` may be called several times, each reads it from the beginning.
    Close it in the end.
    """

    name: str
    opened: Callable[[], IO[bytes]]
    choices: Choices
    survey: Survey | None = None
    sheets: list[str] = field(default_factory=list)
    _content: bytes = b""
    _kind: str = ""
    _is_packed: bool = False
    _open_files: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def survey_of(cls, name: str, opened: Callable[[], IO[bytes]], choices: Choices = Choices()) -> Self:
        """Look through the file once. Raises FileInvalid, and what reading a damaged file raises."""
        table = cls(name, opened, choices)
        with opened() as stream:
            start = first_bytes(stream, 8)
        table._is_packed = start.startswith(GZIP)
        if table._is_packed:
            with table._stream() as stream:
                start = first_bytes(stream, 8)
        if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
            with table._stream() as stream:
                table._content = first_bytes(stream, MAX_BYTES + 1)
            if len(table._content) > MAX_BYTES:
                raise FileInvalid(
                    f"This spreadsheet is larger than {MAX_BYTES >> 20} MB. Save it as CSV UTF-8."
                )
            table._kind = kind_of(start, io.BytesIO(table._content))
            if not table._kind:
                raise FileInvalid(DAMAGED if table_ending(name) in WORKBOOKS else f"{name} is no table.")
            return table
        if table_ending(name) in WORKBOOKS:
            raise FileInvalid(DAMAGED)
        try:
            with table._stream() as stream:
                table.survey = survey(stream, choices.encoding)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise FileInvalid(f"The packed file {name} is damaged.") from None
        return table

    def close(self) -> None:
        self._open_files.close()

    @property
    def separator(self) -> str | None:
        """What the name says that separates the cells; see TABLE_ENDINGS."""
        return TABLE_ENDINGS.get(table_ending(self.name))

    @property
    def is_json(self) -> bool:
        """Does the name say that it is JSON?"""
        return self.separator in ("", JSON)

    def grid(self) -> Grid:
        """Read the table from its beginning. Raises FileInvalid."""
        if self._kind:
            grid, self.sheets = read_workbook(
                self._content, self._kind, self.choices.sheet, self.choices.header_line
            )
            return grid
        assert self.survey is not None  # noqa: S101
        text = TextIOWrapper(
            self._stream(), encoding=self.survey.encoding, errors=self.survey.errors, newline=""
        )
        return read_text(self._open_files.enter_context(text), self.separator, self.choices.header_line)

    def _stream(self) -> IO[bytes]:
        stream = self.opened()
        return cast("IO[bytes]", _Unpacked(stream)) if self._is_packed else stream


class _Unpacked(gzip.GzipFile):
    """Unpacks a stream, and closes it with itself."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(fileobj=stream)
        self._stream = stream

    def close(self) -> None:
        super().close()
        self._stream.close()
