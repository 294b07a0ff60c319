"""Tell a fault of the machine from a fault in what somebody sent: a full disk is no damaged image."""

from __future__ import annotations

import errno
from typing import Final

from microtasks.core.errors import Unavailable

_DISK_FULL: Final = "The server's disk is full."
_DISK_BROKEN: Final = "The server's disk cannot be read or written."
_NO_ANSWER: Final = "The storage does not answer."
_TOO_BUSY: Final = "The server has too much open at once."
_REASONS: Final = {
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _DISK_FULL,
    errno.EFBIG: _DISK_FULL,
    errno.EROFS: "The server's disk cannot be written: it is read-only.",
    errno.EACCES: "The server may not write or read its own folder.",
    errno.EPERM: "The server may not write or read its own folder.",
    errno.EIO: _DISK_BROKEN,
    errno.ENXIO: _DISK_BROKEN,
    errno.ENODEV: _DISK_BROKEN,
    errno.ESTALE: _NO_ANSWER,
    errno.ENOTCONN: _NO_ANSWER,
    errno.ETIMEDOUT: _NO_ANSWER,
    errno.EHOSTDOWN: _NO_ANSWER,
    errno.EHOSTUNREACH: _NO_ANSWER,
    errno.ENETUNREACH: _NO_ANSWER,
    errno.ECONNREFUSED: _NO_ANSWER,
    errno.EMFILE: _TOO_BUSY,
    errno.ENFILE: _TOO_BUSY,
    errno.EAGAIN: _TOO_BUSY,
}


def reason(error: BaseException) -> str | None:
    """What is wrong with the machine or a server we depend on, if that is what the error tells; else None."""
    if isinstance(error, Unavailable):
        return error.message
    if isinstance(error, OSError):
        return _REASONS.get(error.errno or 0)
    return None


def raise_if_fault(error: BaseException) -> None:
    """Raise Unavailable for a fault of the machine, before it is taken for one of the data."""
    if sentence := reason(error):
        raise Unavailable(sentence) from error
