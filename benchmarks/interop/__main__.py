"""Let other people's tools read the exports of simulated projects, and print what they say.

    python -m benchmarks.interop [--folder build/interop] [--only frictionless,pycocotools]

Each tool gets an environment of its own in the folder (made once, by pip: their requirements do not agree).
One project of each kind is made on servers of its own, answered by simulated volunteers and exported; each
probe in `probes/` runs in its tool's environment on those files and prints one JSON object. A tool that
cannot be installed is said to be missing. Exit 1 when a tool refuses something.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass, field
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "sample_images"
PROBES = Path(__file__).parent / "probes"
#: Name of the probe, and what pip is asked for.
TOOLS = {
    "frictionless": "frictionless",
    "pycocotools": "pycocotools",
    "panoptes": "panoptes_aggregation",
    "labelstudio": "label-studio-sdk",
    "crowdkit": "crowd-kit",
    "duckdb": "duckdb",
    "gdal": "pyogrio shapely",  # GDAL itself lies in its wheel
    "openpyxl": "openpyxl",
    "datasets": "datasets pillow",
    "croissant": "mlcroissant",
    "supervision": "supervision",
    "camtrap": "frictionless[json]==4.40.8 setuptools<80",  # for the first Data Package, which Camtrap DP is
    "dwca": "python-dwca-reader",
}
VOLUNTEERS, ACCURACY, SEED = 12, 0.9, 7
TIMEOUT_S = 600


@dataclass(frozen=True)
class Kind:
    """One simulated project. formats: besides the package of all tables."""

    name: str
    type: str
    config: dict
    table: str  # of sample_images; its columns `gold` and `#truth` are kept where `truth` is set
    truth: bool = True
    redundancy: int = 6
    columns: dict = field(default_factory=dict)
    formats: tuple[str, ...] = ("zooniverse", "labelstudio")


CLASSES = [{"id": "fresh", "label": "Fresh"}, {"id": "degraded", "label": "Degraded"}, {"id": "ghost"}]
TAGS = ("dunes", "channels", "craters", "layers", "smooth")
KINDS = (
    Kind(
        "question",
        "question",
        {
            "fields": [
                {
                    "id": "answer",
                    "kind": "choice",
                    "label": "Does this line say what the weather was?",
                    "choices": [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}],
                }
            ]
        },
        "sentences.csv",
        formats=("zooniverse", "labelstudio", "crowdkit", "parquet"),
    ),
    Kind(
        "form",
        "question",
        {
            "fields": [
                {
                    "id": "kind",
                    "kind": "choice",
                    "label": "What is it?",
                    "choices": [{"id": "a", "label": "A plain"}, {"id": "b", "label": "A slope"}],
                },
                {
                    "id": "also",
                    "kind": "choices",
                    "label": "What else is there?",
                    "choices": [{"id": "b", "label": "Boulders"}, {"id": "h", "label": "Dark haloes"}],
                },
                {"id": "age", "kind": "scale", "label": "How worn?", "min": 1, "max": 4},
                {"id": "n", "kind": "number", "label": "How many craters?", "min": 0, "max": 50},
            ]
        },
        "landforms.csv",
        truth=False,
    ),
    Kind(
        "tagging",
        "tagging",
        {"tags": [{"id": tag, "label": tag.capitalize()} for tag in TAGS]},
        "landforms.csv",
        formats=("zooniverse", "labelstudio", "parquet"),
    ),
    Kind(
        "circles",
        "marking",
        {"shape": "circle", "classes": CLASSES, "min_diameter_px": 14},
        "craters.csv",
        columns={"#world": "0.5 0 0 -0.5 500000 4649776", "#crs": "EPSG:32633"},
        formats=("zooniverse", "labelstudio", "coco", "yolo", "geojson", "parquet"),
    ),
    Kind(
        "points",
        "marking",
        {"shape": "point"},
        "craters.csv",
        truth=False,
        formats=("zooniverse", "labelstudio", "coco"),
    ),
    Kind(
        "boxes",
        "marking",
        {"shape": "box"},
        "craters.csv",
        truth=False,
        formats=("zooniverse", "labelstudio", "coco", "yolo"),
    ),
    Kind(
        "animals",
        "question",
        {
            "fields": [
                {
                    "id": "species",
                    "kind": "choice",
                    "label": "What do you see?",
                    "choices": [
                        {"id": "fox", "label": "Red fox (Vulpes vulpes)"},
                        {"id": "boar", "label": "Wild boar (Sus scrofa)"},
                        {"id": "blank", "label": "Nothing"},
                    ],
                }
            ]
        },
        "landforms.csv",
        truth=False,
        columns={
            "deploymentID": "cam-1",
            "timestamp": "2026-05-01T10:00:00Z",
            "latitude": "52.5",
            "longitude": "-13.4",
            "canvas": "https://example.org/canvas/1",
        },
        formats=("imagefolder", "labels", "camtrapdp", "darwincore", "iiif"),
    ),
)
#: Formats that are tried with the images in them.
WITH_IMAGES = ("coco", "yolo", "imagefolder", "labels")


def run(*words: object, environment: dict[str, str] | None = None) -> str:
    """Run a program; its output, or an error with its last words."""
    done = subprocess.run(  # noqa: S603  (our own words)
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-600:])
    return done.stdout


def environment_of(folder: Path, tool: str) -> Path | None:
    """The Python of a tool's environment, made if it is not there; None if it cannot be installed."""
    home = folder / "environments" / tool
    python = home / "bin" / "python"
    if (home / ".installed").exists():
        return python
    print(f"Installing {TOOLS[tool]} ...", file=sys.stderr)
    venv.create(home, with_pip=True, clear=True)
    try:
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS[tool].split())
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(f"{TOOLS[tool]} cannot be installed here: {error}", file=sys.stderr)
        return None
    (home / ".installed").touch()
    return python


def make_exports(folder: Path) -> None:
    """Make, answer and export a project of each kind on servers of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="microtasks-interop-") as data:
        os.environ["MICROTASKS_DATA"] = data
        from microtasks.cli import open_cli_site

        with open_cli_site() as site:
            servers = {
                "DATABASE_URL": site.settings.database_url,
                "REDIS_URL": site.settings.redis_url,
                "MICROTASKS_SECRET_KEY": site.settings.secret_key.get_secret_value(),
            }

            def command(*words: object) -> str:
                return run(sys.executable, "-m", "microtasks", *words, environment=servers)

            for kind in KINDS:
                print(f"Making {kind.name} ...", file=sys.stderr)
                upload = folder / f"{kind.name}.csv"
                pictures = _write_table(kind, upload)
                config = folder / f"{kind.name}.json"
                config.write_text(json.dumps(kind.config))
                made = command(
                    *("project", "create", "--type", kind.type, "--name", kind.name, "--config", config),
                    *("--redundancy", kind.redundancy, "--publish"),
                )
                slug = made.strip()
                command("import", slug, upload, *pictures)
                command(
                    *("simulate", slug, "--volunteers", VOLUNTEERS, "--accuracy", ACCURACY, "--seed", SEED)
                )
                command("aggregate", slug)
                into = folder / kind.name
                command("export", slug, "--what", "all", "--out", f"{into}/package/", "--licence", "CC0-1.0")
                for format in kind.formats:
                    every = ("--what", "all") if format == "parquet" else ()
                    images = ("--images",) if format in WITH_IMAGES else ()
                    command("export", slug, "--format", format, *every, *images, "--out", f"{into}/{format}/")
                command("export", slug, "--format", "xlsx", "--what", "all", "--out", f"{into}/book.xlsx")


def _write_table(kind: Kind, upload: Path) -> list[Path]:
    """The upload's table, from a sample's; the images it needs."""
    with (SAMPLES / kind.table).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not kind.truth:
        rows = [{key: row[key] for key in row if key not in ("gold", "#truth")} for row in rows]
        rows = [{key: text for key, text in row.items() if not key.startswith("gold")} for row in rows]
    rows = [{**row, **kind.columns} for row in rows]
    images = []
    for row in rows:
        if row.get("image"):
            images.append(SAMPLES / row["image"])
            row["image"] = images[-1].name
    with upload.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return images


def main() -> int:
    """Make the exports, run the probes, print the table; return how many of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/interop"))
    parser.add_argument("--only", default=",".join(TOOLS), help="Names of tools, joined by commas.")
    parser.add_argument("--keep-exports", action="store_true", help="Use those of the last run.")
    options = parser.parse_args()
    folder = options.folder.resolve()
    exports = folder / "exports"
    if not (options.keep_exports and exports.exists()):
        make_exports(exports)
    n_failed = 0
    print("| Tool | Version | Export | Result |\n|---|---|---|---|")
    for tool in options.only.split(","):
        python, name = environment_of(folder, tool), TOOLS[tool].split()[0]
        if python is None:
            print(f"| {name} | – | – | cannot be installed here |")
            continue
        probe = PROBES / f"try_{tool}.py"
        for kind in KINDS:
            try:
                said = run(python, "-W", "ignore", probe, exports / kind.name)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                said = json.dumps({"ok": False, "said": str(error).splitlines()[-1]})
                print(error, file=sys.stderr)
            if not said.strip():
                continue  # nothing of this kind is for it
            found = json.loads(said.strip().splitlines()[-1])
            n_failed += not found["ok"]
            said = found["said"] if found["ok"] else f"FAILED: {found['said']}"
            print(f"| {name} | {found.get('version', '')} | {kind.name} | {said} |", flush=True)
    return n_failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
