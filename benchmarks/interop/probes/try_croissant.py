"""mlcroissant: is croissant.json valid, and can the records be read by it?"""

import json
import logging
import sys
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import mlcroissant

logging.disable(logging.CRITICAL)
folder = Path(sys.argv[1]) / "package"
dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
issues = dataset.metadata.issues
read = {}
for records in dataset.metadata.record_sets:
    read[records.id] = len(list(islice(dataset.records(record_set=records.id), 50)))
said = f"{len(read)} record sets, {sum(read.values())} records; errors {sorted(issues.errors)[:2]}"
print(json.dumps({"ok": not issues.errors, "said": said, "version": version("mlcroissant")}))
