"""What people type is read in every script, as in the browser (tests/browser/test_typed_text.py)."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from microtasks.core.parsing import typed

CASES = json.loads((Path(__file__).parents[2] / "cases" / "typed.json").read_text())


@pytest.mark.parametrize(("text", "decimal", "value"), CASES["numbers"])
def test_numbers_are_read_in_all_digits_with_a_decimal_comma_or_point(
    text: str, decimal: str, value: float | None
) -> None:
    assert typed.number(text, decimal) == value


@pytest.mark.parametrize(("text", "kept"), CASES["texts"])
def test_texts_are_kept_without_what_nobody_sees(text: str, kept: str) -> None:
    assert typed.clean(text) == kept
    assert typed.clean(kept) == kept


@pytest.mark.parametrize(("text", "entries"), CASES["lists"])
def test_lists_part_at_the_commas_of_every_script(text: str, entries: list[Any]) -> None:
    assert typed.parts(text) == entries


def test_every_digit_of_unicode_is_read() -> None:
    digits = [chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)) == "Nd"]
    assert len(digits) > 600
    for digit in digits:
        assert typed.number(digit) == unicodedata.decimal(digit)
