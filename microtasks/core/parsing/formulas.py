"""Texts that a spreadsheet would run as a formula: the apostrophe before them in CSV, and its undoing."""

from __future__ import annotations

import re

#: Where a spreadsheet would begin a formula (OWASP, CSV injection), full-width forms included: at the start
#: of a text, and inside it behind a line end or a separator that another country's spreadsheet parts at.
#: The quotes in front keep it reversible: one more is put before a text that has some already.
_FORMULA = "'*[=+\\-@＝＋－＠]"
_FIRST = "'*[=+\\-@\t\r\n\x00＝＋－＠]"
_SITE = re.compile(f"^(?={_FIRST})|(?<=[;|\t\r\n])(?={_FORMULA})")
_ESCAPED_SITE = re.compile(f"^'(?={_FIRST})|(?<=[;|\t\r\n])'(?={_FORMULA})")


def escape_formulas(text: str) -> str:
    """Put ' wherever a spreadsheet, of whatever separator, would take the text for a formula."""
    return _SITE.sub("'", text)


def unescape_formulas(cell: str) -> str:
    """Undo `escape_formulas`."""
    return _ESCAPED_SITE.sub("", cell) if "'" in cell else cell
