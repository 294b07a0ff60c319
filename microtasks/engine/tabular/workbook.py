"""Write tables as one Excel workbook (XLSX), streamed: a sheet a table, memory flat however long they are.

Office Open XML (ECMA-376), written by hand: libraries hold whole sheets, or stamp each file with the time at
which it was made. Texts are text cells, which no program runs as a formula; numbers, booleans and times are
cells of their kind, except whole numbers of more than 15 digits, which a spreadsheet would round.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from microtasks.engine.tabular.archive import zipped
from microtasks.engine.tabular.table import File, Table, flat_text

MIME = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: What a sheet can hold: rows with the header, characters of a cell, characters of its own name.
ROWS_MAX = 1_048_576
TEXT_MAX = 32_767
NAME_MAX = 31
#: Rows that are looked at to find how wide a column is, and its width in characters.
SAMPLE_ROWS = 200
WIDTH_MIN, WIDTH_MAX = 8, 60
CUT = " ... (cut here: a cell holds no more)"

_BUFFER = 1 << 16
_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)  # day 0 of Excel's calendar, from March 1900 on
_DATE_STYLE, _HEADER_STYLE = 1, 2
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\r\x0e-\x1f\ufffe\uffff]")
#: A text that reads like Excel's own escape of a character.
_LIKE_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_STYLES = f"""{_HEAD}<styleSheet xmlns="{_MAIN}">
<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>
<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>
<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>
<fills count="2"><fill><patternFill patternType="none"/></fill>
<fill><patternFill patternType="gray125"/></fill></fills>
<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>
<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>
<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>
<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>
<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs>
<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>
</styleSheet>"""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with the name of its sheet, for people."""

    name: str
    table: Table


def write_workbook(sheets: Iterable[Sheet], at: datetime) -> Iterator[bytes]:
    """Write the sheets as one workbook; at: the time that its entries bear, so that one state is one file.

    A table of more rows than a sheet holds goes on in further sheets: "Answers", "Answers 2".
    """
    return zipped(_parts(sheets), at)


def _parts(sheets: Iterable[Sheet]) -> Iterator[File]:
    """The files of the workbook: the sheets as they are read, then those that name them."""
    names: list[str] = []
    for sheet in sheets:
        rows = iter(sheet.table.rows)
        nth, next_row = 1, next(rows, None)
        while True:
            chunk = chain([] if next_row is None else [next_row], islice(rows, ROWS_MAX - 2))
            names.append(_free_name(sheet.name if nth == 1 else f"{sheet.name} {nth}", names))
            yield File(f"xl/worksheets/sheet{len(names)}.xml", "", _sheet(sheet.table, chunk))
            nth, next_row = nth + 1, next(rows, None)
            if next_row is None:
                break
    for name, content in _frame(names):
        yield File(name, "", iter([content.encode()]))


def _sheet(table: Table, rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    rows = iter(rows)
    sample = list(islice(rows, SAMPLE_ROWS))
    names = [column.name for column in table.columns]
    widths = [max(len(name), *(len(flat_text(row[nth])) for row in sample), WIDTH_MIN) if sample
              else max(len(name), WIDTH_MIN) for nth, name in enumerate(names)]  # fmt: skip
    columns = "".join(
        f'<col min="{nth}" max="{nth}" width="{min(width, WIDTH_MAX) + 2}" customWidth="1"/>'
        for nth, width in enumerate(widths, start=1)
    )
    head = (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
        f"</sheetView></sheetViews><cols>{columns}</cols><sheetData>"
    )
    header = "".join(_text_cell(name, _HEADER_STYLE) for name in names)
    gathered = [head, f"<row>{header}</row>"]
    size, n_rows = 0, 1
    for row in chain(sample, rows):
        written = "<row>" + "".join(map(_cell, row)) + "</row>"
        gathered.append(written)
        size, n_rows = size + len(written), n_rows + 1
        if size >= _BUFFER:
            yield "".join(gathered).encode()
            gathered, size = [], 0
    last = _column_name(len(names))
    gathered.append(f'</sheetData><autoFilter ref="A1:{last}{n_rows}"/></worksheet>')
    yield "".join(gathered).encode()


def _cell(value: Any) -> str:
    if value is None:
        return "<c/>"
    write = _CELLS.get(type(value))
    return write(value) if write else _text_cell(flat_text(value))


def _number_cell(value: float) -> str:
    if value != value or abs(value) == float("inf"):  # no cell can hold these
        return _text_cell(str(value))
    return f"<c><v>{value!r}</v></c>" if abs(value) < 10**15 else _text_cell(str(value))


def _time_cell(value: datetime) -> str:
    days = (value.astimezone(UTC) - _EPOCH) / timedelta(days=1)
    return f'<c s="{_DATE_STYLE}"><v>{days:.10f}</v></c>' if days >= 61 else _text_cell(flat_text(value))


def _text_cell(text: str, style: int = 0) -> str:
    if len(text) > TEXT_MAX:
        text = text[: TEXT_MAX - len(CUT)] + CUT
    text = _ILLEGAL.sub(lambda match: f"_x{ord(match[0]):04X}_", _LIKE_ESCAPE.sub("_x005F_", text))
    styled = f' s="{style}"' if style else ""
    return f'<c t="inlineStr"{styled}><is><t xml:space="preserve">{escape(text)}</t></is></c>'


_CELLS: dict[type, Callable[[Any], str]] = {
    str: _text_cell,
    int: _number_cell,
    float: _number_cell,
    bool: lambda value: f'<c t="b"><v>{int(value)}</v></c>',
    datetime: _time_cell,
}


def _free_name(name: str, taken: list[str]) -> str:
    """A sheet's name: without the characters that Excel refuses, short, and another than those before."""
    plain = " ".join(re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", name).split()).strip("'") or "Sheet"
    lowered = {each.casefold() for each in taken}
    free, nth = plain[:NAME_MAX], 2
    while free.casefold() in lowered:
        free = f"{plain[: NAME_MAX - 4]} {nth}"
        nth += 1
    return free


def _column_name(number: int) -> str:
    """A, B, ... Z, AA: the name of a column by its number from 1."""
    letters = ""
    while number > 0:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters or "A"


def _frame(names: list[str]) -> Iterator[tuple[str, str]]:
    """The parts that say what the workbook consists of."""
    office = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    numbered = list(enumerate(names, start=1))
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{nth}.xml" ContentType="{office}.worksheet+xml"/>'
        for nth, _ in numbered
    )
    yield (
        "[Content_Types].xml",
        f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{office}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{office}.styles+xml"/>{overrides}</Types>',
    )
    yield (
        "_rels/.rels",
        f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    )
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{nth}" r:id="rId{nth}"/>' for nth, name in numbered
    )
    yield (
        "xl/workbook.xml",
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{listed}</sheets></workbook>',
    )
    related = "".join(
        f'<Relationship Id="rId{nth}" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet{nth}.xml"/>'
        for nth, _ in numbered
    )
    yield (
        "xl/_rels/workbook.xml.rels",
        f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{related}<Relationship '
        f'Id="rId{len(names) + 1}" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>',
    )
    yield "xl/styles.xml", _STYLES
