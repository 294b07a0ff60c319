"""What people type, in any script and on any keyboard: text without invisible characters, numbers, lists.

static/js/typed.js says the same in the browser; one table of cases (tests/cases/typed.json) holds for both.
"""

from __future__ import annotations

import math
import re
import unicodedata

#: Characters that nothing is seen of (Unicode's Default_Ignorable_Code_Point), and the blank of Braille.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
#: Of these the ones that change what stands before them: joiners, and selectors of a form.
_JOINING = "\u200c\u200d\ufe00-\ufe0f\U000e0020-\U000e007f\U000e0100-\U000e01ef"
#: They mean something behind a character of a script that joins, or an emoji: from Hebrew on.
_LOOSE = re.compile(f"(?<![\u0590-\U0010ffff])[{_JOINING}]+")
_NEVER_SEEN = re.compile(f"(?![{_JOINING}])[{_INVISIBLE}]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_AT_AN_END = re.compile(f"(?:[{_JOINING}]+(?=\\s|$))|(?<=\\s)[{_JOINING}]+")
#: Commas and semicolons of the world's scripts; each parts a list, as a line's end does.
_PARTING = re.compile(
    "[,;\n\u055d\u060c\u061b\u07f8\u1363\u1364\u1802\u1808\u3001\uff0c\uff1b\ufe50\ufe51\ufe54\uff64]"
)

_MINUS = re.compile("[\u2212\u2012\u2013\ufe63\uff0d]")
_GROUPS = re.compile("[\\s'\u2019\u066c_]")


def clean(text: str, *, lines: bool = True) -> str:
    """Text as it is kept: NFC, no invisible or control characters, no blanks at the ends.

    lines: keep lines and inner blanks as they are; else every run of them is one blank. Joiners stay where a
    script or an emoji needs them.
    """
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFC", re.sub("\r\n?|\u2028", "\n", text))
        text = _LOOSE.sub("", _NEVER_SEEN.sub("", _CONTROL.sub(" ", text)))
        text = _AT_AN_END.sub("", text)
    return text.strip() if lines else " ".join(text.split())


def parts(text: str) -> list[str]:
    """The entries of a typed list, cleaned, without empty ones."""
    return [entry for part in _PARTING.split(text.replace("\r", "\n")) if (entry := clean(part, lines=False))]


def number(text: str, decimal: str = ".") -> float | None:
    """A typed number; None if it is none. decimal: the mark before a fraction in the writer's language.

    Digits of every script; the point and the comma both, where no doubt is left: "3,5" is 3.5 everywhere,
    "1,234" is 1234 for who writes 1.5 and 1.234 for who writes 1,5.
    """
    text = "".join(str(unicodedata.decimal(c)) if unicodedata.category(c) == "Nd" else c for c in clean(text))
    text = _GROUPS.sub("", _MINUS.sub("-", text)).replace("\uff0c", ",").replace("\uff0e", ".")
    matched = re.fullmatch(r"([+-]?)([0-9.,\u066b]*)(?:[eE]([+-]?[0-9]{1,3}))?", text)
    if not matched or not re.search("[0-9]", matched[2]):
        return None
    plain = _plain(matched[2], decimal)
    if plain is None:
        return None
    value = float(f"{matched[1]}{plain}e{matched[3] or 0}")
    return value if math.isfinite(value) else None


def _plain(digits: str, decimal: str) -> str | None:
    """Digits with at most one point, of digits with marks in them."""
    if "\u066b" in digits:  # the Arabic decimal mark means nothing else
        return digits.replace(",", "").replace("\u066b", ".") if digits.count("\u066b") == 1 else None
    marks = [c for c in digits if c in ".,"]
    if not marks:
        return digits
    last = marks[-1]
    if len(set(marks)) == 2:  # the last one is the decimal mark, the other one parts groups
        other = "." if last == "," else ","
        is_whole = marks.count(last) == 1 and _is_grouped(digits.split(last)[0], other)
        return digits.replace(other, "").replace(last, ".") if is_whole else None
    if len(marks) > 1:
        return digits.replace(last, "") if _is_grouped(digits, last) else None
    if last != decimal and _is_grouped(digits, last):
        return digits.replace(last, "")
    return digits.replace(last, ".")


def _is_grouped(digits: str, mark: str) -> bool:
    return re.fullmatch(rf"[1-9][0-9]{{0,2}}({re.escape(mark)}[0-9]{{3}})+", digits) is not None
