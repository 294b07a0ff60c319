"""Tell how a table's bytes become characters: by its byte order mark, by UTF-8's own rules, or by a guess.

A guess decodes a sample in every encoding that spreadsheets use and keeps the one that reads most like a
language: its usual letters, one script, no capital letter inside a word. It is always said, and the owner may
choose another.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final, NamedTuple

from microtasks.core.errors import FileInvalid

#: Bytes outside ASCII that a guess looks at.
SAMPLE_BYTES: Final = 20_000


class Encoding(NamedTuple):
    """An encoding that can be chosen. letters: those usual in it, beyond ASCII; "" where none are listed."""

    name: str
    label: str
    letters: str = ""
    is_usual: Callable[[str], bool] | None = None


def _is_japanese(character: str) -> bool:
    if "\u3040" <= character <= "\u30ff" or character in "\u3001\u3002\u300c\u300d\u3005":
        return True
    return _is_frequent("shift_jis", 0x88, 0x97)(character)


def _is_frequent(encoding: str, first: int, last: int) -> Callable[[str], bool]:
    """Is it one of the characters that the standard lists first because they are frequent?"""

    def is_usual(character: str) -> bool:
        try:
            return first <= character.encode(encoding)[0] <= last
        except UnicodeEncodeError:
            return False

    return is_usual


def _is_hangul(character: str) -> bool:
    return "\uac00" <= character <= "\ud7a3" and _is_frequent("euc_kr", 0xB0, 0xC8)(character)


_WESTERN: Final = "äöüßÄÖÜéèêëàâçîïôûùœáíóúñÁÉÍÓÚÑãõÃÕÇåæøÅÆØ¿¡°’‘“”–—…«»€£§´½²³ÀÈÊ·ºª"
_THAI: Final = "".join(map(chr, [*range(0x0E01, 0x0E3B), *range(0x0E40, 0x0E50)]))
_CYRILLIC: Final = "абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґўёАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯІЇЄҐЎЁ№«»—–"
#: What can be chosen, with what each is called on a page; of equals, the earlier is guessed.
ENCODINGS: Final = (
    Encoding("utf-8", "UTF-8"),
    Encoding("cp1252", "Western European (Windows-1252)", _WESTERN),
    Encoding("mac_roman", "Western European (Macintosh)", _WESTERN),
    Encoding("cp850", "Western European (DOS, 850)", _WESTERN),
    Encoding("iso8859_15", "Western European (ISO 8859-15)"),
    Encoding(
        "cp1250",
        "Central European (Windows-1250)",
        "ąćęłńśźżĄĆĘŁŃŚŹŻóÓáéíúýčďěňřšťůžÁÉÍÚÝČĎĚŇŘŠŤŮŽöőüűÖŐÜŰăâîșțşţĂÂÎđäôľĺŕ„”–’",
    ),
    Encoding("iso8859_2", "Central European (ISO 8859-2)"),
    Encoding("mac_latin2", "Central European (Macintosh)"),
    Encoding("cp1251", "Cyrillic (Windows-1251)", _CYRILLIC),
    Encoding("koi8_r", "Cyrillic (KOI8-R)", _CYRILLIC),
    Encoding("koi8_u", "Cyrillic (KOI8-U)"),
    Encoding("cp866", "Cyrillic (DOS, 866)", _CYRILLIC),
    Encoding("mac_cyrillic", "Cyrillic (Macintosh)", _CYRILLIC),
    Encoding(
        "cp1253", "Greek (Windows-1253)", "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏ«»"
    ),
    Encoding("cp1254", "Turkish (Windows-1254)", "ğışİĞŞçÇöÖüÜâîû’“”–"),
    Encoding("cp1257", "Baltic (Windows-1257)", "āčēģīķļņšūžĀČĒĢĪĶĻŅŠŪŽąęėįųĄĘĖĮŲõäöüÕÄÖÜ„“–"),
    Encoding("cp1255", "Hebrew (Windows-1255)", "אבגדהוזחטיכךלמםנןסעפףצץקרשת״׳"),
    Encoding("cp1256", "Arabic (Windows-1256)", "ابتثجحخدذرزسشصضطظعغفقكلمنهويىءآأؤإئةپچژگ،؛؟"),
    Encoding("cp1258", "Vietnamese (Windows-1258)"),
    Encoding("cp874", "Thai (Windows-874)", _THAI),
    Encoding("cp932", "Japanese (Shift-JIS)", "", _is_japanese),
    Encoding("euc_jp", "Japanese (EUC-JP)", "", _is_japanese),
    Encoding(
        "gb18030", "Chinese, simplified (GB 18030)", "，。、：；？！", _is_frequent("gb2312", 0xB0, 0xD7)
    ),
    Encoding("big5", "Chinese, traditional (Big5)", "，。、：；？！「」", _is_frequent("big5", 0xA4, 0xC6)),
    Encoding("cp949", "Korean (EUC-KR)", "", _is_hangul),
    Encoding("utf-16", "UTF-16"),
    Encoding("utf-16-le", "UTF-16, little-endian, no mark"),
    Encoding("utf-16-be", "UTF-16, big-endian, no mark"),
)
LABELS: Final[Mapping[str, str]] = {encoding.name: encoding.label for encoding in ENCODINGS}
_NOT_ASCII_LINE = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")
#: A guess that is better by less than this is none: the first of equals stands.
_CLEARLY: Final = 0.04


def checked(name: str) -> str:
    """The codec of an encoding that was chosen, by any of Python's names for it; FileInvalid if none."""
    try:
        codec = codecs.lookup(name.strip())
        "".encode(codec.name)  # codecs such as rot13 and zlib make no characters
    except (LookupError, ValueError, TypeError):
        raise FileInvalid(
            f"There is no encoding “{name[:40]}”. Well known are utf-8, cp1252, cp1250, cp1251, cp932, "
            "gb18030, big5, mac_roman and utf-16."
        ) from None
    same = {codecs.lookup(encoding.name).name: encoding.name for encoding in ENCODINGS}
    return same.get(codec.name, codec.name)


def label(name: str) -> str:
    """What an encoding is called on a page."""
    return LABELS.get(name.removesuffix("-sig").removesuffix("_sig"), name)


def marked(start: bytes) -> str | None:
    """The encoding that a byte order mark tells; FileInvalid for UTF-32."""
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise FileInvalid("This table is in UTF-32, which is not read here. Save it as UTF-8.")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else None


def without_mark(sample: bytes) -> str | None:
    """UTF-16 that does not say so: in every script commas and line ends have a NUL on the same side."""
    sample = sample[: len(sample) // 2 * 2]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < max(2, len(sample) // 200) or min(even, odd) * 10 > max(even, odd):
        return None
    name = "utf-16-le" if odd > even else "utf-16-be"
    try:
        codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeDecodeError:
        return None
    return name


def guess(sample: bytes, among: Sequence[str] = ()) -> str:
    """The most likely encoding of bytes that are no UTF-8. among: the only ones in question."""
    lines = b"\n".join(_NOT_ASCII_LINE.findall(sample))[:SAMPLE_BYTES]
    best, best_score = (among or ("cp1252",))[0], float("-inf")
    for encoding in ENCODINGS:
        if (encoding.letters or encoding.is_usual) and (not among or encoding.name in among):
            score = _score(lines, encoding)
            if score > best_score + _CLEARLY:
                best, best_score = encoding.name, score
    return best


def _score(sample: bytes, encoding: Encoding) -> float:
    """How much like a language it reads: about 1 at best, less for every character that is out of place."""
    text = codecs.getincrementaldecoder(encoding.name)("replace").decode(sample)
    usual, points, n_characters = frozenset(encoding.letters), 0.0, 0
    before = " "
    for character in text:
        kind = unicodedata.category(character)
        if character > "\x7f":
            n_characters += 1
            points += _points(character, kind, usual, encoding.is_usual)
            if before > "\x7f" and before.isalpha() and character.isalpha() and character < "\u0250":
                points -= 0.7  # letters with accents seldom follow each other
            if kind == "Lu" and before.islower():
                points -= 1.5  # a capital letter inside a word
            if kind == "Mn" and not before.isalpha():
                points -= 1.5  # a vowel sign without its consonant
        elif before > "\u024f" and before < "\u2000" and character.isalpha() and before.isalpha():
            points -= 0.7  # two scripts in one word
        if (
            before > "\x7f"
            and character.isalpha()
            and unicodedata.category(before) in ("Sc", "Sk", "No", "So")
        ):
            points -= 1.0  # a symbol at the beginning of a word
        before = character
    return points / n_characters if n_characters else 0.0


def _points(
    character: str, kind: str, usual: frozenset[str], is_usual: Callable[[str], bool] | None
) -> float:
    if is_usual and is_usual(character):
        # Syllables tell a language; any two bytes can be some Chinese character.
        return 1.2 if "\u3040" <= character <= "\u30ff" or "\uac00" <= character <= "\ud7a3" else 1.0
    if character in usual:
        return 0.8 if kind == "Lu" else 1.0
    if character == "\ufffd" or "\uff61" <= character <= "\uff9f":  # half-width katakana
        return -2.0
    if kind[0] == "L":
        return 0.4 if is_usual else 0.1
    return -0.5


def first_bytes(stream: IO[bytes], n_bytes: int) -> bytes:
    """The first bytes of a stream, which may give fewer at a time."""
    parts: list[bytes] = []
    while n_bytes > 0 and (part := stream.read(n_bytes)):
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)
