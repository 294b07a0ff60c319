"""DuckDB: does it read every table as Parquet, as many rows as the CSV has, with the code book's types?"""

import csv
import json
import sys
from importlib.metadata import version
from pathlib import Path

import duckdb

TYPES = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "datetime": "TIMESTAMP WITH TIME ZONE",
}
home = Path(sys.argv[1])
found = sorted(home.glob("parquet/*.parquet"))
if not found:
    sys.exit(0)
with next(home.glob("package/*-columns.csv")).open(newline="", encoding="utf-8") as file:
    book = list(csv.DictReader(file))
ok, n_rows, n_columns = True, 0, 0
for path in found:
    packed = duckdb.read_parquet(str(path))
    wanted = [
        (row["column"], TYPES.get(row["type"], "VARCHAR"))
        for row in book
        if path.stem.endswith(f"-{row['table']}")
    ]
    with next(home.glob(f"package/{path.stem}.csv")).open(newline="", encoding="utf-8") as file:
        n = sum(1 for _ in csv.DictReader(file))
    ok &= list(zip(packed.columns, map(str, packed.types), strict=True)) == wanted and bool(wanted)
    ok &= packed.count("*").fetchall()[0][0] == n
    n_rows, n_columns = n_rows + n, n_columns + len(wanted)
(answers,) = home.glob("parquet/*-answers.parquet")
people = duckdb.read_parquet(str(answers)).aggregate("count(DISTINCT contributor)").fetchall()[0][0]
said = (
    f"{len(found)} tables, {n_rows} rows as in the CSV, {n_columns} columns; answers by {people} contributors"
)
print(json.dumps({"ok": ok, "said": said, "version": version("duckdb")}))
