"""TEI P5 and plain text: what volunteers transcribed, a file a work, page after page.

The work of a page is named by a column of the upload (`work`, `volume`, `book`, `manifest` ...), its place in
it by `page` or `n`, its image by `facs` or by a canvas; without such a column the whole project is one work,
in the order of the upload. A page on which people did not agree has a note; one without a result says so.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from xml.sax.saxutils import escape, quoteattr

from microtasks.core.values import Part
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange.own_columns import CANVAS, OwnColumns
from microtasks.engine.tabular.table import BUFFER, File, iso
from microtasks.store.exports import reads

WORK = ("work", "volume", "document", "book", "manifest", "iiif_manifest")
PAGE = ("page", "n", "page_number", "folio")
IMAGE = ("facs", "facsimile", *CANVAS)
#: Pages below this agreement have a note that says so.
SURE = 0.67
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(slots=True)
class _Work:
    """A work: its name, and where the pages of both its files lie in a temporary one."""

    name: str
    tei: list[tuple[int, int]] = field(default_factory=list)
    text: list[tuple[int, int]] = field(default_factory=list)


def files(source: Source) -> Iterator[File]:
    """For each work NAME.xml and NAME.txt; memory holds where each page is, not what stands on it."""
    with tempfile.TemporaryFile(prefix="microtasks-") as pages:
        works: dict[str, _Work] = {}
        for row in source.view.walk(reads.items, "task_id"):
            own = OwnColumns(row)
            name = own.get(*WORK) or source.project.name
            work = works.setdefault(name, _Work(name))
            work.tei.append(_put(pages, _page(source.parts, row, own)))
            work.text.append(_put(pages, _plain_page(source.parts, row)))
        taken: set[str] = set()
        for work in works.values():
            stem = _file_name(work.name, taken)
            yield File(f"{stem}.xml", "application/tei+xml", _tei(source, work, pages))
            yield File(f"{stem}.txt", "text/plain; charset=utf-8", _pieces(pages, work.text))


def _put(pages: BinaryIO, text: str) -> tuple[int, int]:
    start = pages.tell()
    return start, pages.write(text.encode())


def _pieces(pages: BinaryIO, places: list[tuple[int, int]]) -> Iterator[bytes]:
    gathered, size = [], 0
    for start, length in places:
        pages.seek(start)
        gathered.append(pages.read(length))
        size += length
        if size >= BUFFER:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def _page(parts: tuple[Part, ...], row: dict[str, Any], own: OwnColumns) -> str:
    number = own.get(*PAGE) or row["external_id"]
    image = own.get(*IMAGE)
    facs = f" facs={_attribute(image)}" if image else ""
    lines = [f"      <pb n={_attribute(number)}{facs}/>"]
    for part in _texts(parts):
        text = _text_of(part, row)
        kind = f" type={_attribute(part.id)}" if len(_texts(parts)) > 1 else ""
        if text:
            broken = "<lb/>".join(_escape(line) for line in text.splitlines())
            lines.append(f"      <ab{kind}>{broken}</ab>")
        else:
            lines.append(f'      <ab{kind}><gap reason="no result"/></ab>')
    if row["agreement"] is not None and row["agreement"] < SURE:
        lines.append(
            f'      <note resp="#volunteers">Volunteers agreed by {row["agreement"]:.2f} only '
            f"({row['n_reduced']} answers).</note>"
        )
    return "\n".join([*lines, ""])


def _plain_page(parts: tuple[Part, ...], row: dict[str, Any]) -> str:
    return "\n\n".join(_text_of(part, row) for part in _texts(parts)) + "\n\f\n"


def _text_of(part: Part, row: dict[str, Any]) -> str:
    text = part.answered(row["value"] or {})
    return "" if text is None else str(text)


def _tei(source: Source, work: _Work, pages: BinaryIO) -> Iterator[bytes]:
    project, at = source.project, source.view.snapshot.cut.at
    yield f"""<?xml version="1.0" encoding="UTF-8"?>
<TEI xmlns="http://www.tei-c.org/ns/1.0" xml:lang={_attribute(project.language)}>
  <teiHeader>
    <fileDesc>
      <titleStmt>
        <title>{_escape(work.name)}</title>
        <respStmt xml:id="volunteers">
          <resp>Transcribed by</resp>
          <name>Volunteers of {_escape(project.name)}</name>
        </respStmt>
      </titleStmt>
      <publicationStmt>
        <p>Exported by microtasks, {iso(at)}, snapshot {source.view.snapshot.id}.</p>
      </publicationStmt>
      <sourceDesc><p>{_escape(project.purpose or project.name)}</p></sourceDesc>
    </fileDesc>
  </teiHeader>
  <text>
    <body>
""".encode()
    yield from _pieces(pages, work.tei)
    yield b"    </body>\n  </text>\n</TEI>\n"


def _escape(text: str) -> str:
    return escape(_ILLEGAL.sub("", text))


def _attribute(text: str) -> str:
    return quoteattr(_ILLEGAL.sub("", text))


def _file_name(work: str, taken: set[str]) -> str:
    """A work's name as that of its files."""
    plain = re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "_", work).strip(". _")[:100] or "work"
    name, nth = plain, 2
    while name.casefold() in taken:
        name, nth = f"{plain}_{nth}", nth + 1
    taken.add(name.casefold())
    return name


def _texts(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    return tuple(part for part in parts if part.kind == "text")


def _asks_for_text(parts: tuple[Part, ...]) -> bool:
    return bool(_texts(parts))


FORMAT = Format(
    "tei",
    "TEI and plain text",
    "Volunteers transcribed texts: a TEI file and a text file for each work, page after page.",
    ".tei.zip",
    "application/zip",
    ("consensus",),
    files=files,
    is_archive=True,
    is_packed=True,
    fits=_asks_for_text,
)
