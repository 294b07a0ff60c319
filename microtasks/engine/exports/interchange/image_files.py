"""The images' own files in an export: one name each, upright, and with an ending that says what they are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from microtasks.engine.tabular.table import File

if TYPE_CHECKING:
    from microtasks.engine.exports.interchange.places import Picture
    from microtasks.engine.site import Site

FOLDER = "images/"
ENDINGS = {
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
    "image/tiff": (".tif", ".tiff"),
    "image/avif": (".avif",),
    "image/heic": (".heic", ".heif"),
}
#: Where EXIF says how a camera was held, and what it says of an upright image.
_ORIENTATION, _UPRIGHT = 0x0112, 1


class ImageNames:
    """What the images of one export are called: as they were uploaded, and no two alike."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, picture: Picture) -> str:
        """The name of a picture's file. Ask once for each picture, always in the same order."""
        path = PurePosixPath(_plain(picture.file_name or picture.name))
        stem, ending = path.stem, path.suffix.lower()
        if picture.source is not None:
            stem += f"@{picture.x},{picture.y}"
        endings = ENDINGS.get(picture.mime or "", ())
        if endings and ending not in endings:
            stem, ending = (stem if picture.file_name else f"{stem}{path.suffix}"), endings[0]
        else:
            ending = path.suffix
        name = f"{stem}{ending}"
        if name.casefold() in self._taken:
            name = f"{stem}_{picture.id}{ending}"
        self._taken.add(name.casefold())
        return name


def image_file(site: Site, picture: Picture, name: str) -> File | None:
    """A picture's file as it was uploaded, turned upright if its camera was not; None without an image."""
    if picture.sha256 is None:
        return None
    return File(
        name, picture.mime or "application/octet-stream", _chunks(site, picture.sha256), is_listed=False
    )


def _chunks(site: Site, sha256: str) -> Iterator[bytes]:
    try:
        content = site.files.read("originals", sha256)
    except FileNotFoundError:
        return
    yield _upright(content)


def _upright(content: bytes) -> bytes:
    """Marks are in pixels of the upright image, and many programs do not look at EXIF."""
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT or image.format not in (
                "JPEG",
                "PNG",
                "WEBP",
            ):
                return content
            turned, written = ImageOps.exif_transpose(image), io.BytesIO()
            options = {"quality": 95, "subsampling": 0} if image.format == "JPEG" else {}
            turned.save(written, image.format, icc_profile=image.info.get("icc_profile"), **options)
            return written.getvalue()
    except (OSError, ValueError):
        return content


def _plain(name: str) -> str:
    """A name without folders and without what a file system refuses."""
    flat = name.replace("\\", "/").strip("/").replace("/", "_")
    plain = "".join("_" if character in '<>:"|?*' or ord(character) < 32 else character for character in flat)
    return plain.strip(". ") or "image"
