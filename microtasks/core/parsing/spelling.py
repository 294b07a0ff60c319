"""When two texts say the same: one comparison for answers, known answers, labels and tags, in every script.

Three strengths, chosen by the owner for each field (`Comparison`):

- `exact`: the same characters. Only what nobody can see is left aside: whether an accent is a character of
  its own (Unicode NFC), blanks at the ends, marks of writing direction.
- `spacing_and_case`: capital letters and the number of blanks aside, too.
- `loose`: punctuation, width of characters and the script of digits aside, too. What changes the meaning
  stays: vowel signs and accents, digits, signs, decimal points, fractions, times, currencies, units.

Categories are those of the Unicode standard: letters, marks (Mn, Mc, Me), numbers and symbols are content,
and so are the joiners U+200C and U+200D (Cf).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Literal

from microtasks.core.parsing.typed import clean

Comparison = Literal["exact", "spacing_and_case", "loose"]

#: Keys kept for texts that come again, as they do while one task is compared.
CACHED_KEYS = 4096

_JOINERS = "\u200c\u200d"
_BLANKS = re.compile(r"\s+")


@lru_cache(CACHED_KEYS)
def key(text: str, comparison: Comparison = "loose") -> str:
    """Return what counts of a text: two texts say the same where their keys are equal.

    A text of punctuation alone ("?") is compared as it is.
    """
    seen = clean(text)
    if comparison == "exact":
        return seen
    spaced = _BLANKS.sub(" ", unicodedata.normalize("NFC", seen.casefold()))
    return spaced if comparison == "spacing_and_case" else _loose(spaced) or spaced


# -- loose ---------------------------------------------------------------------------------------------

#: Signs that are typed in several ways, in one of them.
_ALIKE = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛ʼʹ′´`׳", "'"),
        **dict.fromkeys("“”„‟ʺ″״", '"'),
        **dict.fromkeys("‐‑‒–—―−﹘﹣־", "-"),
        **dict.fromkeys("·‧∙⋅", "·"),
        "⁄": "/",
        "∕": "/",
        "٪": "%",
        "٫": ".",
        "٬": ",",
        "،": ",",
        "ـ": "",  # the Arabic stretching stroke
        "\ufe0e": "",  # an emoji as text or as a picture
        "\ufe0f": "",
    }
)
#: Ways of writing the same letter: width, joined forms of Arabic, mathematical alphabets.
_SAME_LETTER = ("<wide>", "<narrow>", "<initial>", "<medial>", "<final>", "<isolated>", "<font>", "<noBreak>")
#: Ligatures and Roman numerals that Unicode has as one character.
_LIGATURES = re.compile("[ĳŀǆ-ǌﬀ-ﬆﬓ-ﬗⅠ-ⅿ…]")
#: Punctuation that is content wherever it stands.
_KEPT_SIGNS = frozenset("%‰‱&@#§¶*†‡")
#: Punctuation inside a word that parts nothing: "don't", "U.S.A.", "well-known" (the rest leaves a blank).
_JOINING_SIGNS = frozenset("'\"-.·‿")
_EMOJI_SKIN = ("\U0001f3fb", "\U0001f3ff")
#: Letters of scripts that are written without blanks between words.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9df\uaa60-\uaadf"  # Tai Tham, Balinese, Javanese, Tai Viet
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese and Japanese
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_UNSPACED_LETTER = re.compile(f"[{_UNSPACED}]")
#: "50 %" is "50%", and "£ 5" is "£5".
_BLANK_BESIDE_NUMBER = re.compile(r"(?<=\d) (?=[%‰°])|(?<=[$£¥€₹]) (?=\d)")
_BLANK_BETWEEN_UNSPACED = re.compile(rf"(?<=[{_UNSPACED}]) (?=[{_UNSPACED}])")


class _Folded(dict[int, str]):
    """Characters by code in the one form in which they are compared; filled as they are met."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _folded(chr(code))
        return folded


def _folded(char: str) -> str:
    decomposed = unicodedata.decomposition(char)
    tag = decomposed.partition(" ")[0]
    if tag == "<fraction>":  # 5½ is 5 1/2, and never 51/2 or 512
        return " " + unicodedata.normalize("NFKC", char).replace("\u2044", "/") + " "
    if tag in _SAME_LETTER or _LIGATURES.match(char):
        return unicodedata.normalize("NFKC", char).casefold().translate(_ALIKE)
    if unicodedata.category(char) == "Nd":
        return str(unicodedata.decimal(char))
    return char


_FOLDED = _Folded()


def _loose(spaced: str) -> str:
    if not spaced.isascii():
        spaced = unicodedata.normalize("NFC", spaced.translate(_FOLDED).translate(_ALIKE))
        spaced = spaced.replace("\u0e4d\u0e32", "\u0e33").replace("\u0ecd\u0eb2", "\u0eb3")  # Thai, Lao: am
    elif spaced.isalnum():
        return spaced
    else:
        spaced = spaced.translate(_ALIKE)
    kept = _BLANKS.sub(" ", "".join(_kept(spaced))).strip()
    kept = _BLANK_BESIDE_NUMBER.sub("", kept)
    return kept if kept.isascii() else _BLANK_BETWEEN_UNSPACED.sub("", kept)


def _kept(text: str) -> list[str]:
    """The characters that count, dropped punctuation replaced by a blank where it parts words."""
    kept: list[str] = []
    is_quoted = {"'": False, '"': False}
    for place, char in enumerate(text):
        if char.isalnum() or char == " ":
            kept.append(char)
            continue
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        if char in is_quoted:
            opens = not before.isalnum() and after not in ("", " ")
            is_measure = before.isdecimal() and not is_quoted[char]  # 5'10", 5' of rope
            is_quoted[char] = opens
            kept.append(char if is_measure else "" if before.isalnum() and after.isalnum() else " ")
        elif char in _JOINERS:  # at the end of a word they join nothing
            kept.append(char if before.strip() and after.strip() else "")
        elif _is_content(char, before, after):
            kept.append(char)
        else:
            kept.append("" if char in _JOINING_SIGNS and not after.isdecimal() else " ")
    return kept


def _is_content(char: str, before: str, after: str) -> bool:
    """Does this sign change what is said?"""
    kind = unicodedata.category(char)
    if char in _KEPT_SIGNS or kind[0] in "MNL" or kind in ("Sm", "Sc", "So", "Co", "Cn", "Cf"):
        return True
    if kind == "Sk":
        return char == "^" or _EMOJI_SKIN[0] <= char <= _EMOJI_SKIN[1]
    if char == "/":
        return before.isdecimal() or after.isdecimal()
    if not after.isdecimal():
        return False
    # Between digits it parts or joins a number: 12.5, 10:30, 1990-95. Before one it may be its sign or point.
    if before.isdecimal():
        return char in ".,:;-·"
    return char == "-" or (char in ".," and not before.isalpha())


# -- graphemes and words -------------------------------------------------------------------------------

_AM = "\u0e33\u0eb3"


def graphemes(text: str) -> Sequence[Hashable]:
    """Return what a reader takes for the characters of a text: a letter with its marks is one.

    A text whose characters all stand alone is returned as it is (a sequence of its characters).
    After Unicode's annex 29 in the form without conjuncts: क्ष is two.
    """
    if text.isascii() or not any(map(_attaches, text)):
        return text
    clusters: list[str] = []
    for char in text:
        last = clusters[-1] if clusters else ""
        if _is_flag_letter(char):  # two make a flag
            is_part = len(last) == 1 and _is_flag_letter(last)
        else:
            is_part = bool(last) and (_attaches(char) or last[-1] == "\u200d")
        if is_part:
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


def _attaches(char: str) -> bool:
    """Does this character belong to the one before it?"""
    return char > "\u02ff" and (
        unicodedata.category(char) in ("Mn", "Mc", "Me")
        or char in _JOINERS
        or char in _AM
        or _EMOJI_SKIN[0] <= char <= _EMOJI_SKIN[1]
        or _is_flag_letter(char)
    )


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def words(text: str) -> list[str]:
    """Return the words of a text; in scripts without blanks between words, each grapheme is one."""
    if text.isascii() or not _UNSPACED_LETTER.search(text):
        return text.split()
    parts: list[str] = []
    for part in text.split():
        is_open = False  # does the next spaced letter belong to the word before it?
        for cluster in map(str, graphemes(part)):
            if _UNSPACED_LETTER.match(cluster):
                parts.append(cluster)
                is_open = False
            elif is_open or (parts and _is_punctuation(cluster) and _UNSPACED_LETTER.match(parts[-1])):
                parts[-1] += cluster
            else:
                parts.append(cluster)
                is_open = True
    return parts


def _is_punctuation(cluster: str) -> bool:
    return all(unicodedata.category(char)[0] == "P" for char in cluster)


_SIGN = r"(?:(?<![^\W_])[+-])?"
_NUMBERS = re.compile(rf"{_SIGN}[.,]?\d[\d.,:/·-]*\d|{_SIGN}[.,]?\d|[^\W\d_]?[²³¹⁰-₉]+")


def numbers(loose_key: str) -> list[str]:
    """Return the numbers that a loose key holds, with their signs and points, in order."""
    return _NUMBERS.findall(loose_key)
