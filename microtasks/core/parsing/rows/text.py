"""Bytes of a table to numbered lines of characters, and how the bytes are to be read."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final, TextIO

from microtasks.core.errors import FileInvalid, RowInvalid
from microtasks.core.parsing.rows import encoding as encodings

MAX_LINE_CHARACTERS: Final = 1 << 20
_UNDECODED = re.compile("[\ud800-\udfff]")
_NOT_ASCII = re.compile("[^\x00-\x7f\ud800-\udfff]")
_NOT_ASCII_LINE = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")


@dataclass(frozen=True, slots=True)
class Survey:
    """How a table's bytes are to be read: encoding, whether some do not fit it, and about how many lines.

    is_guessed: nothing in the file says which encoding it is. notice: what the owner should know.
    """

    encoding: str
    is_dirty: bool
    n_lines: int
    notice: str = ""
    is_guessed: bool = False

    @property
    def errors(self) -> str:
        return "surrogateescape" if self.is_dirty else "strict"


def survey(stream: IO[bytes], chosen: str = "") -> Survey:
    """Read the whole stream once and find its encoding: as chosen, as its mark says, UTF-8, or a guess.

    A file that is no UTF-8 is guessed, and the notice says so. One that has more good UTF-8 outside ASCII
    than bad is UTF-8 with damage: its bad lines are listed later. Raises FileInvalid for an empty file, and
    for an encoding that does not exist or cannot be.
    """
    start = encodings.first_bytes(stream, 1 << 12)
    name = encodings.marked(start) or encodings.without_mark(start)
    is_sure = name is not None
    if chosen:
        name, is_sure = _chosen(encodings.checked(chosen), start), True
    name = name or "utf-8"
    is_wide = name.startswith("utf-16")
    counted = _Count(name, "strict" if is_wide else "surrogateescape")
    sample = bytearray()
    chunk, is_last = start, False
    while not is_last:
        is_last = not chunk
        try:
            counted.add(chunk, is_last)
        except UnicodeDecodeError:
            raise FileInvalid("This table is damaged: it begins as UTF-16, but is not. Use UTF-8.") from None
        if len(sample) < encodings.SAMPLE_BYTES and not chunk.isascii():
            sample += b"\n".join(_NOT_ASCII_LINE.findall(chunk))[: encodings.SAMPLE_BYTES] + b"\n"
        chunk = stream.read(1 << 20)
    if not counted.is_filled:
        raise FileInvalid("This table is empty.")
    n_lines = counted.n_lines
    if counted.bad is None:
        return Survey(name, False, n_lines)
    if is_sure:
        notice = (
            f"Line {counted.bad[0]}, column {counted.bad[1]} is not in {encodings.label(name)}: "
            "perhaps the table has another encoding."
        )
        return Survey(name, True, n_lines, notice if chosen else "")
    if 2 * counted.n_other >= counted.n_bad:
        return Survey(name, True, n_lines)
    guessed = encodings.guess(bytes(sample))
    return Survey(
        guessed,
        True,
        n_lines,
        f"The table is not in UTF-8 (line {counted.bad[0]}, column {counted.bad[1]}): it was read as "
        f"{encodings.label(guessed)}. Please check accents and special characters; if they are wrong, "
        "choose another encoding.",
        True,
    )


def _chosen(name: str, start: bytes) -> str:
    """The codec for an encoding that was chosen: one that passes the byte order mark over."""
    mark = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    if name == "utf-8" and start.startswith(mark[name]):
        return "utf-8-sig"
    if name in ("utf-16-le", "utf-16-be") and start.startswith(mark[name]):
        return "utf-16"
    if name == "utf-16" and encodings.marked(start) is None:
        return encodings.without_mark(start) or "utf-16-le"
    return name


class _Count:
    """Counts of a stream that is decoded piece by piece. bad: line and column of the first damage."""

    def __init__(self, encoding: str, errors: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._n_newlines = self._n_returns = self._n_carried = 0
        self.n_bad = self.n_other = 0
        self.bad: tuple[int, int] | None = None
        self.is_filled = False

    @property
    def n_lines(self) -> int:
        n_ends = max(self._n_newlines, self._n_returns)
        return n_ends + (self._n_carried > 0 or self._n_newlines == 0)

    def add(self, chunk: bytes, is_last: bool) -> None:
        """Raises UnicodeDecodeError with strict errors."""
        text = self._decoder.decode(chunk, final=is_last)
        if not text.isascii():
            if damage := _UNDECODED.search(text):
                self.n_bad += len(_UNDECODED.findall(text))
                if self.bad is None:
                    before = text[: damage.start()]
                    column = len(before) - before.rfind("\n") + (0 if "\n" in before else self._n_carried)
                    self.bad = (self._n_newlines + before.count("\n") + 1, column)
            if self.n_bad >= 2 * self.n_other:
                self.n_other += len(_NOT_ASCII.findall(text))
        self.is_filled = self.is_filled or bool(text.strip("\ufeff \t\r\n"))
        self._n_newlines += text.count("\n")
        self._n_returns += text.count("\r")
        self._n_carried = len(text) - text.rfind("\n") - 1 + (0 if "\n" in text else self._n_carried)


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
        elif not text.isascii() and (damage := _UNDECODED.search(text)):
            problem = f"The character in column {damage.start() + 1} is damaged. Save the table as UTF-8."
        yield number, RowInvalid(problem) if problem else text
