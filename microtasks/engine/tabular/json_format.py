"""Write tables as JSON lines: one object a row, every text exactly as it is."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from microtasks.engine.tabular.table import Table, plain_json
from microtasks.engine.tabular.vectors import json_block

MIME = "application/x-ndjson"


def write_jsonl(table: Table) -> Iterator[bytes]:
    """Write one JSON object a line, keys as the CSV's columns; texts exactly as they are."""
    names = [column.name for column in table.columns]
    for block in table.in_blocks():
        yield json_block(block, names, plain_json, orjson.OPT_PASSTHROUGH_DATETIME)
