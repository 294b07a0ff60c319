"""openpyxl: does the workbook open, with the rows of the CSV and no formula?"""

import csv
import json
import sys
from importlib.metadata import version
from pathlib import Path

import openpyxl

folder = Path(sys.argv[1])
book = openpyxl.load_workbook(folder / "book.xlsx")
labels = {"answers": "Answers", "consensus": "Consensus", "tasks": "Tasks", "items": "Items and results"}
problems, n_rows = [], 0
for table, label in labels.items():
    (path,) = (folder / "package").glob(f"*-{table}.csv")
    with path.open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    sheet = book[label]
    if [cell.value for cell in sheet[1]] != [name.removeprefix("'") for name in header]:
        problems.append(f"{table}: other columns")
    if sheet.max_row - 1 != len(lines):
        problems.append(f"{table}: {sheet.max_row - 1} rows for {len(lines)}")
    n_rows += len(lines)
formulas = sum(cell.data_type == "f" for sheet in book for line in sheet for cell in line)
said = f"{len(book.sheetnames)} sheets, {n_rows} rows as in the CSV, {formulas} formulas"
ok = not problems and not formulas
print(json.dumps({"ok": ok, "said": "; ".join(problems) or said, "version": version("openpyxl")}))
