"""Hugging Face datasets: does load_dataset read the package by its card, and the images with their labels?"""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
from datasets import get_dataset_config_names, load_dataset

folder = Path(sys.argv[1])
said = []
names = get_dataset_config_names(str(folder / "package"))
n_rows = sum(len(load_dataset(str(folder / "package"), name, split="train")) for name in names)
said.append(f"{len(names)} tables, {n_rows} rows")
for format in ("labels", "imagefolder"):
    if (folder / format).exists():
        images = load_dataset(str(folder / format), split="train")
        said.append(f"{format}: {len(images)} images, {images.column_names}, first {images[0]['image'].size}")
ok = bool(names) and n_rows > 0
print(json.dumps({"ok": ok, "said": "; ".join(said), "version": version("datasets")}))
