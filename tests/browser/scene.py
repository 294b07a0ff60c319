"""A site as volunteers find it: projects of each type with real pictures, and a live web server."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import builders
from PIL import Image
from werkzeug.serving import make_server

from microtasks.engine.site import Site
from microtasks.web import create_app

SAMPLES = Path(__file__).parents[2] / "sample_images"
WIDTHS = (320, 640, 1024)

CRATERS: dict[str, Any] = {
    "shape": "circle",
    "classes": [
        {"id": "fresh", "label": "Fresh", "help": "Sharp rim, deep shadow."},
        {"id": "degraded", "label": "Degraded", "help": "Worn rim, still whole."},
        {"id": "ghost", "label": "Ghost", "help": "Hardly more than a ring."},
    ],
    "min_diameter_px": 14,
}
LANDFORMS: dict[str, Any] = {
    "tags": [
        {"id": name, "label": name.capitalize()}
        for name in ("dunes", "channels", "crater", "cracks", "layers")
    ],
    "allow_own_tags": True,
}
FULL_FORM: dict[str, Any] = {
    "fields": [
        {
            "id": "wind",
            "kind": "choice",
            "label": "Does the line speak of the wind?",
            "choices": [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}],
        },
        {
            "id": "force",
            "kind": "scale",
            "label": "How strong was it?",
            "min": 1,
            "max": 5,
            "min_label": "Calm",
            "max_label": "Storm",
            "show_if": {"field": "wind", "is": "yes"},
        },
        {
            "id": "about",
            "kind": "choices",
            "label": "What else is it about?",
            "choices": [
                {"id": "crew", "label": "The crew"},
                {"id": "course", "label": "The course"},
                {"id": "animals", "label": "Animals"},
            ],
            "required": False,
        },
        {
            "id": "ships",
            "kind": "number",
            "label": "Ships seen",
            "min": 0,
            "unit": "ships",
            "required": False,
        },
        {"id": "note", "kind": "text", "label": "Names of places", "max_length": 80, "required": False},
    ]
}
HOW_TO_MARK = """\
**Press at the middle of a crater and drag to its rim.** Move or resize the circle until it fits.

- **Fresh**: sharp rim, deep shadow.
- **Degraded**: worn rim, still whole.
- **Ghost**: hardly more than a ring.
"""


def picture(site: Site, path: Path) -> int:
    """Store a picture as the import would; return the media id."""
    content = path.read_bytes()
    original = site.files.put("originals", content)
    image = Image.open(io.BytesIO(content)).convert("RGB")
    derivatives = []
    for width in [w for w in WIDTHS if w < image.width] + [min(image.width, WIDTHS[-1])]:
        small = image.resize((width, round(width * image.height / image.width)))
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=72)
        derivatives.append(
            {"width": width, "height": small.height, "sha256": site.files.put("derived", buffer.getvalue())}
        )
    with site.db.connection() as connection:
        row = connection.execute(
            "INSERT INTO media (sha256, mime, width, height, n_bytes, derivatives)"
            " VALUES (%s, 'image/webp', %s, %s, %s, %s)"
            " ON CONFLICT (sha256) DO UPDATE SET mime = excluded.mime RETURNING id",
            (original, image.width, image.height, len(content), json.dumps(derivatives)),
        ).fetchone()
    assert row is not None
    return int(row[0])


def rows(table: str) -> list[dict[str, str]]:
    with (SAMPLES / f"{table}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def craters(site: Site, n: int = 3, **fields: Any) -> builders.ProjectRow:
    texts = {
        "name": "Craters on a plain",
        "purpose": "Circle every crater: how many there are tells how old the ground is.",
        "instructions": HOW_TO_MARK,
        "topic": "Space",
    }
    made = _project(site, "marking", CRATERS, **texts | fields)
    _pictures(site, made, "craters", n)
    return made


def landforms(
    site: Site, n: int = 3, config: dict[str, Any] | None = None, **fields: Any
) -> builders.ProjectRow:
    texts = {
        "name": "Landforms from above",
        "purpose": "What shaped this ground? Choose all that you see.",
        "topic": "Space",
    }
    made = _project(site, "tagging", config or LANDFORMS, **texts | fields)
    _pictures(site, made, "landforms", n)
    return made


def sentences(
    site: Site, n: int = 3, config: dict[str, Any] | None = None, **fields: Any
) -> builders.ProjectRow:
    texts = {
        "name": "Lines of a ship’s log",
        "purpose": "Find the lines that speak of the weather.",
        "topic": "History",
    }
    config = config or {"fields": [{**FULL_FORM["fields"][0], "id": "answer"}]}
    made = _project(site, "question", config, **texts | fields)
    for row in rows("sentences")[:n]:
        [task] = builders.tasks(site, made)
        _payload(site, task, {"text": row["text"]})
    return made


def lines(site: Site, n: int = 2, **fields: Any) -> builders.ProjectRow:
    """Lines to copy from a picture."""
    line = {
        "id": "line",
        "kind": "text",
        "max_length": 200,
        "label": "What does it say?",
        "transcription": True,
    }
    made = _project(site, "question", {"fields": [line]}, **{"slug": "lines", "name": "Old lines"} | fields)
    _pictures(site, made, "landforms", n)
    return made


def poll(site: Site, **fields: Any) -> builders.ProjectRow:
    """One question to very many people, asked about two towns."""
    ways = [("foot", "On foot"), ("bus", "By bus"), ("car", "By car")]
    config = {
        "fields": [
            {
                "id": "way",
                "kind": "choice",
                "label": "How would you go to school here?",
                "choices": [{"id": name, "label": label} for name, label in ways],
            }
        ],
        "poll": True,
    }
    texts = {"name": "The way to school", "purpose": "What towns should build first.", "topic": "Towns"}
    made = _project(site, "question", config, **{"slug": "poll", "redundancy": 100} | texts | fields)
    for text in (
        "A village with one street, 2 km to the school.",
        "A town with a ring road, 4 km to the school.",
    ):
        [task] = builders.tasks(site, made)
        _payload(site, task, {"text": text})
    return made


def _project(site: Site, kind: str, config: dict[str, Any], **fields: Any) -> builders.ProjectRow:
    with site.db.connection() as connection:
        now = connection.execute("SELECT now()").fetchone()
    assert now is not None
    fields.setdefault("slug", {"marking": "craters", "tagging": "landforms", "question": "log"}[kind])
    return builders.project(site, kind, config=config, published_at=now[0], **fields)


def _pictures(site: Site, of: builders.ProjectRow, table: str, n: int) -> None:
    for row in rows(table)[:n]:
        [task] = builders.tasks(site, of, media_ids=[picture(site, SAMPLES / row["image"])])
        _payload(site, task, {})


def _payload(site: Site, task: int, payload: dict[str, Any]) -> None:
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE task_content SET payload = %s WHERE task_id = %s", (json.dumps(payload), task)
        )


@contextmanager
def live(site: Site) -> Iterator[str]:
    """The whole site on a free port of this machine; yields its address."""
    server = make_server("127.0.0.1", 0, create_app(site=site), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
