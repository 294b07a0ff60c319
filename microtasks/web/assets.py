"""Scripts and styles under names that carry their content's hash: cached for ever, compressed once.

`asset("css/app.css")` in a template is the URL of `web/static/css/app.css`, and
`asset("tasktypes/marking/presenter.js")` that of a task type's own script.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, url_for
from flask import request as http
from werkzeug.wrappers import Response as BaseResponse

from microtasks import tasktypes

blueprint = Blueprint("assets", __name__)

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".webmanifest": "application/manifest+json",
}
FOR_EVER = "public, max-age=31536000, immutable"
WORKER = "js/sw.js"
#: Scripts that no task page loads: the service worker need not keep them.
NOT_FOR_TASKS = {WORKER, "js/explorer.js", "js/learn.js", "js/live.js", "js/owner.js", "js/preview.js"}
#: Comments, a tenth of what a phone would load. In scripts those that begin a line, or follow the code with
#: nothing quoted behind them: what looks like one inside a string stays.
COMMENTS = {
    ".js": re.compile(rb"""(?m)^[ \t]*//.*$|[ \t]+// [^\n"'`]*$"""),
    ".css": re.compile(rb"(?s)/\*.*?\*/"),
}
INDENTATION = re.compile(rb"(?m)^[ \t]+")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    content: bytes
    gzipped: bytes
    mime: str
    tag: str


def init_app(app: Flask) -> None:
    """Read every asset once; the site is small enough to hold them in memory."""
    app.extensions["microtasks_assets"] = read_all()
    app.register_blueprint(blueprint)
    app.jinja_env.globals["asset"] = asset


def read_all() -> dict[str, Asset]:
    static, types = Path(__file__).parent / "static", Path(tasktypes.__path__[0])
    found = {path.relative_to(static).as_posix(): path for path in static.rglob("*") if path.suffix in TYPES}
    found |= {f"tasktypes/{path.parent.name}/{path.name}": path for path in types.glob("*/*.js")}
    assets = {name: _made(path.read_bytes(), path.suffix) for name, path in sorted(found.items())}
    needed = [
        f"/static/{assets[name].tag}/{name}"
        for name in assets
        if name == "css/app.css" or (name.endswith(".js") and name not in NOT_FOR_TASKS)
    ]
    # The list changes with every changed file, so browsers see a new worker and fetch what is new.
    listed = f"const NEEDED = {json.dumps(needed)};\n".encode()
    assets[WORKER] = _made(listed + assets[WORKER].content, ".js")
    return assets


def _made(content: bytes, suffix: str) -> Asset:
    if suffix in COMMENTS:  # line ends stay, so that an error still names the line of the file
        content = COMMENTS[suffix].sub(lambda found: b"\n" * found[0].count(b"\n"), content)
    if suffix == ".css":  # a script's template strings may hold lines whose spaces count; a style has none
        content = INDENTATION.sub(b"", content)
    tag = hashlib.sha256(content).hexdigest()[:12]
    return Asset(content, gzip.compress(content, 9, mtime=0), TYPES[suffix], tag)


def asset(name: str) -> str:
    """The URL of one asset; KeyError for a name that does not exist, so that a typing error shows at once."""
    return url_for("assets.get", tag=_all()[name].tag, name=name)


@blueprint.get("/static/<tag>/<path:name>")
def get(tag: str, name: str) -> BaseResponse:
    """Send the asset. A page from before an update asks for an old tag: it gets the present one, not kept."""
    found = _all().get(name)
    if found is None:
        abort(404)
    is_gzipped = "gzip" in http.headers.get("Accept-Encoding", "") and len(found.gzipped) < len(found.content)
    response = Response(found.gzipped if is_gzipped else found.content, content_type=found.mime)
    if is_gzipped:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = FOR_EVER if tag == found.tag else "no-cache"
    response.set_etag(found.tag + ("z" if is_gzipped else ""))
    return response.make_conditional(http)


@blueprint.get("/sw.js")
def service_worker() -> BaseResponse:
    """The service worker; from the root, so that it may serve /p/, and asked for anew each time."""
    return get("", WORKER)


def _all() -> dict[str, Asset]:
    assets: dict[str, Asset] = current_app.extensions["microtasks_assets"]
    return assets
