"""Short text and transcription: what most wrote, else the answer nearest to all others (medoid).

When two texts are the same is settled by `parsing.spelling`; `comparison` is the owner's choice for a field.

rapidfuzz is imported when first needed: the web process starts without it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache

from microtasks.core.consensus.voting import SAME, Verdict, confidence
from microtasks.core.parsing.spelling import Comparison, graphemes, key, numbers, words

#: Wrong texts rarely coincide: as if each error were one of this many.
EQUALLY_LIKELY_ERRORS = 20
#: Below this mean similarity to the others (0..1) the nearest answer is no consensus.
SIMILAR_ENOUGH = 0.6
#: Who is at least this part as alike to others as the crowd is counts for one; who is less, by a power of it.
#: To weigh the better ones up was measured worse than the plain vote: the alike are not always the right.
FULL_SKILL, SKILL_POWER = 0.8, 4

#: A text as good as right is at least this similar to the known answer; one with another number is not.
NEARLY_RIGHT = 0.9
BELOW_NEARLY_RIGHT = 0.89


@cache
def _levenshtein() -> Callable[[Sequence[Hashable], Sequence[Hashable]], float]:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity


def similarity(one: str, other: str) -> float:
    """Return how alike two keys are, 0..1: one minus the edits over the longer length, both in graphemes."""
    return _levenshtein()(graphemes(one), graphemes(other))


def score(text: str, right: str, comparison: Comparison = "loose") -> float:
    """Return how near a text comes to the known answer, 0..1; 1 where both say the same.

    A slip in a word costs what it changes. A number is right or wrong: a text that holds other numbers than
    the known answer stays below NEARLY_RIGHT, and has 0 where there is nothing but a number. So does any
    other text where the owner compares exactly stay below NEARLY_RIGHT.
    """
    one, other = key(text, comparison), key(right, comparison)
    if one == other:
        return 1.0
    loose = key(text), key(right)
    has_other_numbers = numbers(loose[0]) != numbers(loose[1])
    if has_other_numbers and not any(char.isalpha() for char in "".join(loose)):
        return 0.0
    alike = similarity(one, other)
    return min(alike, BELOW_NEARLY_RIGHT) if has_other_numbers or comparison == "exact" else alike


def consensus(
    texts: Sequence[str],
    weights: Sequence[float] | None = None,
    against: float = 0.0,
    comparison: Comparison = "loose",
) -> Verdict:
    """Return the text that most gave, or else the one nearest to all others.

    1. Texts of one key (`parsing.spelling`) are one group. The heaviest group is taken if it has at least two
       answers and more than a third of the weight (detail["basis"] = "same").
    2. Else the medoid: the text with the greatest weighted similarity to the other answers ("closest");
       if even it is unlike the others, the basis says that there is no consensus ("none").
    Of a group the most frequent spelling is shown. agreement: share of the answers in the value's group.
    Equal support is settled by nearness to all answers; where that is equal too, it is a tie.
    detail: basis, similarity; of a value also words and word_agreement (see `word_agreement`).
    """
    weights = [1.0] * len(texts) if weights is None else weights
    answers = sorted((key(t, comparison), t, w) for t, w in zip(texts, weights, strict=True) if w > 0)
    if not answers:
        return Verdict(None, 0.0, None, detail={"basis": "none"})
    groups: dict[str, list[tuple[str, float]]] = {}
    for group, spelling, weight in answers:
        groups.setdefault(group, []).append((spelling, weight))
    support = {group: math.fsum(w for _, w in members) for group, members in groups.items()}
    total = math.fsum(support.values())
    doubled = {g: s for g, s in support.items() if len(groups[g]) >= 2 and s > total / 3 + SAME}
    nearness = {group: _nearness(group, support, len(groups[group]), total) for group in groups}
    if doubled:
        top = max(doubled.values())
        best = [group for group, s in doubled.items() if s >= top - SAME]
    else:
        best = list(groups)
    nearest = max(nearness[group] for group in best)
    best = [group for group in best if nearness[group] >= nearest - SAME]
    agreement = support[best[0]] / (total + against)
    sure = confidence(support, best[0], EQUALLY_LIKELY_ERRORS)
    basis = "same" if doubled or len(groups) == 1 else "closest" if nearest >= SIMILAR_ENOUGH else "none"
    detail = {"basis": basis, "similarity": round(nearest, 6)}
    if len(best) > 1:
        tied = tuple(_spelling(groups[group]) for group in best)
        return Verdict(None, agreement, sure, tied=tied, detail=detail)
    value = _spelling(groups[best[0]])
    others = max((s for group, s in support.items() if group != best[0]), default=0.0)
    detail["words"] = words(value)
    detail["word_agreement"] = word_agreement(value, [(t, w) for _, t, w in answers], comparison)
    return Verdict(value, agreement, sure, lead=support[best[0]] - others, detail=detail)


def _nearness(group: str, support: Mapping[str, float], n_members: int, total: float) -> float:
    """Mean similarity of one answer to all the others, those of its own group included."""
    own = support[group] / n_members
    if total - own <= SAME:
        return 1.0
    parts = [similarity(group, other) * weight for other, weight in support.items() if other != group]
    return (math.fsum(parts) + support[group] - own) / (total - own)


def _spelling(members: Sequence[tuple[str, float]]) -> str:
    """The most frequent spelling of a group; equal ones by alphabet (any of them says the same)."""
    counts = Counter(spelling.strip() for spelling, _ in members)
    return min(counts, key=lambda spelling: (-counts[spelling], spelling))


def word_agreement(
    text: str, answers: Sequence[tuple[str, float]], comparison: Comparison = "loose"
) -> list[float]:
    """Return for each word of the text (`spelling.words`) the share of answers (weight) that have it at that
    place, 0..1. In scripts without blanks between words, a word is what a reader takes for one character.
    """
    own = _word_keys(text, comparison)
    total = math.fsum(weight for _, weight in answers)
    matching: list[list[float]] = [[] for _ in own]
    for answer, weight in answers:
        for place in _matched(own, _word_keys(answer, comparison)):
            matching[place].append(weight)
    return [round(math.fsum(parts) / total, 6) for parts in matching]


def _word_keys(text: str, comparison: Comparison) -> list[str]:
    return [key(word, comparison) for word in words(text)]


def _matched(own: Sequence[str], others: Sequence[str]) -> list[int]:
    """Places of `own` that stand in `others` too, in a shortest alignment."""
    from rapidfuzz.distance import Levenshtein

    return [
        place
        for block in Levenshtein.opcodes(own, others)
        if block.tag == "equal"
        for place in range(block.src_start, block.src_end)
    ]


#: A volunteer's similarity to others counts the crowd's mean as this many answers.
SKILL_PRIOR_ANSWERS = 3.0


def weights(tasks: Iterable[Sequence[tuple[str, str]]], comparison: Comparison = "loose") -> dict[str, float]:
    """Return how much each volunteer's texts weigh, at most 1: less for who is clearly unlike the others.

    tasks: the (volunteer, text) pairs of each task. Skill: mean similarity of a volunteer's texts to the
    others' texts of the same task, shrunk to the crowd's mean by three answers.
    """
    alike: dict[str, list[float]] = {}
    for answers in tasks:
        keys = [key(text, comparison) for _, text in answers]
        count = Counter(keys)
        n = len(keys)
        if n < 2:
            continue
        mean = {
            one: math.fsum(similarity(one, other) * k for other, k in count.items() if other != one)
            for one in count
        }
        for (name, _), one in zip(answers, keys, strict=True):
            alike.setdefault(name, []).append((mean[one] + count[one] - 1) / (n - 1))
    sums = {name: math.fsum(parts) for name, parts in sorted(alike.items())}
    n_all = sum(len(parts) for parts in alike.values())
    if not n_all:
        return {}
    crowd = math.fsum(sums.values()) / n_all
    if crowd == 0:
        return dict.fromkeys(sums, 1.0)
    return {
        name: min(1.0, _mean_skill(total, len(alike[name]), crowd) / crowd / FULL_SKILL) ** SKILL_POWER
        for name, total in sums.items()
    }


def _mean_skill(total: float, n_answers: int, crowd: float) -> float:
    return (total + SKILL_PRIOR_ANSWERS * crowd) / (n_answers + SKILL_PRIOR_ANSWERS)
