"""The Camtrap DP profile and table schemas, by frictionless: is the package valid?"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from frictionless import validate

folder = Path(sys.argv[1]) / "camtrapdp"
if not folder.exists():
    sys.exit(0)
described = json.loads((folder / "datapackage.json").read_text())
if "deployments" not in {each["name"] for each in described["resources"]}:
    raise SystemExit("datapackage.json is not that of Camtrap DP")
report = validate(str(folder / "datapackage.json"), type="package", trusted=True)
errors = report.flatten(["fieldName", "code", "note"])
said = (
    "valid: " + ", ".join(each["name"] for each in described["resources"])
    if report.valid
    else str(errors[:3])
)
print(json.dumps({"ok": report.valid, "said": said, "version": version("frictionless")}))
