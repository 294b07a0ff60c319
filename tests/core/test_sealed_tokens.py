"""Tokens: sealed ones come back as they were given out, hidden ones cannot be read either."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.tokens import HIDDEN_MAX, hide, reveal, seal, unseal

KEY, OTHER = b"k" * 32, b"o" * 32


@given(st.binary(max_size=HIDDEN_MAX))
def test_what_is_hidden_comes_back_for_the_key_and_for_no_other(payload: bytes) -> None:
    token = hide(KEY, payload)
    assert reveal(KEY, token) == payload
    assert reveal(OTHER, token) is None
    assert hide(KEY, payload) == token  # a page of the same rows is the same page


def test_nothing_of_it_can_be_read() -> None:
    one, other = b"0123456789abcdef", b"0123456789abcdeg"
    assert one.hex() not in hide(KEY, one) and seal(KEY, one)[:21] not in hide(KEY, one)
    assert hide(KEY, one)[-20:] != hide(KEY, other)[-20:]  # the key stream is never used twice


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 5000, "A" * 43, seal(KEY, b"0123456789abcdef")])
def test_what_was_not_given_out_is_nothing(token: str) -> None:
    assert reveal(KEY, token) is None


@given(st.binary(min_size=1, max_size=HIDDEN_MAX), st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_one_is_nothing(payload: bytes, place: int, change: int) -> None:
    from base64 import urlsafe_b64decode, urlsafe_b64encode

    token = hide(KEY, payload)
    raw = bytearray(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[place % len(raw)] ^= change
    changed = urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    assert reveal(KEY, changed) is None and unseal(KEY, changed) is None


def test_what_is_too_long_to_hide_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        hide(KEY, b"x" * (HIDDEN_MAX + 1))
