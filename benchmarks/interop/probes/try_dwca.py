"""python-dwca-reader: does it read the archive by its meta.xml, row by row?"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from dwca.read import DwCAReader

folder = Path(sys.argv[1]) / "darwincore"
if not folder.exists():
    sys.exit(0)
with DwCAReader(str(folder)) as archive:
    rows = list(archive)
names = {row.data["http://rs.tdwg.org/dwc/terms/scientificName"] for row in rows}
ok = bool(rows) and all(row.data["http://rs.tdwg.org/dwc/terms/occurrenceID"] for row in rows)
said = f"{len(rows)} occurrences of {sorted(names)}, core {archive.descriptor.core.type.rsplit('/', 1)[1]}"
print(json.dumps({"ok": ok, "said": said, "version": version("python-dwca-reader")}))
