"""Turns of threads are short while anybody asks for it, and as usual after the last one, also if it fails."""

from __future__ import annotations

import sys

import pytest

from microtasks.store.switch_interval import INTERVAL_S, short_turns


def test_turns_are_short_until_the_last_who_asked_has_ended() -> None:
    usual = sys.getswitchinterval()
    first, second = short_turns(), short_turns()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # not the last one in
    assert sys.getswitchinterval() == pytest.approx(INTERVAL_S) != usual
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(usual)
    with pytest.raises(ValueError), short_turns():
        raise ValueError
    assert sys.getswitchinterval() == pytest.approx(usual)
