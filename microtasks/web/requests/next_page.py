"""Where a page goes on to after a sign-in or a change of language: always within this site."""

from __future__ import annotations

import re


def safe_next(address: str | None, default: str) -> str:
    """A path on this site to go on to; the default for everything else, however it is disguised."""
    if not address or not re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f]*", address, re.ASCII):
        return default
    return address
