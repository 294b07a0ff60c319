"""How good and how fast the consensus is, beside targets and beside what others use.

    python -m benchmarks.consensus FOLDER [--write docs/consensus.md] [--quick]

FOLDER holds datasets/<name>/{answers,gold}.csv (task,worker,label or text), datasets/<name>/
{marks,views,gold_marks}.csv (task,worker,x,y,r) and real/mars_craters/ of the same shape; what is missing is
left out. With crowd-kit and scikit-learn installed they are measured beside. Takes a few minutes; --quick
leaves out the replay of stopping and makes the speed test ten times smaller.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.consensus import data, labels, marks, stopping, texts

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers to three digits."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return "" if np.isnan(value) else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
        return str(value)

    lines = ["| " + " | ".join(map(cell, row)) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def label_tables(root: Path) -> Iterator[str]:
    sets = data.labels(root)
    if not sets:
        return
    names = [each.name for each in sets]
    yield "### Labels: accuracy in %\n"
    yield "Target: model at least 83.2 on average, never more than 1 point under majority; all eight in 1 s."
    rows = [
        [name, *scores, float(np.mean(scores)), f"{seconds:.2f}"]
        for name, (scores, seconds) in labels.table(sets).items()
    ]
    yield table(["method", *names, "mean", "seconds"], rows)
    yield "\n### Labels: calibration error in %\n"
    yield "Target: at most 6 with gold for 50 tasks. Without gold it is the model's agreement with itself."
    rows = [[name, *scores, float(np.mean(scores))] for name, scores in labels.calibration(sets).items()]
    yield table(["", *names, "mean"], rows)


def stopping_table(root: Path) -> Iterator[str]:
    sets = data.labels(root, stopping.SETS)
    if not sets:
        return
    yield "\n### Stopping when sure, replayed\n"
    yield (
        "Mean of "
        + ", ".join(each.name for each in sets)
        + f", {stopping.SEEDS} orders each. Target: the accuracy "
        "of five fixed answers with majority at no more than 2.7 answers, and 4 points more at 5.0."
    )
    rows: list[list[object]] = []
    for n in (3, 5, 7, 10):
        outcome = stopping.mean(sets, n)
        rows.append([f"{n} answers, fixed", outcome.answers, outcome.majority, outcome.model])
    for name, policy in stopping.POLICIES.items():
        outcome = stopping.mean(sets, policy)
        rows.append([name, outcome.answers, outcome.majority, outcome.model])
    yield table(["policy", "answers a task", "majority %", "model %"], rows)


def mark_tables(root: Path) -> Iterator[str]:
    cases = list(marks.table(root))
    if cases:
        yield "\n### Marks: F1 on real sets\n"
        yield (
            "Others keep what half of the viewers marked; “oracle”: the threshold that is best for "
            "the truth, which nobody knows beforehand. Target: above each of the others at half, on every "
            "set; on average at or above agglomerative IoU with its oracle. “Covers”: share of 95 % regions "
            "that hold the expert's mark (fish_spots: the true place), target 0.92 to 0.97; “with gold”: on "
            "every second image, when the right marks of the others are known."
        )
        header = list(cases[0])
        yield table(header, [list(case.values()) for case in cases])
        means = {
            key: np.mean([float(case[key]) for case in cases]) for key in header[1:] if "covers" not in key
        }
        yield "\nMeans: " + ", ".join(f"{key} {value:.3f}" for key, value in means.items()) + "."
    yield "\n### Marks: simulated craters\n"
    yield (
        "15 volunteers, detection 0.75, a tenth of the marks stray. Target: F1 0.985 at a scatter of 7 % of "
        "the diameter, 0.95 at 15 %, recall of large ones 0.95. Here people share no error and the truth is "
        "no expert's mark: the regions are too wide for it until gold says so."
    )
    worlds = {f"{scatter:.0%}": marks.simulated(scatter) for scatter in (0.05, 0.07, 0.15)}
    rows = [[name, *world.values()] for name, world in worlds.items()]
    yield table(["scatter", *worlds["5%"]], rows)
    n, seconds = marks.speed()
    yield f"\n{n:,} marks on one image: {seconds:.2f} s (target 2 s)."


def text_table(root: Path) -> Iterator[str]:
    rows = texts.table(root)
    if rows:
        yield "\n### Short text: word error in %\n"
        yield "Free translations (wordseq_text), where hardly two answers are the same. Target: at most 57.7."
        yield table(list(rows), [list(rows.values())])


def speed_table(quick: bool) -> Iterator[str]:
    n = 100_000 if quick else 1_000_000
    rows = labels.speed(n)
    yield f"\n### Speed: {n:,} answers\n"
    yield (
        "Processor seconds, best of five (others: of two), read from memory. Target for a million: majority "
        "0.03, model 0.3, 20 times as fast as crowd-kit's Dawid-Skene in the same run."
    )
    yield table(["method", "seconds"], [[name, f"{seconds:.4f}"] for name, seconds in rows.items()])
    other = rows.get("crowd-kit Dawid-Skene, 10 rounds")
    if other:
        yield f"\nModel against crowd-kit's Dawid-Skene: {other / rows['model']:.0f} times as fast."


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path, help="put the tables into this document, between its marks")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    parts = [*label_tables(options.folder)]
    if not options.quick:
        parts += stopping_table(options.folder)
    parts += [*mark_tables(options.folder), *text_table(options.folder), *speed_table(options.quick)]
    report = re.sub(r"\n{3,}", "\n\n", "\n\n".join(parts))
    print(report)
    if options.write:
        document = options.write.read_text(encoding="utf-8")
        before, _, rest = document.partition(BEGIN)
        _, _, after = rest.partition(END)
        options.write.write_text(f"{before}{BEGIN}\n\n{report}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
