"""The sample images are what their script makes, their truth is known, and they become three projects."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from microtasks import tasktypes
from microtasks.core.errors import NotFound
from microtasks.core.values import Media
from microtasks.engine.accounts import accounts
from microtasks.engine.operations import samples
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.store.results import ground_truth

MODULES = ("make", "terrain", "sentences")


@pytest.fixture(scope="module")
def make() -> Iterator[ModuleType]:
    """The script beside the images."""
    sys.path.insert(0, str(samples.FOLDER))
    import make

    yield make
    sys.path.remove(str(samples.FOLDER))
    for name in MODULES:
        sys.modules.pop(name, None)


def table(name: str) -> list[dict[str, str]]:
    with open(samples.FOLDER / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pixels(name: str) -> np.ndarray:
    with Image.open(samples.FOLDER / name) as image:
        return np.asarray(image.convert("L"), float)


def test_the_tables_are_what_the_script_makes(make: ModuleType) -> None:
    for name, rows in make.tables().items():
        assert table(name) == rows


@pytest.mark.parametrize(("folder", "name"), [("craters", "upland-3"), ("landforms", "tile-07")])
def test_the_pictures_are_what_the_script_makes(make: ModuleType, folder: str, name: str) -> None:
    drawn = make.crater_scene(name) if folder == "craters" else make.landform_scene(name)
    kept = pixels(f"{folder}/{name}.webp")
    assert kept.shape == drawn.shape
    assert np.abs(kept - drawn).mean() < 4  # what the compression costs


def test_the_samples_are_small_and_free() -> None:
    assert sum(path.stat().st_size for path in samples.FOLDER.rglob("*.webp")) < 1_500_000
    assert "CC0" in (samples.FOLDER / "LICENCE.txt").read_text()


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: sample.slug)
def test_every_task_has_a_truth_that_is_a_valid_answer(sample: samples.Sample) -> None:
    kind = tasktypes.get(sample.form["task_type"])
    config = kind.parse_config(sample.form["config"])
    for row in table(sample.table):
        media = []
        if row.get("image"):
            height, width = pixels(row["image"]).shape
            media = [Media(width=width, height=height)]
        payload = kind.Payload(text=row.get("text"))
        right = json.loads(row["#truth"])
        assert kind.score(kind.parse_value(right, payload, config, media), right, config) == 1
        if row["gold"]:
            assert json.loads(row["gold"]) == right


def test_a_crater_is_darker_on_the_side_of_the_sun() -> None:
    """The truth lies where the picture shows it: sunlight comes from the upper left."""
    differences = []
    for row in table("craters.csv"):
        grey = pixels(row["image"])
        y, x = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]]
        for mark in json.loads(row["#truth"])["marks"]:
            if mark["class"] != "ghost":
                inside = np.hypot(x - mark["x"], y - mark["y"]) < mark["r"] * 0.9
                across = x - mark["x"] + 0.8 * (y - mark["y"]) > 0
                differences.append(grey[inside & across].mean() - grey[inside & ~across].mean())
    assert len(differences) > 80
    assert np.mean(np.array(differences) > 0) > 0.97


def test_the_samples_become_three_published_projects(site: Site) -> None:
    accounts.create_owner(site, "ada@example.org")
    slugs = samples.seed(site)
    found: dict[str, Any] = {}
    with site.db.session() as session:
        for slug in slugs:
            project = projects.by_slug(session, slug)
            assert project.state == "published"
            assert project.account_id is not None
            found[slug] = (project.task_type, projects.progress(session, project.id)["tasks"], project.id)
    assert sorted((kind, n) for kind, n, _ in found.values()) == [
        ("marking", 12),
        ("question", 24),
        ("tagging", 16),
    ]
    with site.db.connection() as connection:
        for _, n, project_id in found.values():
            assert len(ground_truth.truth_or_gold(connection, project_id)) == n
            shown = connection.execute(
                "SELECT payload::text FROM task_content WHERE project_id = %s", (project_id,)
            )
            assert not any("truth" in row[0] for row in shown)
        assert connection.execute("SELECT count(*) FROM task_gold").fetchone() == (7,)

    before = everything(site)
    assert samples.seed(site) == slugs
    assert everything(site) == before, "doing it again changes nothing"


def test_seeding_goes_on_where_it_was_interrupted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    published = samples.projects.publish

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(samples.projects, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        samples.seed(site)
    monkeypatch.setattr(samples.projects, "publish", published)
    samples.seed(site)
    with site.db.session() as session:
        assert [project.state for project in projects.all_projects(session)] == ["published"] * 3


def test_absent_samples_are_said_plainly(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(samples, "FOLDER", tmp_path)
    with pytest.raises(NotFound, match="sample_images"):
        samples.seed(site)


def everything(site: Site) -> list[Any]:
    with site.db.connection() as connection:
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608
            for table in ("project", "batch", "task", "task_content", "task_gold", "media")
        ]
