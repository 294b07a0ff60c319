"""DuckDB: does it read the Parquet, as many rows as the CSV has, with types?"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import duckdb

home = Path(sys.argv[1])
found = list(home.glob("parquet/*.parquet"))
if not found:
    sys.exit(0)
packed = duckdb.read_parquet(str(found[0]))
plain = duckdb.read_csv(str(next(home.glob("package/*-answers.csv"))))
n, m = packed.count("*").fetchall()[0][0], plain.count("*").fetchall()[0][0]
types = dict(zip(packed.columns, map(str, packed.types), strict=True))
people = packed.aggregate("count(DISTINCT contributor)").fetchall()[0][0]
ok = n == m and types["task"] == "BIGINT" and "TIMESTAMP" in types["created_at"]
said = f"{n} answers by {people} contributors, as many as in the CSV; created_at is {types['created_at']}"
print(json.dumps({"ok": ok, "said": said, "version": version("duckdb")}))
