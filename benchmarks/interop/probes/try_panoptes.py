"""panoptes_aggregation: config, extract and reduce; is its result ours?"""

import csv
import json
import math
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import yaml

csv.field_size_limit(1 << 30)
home = Path(sys.argv[1])
(classifications,) = home.glob("zooniverse/*-classifications.csv")
(workflows,) = home.glob("zooniverse/*-workflows.csv")
(consensus,) = home.glob("package/*-consensus.csv")
tool = Path(sys.executable).with_name("panoptes_aggregation")


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(*words):
    done = subprocess.run([tool, *map(str, words)], capture_output=True, text=True)  # noqa: S603  (our words)
    if done.returncode:
        sys.exit(f"panoptes_aggregation {words[0]}: {(done.stderr or done.stdout)[-500:]}")


(workflow,) = rows(workflows)
strings, tasks = json.loads(workflow["strings"]), json.loads(workflow["tasks"])
ours = rows(consensus)
reduced = {}
with tempfile.TemporaryDirectory() as folder:
    out = Path(folder)
    number, full = workflow["workflow_id"], f"{workflow['version']}.{workflow['minor_version']}"
    run("config", workflows, number, "-v", full, "-d", out)
    extractors = out / f"Extractor_config_workflow_{number}_V{full}.yaml"
    run("extract", classifications, extractors, "-d", out, "-o", "ex", "-O")
    for extract in sorted(out.glob("*_extractor*_ex.csv")):
        name = extract.name.removesuffix("_ex.csv")
        config = out / f"Reducer_config_workflow_{number}_V{full}_{name}.yaml"
        content = yaml.safe_load(config.read_text())
        for reducer, options in content["reducer_config"].items():
            if "dbscan" in reducer:
                options |= {"eps": 15, "min_samples": 3}
        config.write_text(yaml.safe_dump(content))
        run("reduce", extract, config, "-d", out, "-o", name, "-O")
        (found,) = out.glob(f"*_reducer*_{name}.csv")
        reduced[name] = rows(found)


def slug(text):
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


said, share = [], 1.0
n_rows = sum(map(len, reduced.values()))
said.append(f"{len(rows(classifications))} classifications, {len(reduced)} extractors, {n_rows} reductions")
if "question_extractor" in reduced and "tag" in ours[0]:
    theirs = {row["subject_id"]: row for row in reduced["question_extractor"]}
    same = n = 0
    for row in ours:
        counted = float(theirs[row["task"]].get(f"data.{slug(row['tag'])}") or 0)
        share_of_theirs = counted / int(row["n_saw"])
        n += 1
        same += abs(share_of_theirs - float(row["share"])) < 1e-6
    said.append(f"{same} of {n} tag shares equal")
    share = same / n
elif "question_extractor" in reduced:
    field = next(iter(tasks))
    ids = [slug(strings[option["label"]]) for option in tasks[field]["answers"]]
    names = list(ours[0])
    own = names[names.index("reducer") + 1]
    config = json.loads((home / "package/datapackage.json").read_text())["microtasks"]["config"]["fields"][0]
    labels = {choice["id"]: slug(choice.get("label") or choice["id"]) for choice in config["choices"]}
    theirs = {row["subject_id"]: row for row in reduced["question_extractor"] if row["task"] == field}
    same = n = 0
    for row in ours:
        if not row[own]:
            continue
        votes = {option: float(theirs[row["task"]].get(f"data.{option}") or 0) for option in ids}
        n += 1
        same += max(votes, key=votes.get) == labels[row[own]]
    said.append(f"{same} of {n} majorities equal")
    share = same / n
for name, table in reduced.items():
    if not name.startswith(("shape", "point")):
        continue
    theirs = {}
    for row in table:
        for key in row:
            if key.endswith(("_clusters_x",)) and row[key]:
                tail = key.removesuffix("_x")
                places = zip(json.loads(row[key]), json.loads(row[f"{tail}_y"]), strict=True)
                theirs.setdefault(row["subject_id"], []).extend(places)
            elif key.endswith("_clusters_x_center") and row[key]:
                tail = key.removesuffix("_x_center")
                theirs.setdefault(row["subject_id"], []).extend(
                    zip(json.loads(row[key]), json.loads(row[f"{tail}_y_center"]), strict=True)
                )
    near = []
    for row in ours:
        x, y = float(row["x"]), float(row["y"])
        away = [math.hypot(x - u, y - v) for u, v in theirs.get(row["task"], [])]
        near.append(min(away, default=math.inf))
    hits = [away for away in near if away < 10]
    said.append(
        f"{sum(map(len, theirs.values()))} clusters, {len(ours)} of our marks: {len(hits)} lie within 10 px "
        f"of one ({sum(hits) / max(1, len(hits)):.1f} px on average)"
    )
    share = len(hits) / max(1, len(ours))
print(json.dumps({"ok": share > 0.8, "said": "; ".join(said), "version": version("panoptes_aggregation")}))
