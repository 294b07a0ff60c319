"""The one JSON reader for what strangers send: requests, JSONL lines, gold, config files.

Stricter than RFC 8259, so that every reader and the database see the same value: no duplicate keys, no NaN,
infinity or overflow, no integer beyond 64 bits, no NUL, no lone surrogate, at most `max_depth` levels.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from microtasks.core.errors import JsonInvalid

MAX_DEPTH: Final = 32
INTEGER_LIMIT: Final = 2**63
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_LONG_INTEGER: Final = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}(?![0-9.eE])")


def loads(raw: bytes | str, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value of a JSON text (UTF-8, no byte order mark); raise JsonInvalid saying what is wrong."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise JsonInvalid(f"This is not acceptable JSON: {error}.") from None
    except UnicodeError:
        raise JsonInvalid("This is not acceptable JSON: it is not valid Unicode.") from None
    # orjson keeps the last of two equal keys and turns a long integer into a float: what is left outside the
    # strings shows both, without a second parser. In valid JSON every colon there belongs to one key.
    text = raw.encode() if isinstance(raw, str) else raw
    bare = _STRING.sub(b"", text)
    for digits in _LONG_INTEGER.findall(bare):
        if len(digits) > 20 or not -INTEGER_LIMIT <= int(digits) < INTEGER_LIMIT:
            raise JsonInvalid(f"The number {digits[:20].decode()}... is too large.")
    # Without an escaped NUL, and with fewer brackets than levels, only equal keys are left to look for.
    is_plain = b"\\u0000" not in text and bare.count(b"{") + bare.count(b"[") <= max_depth
    if (_n_keys(value) if is_plain else _check(value, max_depth)) != bare.count(b":"):
        raise JsonInvalid("The same key is used twice in one object.")
    return value


def _n_keys(value: Any) -> int:
    """The number of keys of all objects in it. A call for each object and list: this is on the hot path."""
    if type(value) is dict:
        return len(value) + sum([_n_keys(item) for item in value.values() if type(item) in (dict, list)])
    if type(value) is list:
        return sum([_n_keys(item) for item in value if type(item) in (dict, list)])
    return 0


def _check(value: Any, levels_left: int) -> int:
    """Raise JsonInvalid for a NUL or too many levels; return the number of keys."""
    if isinstance(value, str):
        if "\0" in value:
            raise JsonInvalid("A text contains the character NUL.")
        return 0
    if not isinstance(value, (dict, list)):
        return 0
    if levels_left == 0:
        raise JsonInvalid("This JSON is nested too deep.")
    if isinstance(value, list):
        return sum(_check(item, levels_left - 1) for item in value)
    n_keys = len(value)
    for key, item in value.items():
        if "\0" in key:
            raise JsonInvalid("A key contains the character NUL.")
        n_keys += _check(item, levels_left - 1)
    return n_keys
