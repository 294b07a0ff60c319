"""From an empty account to results, on a phone: each type of task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from afternoon import KINDS, Kind, walk
from playwright.sync_api import Page
from visitors import PHONE

from microtasks.engine.site import Site

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_owners_afternoon_on_a_phone(
    kind: Kind, site: Site, visit: Callable[..., Page], address: str, worker: None, tmp_path: Path
) -> None:
    walk(kind, site, address, visit("/", **PHONE), tmp_path)
