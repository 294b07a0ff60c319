"""The real case: an owner brings images of Mars, real students' marks are replayed, the expert compares.

    python -m benchmarks.mars_case FOLDER [--tile 500 --overlap 60] [--data DIR] [--picture FILE]

FOLDER holds images/*.png, marks.csv (task,worker,x,y,r), views.csv (task,worker), gold_marks.csv (task,x,y,r)
and, where known, published_clusters.csv (task,x,y,r,votes). The site must be running on the data folder
(`microtasks up`). The owner's part is done on its pages, by Chromium (`mars_pages.py`). Each student becomes
one contributor to the public API: a tile gets the student's marks whose centre lies in it; tiles of images
that the student never saw are skipped.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from http.cookiejar import CookieJar
from pathlib import Path
from urllib import request

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.mars_pages import Owner

Circle = tuple[float, float, float]
Marks = Mapping[tuple[str, str], list[Circle]]
REDUNDANCY = 6  # students who saw an image


class Volunteer:
    """One contributor: a cookie jar and the volunteer API."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.opener = request.build_opener(request.HTTPCookieProcessor(CookieJar()))

    def post(self, path: str, body: object) -> dict:
        http = request.Request(  # noqa: S310  (our own site)
            f"{self.base}/api/v1{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with self.opener.open(http, timeout=60) as answer:
            return json.load(answer)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def circles(table: list[dict[str, str]], task: str = "task") -> dict[str, list[Circle]]:
    found: dict[str, list[Circle]] = defaultdict(list)
    for row in table:
        found[row[task]].append((float(row["x"]), float(row["y"]), float(row["r"])))
    return found


def matches(truth: list[Circle], found: list[Circle]) -> int:
    """One to one: centre within max(D/4, 2 px), diameter within a factor of 1.6."""
    if not truth or not found:
        return 0
    a, b = np.array(truth), np.array(found)
    distance = np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1])
    diameter = 2 * a[:, None, 2]
    ratio = np.abs(np.log(a[:, None, 2] / b[None, :, 2]))
    fits = (distance < np.maximum(diameter / 4, 2)) & (ratio < np.log(1.6))
    cost = np.where(fits, distance / diameter + ratio, 1e3)
    return int(fits[linear_sum_assignment(cost)].sum())


def score(name: str, truth: dict[str, list[Circle]], found: dict[str, list[Circle]]) -> None:
    n_match = sum(matches(truth[image], found.get(image, [])) for image in truth)
    n_truth = sum(map(len, truth.values()))
    n_found = sum(len(found.get(image, [])) for image in truth)
    precision, recall = n_match / max(n_found, 1), n_match / n_truth
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    print(f"| {name} | {n_found} | {n_match} | {precision:.3f} | {recall:.3f} | {f1:.3f} |")


def replay(
    url: str, slug: str, seen: Mapping[str, set[str]], marks: Marks, tiles: Mapping[int, Mapping[str, str]]
) -> int:
    """Let each student answer the tiles of images they saw, and skip the others; return the marks sent."""
    n_sent = 0
    for student in sorted(seen):
        volunteer = Volunteer(url)
        leases = volunteer.post(f"/projects/{slug}/leases", {"limit": 20})["leases"]
        while leases:
            answers = []
            for lease in leases:
                tile, size = tiles[lease["task"]["id"]], lease["task"]["media"][0]
                image = Path(tile["source"]).stem
                if image not in seen[student]:
                    answers.append({"lease": lease["lease"], "kind": "skip"})
                    continue
                left, top = int(tile["source_x"]), int(tile["source_y"])
                here = [
                    {"x": x - left, "y": y - top, "r": r}
                    for x, y, r in marks[student, image]
                    if 0 <= x - left <= size["width"] and 0 <= y - top <= size["height"]
                ]
                answers.append({"lease": lease["lease"], "kind": "value", "value": {"marks": here}})
                n_sent += len(here)
            reply = volunteer.post("/answers", {"answers": answers, "next": 20})
            bad = [r for r in reply["receipts"] if r["status"] not in ("counted", "skipped")]
            if bad:
                raise SystemExit(f"{student}: {bad[0]}")
            leases = reply["leases"]
    return n_sent


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tile", type=int, default=500)
    parser.add_argument("--overlap", type=int, default=60)
    parser.add_argument("--look-at", default="MC11E-D.png", help="The whole image that is looked at last.")
    parser.add_argument("--picture", type=Path, help="Where to keep a picture (WebP) of it.")
    parser.add_argument("--data", type=Path, default=Path("microtasks-data"))
    options = parser.parse_args()
    environment = dict(os.environ, MICROTASKS_DATA=str(options.data))

    def cli(*arguments: object) -> str:
        done = subprocess.run(  # noqa: S603
            [Path(sys.executable).parent / "microtasks", *map(str, arguments)],
            env=environment, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    seen: dict[str, set[str]] = defaultdict(set)
    for row in rows(options.folder / "views.csv"):
        seen[row["worker"]].add(row["task"])
    marks: dict[tuple[str, str], list[Circle]] = defaultdict(list)
    for row in rows(options.folder / "marks.csv"):
        marks[row["worker"], row["task"]].append((float(row["x"]), float(row["y"]), float(row["r"])))

    images = sorted((options.folder / "images").glob("*.png"))
    started = time.monotonic()
    with Owner(cli("owner", "create", "mars@example.org")) as owner:
        owner.make_project()
        n_tiles = owner.upload(images, options.tile, options.overlap)
        owner.launch(REDUNDANCY)
        tiles = {int(row["task"]): row for row in owner.table("tasks")}
        print(f"{len(images)} images, {n_tiles} tiles, {len(seen)} students", file=sys.stderr)
        print(f"{replay(owner.base, owner.slug, seen, marks, tiles)} marks sent", file=sys.stderr)
        owner.wait_for_consensus(n_tiles)
        cli("aggregate", owner.slug)  # the figures shall not hang on how far the worker is with whole images
        sources = [{**row, "source": Path(row["source"]).stem} for row in owner.table("sources")]
        owner.look_at_whole(options.look_at, options.picture)
    print(f"{time.monotonic() - started:.0f} s, the owner's pages included", file=sys.stderr)

    found = circles(sources, "source")
    truth = circles(rows(options.folder / "gold_marks.csv"))
    print("| catalogue | craters | matched | precision | recall | F1 |\n|---|---|---|---|---|---|")
    score("microtasks, through the site", truth, found)
    published = options.folder / "published_clusters.csv"
    if published.exists():
        for votes in (2, 3):
            kept = [row for row in rows(published) if int(float(row["votes"])) >= votes]
            score(f"published clusters, {votes} or more students", truth, circles(kept))
    return 0


if __name__ == "__main__":
    sys.exit(main())
