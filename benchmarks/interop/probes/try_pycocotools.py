"""pycocotools: does it load, are masks as large as the areas say, does each mark find itself?"""

import contextlib
import io
import json
import sys
from importlib.metadata import version
from pathlib import Path

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

found = list(Path(sys.argv[1]).glob("coco/*.coco.json"))
if not found:
    sys.exit(0)
with contextlib.redirect_stdout(io.StringIO()):
    coco = COCO(str(found[0]))
    marks = coco.loadAnns(coco.getAnnIds())
    misses = []
    for mark in marks:
        image = coco.imgs[mark["image_id"]]
        x, y, width, height = mark["bbox"]
        inside = x >= 0 and y >= 0 and x + width <= image["width"] and y + height <= image["height"]
        if inside and mark["segmentation"]:
            misses.append(abs(coco.annToMask(mark).sum() / mark["area"] - 1))
    precision = {}
    for kind in ("bbox", "segm"):
        if kind == "segm" and not misses:
            continue
        keys = ["image_id", "category_id", "bbox", "score", *(["segmentation"] if kind == "segm" else [])]
        results = [{key: mark[key] for key in keys} for mark in marks]
        test = COCOeval(coco, coco.loadRes(results), kind)
        test.evaluate()
        test.accumulate()
        test.summarize()
        precision[kind] = float(test.stats[0])
mean = sum(misses) / len(misses) if misses else None
said = f"{len(coco.imgs)} images, {len(marks)} marks"
if mean is not None:
    said += f", masks differ from the area by {100 * mean:.1f} % on average"
said += ", average precision against itself " + ", ".join(f"{k} {v:.3f}" for k, v in precision.items())
ok = bool(len(marks) > 0 and min(precision.values()) > 0.99 and (mean is None or mean < 0.1))
print(json.dumps({"ok": ok, "said": said, "version": version("pycocotools")}))
