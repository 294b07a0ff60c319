"""Where a reader of a table is, as the text that `next` and `last` hold and `after` takes."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microtasks.core.errors import InputError
from microtasks.core.tokens import hide, reveal
from microtasks.engine.exports.download import Cursor
from microtasks.engine.site import Site
from microtasks.store.exports.snapshots import Mark

LENGTH_MAX = 4096
_BIG = 2**63 - 1


class Unknown(InputError):
    """There is no such page: send as `after` what the page before gave as `next` or `last`."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Mark(_Model):
    system: str = Field(pattern="^[0-9]{0,20}$")
    horizon: str = Field(pattern="^[0-9]{1,20}$")
    answer_max: int = Field(ge=0, le=_BIG)


class _Text(_Model):
    """key: a number, a name, or who a contributor is, sealed."""

    table: str
    key: int | str | None = None
    changed_after: _Mark | None = None
    upto: _Mark | None = None


def write(site: Site, table: str, cursor: Cursor) -> str:
    """The cursor as text. Who a contributor is stays hidden: exports know pseudonyms alone."""
    key = cursor.after
    if isinstance(key, UUID):
        key = hide(site.settings.key("cursor"), key.bytes)
    marks = {
        name: asdict(mark)
        for name, mark in (("changed_after", cursor.changed_after), ("upto", cursor.upto))
        if mark is not None
    }
    packed = _Text.model_validate({"table": table, "key": key, **marks}).model_dump_json(exclude_none=True)
    return "~" + urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def read(site: Site, table: str, given: str | None) -> Cursor:
    """The cursor that `write` wrote for this table, or a bare key, as older versions gave. Unknown."""
    if not given:
        return Cursor()
    if not given.startswith("~"):
        return Cursor(_key(site, table, _bare(given)))
    try:
        raw = urlsafe_b64decode(given[1:LENGTH_MAX] + "=" * (-len(given[1:LENGTH_MAX]) % 4))
        text = _Text.model_validate_json(raw)
    except (ValueError, ValidationError):
        raise Unknown from None
    if text.table != table:
        raise Unknown
    key = None if text.key is None else _key(site, table, text.key)
    return Cursor(key, _mark(text.changed_after), _mark(text.upto))


def _mark(mark: _Mark | None) -> Mark | None:
    if mark is None:
        return None
    if int(mark.horizon) >= 2**64:
        raise Unknown
    return Mark(mark.system, mark.horizon, mark.answer_max)


def _bare(given: str) -> int | str:
    return int(given) if re.fullmatch("[0-9]{1,18}", given, re.ASCII) else given


def _key(site: Site, table: str, key: int | str) -> Any:
    """A key as the table's reader takes it."""
    if table == "sources":
        if "\x00" in str(key):
            raise Unknown
        return str(key)
    if table == "contributors":
        raw = reveal(site.settings.key("cursor"), str(key))
        if raw is None or len(raw) != 16:
            raise Unknown
        return UUID(bytes=raw)
    if not isinstance(key, int) or isinstance(key, bool) or not 0 <= key <= _BIG:
        raise Unknown
    return key
