"""The formats that hold one table as it is: CSV, JSON lines, Parquet, Excel; and crowd-kit's columns."""

from __future__ import annotations

from collections.abc import Iterator

from microtasks.core.errors import InputError
from microtasks.core.values import Column, Part
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.tabular import csv_format, json_format, parquet_format, workbook
from microtasks.engine.tabular.table import Table


def _csv(table: Table, source: Source) -> Iterator[bytes]:
    return csv_format.write_csv(table, csv_format.Dialect(raw=source.options.raw))


def _excel_csv(table: Table, source: Source) -> Iterator[bytes]:
    return csv_format.write_csv(table, csv_format.excel(source.options.language))


def _excel(table: Table, source: Source) -> Iterator[bytes]:
    sheet = workbook.Sheet(source.table.capitalize(), table)
    return workbook.write_workbook([sheet], source.view.snapshot.cut.at)


def _crowdkit(table: Table, source: Source) -> Iterator[bytes]:
    """crowd-kit's task, worker, label: counted answers to a question with exactly one field."""
    names = [column.name for column in table.columns]
    own = names[names.index("revision") + 1 : names.index("revised_at")]
    if len(own) != 1 or own[0] == "n_marks":
        raise InputError(
            "crowd-kit wants one label an answer: it is for questions with one field, and for tags."
        )
    task, worker, label, status, kind = map(names.index, ("task", "contributor", own[0], "status", "kind"))
    rows = (
        (row[task], row[worker], row[label])
        for row in table.rows
        if row[status] == "counted" and row[kind] != "cant_tell"
    )
    columns = tuple(Column(name, "string", "") for name in ("task", "worker", "label"))
    return _csv(Table(columns, rows), source)


def _asks_for_one_label(parts: tuple[Part, ...]) -> bool:
    return not parts or (len(parts) == 1 and parts[0].kind != "marks")


PLAIN: tuple[Format, ...] = (
    Format(
        "csv",
        "CSV: spreadsheets, R, pandas",
        "You work in R, pandas or another program.",
        ".csv",
        csv_format.MIME,
        write=_csv,
        is_whole_table=True,
    ),
    Format(
        "xlsx",
        "Excel workbook",
        "You look at it in Excel, LibreOffice or Numbers: numbers and dates are numbers and dates.",
        ".xlsx",
        workbook.MIME,
        write=_excel,
        is_packed=True,
    ),
    Format(
        "excel-csv",
        "CSV for Excel",
        "You open it in Excel by a double click: with the separator and the decimal sign of your language.",
        ".excel.csv",
        csv_format.MIME,
        write=_excel_csv,
    ),
    Format(
        "jsonl",
        "JSON lines: programs",
        "A program of your own reads it: every text exactly as it was written.",
        ".jsonl",
        json_format.MIME,
        write=lambda table, source: json_format.write_jsonl(table),
        is_whole_table=True,
    ),
    Format(
        "parquet",
        "Parquet: DuckDB, Arrow",
        "There is much of it, and you query it with DuckDB, Arrow or Polars: typed and compressed.",
        ".parquet",
        parquet_format.MIME,
        write=lambda table, source: parquet_format.write_parquet(table),
        is_packed=True,
        is_whole_table=True,
    ),
    Format(
        "crowdkit",
        "crowd-kit",
        "You want to try other consensus methods (Dawid-Skene, GLAD, MACE) with crowd-kit.",
        ".crowdkit.csv",
        csv_format.MIME,
        ("answers",),
        write=_crowdkit,
        fits=_asks_for_one_label,
    ),
)
