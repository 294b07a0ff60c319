"""Certificates: what somebody has done, on paper, with a link that shows the same.

Kept for it: the name as typed, the figures as they were, the language, and whose they are, so that they can
be deleted. Nothing else, and nothing before somebody asks. The font in `fonts/` has Latin, Greek, Cyrillic,
Arabic and Hebrew letters; who needs others prints the page of the link instead.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from microtasks.core.errors import Conflict, InputError, NotFound, TooMany
from microtasks.engine.site import Site
from microtasks.store.operations import limits
from microtasks.store.volunteers import certificates as stored
from microtasks.store.volunteers import contributions

NAME_MAX = 80
FONT = Path(__file__).with_name("fonts") / "sans.ttf"
Color = tuple[int, int, int]
INK, MUTED, ACCENT, LINE = (29, 35, 48), (86, 96, 112), (180, 67, 31), (224, 219, 208)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is certified. seconds: as store counts contributions; projects: name, answers, seconds."""

    id: str
    name: str
    language: str
    n_answers: int
    seconds: float
    first: date
    last: date
    projects: list[tuple[str, int, float]]
    created_at: datetime


def issue(site: Site, contributor: UUID, name: str, language: str) -> str:
    """Write down what the contributor has done until now, under a name; return the secret id of its link.

    Errors: InputError for a name that cannot be printed, Conflict without an answer, TooMany.
    """
    name = " ".join(name.split())
    # the two joiners are not printable, and needed to write some names
    is_plain = name.replace("\u200c", "").replace("\u200d", "").isprintable()
    if not 0 < len(name) <= NAME_MAX or not is_plain:
        raise InputError("Please write the name as it should stand there, in at most 80 characters.")
    if not limits.allow(site, "certificate", f"contributor {contributor.hex}"):
        raise TooMany("You have made many certificates. Please wait an hour.")
    with site.db.connection() as connection:
        totals, parts = (
            contributions.totals(connection, contributor),
            contributions.parts(connection, contributor),
        )
        if totals.first is None or totals.last is None:
            raise Conflict("There is nothing to certify yet.")
        facts = {
            "n_answers": totals.n_answers,
            "seconds": round(totals.seconds),
            "first": totals.first.date().isoformat(),
            "last": totals.last.date().isoformat(),
            "projects": [[part.name, part.n_answers, round(part.seconds)] for part in parts],
        }
        certificate_id = secrets.token_urlsafe(16)
        stored.add(connection, certificate_id, contributor, name, language, facts)
    return certificate_id


def get(site: Site, certificate_id: str) -> Certificate:
    """What was certified under this id; NotFound."""
    with site.db.connection() as connection:
        row = stored.get(connection, certificate_id)
    if row is None:
        raise NotFound("There is no such certificate. It may have been deleted by the person it was about.")
    return _certificate(row)


def of(site: Site, contributor: UUID) -> list[Certificate]:
    """A contributor's own certificates, the latest first."""
    with site.db.connection() as connection:
        return [_certificate(row) for row in stored.of(connection, contributor)]


def delete(site: Site, contributor: UUID, certificate_id: str) -> None:
    """Delete an own certificate: its link shows nothing any more. NotFound."""
    with site.db.connection() as connection:
        if not stored.delete(connection, contributor, certificate_id):
            raise NotFound("There is no such certificate.")


def _certificate(row: stored.Row) -> Certificate:
    facts: dict[str, Any] = row.facts
    return Certificate(
        row.id,
        row.name,
        row.language,
        facts["n_answers"],
        facts["seconds"],
        date.fromisoformat(facts["first"]),
        date.fromisoformat(facts["last"]),
        [(name, n, seconds) for name, n, seconds in facts["projects"]],
        row.created_at,
    )


# -- on paper -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sheet:
    """The texts of a certificate in its language. rows: project, answers, time; heads: of these columns."""

    language: str
    is_rtl: bool
    title: str
    lead: str
    name: str
    body: str
    heads: tuple[str, str, str]
    rows: Sequence[tuple[str, str, str]]
    notes: Sequence[str]
    link_text: str
    link: str
    made_at: datetime


def is_printable(sheet: Sheet) -> bool:
    """Has the font every letter of it?"""
    texts = [sheet.title, sheet.lead, sheet.name, sheet.body, *sheet.heads, *sheet.notes, sheet.link_text]
    texts += [cell for row in sheet.rows for cell in row]
    return all(ord(letter) in _letters() for text in texts for letter in text)


def pdf(sheet: Sheet) -> bytes:
    """Draw the sheet on one page of A4, its letters joined and ordered as its script needs."""
    from fpdf import FPDF

    paper = FPDF(format="A4")
    paper.set_auto_page_break(False)
    paper.set_creation_date(sheet.made_at)
    paper.set_title(f"{sheet.title}: {sheet.name}")
    paper.set_lang(sheet.language)
    paper.add_font("sans", fname=FONT)
    paper.add_page()
    paper.set_margins(24, 24)
    own = "rtl" if sheet.is_rtl else "ltr"

    def write(
        text: str, size: float, y: float, color: tuple[int, int, int] = INK, direction: Any = own
    ) -> float:
        paper.set_font("sans", size=size)
        paper.set_text_color(*color)
        paper.set_text_shaping(use_shaping_engine=True, direction=direction)
        paper.set_xy(24, y)
        paper.multi_cell(162, size * 0.53, text, align="C")
        return paper.get_y()

    paper.set_fill_color(*ACCENT)
    paper.rect(0, 0, 210, 4, style="F")
    write("microtasks", 13, 22, ACCENT, "ltr")
    y = write(sheet.title, 26, 42) + 12
    y = write(sheet.lead, 12, y, MUTED) + 4
    # The name as its own script reads, whatever the language of the sheet is.
    y = write(sheet.name, 24, y, direction=None) + 3
    paper.set_draw_color(*LINE)
    paper.line(60, y, 150, y)
    y = write(sheet.body, 12.5, y + 7) + 10

    widths = (92.0, 28.0, 42.0)
    for number, row in enumerate([sheet.heads, *sheet.rows]):
        paper.set_font("sans", size=9.5 if number == 0 else 11)
        paper.set_text_color(*(MUTED if number == 0 else INK))
        x = 186.0 if sheet.is_rtl else 24.0
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            x -= width if sheet.is_rtl else 0
            paper.set_xy(x, y)
            is_start = place == 0
            direction = None if is_start and number else own
            paper.set_text_shaping(use_shaping_engine=True, direction=direction)
            align = "R" if is_start == sheet.is_rtl else "L"
            paper.cell(width, 8, _cut(paper, cell, width - 4), align=align)
            x += 0 if sheet.is_rtl else width
        y += 8
        paper.line(24, y, 186, y)
        y += 1
    y += 5
    for note in sheet.notes:
        y = write(note, 8.5, y, MUTED) + 1

    write(sheet.link_text, 9.5, 258, MUTED)
    paper.set_font("sans", size=10)
    paper.set_text_color(*ACCENT)
    paper.set_text_shaping(use_shaping_engine=True, direction="ltr")
    paper.set_xy(24, 265)
    paper.cell(162, 6, sheet.link, align="C", link=sheet.link)
    return bytes(paper.output())


def _cut(paper: Any, text: str, width: float) -> str:
    """As much of the text as fits."""
    if paper.get_string_width(text) <= width:
        return text
    while text and paper.get_string_width(text + "…") > width:
        text = text[:-1]
    return text + "…"


@cache
def _letters() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(FONT) as font:
        return frozenset(font.getBestCmap())
