"""What a part of an address may be: what the database cannot read is not found, and never a fault."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import BaseConverter, IntegerConverter, Map

ID_MAX = 2**63 - 1


class Name(BaseConverter):
    """One part of the path: 1 to 200 characters, none of them NUL."""

    part_isolating = True
    regex = r"[^/\x00]{1,200}"


class Id(IntegerConverter):
    """A whole number that fits the database's, 0..2^63-1."""

    regex = r"\d{1,19}"

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=ID_MAX)


def init_app(app: Flask) -> None:
    """Use them for every `<name>` and `<int:id>`."""
    app.url_map.converters.update(default=Name, string=Name, int=Id)
