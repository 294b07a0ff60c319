"""Sheets of Excel and OpenDocument files as rows of texts: each cell as the spreadsheet shows it.

An OpenDocument file holds what each cell shows. Excel's holds values and formats: dates, leading zeros,
decimals and percents are written as the format says, and a number without one with all its digits.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import IO, TYPE_CHECKING, Any, Final

from defusedxml.ElementTree import iterparse

from microtasks.core.errors import FileInvalid
from microtasks.core.parsing.rows.grid import Grid, from_cells

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_BYTES: Final = 100 << 20
MAX_UNPACKED_BYTES: Final = 1 << 30
#: Cells of a row, and rows, that repeat an empty one more often than this are the sheet's empty rest.
MAX_REPEATS: Final = 1000
DAMAGED: Final = (
    "This spreadsheet is damaged, or it is protected by a password. Save the sheet as CSV and upload that."
)
_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"


def kind_of(start: bytes, stream: IO[bytes]) -> str:
    """ "xlsx", "ods", or "" for what is no spreadsheet, by the content. The stream must be seekable."""
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileInvalid(
            "This is an old Excel file (.xls), or it is protected by a password. Save it as .xlsx or CSV."
        )
    if not start.startswith(b"PK\x03\x04"):
        return ""
    try:
        with zipfile.ZipFile(stream) as archive:
            names = set(archive.namelist())
            if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise FileInvalid("Unpacked, this spreadsheet would be larger than 1 GB.")
    except zipfile.BadZipFile:
        return ""
    if "xl/workbook.xml" in names or "[Content_Types].xml" in names:
        return "xlsx"
    return "ods" if "content.xml" in names else ""


def read_workbook(content: bytes, kind: str, sheet: str = "", header_line: int = 0) -> tuple[Grid, list[str]]:
    """The grid of a sheet (the first that is not hidden, unless another is named), and all sheets' names."""
    reader = _xlsx if kind == "xlsx" else _ods
    try:
        names, numbered = reader(content, sheet)
        grid = from_cells(numbered, header_line)
    except FileInvalid:
        raise
    except Exception as error:
        # openpyxl raises many kinds for damaged files; a fault of ours would look the same: keep the cause.
        raise FileInvalid(DAMAGED) from error
    if len(names) > 1:
        others = ", ".join(f"“{name}”" for name in names if name != (sheet or names[0]))
        grid.notices.append(f"The sheet “{sheet or names[0]}” was read. There are others: {others[:300]}.")
    return grid, names


def _chosen(names: list[str], sheet: str) -> str:
    if sheet and sheet not in names:
        raise FileInvalid(f"There is no sheet “{sheet[:60]}”. There are: {', '.join(names)[:300]}.")
    if not names:
        raise FileInvalid("There is no sheet in this spreadsheet.")
    return sheet or names[0]


# Excel


def _xlsx(content: bytes, sheet: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    import warnings

    import openpyxl  # here, because few uploads need it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about extensions that it does not read
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    names = [each.title for each in book.worksheets if each.sheet_state == "visible"]
    chosen = book[_chosen(names, sheet)]
    chosen.reset_dimensions()  # some programs write them wrong
    rows = ((number, [shown(cell) for cell in row]) for number, row in enumerate(chosen.iter_rows(), 1))
    return names, rows


def shown(cell: Any) -> str:
    """What a cell of openpyxl shows."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return "" if cell.data_type == "e" else value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    form = str(cell.number_format or "General")
    if isinstance(value, (datetime, date, time)):
        return _moment(value, form)
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return _number(value, form)


#: A number's format: text before, zeros and digits, decimals, percent, text after.
_FORMAT: Final = re.compile(
    r'((?:"[^"]*"|\\.|[^0#?.,%;"\\])*)([#?0,]*)(\.[0#?]+)?(%?)((?:"[^"]*"|\\.|[^0#?.,%;"\\])*)'
)


def _number(value: float, form: str) -> str:
    section = re.sub(r"\[[^\]]*\]|_.|\*.", "", form.split(";")[0])
    parts = _FORMAT.fullmatch(section)
    if form == "General" or parts is None or "E" in section or "/" in section or not (parts[2] or parts[3]):
        return str(int(value)) if float(value).is_integer() and abs(value) < 1e21 else f"{value:.15g}"
    value = value * 100 if parts[4] else value
    decimals = len(parts[3] or ".") - 1
    digits = f"{abs(value):.{decimals}f}"
    if "0" not in (parts[3] or "0"):  # only # after the point
        digits = digits.rstrip("0").rstrip(".")
    whole, point, rest = digits.partition(".")
    digits = whole.zfill(parts[2].replace(",", "").count("0")) + point + rest
    sign = "-" if value < 0 else ""
    return f"{sign}{_literal(parts[1])}{digits}{parts[4]}{_literal(parts[5])}".strip()


def _literal(text: str) -> str:
    return re.sub(r'"([^"]*)"|\\(.)', lambda match: match[1] if match[1] is not None else match[2], text)


_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: Dates whose form Excel takes from the country, and others in no clear order: they are written as ISO 8601.
_LOCAL: Final = ("mm-dd-yy", "m/d/yy h:mm", "General")


def _moment(value: datetime | date | time, form: str) -> str:
    """A date or time as its format says; ISO 8601 where the format is the country's."""
    plain = re.sub(r"\[\$[^\]]*\]|\[[^\]]*\]|_.|\*.", "", form.split(";")[0])
    if form in _LOCAL or not re.search(r"[ymdhs]", plain, re.IGNORECASE):
        if isinstance(value, datetime):
            moment = value.replace(microsecond=0)
            return moment.date().isoformat() if moment.time() == time() else moment.isoformat(" ")
        return value.isoformat()
    is_half = re.search(r"am/pm|a/p", plain, re.IGNORECASE) is not None
    tokens = re.findall(
        r'"[^"]*"|\\.|am/pm|a/p|y+|m+|d+|h+|s+|\.0+|.', plain, flags=re.IGNORECASE | re.DOTALL
    )
    written: list[str] = []
    is_time = False
    for at, token in enumerate(tokens):
        kind = token[0].lower()
        following = next((t[0].lower() for t in tokens[at + 1 :] if t[0].lower() in "ymdhs"), "")
        if token[0] in '"\\':
            written.append(_literal(token))
        elif token.lower() in ("am/pm", "a/p"):
            written.append(("AM" if getattr(value, "hour", 0) < 12 else "PM")[: len(token) // 2 or 1])
        elif kind in "ymdhs" and token.isalpha():
            is_minute = kind == "m" and len(token) < 3 and (is_time or following == "s")
            written.append(_part(value, "n" if is_minute else kind, len(token), is_half))
            is_time = kind == "h"
        elif not token.startswith(".0"):
            written.append(token)
    return "".join(written).strip()


def _part(value: Any, kind: str, width: int, is_half: bool) -> str:
    number = {"y": "year", "m": "month", "d": "day", "h": "hour", "n": "minute", "s": "second"}[kind]
    amount: int = getattr(value, number, 0)
    if kind == "y":
        return f"{amount:04}" if width > 2 else f"{amount % 100:02}"
    if kind == "m" and width > 2:
        name = _MONTHS[max(0, amount - 1)]
        return name if width == 4 else name[:1] if width == 5 else name[:3]
    if kind == "d" and width > 2:
        name = _DAYS[value.weekday()]
        return name if width > 3 else name[:3]
    if kind == "h" and is_half:
        amount = amount % 12 or 12
    return f"{amount:02}" if width > 1 else str(amount)


# OpenDocument


def _ods(content: bytes, sheet: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        raw = archive.read("content.xml")
    if b"<!DOCTYPE" in raw[:4096]:
        raise FileInvalid(DAMAGED)
    names = [
        element.get(f"{_TABLE}name", "")
        for event, element in iterparse(io.BytesIO(raw), ("start",))
        if event == "start" and element.tag == f"{_TABLE}table"
    ]
    return names, _ods_rows(raw, names.index(_chosen(names, sheet)))


def _ods_rows(raw: bytes, wanted: int) -> Iterator[tuple[int, list[str]]]:
    at, number = -1, 0
    for event, element in iterparse(io.BytesIO(raw), ("start", "end")):
        if event == "start":
            at += element.tag == f"{_TABLE}table"
            continue
        if element.tag == f"{_TABLE}table-row":
            if at == wanted:
                cells = _ods_cells(element)
                repeats = int(element.get(f"{_TABLE}number-rows-repeated", 1))
                is_rest = not any(cells) and repeats > MAX_REPEATS
                for _ in range(0 if is_rest else repeats):
                    number += 1
                    yield number, cells
            element.clear()


def _ods_cells(row: Element) -> list[str]:
    cells: list[str] = []
    for cell in row:
        if cell.tag in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            repeats = int(cell.get(f"{_TABLE}number-columns-repeated", 1))
            text = "\n".join(_ods_text(part) for part in cell if part.tag == f"{_TEXT}p")
            cells += [text] * (repeats if text or repeats <= MAX_REPEATS else 1)
    return cells


def _ods_text(paragraph: Element) -> str:
    parts = [paragraph.text or ""]
    for child in paragraph:
        if child.tag == f"{_TEXT}s":
            parts.append(" " * min(1000, int(child.get(f"{_TEXT}c", 1))))
        elif child.tag == f"{_TEXT}tab":
            parts.append("\t")
        elif child.tag == f"{_TEXT}line-break":
            parts.append("\n")
        elif child.tag != f"{_OFFICE}annotation":
            parts.append(_ods_text(child))
        parts.append(child.tail or "")
    return "".join(parts)
