"""When two texts say the same, in many scripts: what counts stays, what nobody means goes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.parsing.spelling import graphemes, key, numbers, words
from microtasks.core.parsing.typed import clean

#: (script, one text, another that a person reads as another one)
DIFFERENT = [
    ("Devanagari, vowel signs", "किताब", "कताब"),
    ("Devanagari, conjunct", "क्या", "कया"),
    ("Bengali", "মা", "মি"),
    ("Tamil", "கல்", "கால்"),
    ("Thai, tone", "ม้า", "มา"),
    ("Thai, vowel", "กิน", "กน"),
    ("Lao", "ປາ", "ປີ"),
    ("Khmer", "កា", "កី"),
    ("Burmese", "မာ", "မိ"),
    ("Arabic, dots", "بيت", "بنت"),
    ("Arabic, short vowels", "عَلَم", "عِلْم"),
    ("Persian, joiner", "بی\u200cکار", "بیکار"),
    ("Hebrew, points", "סֵפֶר", "סַפָּר"),
    ("Chinese", "未來", "末來"),
    ("Japanese, voiced", "かき", "かぎ"),
    ("Japanese, long vowel", "おばさん", "おばーさん"),
    ("Korean", "말", "물"),
    ("Greek, accent", "πότε", "ποτέ"),
    ("Cyrillic", "мой", "мои"),
    ("Latin, accent", "resume", "résumé"),
    ("Vietnamese", "ma", "mã"),
    ("Ethiopic", "ሀለ", "ሁለ"),
    ("decimal point", "12.5", "125"),
    ("decimal comma", "12,5", "125"),
    ("decimal point before", ".5", "5"),
    ("Arabic decimal separator", "١٢٫٥", "١٢٥"),
    ("sign", "-3", "3"),
    ("minus as a sign of its own", "−3", "3"),
    ("plus", "+3", "3"),
    ("a sign after a word", "about -3", "about 3"),
    ("fraction", "5½", "512"),
    ("another fraction", "5½", "51/2"),
    ("written fraction", "1/2", "12"),
    ("time", "10:30", "10.30"),
    ("range", "1990-95", "199095"),
    ("currency", "£5", "$5"),
    ("pounds, shillings, pence", "£5.0.0", "£50.0"),
    ("per cent", "5%", "5"),
    ("degrees", "5°", "5"),
    ("feet and inches", "5'", '5"'),
    ("power", "10²", "102"),
    ("formula", "H₂O", "HO"),
    ("comparison", "<5", ">5"),
    ("sex symbol", "♀", "♂"),
    ("emoji", "👍", "👎"),
    ("family of joined emoji", "👩\u200d🔬", "👩\u200d🚀"),
    ("punctuation alone", "?", "!"),
]
#: (why, one text, another that says the same: loosely)
SAME = [
    ("case", "Straße", "STRASSE"),
    ("Greek case", "ΟΔΟΣ", "οδος"),
    ("full stop", "N.", "N"),
    ("abbreviation", "U.S.A.", "USA"),
    ("apostrophes", "don’t", "dont"),
    ("typographic minus", "−3", "-3"),
    ("width", "Ｈéllo,  World！", "héllo world"),
    ("half-width kana", "ｶﾞﾗｽ", "ガラス"),
    ("Chinese punctuation", "我来，你走。", "我来你走"),
    ("Japanese quotes", "「春」", "春"),
    ("blank in Thai", "ไป ไหน", "ไปไหน"),
    ("Thai am in two characters", "น\u0e4d\u0e32", "น\u0e33"),
    ("danda", "राम।", "राम"),
    ("Devanagari digits", "१२.५", "12.5"),
    ("Arabic digits", "١٢٫٥", "12.5"),
    ("Persian digits", "۱۲", "١٢"),
    ("Arabic stretching", "كتـــاب", "كتاب"),
    ("Arabic question mark", "أين؟", "أين"),
    ("Arabic presentation forms", "ﻛﺘﺎﺏ", "كتاب"),
    ("Hebrew gershayim", "צה״ל", 'צה"ל'),
    ("Ethiopic wordspace", "ሰላም፡ለአንተ", "ሰላም ለአንተ"),
    ("Spanish question", "¿Dónde?", "dónde"),
    ("quotation after a number", 'in "1990"', "in 1990"),
    ("ligature", "ﬁsh", "fish"),
    ("emoji as picture or text", "❤\ufe0f", "❤"),
    ("direction mark", "dunes\u200f", "dunes"),
    ("per cent with a blank", "50 %", "50%"),
    ("half as a character", "5½", "5 1/2"),
]


@pytest.mark.parametrize(("why", "one", "other"), DIFFERENT, ids=[row[0] for row in DIFFERENT])
def test_what_changes_the_meaning_counts_however_loosely_texts_are_compared(why, one, other):
    for comparison in ("exact", "spacing_and_case", "loose"):
        assert key(one, comparison) != key(other, comparison)


@pytest.mark.parametrize(("why", "one", "other"), SAME, ids=[row[0] for row in SAME])
def test_loosely_the_same_is_the_same(why, one, other):
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other", "comparisons"),
    [
        ("cafe\u0301", "café", ("exact", "spacing_and_case", "loose")),
        (" river\u200b ", "river", ("exact", "spacing_and_case", "loose")),
        ("St.  Ives", "st. ives", ("spacing_and_case", "loose")),
        ("St. Ives", "St Ives", ("loose",)),
        ("St Ives", "St Anne", ()),
    ],
)
def test_each_strength_leaves_aside_what_the_ones_before_it_do_and_more(one, other, comparisons):
    same = tuple(c for c in ("exact", "spacing_and_case", "loose") if key(one, c) == key(other, c))
    assert same == comparisons


@given(st.text())
def test_a_key_says_the_same_as_its_text(text):
    assert key(unicodedata.normalize("NFD", text)) == key(unicodedata.normalize("NFC", text))
    assert key(key(text, "exact"), "exact") == key(text, "exact")
    assert bool(key(text)) == bool(clean(text)) == bool(key(text, "exact"))


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("नदी", 2),
        ("มา้", 2),
        ("ห้องน้ำ", 4),
        ("né", 2),
        ("e\u0323\u0302", 1),
        ("👩\u200d🔬", 1),
        ("🇫🇷🇩🇪", 2),
        ("👍🏽", 1),
    ],
)
def test_a_letter_with_its_marks_is_one(text, n):
    assert len(graphemes(text)) == n


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("the old mill", ["the", "old", "mill"]),
        ("नदी के पार", ["नदी", "के", "पार"]),
        ("我来，你走。", ["我", "来，", "你", "走。"]),
        ("กินข้าว", ["กิ", "น", "ข้", "า", "ว"]),
        ("春はA5です", ["春", "は", "A5", "で", "す"]),
        ("강이 흐른다", ["강이", "흐른다"]),
    ],
)
def test_words_are_parted_as_the_script_parts_them(text, parts):
    assert words(text) == parts


def test_numbers_keep_their_signs_and_points():
    assert numbers(key("from −3 to 12,5 at 10:30, 5½")) == ["-3", "12,5", "10:30", "5", "1/2"]
