"""Threats that no module holds alone; and that every threat of docs/security.md has a test."""

from __future__ import annotations

import ast
import io
import json
import re
import socket
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import builders
import pytest
import threats

from microtasks import logs
from microtasks.engine.imports import importing
from microtasks.engine.imports.importing import Upload
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site

ROOT = Path(__file__).parents[1]


def test_every_threat_has_a_test_that_carries_its_number() -> None:
    assert list(threats.threats()) == [f"T{number:02}" for number in range(1, 43)]
    assert threats.threats().keys() <= threats.tests().keys()


def run_all(site: Site) -> None:
    with site.db.connection() as connection:
        waiting = connection.execute("SELECT id FROM job WHERE state = 'queued' ORDER BY id").fetchall()
    for (job_id,) in waiting:
        jobs.run(site, job_id)


SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
XXE = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>'
HTML = "<!doctype html><script>alert(1)</script>"


@pytest.mark.parametrize("content", [SVG, XXE, HTML, "<?xml version='1.0'?><svg/>", "\ufeff" + SVG])
@pytest.mark.parametrize("name", ["a.svg", "a.png", "a.jpg", "a.html", "a.svg.png"])
def test_T13_what_a_browser_could_run_never_becomes_an_image(
    site: Site, queue: object, name: str, content: str
) -> None:
    project = builders.project(site)
    importing.create_batch(site, project.id, [Upload(name, io.BytesIO(content.encode()))])
    run_all(site)
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM media").fetchone() == (0,)
        assert connection.execute("SELECT n_tasks FROM batch ORDER BY id DESC LIMIT 1").fetchone() == (0,)
    derived = site.settings.data / "media" / "derived"
    assert not derived.exists() or not [path for path in derived.rglob("*") if path.is_file()]


@pytest.fixture
def canary() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine, and who has come to it."""
    visitors: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                visitors.append(address)
                connection.close()

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], visitors
        server.shutdown(socket.SHUT_RDWR)


def urls(port: int) -> list[str]:
    hosts = ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "0"]
    return [f"http://{host}:{port}/picture.png" for host in hosts]


def fetched(site: Site, of: builders.ProjectRow, name: str, content: str) -> None:
    importing.create_batch(site, of.id, [Upload(name, io.BytesIO(content.encode()))])
    run_all(site)


def test_T20_no_address_in_an_upload_is_visited(
    site: Site, queue: object, canary: tuple[int, list[object]]
) -> None:
    port, visitors = canary
    of = builders.project(site)
    rows = "\n".join(f"{i},{url},{url}" for i, url in enumerate(urls(port)))
    fetched(site, of, "t.csv", f"id,image,text\n{rows}\n")
    fetched(
        site,
        of,
        "t.jsonl",
        "\n".join(json.dumps({"id": f"j{i}", "image": u}) for i, u in enumerate(urls(port))),
    )
    assert visitors == []


def test_T22_no_address_in_a_iiif_manifest_is_visited(
    site: Site, queue: object, canary: tuple[int, list[object]]
) -> None:
    port, visitors = canary
    of = builders.project(site)
    for i, url in enumerate(urls(port)):
        service = {"@id": url, "id": url, "profile": "level2"}
        image = {"id": url, "type": "Image", "service": [service]}
        manifest = {
            "@context": "http://iiif.io/api/presentation/3/context.json",
            "id": url,
            "type": "Manifest",
            "items": [{"id": url, "type": "Canvas", "items": [{"items": [{"body": image}]}]}],
        }
        fetched(site, of, f"manifest{i}.json", json.dumps(manifest))
        fetched(site, of, f"info{i}.json", json.dumps({"@id": url, "protocol": "http://iiif.io/api/image"}))
    assert visitors == []


def test_T20_what_asks_other_servers_is_known_by_name() -> None:
    """Whatever could fetch stands in one of these: mail, object storage, our own readiness, simulation."""
    known = {"cli/serving.py", "cli/simulate.py", "engine/accounts/mail.py", "store/files.py", "store/s3.py"}
    for path in sorted((ROOT / "microtasks").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            outgoing = [
                n
                for n in names
                if re.match(r"(urllib\.request|http\.client|requests|httpx|smtplib|boto3|minio)\b", n)
            ]
            assert not outgoing or path.relative_to(ROOT / "microtasks").as_posix() in known, (path, outgoing)


def test_T38_every_dependency_is_locked_by_its_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[<>=!~; ]", each)[0].lower().replace("_", "-") for each in project["dependencies"]}
    for lock in ("requirements.lock", "requirements-dev.lock"):
        blocks = re.findall(
            r"^([a-z0-9][\w.\[\]-]*)==(\S+)((?:.*\\\n)?(?:\s+--hash=sha256:[0-9a-f]{64}.*\n?)+)",
            (ROOT / lock).read_text(),
            re.MULTILINE | re.IGNORECASE,
        )
        locked = {name.split("[")[0].lower().replace("_", "-") for name, _, _ in blocks}
        lines = re.findall(r"^[a-z0-9][\w.\[\]-]*==", (ROOT / lock).read_text(), re.MULTILINE | re.IGNORECASE)
        assert len(blocks) == len(lines) and wanted <= locked, wanted - locked


@pytest.mark.parametrize(
    "text",
    [
        "a\r\nb",
        "\x1b[31mred\x1b[0m",
        '"}\n{"event": "forged"}',
        "\u2028\u2029\x85",
        "\x00\x07\x7f",
        "x" * 100_000,
    ],
)
def test_T39_a_log_line_is_one_line_of_json_whatever_it_says(text: str) -> None:
    import logging

    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        logs.configure(stream)
        logging.getLogger("t").warning("event %s", text, extra={"path": text})
    finally:
        root.handlers[:], root.level = before, level
    written = stream.getvalue()
    assert written.count("\n") == 1 and written.isascii()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", written)
    assert json.loads(written)["path"] == text
