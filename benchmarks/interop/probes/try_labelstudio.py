"""label-studio-sdk: does its converter take our tasks with our interface, and lose nothing?"""

import contextlib
import csv
import io
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.converter import Format

home = Path(sys.argv[1])
(tasks,) = home.glob("labelstudio/*-labelstudio.json")
(config,) = home.glob("labelstudio/*-labelstudio.xml")
given = json.loads(tasks.read_text())
n_given = sum(len(one["result"]) for task in given for one in task["annotations"])
n_answers = sum(not one["was_cancelled"] for task in given for one in task["annotations"])
said = [f"{len(given)} tasks, {n_answers} annotations, {n_given} results"]
ok = True
with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
    converter = Converter(config=str(config), project_dir=folder, download_resources=False)
    formats = [Format.JSON, Format.JSON_MIN, Format.CSV]
    if home.name in ("circles", "boxes"):
        formats.append(Format.COCO)
    for format in formats:
        out = Path(folder) / format.name
        converter.convert(str(tasks), str(out), format, is_dir=False)
        if format is Format.JSON:
            n = len(json.loads(next(out.glob("*.json")).read_text()))
            ok &= n == len(given)
            said.append(f"JSON {n} tasks")
        elif format is Format.JSON_MIN:
            rows = json.loads(next(out.glob("*.json")).read_text())
            ok &= len(rows) == n_answers
            said.append(f"JSON-MIN {len(rows)} rows")
        elif format is Format.CSV:
            with next(out.glob("*.csv")).open(newline="") as file:
                said.append(f"CSV {len(list(csv.DictReader(file)))} rows")
        else:
            n = len(json.loads((out / "result.json").read_text())["annotations"])
            said.append(f"COCO {n} annotations")
            if home.name == "boxes":
                ok &= n == n_given
print(json.dumps({"ok": ok, "said": "; ".join(said), "version": version("label-studio-sdk")}))
