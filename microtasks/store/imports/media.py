"""Images: their rows, and what a browser is told of them. Their files: files.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from microtasks.store.db import Connection

#: A page without `srcset` gets the image nearest to this width.
COMMON_WIDTH = 640


@dataclass(frozen=True, slots=True)
class Image:
    """A row of `media`. Width and height are the oriented original's, in pixels: marks are in these.

    derivatives: [{"width", "height", "sha256"}], ascending by width.
    """

    id: int
    sha256: str
    mime: str
    width: int
    height: int
    n_bytes: int
    derivatives: Sequence[dict[str, Any]]


class Shown(Protocol):
    """What `wire` needs of an image: `Image` and `tables.Media` both have it."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def derivatives(self) -> Sequence[dict[str, Any]]: ...


def wire(media: Shown) -> dict[str, Any]:
    """Return {"url", "width", "height", "srcset"} as the API and the pages give it to a browser.

    Width and height are the oriented original's in pixels; `url` is the derivative nearest to 640 px wide.
    """
    addresses = [(int(item["width"]), f"/media/{item['sha256']}.webp") for item in media.derivatives]
    return {
        "url": min(addresses, key=lambda item: (abs(item[0] - COMMON_WIDTH), item[0]))[1],
        "width": media.width,
        "height": media.height,
        "srcset": ", ".join(f"{url} {width}w" for width, url in addresses),
    }


_COLUMNS = "id, sha256, mime, width, height, n_bytes, derivatives"


def by_ids(connection: Connection, ids: Iterable[int]) -> dict[int, Image]:
    """Return the images of these ids; an unknown id is missing from the result."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM media WHERE id = ANY(%s)", (list(ids),))  # noqa: S608
    return {row[0]: Image(*row) for row in rows}


def by_sha256(connection: Connection, sha256: str) -> Image | None:
    """Return the image whose original has this content, if it is known."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM media WHERE sha256 = %s", (sha256,)).fetchone()  # noqa: S608
    return Image(*row) if row else None


def add(
    connection: Connection,
    *,
    sha256: str,
    mime: str,
    width: int,
    height: int,
    n_bytes: int,
    derivatives: Sequence[dict[str, Any]],
) -> Image:
    """Insert the image, whose files are stored already; return the row that is there for this content."""
    connection.execute(
        """INSERT INTO media (sha256, mime, width, height, n_bytes, derivatives)
           VALUES (%s, %s, %s, %s, %s, %s::jsonb) ON CONFLICT (sha256) DO NOTHING""",
        (sha256, mime, width, height, n_bytes, json.dumps(list(derivatives))),
    )
    image = by_sha256(connection, sha256)
    assert image is not None  # noqa: S101  (inserted here or by another import)
    return image
