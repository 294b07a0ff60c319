"""One image: check it, decode it once, and write the WebP copies that are served.

Only re-encoded copies are ever served, without metadata; the original is kept by its hash, for the owner.
Runs in a child process (`imagepool`): a decoder is the place where a stranger's bytes do most harm.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

# Importing the plugins registers them; `formats` in `Image.open` keeps Pillow from loading all others.
from PIL import GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401

from microtasks.core import tiling
from microtasks.core.errors import RowInvalid
from microtasks.store.files import Files

#: Widths of the copies. None is larger than its original; one smaller than 1600 px is also kept in full size.
WIDTHS: Final = (320, 640, 1024, 1600)
QUALITY: Final = 80
METHOD: Final = 2  # WebP effort: 3 % more bytes than the default 4 for half its time
MAX_WEBP_SIDE: Final = 16_383
FORMATS: Final = {
    "JPEG": ("image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif")),
    "MPO": ("image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif")),  # a JPEG with a second picture: opened as JPEG
    "PNG": ("image/png", (".png",)),
    "WEBP": ("image/webp", (".webp",)),
    "GIF": ("image/gif", (".gif",)),
}
OPENED: Final = ("JPEG", "PNG", "WEBP", "GIF")
#: EXIF orientation: what makes the picture upright.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: Final = (5, 6, 7, 8)
#: What Pillow's decoders raise for damaged content.
_DAMAGE: Final = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)


@dataclass(frozen=True, slots=True)
class Derived:
    """An image with its files stored. Sizes are the oriented original's, in pixels; x and y place a tile.

    derivatives: [{"width", "height", "sha256"}], ascending by width.
    """

    sha256: str
    mime: str
    width: int
    height: int
    n_bytes: int
    derivatives: list[dict[str, Any]]
    x: int = 0
    y: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def derive(
    content: bytes,
    ending: str,
    files: Files,
    max_pixels: int,
    tile_px: int | None = None,
    overlap_px: int = 0,
    *,
    is_look: bool = False,
) -> Iterator[Derived]:
    """Store the original and its copies; then, if `tile_px` is given, each tile as an image of its own.

    is_look: only read the header, store nothing, and say what the image is, with no copies.

    ending: of the owner's file name, as ".jpg"; must fit the content ("" fits all).
    max_pixels: largest width x height. Raises RowInvalid with a reason for a person.
    1. Look at the header: format, size. 2. Decode, once. 3. Make it upright, plain and free of metadata.
    4. Write the copies, each made from the next larger one.
    """
    if not content:
        raise RowInvalid("This file is empty.")
    picture = _open(content, ending, max_pixels)
    mime = FORMATS[str(picture.format)][0]
    if is_look:
        size = picture.size[::-1] if _orientation(picture) in _SIDEWAYS else picture.size
        yield Derived(sha256(content), mime, *size, len(content), [])
        return
    width, height, plain = _decode(picture, is_whole_needed=tile_px is not None)
    made = copies(plain, width, height, files)
    yield Derived(files.put("originals", content), mime, width, height, len(content), made)
    if tile_px is None:
        return
    for tile in tiling.tiles(width, height, tile_px, overlap_px):
        part = plain.crop((tile.x, tile.y, tile.x + tile.width, tile.y + tile.height))
        lossless = io.BytesIO()
        part.save(lossless, "PNG", compress_level=1)
        original = lossless.getvalue()
        yield Derived(
            files.put("originals", original),
            "image/png",
            tile.width,
            tile.height,
            len(original),
            copies(part, tile.width, tile.height, files),
            tile.x,
            tile.y,
        )


def _open(content: bytes, ending: str, max_pixels: int) -> Image.Image:
    """Read the header alone."""
    if content.lstrip()[:5].lower() in (b"<?xml", b"<svg "):
        raise RowInvalid("SVG drawings are not accepted. Save it as PNG.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            picture = Image.open(io.BytesIO(content), formats=OPENED)
        except Image.DecompressionBombError:
            raise RowInvalid(_too_large(max_pixels)) from None
        except _DAMAGE:
            raise RowInvalid("This is not an image that can be read (JPEG, PNG, WebP or GIF).") from None
    if picture.width * picture.height > max_pixels:
        raise RowInvalid(_too_large(max_pixels))
    if ending and ending not in FORMATS[str(picture.format)][1]:
        kind = "JPEG" if picture.format == "MPO" else picture.format
        raise RowInvalid(f"This is a {kind} image, but its name ends in {ending}. Correct its name.")
    return picture


def _too_large(max_pixels: int) -> str:
    return f"This image has more than {max_pixels / 1e6:g} million pixels. Make it smaller, or cut it up."


def _decode(picture: Image.Image, is_whole_needed: bool) -> tuple[int, int, Image.Image]:
    """Return the oriented original's size, and the upright plain picture of it, maybe in a smaller size."""
    width, height = picture.size
    if not is_whole_needed and picture.format in ("JPEG", "MPO"):
        # JPEG decodes at a half or a quarter for a fraction of the time; never below the largest copy.
        picture.draft(None, (1, WIDTHS[-1]) if _orientation(picture) in _SIDEWAYS else (WIDTHS[-1], 1))
    try:
        picture.load()
        plain = _plain(picture)
    except _DAMAGE:
        raise RowInvalid("This image is damaged or cut off.") from None
    orientation = _orientation(picture)
    if orientation in _UPRIGHT:
        plain = plain.transpose(_UPRIGHT[orientation])
    plain.info = {}
    return (height, width, plain) if orientation in _SIDEWAYS else (width, height, plain)


def _orientation(picture: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1, upright, when there is none. A PNG must be loaded before."""
    try:
        return int(picture.getexif().get(0x0112, 1))
    except _DAMAGE:
        return 1


def _plain(picture: Image.Image) -> Image.Image:
    """8 bits, grey or RGB, what is transparent on white."""
    if picture.mode.startswith(("I", "F")):
        return _stretched(picture)
    if picture.has_transparency_data:
        layers = picture.convert("RGBA")
        plain = Image.new("RGB", picture.size, "white")
        plain.paste(layers, mask=layers.getchannel("A"))
        return plain
    if picture.mode in ("L", "RGB"):
        return picture.copy()
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _stretched(picture: Image.Image) -> Image.Image:
    """Grey of more than 8 bits, as telescopes and probes give: 0.1 % to 99.9 % of the values become 0 to 255.

    A few hot or dead pixels must not make all others black; and 12 bits often come in a file of 16.
    """
    import numpy as np  # here, because few images need it and each child would carry it

    values = np.asarray(picture)
    sample = values.ravel()[:: max(1, values.size // 1_000_000)].astype(np.float32)
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, (0.1, 99.9)) if sample.size else (0.0, 0.0)
    if high <= low:
        low, high = (float(sample.min()), float(sample.max())) if sample.size else (0.0, 0.0)
    scale = 255.0 / (high - low) if high > low else 0.0
    plain = np.empty(values.shape, np.uint8)
    for row in range(0, values.shape[0], 256):  # in strips: floats of the whole would be four times the image
        strip = np.nan_to_num(values[row : row + 256].astype(np.float32))
        plain[row : row + 256] = np.clip(np.rint((strip - low) * scale), 0, 255)
    return Image.fromarray(plain)


def copies(plain: Image.Image, width: int, height: int, files: Files) -> list[dict[str, Any]]:
    """Write the WebP copies of a picture whose original has this size; return them, ascending by width."""
    largest = min(width, WIDTHS[-1], max(1, width * MAX_WEBP_SIDE // height))
    found: list[dict[str, Any]] = []
    for wanted in sorted({largest, *(each for each in WIDTHS if each < largest)}, reverse=True):
        size = (wanted, max(1, round(height * wanted / width)))
        if plain.size != size:
            plain = plain.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        encoded = io.BytesIO()
        plain.save(encoded, "WEBP", quality=QUALITY, method=METHOD)
        found.append(
            {"width": size[0], "height": size[1], "sha256": files.put("derived", encoded.getvalue())}
        )
    return found[::-1]


def sha256(content: bytes) -> str:
    """What names an original."""
    return hashlib.sha256(content).hexdigest()
