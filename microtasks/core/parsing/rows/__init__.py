"""Read a table of tasks (CSV, TSV, JSON, JSON Lines): each record becomes an Item, or Failed with its reason.

The one reader for all that comes in: uploads, their preview, the command line, `microtasks consensus`.
Bytes to lines (encoding.py, text.py), lines to records (records.py), the form of a table (grid.py), records
to items (items.py), all of it (table.py). Nothing is read ahead but a sample; one bad line costs only itself.
"""

from microtasks.core.parsing.rows.encoding import ENCODINGS
from microtasks.core.parsing.rows.foreign import hold_back, hold_back_object
from microtasks.core.parsing.rows.grid import JSON, TABLE_ENDINGS, Grid, read_text
from microtasks.core.parsing.rows.items import (
    MAX_COLUMNS,
    MAX_ID_CHARACTERS,
    NOTHING,
    Failed,
    Header,
    Item,
    json_item,
    object_item,
)
from microtasks.core.parsing.rows.records import MAX_RECORD_LINES, records
from microtasks.core.parsing.rows.source import Choices, TableFile, table_ending
from microtasks.core.parsing.rows.table import Table
from microtasks.core.parsing.rows.text import MAX_LINE_CHARACTERS, Survey, lines, survey

__all__ = [
    "ENCODINGS",
    "JSON",
    "MAX_COLUMNS",
    "MAX_ID_CHARACTERS",
    "MAX_LINE_CHARACTERS",
    "MAX_RECORD_LINES",
    "NOTHING",
    "TABLE_ENDINGS",
    "Choices",
    "Failed",
    "Grid",
    "Header",
    "Item",
    "Survey",
    "Table",
    "TableFile",
    "hold_back",
    "hold_back_object",
    "json_item",
    "lines",
    "object_item",
    "read_text",
    "records",
    "survey",
    "table_ending",
]
