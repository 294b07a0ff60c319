"""Write tables as Parquet: typed and compressed, for DuckDB, Arrow and Polars."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from microtasks.core.errors import InputError
from microtasks.engine.tabular.archive import Sink
from microtasks.engine.tabular.table import Table, to_json
from microtasks.engine.tabular.vectors import NO_TIME, Moments, Vector, in_blocks, plain

MIME = "application/vnd.apache.parquet"


def write_parquet(table: Table) -> Iterator[bytes]:
    """Write Parquet (zstd), streamed: a row group for some ten thousand rows. Errors: InputError."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError("Parquet needs the package pyarrow: pip install 'microtasks[parquet]'.")
    return _write(table)


def _write(table: Table) -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet

    moment = pyarrow.timestamp("us", tz="UTC")
    types = {
        **{"integer": pyarrow.int64(), "number": pyarrow.float64(), "boolean": pyarrow.bool_()},
        "datetime": moment,
    }
    schema = pyarrow.schema(
        [(column.name, types.get(column.type, pyarrow.string())) for column in table.columns]
    )

    def array(vector: Vector, kind: Any) -> Any:
        if isinstance(vector, Moments):
            is_none = vector.values == NO_TIME
            return pyarrow.array(vector.values, pyarrow.int64(), mask=is_none).cast(moment)
        values = plain(vector)
        if kind == pyarrow.string():
            return pyarrow.array([_text(value) for value in values], kind)
        return pyarrow.array(list(values), kind)

    sink = Sink()
    with parquet.ParquetWriter(pyarrow.PythonFile(sink, "w"), schema, compression="zstd") as writer:
        # Groups of rows are larger than the blocks of other formats: they are what a reader skips by.
        for block in table.blocks if table.blocks is not None else in_blocks(table.rows):
            arrays = [array(vector, field.type) for vector, field in zip(block, schema, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
            yield sink.take()
    yield sink.take()


def _text(value: Any) -> str | None:
    """A value in a column of texts: JSON for what is none."""
    return value if value is None or isinstance(value, str) else to_json(value).decode()
