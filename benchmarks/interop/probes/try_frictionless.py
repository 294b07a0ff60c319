"""frictionless: is the package valid: types, keys, sizes, hashes?"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from frictionless import Package, system

folder = Path(sys.argv[1]) / "package"
with system.use_context(trusted=True):
    package = Package(str(folder / "datapackage.json"))
    report = package.validate()
errors = report.flatten(["title", "fieldName", "rowNumber", "message"])
n_rows = sum(task.stats.get("rows") or 0 for task in report.tasks)
said = f"{len(report.tasks)} files, {n_rows} rows: " + ("valid" if report.valid else f"{errors[:3]}")
print(json.dumps({"ok": report.valid, "said": said, "version": version("frictionless")}))
