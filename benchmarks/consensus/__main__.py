"""How good and how fast the consensus is, beside targets and beside what others use.

    python -m benchmarks.consensus FOLDER [--write docs/consensus.md] [--quick]

FOLDER holds datasets/<name>/{answers,gold}.csv (task,worker,label or text), datasets/<name>/
{marks,views,gold_marks}.csv (task,worker,x,y,r) and real/mars_craters/ of the same shape; what is missing is
left out. With crowd-kit and scikit-learn installed they are measured beside. Takes a few minutes; --quick
leaves out the replay of stopping and makes the speed test ten times smaller; --only makes one part.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.consensus import choosing, data, labels, marks, numbers, stopping, texts
from microtasks.core.consensus import skill

#: A document has these marks around the tables of each part.
BEGIN, END = "<!-- measured {}: begin -->", "<!-- measured {}: end -->"


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
    left_out = choosing.leave_one_out(sets)
    measured = labels.table(sets)
    yield "### Labels: accuracy in %\n"
    yield (
        "“Chosen by the others”: method and constants are chosen by the other sets alone, and only then this "
        "one is looked at: what to expect on a new crowd. Target: 83.6 on average, and at most 1.0 under the "
        f"majority where the gold is large enough to tell ({choosing.GOLD_TO_TELL} tasks)."
    )
    rows: list[list[object]] = []
    for number, (each, out) in enumerate(zip(sets, left_out, strict=True)):
        scores = [scores[number] for scores, _ in measured.values()]
        rows.append(
            [
                *(each.name, each.votes.n_labels, out.n_gold, *scores, out.accuracy),
                f"{out.accuracy - out.majority:+.1f}",
            ]
        )
    means = [float(np.mean(scores)) for scores, _ in measured.values()]
    chosen = float(np.mean([out.accuracy for out in left_out]))
    gain = chosen - float(np.mean([out.majority for out in left_out]))
    rows.append(["mean", "", "", *means, chosen, f"{gain:+.1f}"])
    rows.append(["seconds", "", "", *(f"{seconds:.2f}" for _, seconds in measured.values()), "", ""])
    header = ["set", "labels", "gold", *measured, "chosen by the others", "over majority"]
    yield table(header, rows)
    judged = [out for out in left_out if out.n_gold >= choosing.GOLD_TO_TELL]
    worst = min(judged, key=lambda out: out.accuracy - out.majority)
    others = [out for out in left_out if out.choice != choosing.CHOSEN]
    yield (
        f"\nFarthest under the majority: {worst.name}, {worst.majority - worst.accuracy:.1f} points. "
        f"What the product does ({choosing.CHOSEN}) is what the others choose for "
        f"{len(left_out) - len(others)} of {len(left_out)} sets"
        + "".join(f"; for {out.name}: {out.choice}" for out in others)
        + f". They choose among {choosing.N_CHOICES}."
    )
    yield "\n### Labels: calibration error in %\n"
    yield (
        "How far “80 %” is from 80 %. Target: at most 6 without gold, its constants chosen by the other "
        f"sets; at most 4.5 with gold for {labels.GOLD_TASKS} tasks. A set with a hundred gold tasks shows "
        "five or so by chance alone."
    )
    errors = {**labels.calibration(sets), "chosen by the others": [out.calibration for out in left_out]}
    rows = [[each.name, *(row[number] for row in errors.values())] for number, each in enumerate(sets)]
    rows.append(["mean", *(float(np.mean(row)) for row in errors.values())])
    yield table(["set", *errors], rows)
    yield "\n### Labels: parts of these sets\n"
    yield (
        "Accuracy over the plain vote in points, mean of all sets: with so many tasks, and with volunteers "
        "who gave so many answers at most. Where it gains nothing, the vote decides: fewer than "
        f"{skill.TASKS_MIN} tasks, or half of the answers from volunteers with fewer than {skill.RECORD_MIN}."
    )
    yield table(["tasks", *(f"{n or 'all'} answers" for n in labels.RECORDS)], labels.parts(sets))


def stopping_table(root: Path) -> Iterator[str]:
    sets = data.labels(root)
    if not sets:
        return
    yield "### Stopping when sure, replayed\n"
    yield (
        f"Mean of all {len(sets)} sets, {stopping.SEEDS} orders each; some have hardly three answers a task "
        f"to give. Target: 40 % fewer answers than {stopping.FIXED} fixed at the accuracy that these give by "
        "vote. “Loss”: points under the same number of fixed answers read by the model."
    )
    fixed = {n: stopping.mean(sets, n) for n in (3, stopping.FIXED, 7, 10)}
    usual = fixed[stopping.FIXED]
    outcomes = {f"{n} answers, fixed": outcome for n, outcome in fixed.items()}
    outcomes |= {name: stopping.mean(sets, policy) for name, policy in stopping.POLICIES.items()}
    rows = [
        [
            *(name, outcome.answers, f"{1 - outcome.answers / usual.answers:.0%}"),
            *(outcome.majority, outcome.model),
            *(f"{outcome.model - usual.majority:+.1f}", f"{usual.model - outcome.model:+.1f}"),
        ]
        for name, outcome in outcomes.items()
    ]
    header = ["policy", "answers a task", "saved", "majority %", "model %"]
    yield table([*header, f"model over {stopping.FIXED} by vote", "loss"], rows)


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


def number_table(root: Path) -> Iterator[str]:
    rows = numbers.table(root)
    if rows:
        yield "\n### Numbers: mean absolute error\n"
        yield (
            "Target: at or below mean and GTM on the four sets; with 10 % junk half of the mean's at most. "
            "num_wordsim is on a scale to 10, the others to 100; junk is −100, 0, 100 or 999."
        )
        header = ["method", *numbers.SETS, "mean", "10 % made junk", "10 % junk more"]
        yield table(header, [[name, *figures] for name, figures in rows.items()])


def speed_table(quick: bool) -> Iterator[str]:
    n = 100_000 if quick else 1_000_000
    rows = labels.speed(n)
    yield f"\n### Speed: {n:,} answers\n"
    yield (
        "Processor seconds, best of five (others: of two), read from memory. Target for a million: majority "
        "0.03, model 0.5, 20 times as fast as crowd-kit's Dawid-Skene in the same run."
    )
    yield table(["method", "seconds"], [[name, f"{seconds:.4f}"] for name, seconds in rows.items()])
    other = rows.get("crowd-kit Dawid-Skene, 10 rounds")
    yield (
        f"\nModel against the earlier one: {rows['model'] / rows['earlier model']:.1f} times its time, with "
        f"two labels {rows['model, two labels'] / rows['earlier model, two labels']:.1f} (target 3)."
    )
    if other:
        yield f"\nModel against crowd-kit's Dawid-Skene: {other / rows['model']:.0f} times as fast."


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path, help="put the tables into this document, between its marks")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--only", action="append", choices=["labels", "stopping", "marks", "texts", "numbers", "speed"]
    )
    options = parser.parse_args()
    root, quick = options.folder, options.quick
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "labels": lambda: label_tables(root),
        "stopping": lambda: iter(()) if quick else stopping_table(root),
        "marks": lambda: mark_tables(root),
        "texts": lambda: text_table(root),
        "numbers": lambda: number_table(root),
        "speed": lambda: speed_table(quick),
    }
    for name in options.only or parts:
        report = re.sub(r"\n{3,}", "\n\n", "\n\n".join(parts[name]())).strip()
        print(report)
        if options.write and report:
            document = options.write.read_text(encoding="utf-8")
            begin, end = BEGIN.format(name), END.format(name)
            before, _, rest = document.partition(begin)
            _, _, after = rest.partition(end)
            options.write.write_text(f"{before}{begin}\n\n{report}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
