"""Short text and transcription: equal after normalising, else the answer nearest to all others (medoid).

rapidfuzz is imported when first needed: the web process starts without it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from microtasks.core.consensus.voting import SAME, Verdict, confidence

#: Wrong texts rarely coincide: as if each error were one of this many.
EQUALLY_LIKELY_ERRORS = 20
#: Below this mean similarity to the others (0..1) the nearest answer is no consensus.
SIMILAR_ENOUGH = 0.6
#: Skill counts by this power: the better half of the crowd should decide.
SKILL_POWER = 2

_DROPPED = re.compile(r"[^\w\s]|_")
_SPACES = re.compile(r"\s+")


def normalise(text: str) -> str:
    """Return what counts of a text when answers are compared: NFKC, case, punctuation and spaces aside.

    A text of punctuation alone ("?") is compared as it is.
    """
    folded = _SPACES.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
    bare = _SPACES.sub(" ", _DROPPED.sub("", folded)).strip()
    return bare or folded


@cache
def _similarity() -> Callable[[str, str], float]:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity


def similarity(one: str, other: str) -> float:
    """Return how alike two normalised texts are, 0..1: one minus the edits over the longer length."""
    return _similarity()(one, other)


def consensus(texts: Sequence[str], weights: Sequence[float] | None = None, against: float = 0.0) -> Verdict:
    """Return the text that most gave, or else the one nearest to all others.

    1. Texts equal after `normalise` are one group. The heaviest group is taken if it has at least two
       answers and more than a third of the weight (detail["basis"] = "same").
    2. Else the medoid: the text with the greatest weighted similarity to the other answers ("closest");
       if even it is unlike the others, the basis says that there is no consensus ("none").
    Of a group the most frequent spelling is shown. agreement: share of the answers in the value's group.
    Equal support is settled by nearness to all answers; where that is equal too, it is a tie.
    """
    weights = [1.0] * len(texts) if weights is None else weights
    answers = sorted((normalise(t), t, w) for t, w in zip(texts, weights, strict=True) if w > 0)
    if not answers:
        return Verdict(None, 0.0, None, detail={"basis": "none"})
    groups: dict[str, list[tuple[str, float]]] = {}
    for key, spelling, weight in answers:
        groups.setdefault(key, []).append((spelling, weight))
    support = {key: math.fsum(w for _, w in members) for key, members in groups.items()}
    total = math.fsum(support.values())
    doubled = {k: s for k, s in support.items() if len(groups[k]) >= 2 and s > total / 3 + SAME}
    nearness = {key: _nearness(key, support, len(groups[key]), total) for key in groups}
    if doubled:
        top = max(doubled.values())
        best = [key for key, s in doubled.items() if s >= top - SAME]
    else:
        best = list(groups)
    nearest = max(nearness[key] for key in best)
    best = [key for key in best if nearness[key] >= nearest - SAME]
    agreement = support[best[0]] / (total + against)
    sure = confidence(support, best[0], EQUALLY_LIKELY_ERRORS)
    basis = "same" if doubled or len(groups) == 1 else "closest" if nearest >= SIMILAR_ENOUGH else "none"
    detail = {"basis": basis, "similarity": round(nearest, 6)}
    if len(best) > 1:
        tied = tuple(_spelling(groups[key]) for key in best)
        return Verdict(None, agreement, sure, tied=tied, detail=detail)
    value = _spelling(groups[best[0]])
    others = max((s for key, s in support.items() if key != best[0]), default=0.0)
    detail["word_agreement"] = word_agreement(value, [(t, w) for _, t, w in answers])
    return Verdict(value, agreement, sure, lead=support[best[0]] - others, detail=detail)


def _nearness(key: str, support: Mapping[str, float], n_members: int, total: float) -> float:
    """Mean similarity of one answer to all the others, those of its own group included."""
    own = support[key] / n_members
    if total - own <= SAME:
        return 1.0
    parts = [similarity(key, other) * weight for other, weight in support.items() if other != key]
    return (math.fsum(parts) + support[key] - own) / (total - own)


def _spelling(members: Sequence[tuple[str, float]]) -> str:
    """The most frequent spelling of a group; equal ones by alphabet (any of them says the same)."""
    counts = Counter(spelling.strip() for spelling, _ in members)
    return min(counts, key=lambda spelling: (-counts[spelling], spelling))


def word_agreement(text: str, answers: Sequence[tuple[str, float]]) -> list[float]:
    """Return for each word of the text the share of answers (weight) that have it at that place, 0..1."""
    words = [normalise(word) for word in text.split()]
    total = math.fsum(weight for _, weight in answers)
    found: list[list[float]] = [[] for _ in words]
    for answer, weight in answers:
        for place in _matched(words, [normalise(word) for word in answer.split()]):
            found[place].append(weight)
    return [round(math.fsum(parts) / total, 6) for parts in found]


def _matched(words: Sequence[str], others: Sequence[str]) -> list[int]:
    """Places of `words` that stand in `others` too, in a shortest alignment."""
    from rapidfuzz.distance import Levenshtein

    return [
        place
        for block in Levenshtein.opcodes(words, others)
        if block.tag == "equal"
        for place in range(block.src_start, block.src_end)
    ]


#: A volunteer's similarity to others counts the crowd's mean as this many answers.
SKILL_PRIOR_ANSWERS = 3.0


def weights(tasks: Iterable[Sequence[tuple[str, str]]]) -> dict[str, float]:
    """Return how much each volunteer's texts weigh, around 1: a power of their relative skill.

    tasks: the (volunteer, text) pairs of each task. Skill: mean similarity of a volunteer's texts to the
    others' texts of the same task, shrunk to the crowd's mean by three answers.
    """
    alike: dict[str, list[float]] = {}
    for answers in tasks:
        keys = [normalise(text) for _, text in answers]
        count = Counter(keys)
        n = len(keys)
        if n < 2:
            continue
        mean = {
            key: math.fsum(similarity(key, other) * k for other, k in count.items() if other != key)
            for key in count
        }
        for (name, _), key in zip(answers, keys, strict=True):
            alike.setdefault(name, []).append((mean[key] + count[key] - 1) / (n - 1))
    sums = {name: math.fsum(parts) for name, parts in sorted(alike.items())}
    n_all = sum(len(parts) for parts in alike.values())
    if not n_all:
        return {}
    crowd = math.fsum(sums.values()) / n_all
    if crowd == 0:
        return dict.fromkeys(sums, 1.0)
    return {
        name: ((total + SKILL_PRIOR_ANSWERS * crowd) / (len(alike[name]) + SKILL_PRIOR_ANSWERS) / crowd)
        ** SKILL_POWER
        for name, total in sums.items()
    }
