"""Short texts: word error of the consensus against the known text."""

from __future__ import annotations

from pathlib import Path

from rapidfuzz.distance import Levenshtein

from benchmarks.consensus import data
from microtasks.core.consensus import text
from microtasks.core.parsing.spelling import key


def word_error(truth: str, found: str) -> float:
    """Edits of words over the words of the truth, case and punctuation aside."""
    right, said = key(truth).split(), key(found).split()
    return Levenshtein.distance(right, said) / max(len(right), 1)


def table(root: Path, name: str = "wordseq_text") -> dict[str, float]:
    """Mean word error of a random answer, of the plain consensus, and of the one weighed by skill, in %."""
    folder = root / "datasets" / name
    if not (folder / "answers.csv").is_file():
        return {}
    answers: dict[str, list[tuple[str, str]]] = {}
    for row in data.read(folder / "answers.csv"):
        answers.setdefault(row["task"], []).append((row["worker"], row["text"]))
    gold = {row["task"]: row["text"] for row in data.read(folder / "gold.csv") if row["task"] in answers}
    weight = text.weights(answers[task] for task in sorted(answers))

    def found(task: str, weighed: bool) -> str:
        said = answers[task]
        weights = [weight[who] for who, _ in said] if weighed else None
        verdict = text.consensus([t for _, t in said], weights)
        return str(verdict.value or (verdict.tied[0] if verdict.tied else ""))

    n = len(gold)
    return {
        "a random answer": 100
        * sum(sum(word_error(g, t) for _, t in answers[k]) / len(answers[k]) for k, g in gold.items())
        / n,
        "majority": 100 * sum(word_error(g, found(k, False)) for k, g in gold.items()) / n,
        "model": 100 * sum(word_error(g, found(k, True)) for k, g in gold.items()) / n,
    }
