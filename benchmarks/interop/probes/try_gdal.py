"""GDAL, which QGIS reads with: does it take the GeoJSON, is each mark where the world file says?"""

import csv
import json
import math
import sys
from pathlib import Path

import pyogrio
import pyogrio.raw
import shapely

home = Path(sys.argv[1])
found = list(home.glob("geojson/*.geojson"))
if not found:
    sys.exit(0)


def rows(table):
    with next(home.glob(f"package/*-{table}.csv")).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


tasks, ours = {task["task"]: task for task in rows("tasks")}, rows("consensus")
info = pyogrio.read_info(found[0])
meta, _, geometry, columns = pyogrio.raw.read(found[0])
fields = dict(zip(meta["fields"], columns, strict=True))
shapes = shapely.from_wkb(geometry)
by_place = {(float(x), float(y)): shape for x, y, shape in zip(fields["x"], fields["y"], shapes, strict=True)}
away, sizes = [], []
for row in ours:
    x, y, r = (float(row[name]) for name in ("x", "y", "r"))
    a, d, b, e, c, f = map(float, tasks[row["task"]]["hidden_world"].split())
    where = c + a * (x - 0.5) + b * (y - 0.5), f + d * (x - 0.5) + e * (y - 0.5)
    shape = by_place[x, y]
    away.append(math.hypot(shape.centroid.x - where[0], shape.centroid.y - where[1]))
    sizes.append(shape.area / (math.pi * r * r * abs(a * e - b * d)))
crs = tasks[ours[0]["task"]]["hidden_crs"]
is_valid = bool(shapely.is_valid(shapes).all())
ok = (
    is_valid and info["features"] == len(ours) and info["crs"] == crs and max(away) < 1e-6 < 0.95 < min(sizes)
)
said = (
    f"{info['features']} polygons of {len(ours)} marks, {'all' if is_valid else 'not all'} valid, "
    f"{info['crs']}; centres at most {max(away):.0e} map units off, areas {100 * min(sizes):.1f} to "
    f"{100 * max(sizes):.1f} % of the circles'"
)
print(
    json.dumps(
        {"ok": ok, "said": said, "version": f"{pyogrio.__version__}, GDAL {pyogrio.__gdal_version_string__}"}
    )
)
