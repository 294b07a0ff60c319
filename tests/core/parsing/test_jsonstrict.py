"""One strict JSON reader: the same verdict for everybody, and never a crash."""

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.errors import JsonInvalid
from microtasks.core.parsing import jsonstrict

BAD = {
    "NaN": b'{"x": NaN}',
    "infinity": b"[Infinity]",
    "overflow": b"1e999",
    "5,000 digits": b"9" * 5000,
    "beyond 64 bits": b"18446744073709551616",
    "unsigned 64 bits": b"9223372036854775808",
    "below 64 bits": b"[1, -9223372036854775809]",
    "lone surrogate": b'"\\ud800"',
    "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "surrogate as bytes": b'"\xed\xa0\x80"',
    "NUL in a text": b'"a\\u0000b"',
    "NUL in a key": b'{"a\\u0000": 1}',
    "raw NUL": b'"\x00"',
    "duplicate key": b'{"a": 1, "a": 2}',
    "duplicate key, nested": b'[{"b": {"a": [], "\\u0061": 2}}]',
    "33 levels": b"[" * 33 + b"]" * 33,
    "100,000 levels": b"[" * 100_000,
    "100,000 levels of objects": b'{"a":' * 100_000,
    "trailing comma": b"[1,]",
    "two values": b"1 2",
    "empty": b"",
    "byte order mark": b"\xef\xbb\xbf{}",
    "not UTF-8": b'"\xff"',
    "single quotes": b"{'a': 1}",
    "comment": b"[1] // one",
    "raw line break in a text": b'"a\nb"',
    "lone surrogate as text": '"\ud800"',
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_T09_unacceptable_json_is_refused_quickly(raw: bytes | str) -> None:
    begun = time.process_time()
    with pytest.raises(JsonInvalid) as refused:
        jsonstrict.loads(raw)
    assert time.process_time() - begun < 1
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 32 + b"]" * 32,
        b'{"a:b": ":\\":", "c": "12345678901234567890123"}',
        b"[9223372036854775807, -9223372036854775808]",
        b"[0.12345678901234567890123, 1.5e3, -0.0, 12345678901234567890123e-5]",
        b'"\\ud83d\\ude00 \\\\u0000"',
    ],
)
def test_unusual_but_sound_json_is_read(raw: bytes) -> None:
    assert jsonstrict.loads(raw) == json.loads(raw)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_whatever_json_writes_is_read_back_equal(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert jsonstrict.loads(text) == value
    assert jsonstrict.loads(text.encode()) == value


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_T09_any_bytes_are_read_or_refused(raw: bytes | str) -> None:
    with contextlib.suppress(JsonInvalid):
        jsonstrict.loads(raw)
