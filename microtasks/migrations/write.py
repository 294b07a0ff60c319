"""Write the next migration: `python -m microtasks.migrations.write "What changes"`.

Migrates a throwaway database with what is there, compares it with the tables in code, and writes the
difference as versions/NNNN_what_changes.py. Read it before you commit it: renames look like drop and add.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from microtasks.local import servers
from microtasks.store.operations import migrate


def main(message: str) -> Path:
    number = f"{len(list((migrate.FOLDER / 'versions').glob('[0-9]*.py'))) + 1:04d}"
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        process, url = servers.start_postgres(Path(scratch) / "pg", for_tests=True)
        try:
            migrate.upgrade(url, functions=number != "0001", verify=False)
            path = migrate.write_revision(url, message, number)
        finally:
            servers.stop(process)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.lstrip().startswith("# ###")))
    for arguments in (["check", "--fix-only", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, str(path)], check=False)  # noqa: S603
    return path


if __name__ == "__main__":
    print(main(" ".join(sys.argv[1:]) or "Change"))
