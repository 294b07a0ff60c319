"""supervision: does it read COCO and YOLO with their images, as many boxes from both?"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import supervision

folder = Path(sys.argv[1])
if not (folder / "yolo").exists():
    sys.exit(0)
(annotations,) = (folder / "coco").glob("*.coco.json")
coco = supervision.DetectionDataset.from_coco(str(folder / "coco/images"), str(annotations))
n_coco = sum(len(boxes) for _, image, boxes in coco if image is not None)
n_yolo = n_images = 0
for half in ("train", "val"):
    images = folder / "yolo/images" / half
    if images.exists():
        yolo = supervision.DetectionDataset.from_yolo(
            str(images), str(folder / "yolo/labels" / half), str(folder / "yolo/data.yaml")
        )
        n_images += len(yolo)
        n_yolo += sum(len(boxes) for _, image, boxes in yolo if image is not None)
said = f"{len(coco)} images in COCO, {n_images} in YOLO; {n_coco} and {n_yolo} boxes"
ok = n_coco > 0 and n_coco == n_yolo and len(coco) == n_images
print(json.dumps({"ok": ok, "said": said, "version": version("supervision")}))
