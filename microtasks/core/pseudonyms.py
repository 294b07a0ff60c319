"""What an anonymous person is called where others read of them."""

from __future__ import annotations

import hashlib


def pseudonym(person: bytes, key: bytes) -> str:
    """16 hexadecimal digits, the first of them a letter: a hash by a key that nobody can undo without it.

    The letter, because a spreadsheet takes digits alone, or 12e45, for a number, and rounds it.
    """
    digits = hashlib.blake2b(person, key=key, digest_size=8).hexdigest()
    return "abcdef"[int(digits[0], 16) % 6] + digits[1:]
