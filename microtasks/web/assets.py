"""Scripts and styles under names that carry their content's hash: cached for ever, compressed once.

`asset("css/app.css")` in a template is the URL of `web/static/css/app.css`, and
`asset("tasktypes/NAME/presenter.js")` that of a task type's own script.

A script is sent with all that it imports in one file, without comments and blanks: on a line of 400 ms each
further file would cost a task page another trip. What is imported by its path is joined here, at start;
`microtasks/x.js` in a task type's script is `web/static/js/x.js`. Names at the top of the joined modules must
differ.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import rcssmin
import rjsmin
from flask import Blueprint, Flask, Response, abort, current_app, url_for
from flask import request as http
from werkzeug.wrappers import Response as BaseResponse

from microtasks import tasktypes
from microtasks.core.errors import SettingsInvalid

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
#: Modules that are only ever joined into others.
PARTS = (
    "js/task/",
    "js/device.js",
    "js/keys.js",
    "js/presenting.js",
    "js/search.js",
    "js/sending.js",
    "js/typed.js",
)
IMPORT = re.compile(r"""(?m)^import \{([^}]*)\} from "([^"]+)";\n""")
NAME = re.compile(r"(?m)^(?:export )?(?:async )?(?:const|let|function|class) +(\w+)")


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
    static = Path(__file__).parent / "static"
    files = {path.relative_to(static).as_posix(): path for path in static.rglob("*") if path.suffix in TYPES}
    for name in tasktypes.all_types():
        own = [path for path in tasktypes.folder(name).iterdir() if path.suffix in (".js", ".css")]
        files |= {f"tasktypes/{name}/{path.name}": path for path in own}
    assets = {
        name: _made(joined(path) if path.suffix == ".js" else path.read_bytes(), path.suffix)
        for name, path in sorted(files.items())
        if not name.startswith(PARTS)
    }
    needed = [
        f"/static/{assets[name].tag}/{name}"
        for name in assets
        if name.startswith(("css/app.css", "tasktypes/"))
        or (name.endswith(".js") and name not in NOT_FOR_TASKS)
    ]
    # The list changes with every changed file, so browsers see a new worker and fetch what is new.
    listed = f"const NEEDED = {json.dumps(needed)};\n".encode()
    assets[WORKER] = _made(listed + assets[WORKER].content, ".js")
    return assets


def joined(entry: Path) -> bytes:
    """A script behind all the modules that it imports, each once; SettingsInvalid if that cannot be."""
    order: list[Path] = []
    _gather(entry.resolve(), order)
    owner: dict[str, Path] = {}
    parts = []
    for path in order:
        text = path.read_text(encoding="utf-8")
        for name in NAME.findall(text):
            if name in owner:
                raise SettingsInvalid(f"{path.name} and {owner[name].name} both define {name}.")
            owner[name] = path
        text = IMPORT.sub("", text)
        if re.search(r"(?m)^(import|export (default|\*|\{))", text):
            raise SettingsInvalid(f"{path.name}: only `import {{names}} from` can be joined.")
        parts.append(text if path == order[-1] else re.sub("(?m)^export ", "", text))
    return "".join(parts).encode()


def _gather(path: Path, order: list[Path]) -> None:
    for names, target in IMPORT.findall(path.read_text(encoding="utf-8")):
        base = Path(__file__).parent / "static" / "js" if target.startswith("microtasks/") else path.parent
        wanted = (base / target.removeprefix("microtasks/")).resolve()
        if " as " in names or not wanted.is_file():
            raise SettingsInvalid(f"{path.name} imports {target}, which cannot be joined.")
        if wanted not in order:
            _gather(wanted, order)
    order.append(path)


def _made(content: bytes, suffix: str) -> Asset:
    if suffix == ".js":
        content = rjsmin.jsmin(content)
    elif suffix == ".css":
        content = rcssmin.cssmin(content)
    tag = hashlib.sha256(content).hexdigest()[:12]
    return Asset(content, gzip.compress(content, 9, mtime=0), TYPES[suffix], tag)


def asset(name: str) -> str:
    """The URL of one asset; KeyError for a name that does not exist, so that a typing error shows at once."""
    return url_for("assets.get", tag=_all()[name].tag, name=name)


def has_asset(name: str) -> bool:
    """Is there an asset of that name?"""
    return name in _all()


@blueprint.get("/static/<tag>/<path:name>")
def get(tag: str, name: str) -> BaseResponse:
    """Send the asset. A page from before an update asks for an old tag: it gets the present one, not kept."""
    asset_file = _all().get(name)
    if asset_file is None:
        abort(404)
    is_gzipped = "gzip" in http.headers.get("Accept-Encoding", "") and len(asset_file.gzipped) < len(
        asset_file.content
    )
    response = Response(
        asset_file.gzipped if is_gzipped else asset_file.content, content_type=asset_file.mime
    )
    if is_gzipped:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = FOR_EVER if tag == asset_file.tag else "no-cache"
    response.set_etag(asset_file.tag + ("z" if is_gzipped else ""))
    return response.make_conditional(http)


@blueprint.get("/sw.js")
def service_worker() -> BaseResponse:
    """The service worker; from the root, so that it may serve /p/, and asked for anew each time."""
    return get("", WORKER)


def _all() -> dict[str, Asset]:
    assets: dict[str, Asset] = current_app.extensions["microtasks_assets"]
    return assets
