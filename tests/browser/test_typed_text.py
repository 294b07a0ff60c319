"""The browser reads what people type as the server does: the same cases over static/js/typed.js."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

import microtasks

pytestmark = pytest.mark.browser

CASES = json.loads((Path(__file__).parents[1] / "cases" / "typed.json").read_text())
MODULE = (Path(microtasks.__file__).parent / "web/static/js/typed.js").read_text(encoding="utf-8")
RUN = """async ([module, cases, digits]) => {
    const it = await import(`data:text/javascript;charset=utf-8,${encodeURIComponent(module)}`);
    return {
        numbers: cases.numbers.map(([text, decimal]) => it.readNumber(text, decimal)),
        texts: cases.texts.map(([text]) => it.clean(text)),
        lists: cases.lists.map(([text]) => it.parts(text)),
        digits: digits.map(digit => it.readNumber(digit)),
    };
}"""


def test_the_browser_reads_as_the_server_does(visit: Callable[..., Page]) -> None:
    page = visit("about:blank")
    digits = [chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)) == "Nd"]
    read = page.evaluate(RUN, [MODULE, CASES, digits])
    assert [*zip(CASES["numbers"], read["numbers"], strict=True)] == [(it, it[2]) for it in CASES["numbers"]]
    assert [*zip(CASES["texts"], read["texts"], strict=True)] == [(it, it[1]) for it in CASES["texts"]]
    assert [*zip(CASES["lists"], read["lists"], strict=True)] == [(it, it[1]) for it in CASES["lists"]]
    assert read["digits"] == [unicodedata.decimal(it) for it in digits]
