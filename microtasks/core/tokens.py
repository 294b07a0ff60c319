"""Sealed tokens: bytes that come back only as they were given out. For cookies, leases and form tokens."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

SEAL_BYTES = 16
#: The key stream of `hide` is one hash.
HIDDEN_MAX = 64


def seal(key: bytes, payload: bytes) -> str:
    """URL-safe text of the payload and its keyed hash (BLAKE2b, 128 bits). The payload is not hidden."""
    return _text(payload + _hash(key, payload))


def unseal(key: bytes, token: str) -> bytes | None:
    """The payload of a token sealed with this key; None for anything else."""
    if len(token) > 4096:
        return None
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except ValueError:
        return None
    payload, given = raw[:-SEAL_BYTES], raw[-SEAL_BYTES:]
    # The text must be the canonical one: base64 lets several texts stand for the same bytes.
    if hmac.compare_digest(given, _hash(key, payload)) and hmac.compare_digest(token, _text(raw)):
        return payload
    return None


def hide(key: bytes, payload: bytes) -> str:
    """URL-safe text of at most 64 bytes that nobody without the key can read or change.

    The keyed hash of the payload is both its proof and the nonce of the key stream (as in RFC 5297, with
    BLAKE2b), so the same payload gives the same text.
    """
    proof = _hash(key, payload)
    return _text(proof + _stream(key, proof, payload))


def reveal(key: bytes, token: str) -> bytes | None:
    """The payload of a token that `hide` made with this key; None for anything else."""
    if len(token) > 4096:
        return None
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except ValueError:
        return None
    proof, hidden = raw[:SEAL_BYTES], raw[SEAL_BYTES:]
    if len(hidden) > HIDDEN_MAX or not hmac.compare_digest(token, _text(raw)):
        return None
    payload = _stream(key, proof, hidden)
    return payload if hmac.compare_digest(proof, _hash(key, payload)) else None


def _stream(key: bytes, proof: bytes, text: bytes) -> bytes:
    if len(text) > HIDDEN_MAX:
        raise ValueError("too long to hide")
    stream = hashlib.blake2b(proof, key=key, person=b"stream").digest()
    return bytes(one ^ other for one, other in zip(text, stream, strict=False))


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _hash(key: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, key=key, digest_size=SEAL_BYTES).digest()
