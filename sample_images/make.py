#!/usr/bin/env python3
"""Generate the sample images and their manifests, the same each time: `python sample_images/make.py`.

Nothing is downloaded and nothing is a photograph: heights are simulated, lit and seen through a simulated
camera (terrain.py), so that the truth about each image is known exactly. It stands in the column `#truth`,
which volunteers never see. Licence: CC0, see LICENCE.txt.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
import terrain
from sentences import SENTENCES
from terrain import Crater

HERE = Path(__file__).parent
CRATER_PX, LANDFORM_PX = 640, 480
#: Craters below this diameter are in the pictures too, but not in the truth: as in a real image.
MIN_DIAMETER_PX = 14

#: name -> (seed, fresh, degraded, ghost, largest diameter, roughness of the ground, sun's height in degrees)
CRATER_SCENES = {
    "plain-1": (11, 5, 3, 0, 90, 0.9, 34),
    "plain-2": (12, 7, 2, 1, 60, 0.7, 38),
    "plain-3": (13, 3, 5, 1, 120, 1.0, 30),
    "upland-1": (14, 4, 7, 2, 130, 1.7, 33),
    "upland-2": (15, 6, 8, 2, 100, 1.9, 36),
    "upland-3": (16, 3, 6, 3, 150, 1.6, 30),
    "hills-1": (17, 4, 4, 1, 80, 2.6, 35),
    "hills-2": (18, 2, 5, 1, 110, 2.8, 33),
    "old-1": (19, 2, 4, 4, 140, 1.3, 28),
    "old-2": (20, 3, 6, 3, 90, 1.5, 29),
    "young-1": (21, 12, 2, 0, 70, 0.8, 36),
    "empty-1": (22, 0, 0, 0, 0, 1.6, 34),
}

#: name -> (seed, tags that are right)
LANDFORM_SCENES = {
    "tile-01": (41, ("dunes",)),
    "tile-02": (42, ("channels",)),
    "tile-03": (43, ("craters",)),
    "tile-04": (44, ("layers",)),
    "tile-05": (45, ("smooth",)),
    "tile-06": (46, ("dunes", "craters")),
    "tile-07": (47, ("channels", "craters")),
    "tile-08": (48, ("dunes",)),
    "tile-09": (49, ("layers",)),
    "tile-10": (50, ("smooth",)),
    "tile-11": (51, ("craters",)),
    "tile-12": (52, ("channels",)),
    "tile-13": (53, ("layers", "craters")),
    "tile-14": (54, ("dunes",)),
    "tile-15": (55, ("smooth", "craters")),
    "tile-16": (56, ("channels", "dunes")),
}

#: Rows that are known tasks (gold) too, to show what gold does.
GOLD = {"plain-2", "young-1", "tile-01", "tile-04", "log-03", "log-08", "log-14"}


def craters_of(name: str) -> list[Crater]:
    """The true craters of one crater scene."""
    seed, fresh, degraded, ghost, largest, _, _ = CRATER_SCENES[name]
    kinds = ["fresh"] * fresh + ["degraded"] * degraded + ["ghost"] * ghost
    if not kinds:
        return []
    return terrain.scatter(np.random.default_rng([seed, 1]), CRATER_PX, kinds, MIN_DIAMETER_PX + 3, largest)


def crater_scene(name: str) -> np.ndarray:
    """The picture of one crater scene."""
    rough, sun = CRATER_SCENES[name][5:]
    rng = np.random.default_rng([CRATER_SCENES[name][0], 2])
    height = rough * 3.0 * terrain.fractal(rng, CRATER_PX, 3.5, 12)
    height += rough * 0.24 * terrain.fractal(rng, CRATER_PX, 2.2, 3)
    known = craters_of(name)
    specks = terrain.scatter(rng, CRATER_PX, ["fresh"] * 9 + ["degraded"] * 8, 3, 8, known)
    height = terrain.cratered(height, [*specks, *known], rng)
    return terrain.photograph(
        height, rng, azimuth=np.pi + rng.uniform(0.45, 0.95), elevation=np.radians(sun), contrast=0.9
    )


def landform_scene(name: str) -> np.ndarray:
    """The picture of one landform tile."""
    seed, tags = LANDFORM_SCENES[name]
    rng = np.random.default_rng(seed)
    size = LANDFORM_PX
    calm = 0.35 if "smooth" in tags else 1.0
    height = calm * (2.4 * terrain.fractal(rng, size, 3.4, 14) + 0.26 * terrain.fractal(rng, size, 2.0, 3))
    albedo = None
    wind = rng.uniform(-0.5, 0.5)
    if "layers" in tags:
        terraces, albedo = terrain.layers(rng, size, 11)
        height = 0.25 * height + terraces
    if "channels" in tags:
        height = terrain.channels(height, rng, branches=5)
    if "dunes" in tags:
        if name == "tile-14":
            height = 0.4 * height + terrain.barchans(rng, size, 22, wind)
        elif "channels" in tags:
            sand = terrain.dunes(rng, size, 21, wind)
            y = terrain.grid(size)[1]
            where = 1 / (1 + np.exp(-(y - 0.62 * size + 22 * terrain.fractal(rng, size, 3.2, 30)) / 9))
            height = height + sand * where
        else:
            height = 0.6 * height + terrain.dunes(
                rng, size, {"tile-01": 46, "tile-06": 34}.get(name, 27), wind
            )
    if "craters" in tags:
        crowd = tags == ("craters",)
        kinds = ["fresh"] * 8 + ["degraded"] * 10 + ["ghost"] if crowd else ["fresh"] * 3 + ["degraded"] * 2
        height = terrain.cratered(height, terrain.scatter(rng, size, kinds, 22, 90), rng)
    return terrain.photograph(
        height, rng, azimuth=np.pi + rng.uniform(0.3, 0.9), elevation=np.radians(34), albedo=albedo
    )


def marks(craters: list[Crater]) -> dict[str, object]:
    """The truth of a crater scene as an answer's value."""
    listed = [{"x": c.x, "y": c.y, "r": c.r, "class": c.kind} for c in craters if 2 * c.r >= MIN_DIAMETER_PX]
    return {"marks": sorted(listed, key=lambda mark: -float(str(mark["r"])))}


def tables() -> dict[str, list[dict[str, str]]]:
    """The manifests by file name, without the pictures' pixels."""
    rows: dict[str, list[dict[str, str]]] = {"craters.csv": [], "landforms.csv": [], "sentences.csv": []}
    for name in CRATER_SCENES:
        truth = json.dumps(marks(craters_of(name)))
        rows["craters.csv"].append(_row(name, truth, image=f"craters/{name}.webp"))
    for name, (_, tags) in LANDFORM_SCENES.items():
        truth = json.dumps({"tags": list(tags)})
        rows["landforms.csv"].append(_row(name, truth, image=f"landforms/{name}.webp"))
    for number, (text, answer) in enumerate(SENTENCES, start=1):
        truth = json.dumps({"answer": answer})
        rows["sentences.csv"].append(_row(f"log-{number:02}", truth, text=text))
    return rows


def _row(name: str, truth: str, **shown: str) -> dict[str, str]:
    return {"id": name, **shown, "gold": truth if name in GOLD else "", "#truth": truth}


def main() -> None:
    for folder, scenes, draw in (
        ("craters", CRATER_SCENES, crater_scene),
        ("landforms", LANDFORM_SCENES, landform_scene),
    ):
        (HERE / folder).mkdir(exist_ok=True)
        for name in scenes:
            Image.fromarray(draw(name)).save(HERE / folder / f"{name}.webp", quality=76, method=6)
    for file, rows in tables().items():
        with open(HERE / file, "w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    total = sum(path.stat().st_size for path in HERE.rglob("*.webp"))
    print(f"{len(list(HERE.rglob('*.webp')))} images, {total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
