"""Tagging: choose from a list what an item shows, and add custom tags where the project allows it."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, StrictStr, model_validator

from microtasks.core.consensus import voting
from microtasks.core.errors import AnswerInvalid
from microtasks.core.parsing import typed
from microtasks.core.parsing.lists import join_list, split_list
from microtasks.core.tasktype import TaskType
from microtasks.core.values import (
    DECIDED_BY,
    Answer,
    Column,
    Compared,
    Consensus,
    Frozen,
    LabelScale,
    Media,
    Method,
    Part,
    Sure,
)
from microtasks.core.values import Payload as TaskPayload

if TYPE_CHECKING:
    from microtasks.core.columnar import Columns

CUSTOM_TAG_LENGTH = 60
#: Name of the field that holds custom tags in a plain form.
CUSTOM_TAGS_INPUT = "own_tags"


class Tag(Frozen):
    """One tag of the list."""

    id: str = Field(
        title="Id",
        description="Short name in the results, as dunes or dust_devil_track.",
        min_length=1,
        max_length=100,
        pattern=r"^[^|\x00-\x1f]+$",
    )
    label: str = Field("", title="Label", description="What volunteers read.", max_length=300)
    help: str = Field("", title="Help", description="How to recognise it.", max_length=500)


class TaggingConfig(Frozen):
    """The tags of a tagging project."""

    tags: tuple[Tag, ...] = Field(
        (), title="Tags", description="What volunteers choose from.", max_length=500
    )
    allow_own_tags: bool = Field(
        False, title="Custom tags", description="May volunteers add tags of their own?"
    )
    min_tags: int = Field(
        0, title="At least", description="0 lets volunteers say: none of these.", ge=0, le=100
    )
    max_tags: int = Field(20, title="At most", description="Most tags of one answer.", ge=1, le=100)
    accept_share: float = Field(
        0.5,
        title="Share that accepts a tag",
        description="0.5: more than half of those who saw the item. People rather forget a tag than invent "
        "one, so a third (0.33) finds more where the list is long or open.",
        gt=0,
        le=0.5,
    )

    @model_validator(mode="after")
    def _whole(self) -> TaggingConfig:
        if not self.tags and not self.allow_own_tags:
            raise ValueError("Give at least one tag, or let volunteers add their own.")
        if len({tag.id for tag in self.tags}) < len(self.tags):
            raise ValueError("Two tags have the same id.")
        if self.min_tags > self.max_tags:
            raise ValueError("At least is above at most.")
        if not self.allow_own_tags and self.min_tags > len(self.tags):
            raise ValueError("More tags are asked for than there are in the list.")
        return self

    @property
    def tag_ids(self) -> tuple[str, ...]:
        """Ids of the list, in the order shown."""
        return tuple(tag.id for tag in self.tags)


class TaggingValue(Frozen):
    """The tags of one answer; an empty list, sent on purpose, says "none of these"."""

    tags: list[StrictStr] = Field(max_length=100)


class Tagging(TaskType[TaggingConfig, TaskPayload, TaggingValue]):
    """Tags from a list, custom tags, or both."""

    name = "tagging"
    version = 1
    label = "Tagging"
    summary = "Ask what an image or a text shows: tags from your list, or the volunteers' own words."
    inline = True
    columnar = True
    row_key = ("tag",)
    Config = TaggingConfig
    Payload = TaskPayload
    Value = TaggingValue

    def parse_value(
        self, raw: object, payload: TaskPayload, config: TaggingConfig, media: Sequence[Media] = ()
    ) -> dict[str, Any]:
        """Return the plain JSON of a valid answer: listed tags in their order, then custom ones, each once.

        An own tag that spells a listed one (its id or label) is that one.
        """
        plain = super().parse_value(raw, payload, config, media)
        return {"tags": _canonical(plain["tags"], config)}

    def check(
        self, value: TaggingValue, payload: TaskPayload, config: TaggingConfig, media: Sequence[Media]
    ) -> None:
        """Refuse tags that are not offered, too few and too many."""
        tags = _canonical(value.tags, config)
        known = set(config.tag_ids)
        problems = []
        for tag in tags:
            if tag in known:
                continue
            if not config.allow_own_tags:
                problems.append({"where": "tags", "what": "Please choose tags of the list."})
            elif not tag or len(tag) > CUSTOM_TAG_LENGTH or re.search(r"[|\x00-\x1f]", tag):
                problems.append(
                    {
                        "where": "tags",
                        "what": f"Custom tags are short: at most {CUSTOM_TAG_LENGTH} characters, no |.",
                    }
                )
        if len(tags) < config.min_tags:
            problems.append({"where": "tags", "what": f"Please choose at least {config.min_tags}."})
        if len(tags) > config.max_tags:
            problems.append({"where": "tags", "what": f"Please choose at most {config.max_tags}."})
        if problems:
            raise AnswerInvalid(problems[0]["what"], problems=problems)

    def is_empty(self, value: Mapping[str, Any]) -> bool:
        """No tag: "none of these"."""
        return not value["tags"]

    def from_form(
        self, form: Mapping[str, Sequence[str]], config: TaggingConfig, decimal: str = "."
    ) -> dict[str, Any]:
        """Read inputs `tags` (one a tag) and `own_tags` (text, parted by commas or lines)."""
        custom = [tag for entry in form.get(CUSTOM_TAGS_INPUT, ()) for tag in typed.parts(entry)]
        return {"tags": [*form.get("tags", ()), *custom]}

    def reduce(
        self, answers: Sequence[Answer], config: TaggingConfig, skills: Mapping[str, float] | None = None
    ) -> Consensus:
        """Decide each tag on its own, by the share of those who saw the item and chose it.

        Who saw it and did not choose a tag says no; who can't tell is no viewer. Accepted: more than
        `accept_share`; exactly half is a tie. agreement, confidence: of the least agreed, least sure tag,
        where an own tag counts once two viewers gave it.
        """
        weight = {a.contributor: 1.0 if skills is None else skills.get(a.contributor, 1.0) for a in answers}
        viewers = [a for a in answers if a.value is not None and weight[a.contributor] > 0]
        chosen = voting.tally(
            (tag, weight[a.contributor]) for a in viewers for tag in set(a.value["tags"] if a.value else ())
        )
        total = math.fsum(weight[a.contributor] for a in viewers)
        n_cant_tell = sum(a.kind == "cant_tell" for a in answers)
        return self.assemble(chosen, total, len(answers), n_cant_tell, config)

    def reduce_project(
        self,
        tasks: Iterable[tuple[int, Sequence[Answer]]],
        config: TaggingConfig,
        method: Method = "majority",
        gold: Mapping[int, Mapping[str, Any]] | None = None,
        compare: bool = False,
    ) -> Iterator[tuple[int, Consensus]]:
        """Fold all tasks at once; a two-class model for each tag knows who forgets it.

        What the share and the model say is in each tag's detail as `vote` and `model`, with `differs`.
        """
        if method == "majority" and not compare:
            return super().reduce_project(tasks, config)
        from microtasks.core import columnar

        return self.reduce_columns(columnar.read(tasks), config, method, gold)

    def reduce_columns(
        self,
        answers: Columns,
        config: TaggingConfig,
        method: Method = "majority",
        gold: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> Iterator[tuple[int, Consensus]]:
        """Fold all tasks of a project, given as columns; the share and the model side by side."""
        from microtasks.tasktypes.tagging import bulk

        return bulk.reduce_columns(self, answers, config, method, gold or {})

    def assemble(
        self,
        chosen: Mapping[str, float],
        total: float,
        n_answers: int,
        n_cant_tell: int,
        config: TaggingConfig,
    ) -> Consensus:
        """Decide from the weight behind each tag (`chosen`) and that of all viewers (`total`)."""
        counts = {
            tag: n
            for tag, n in chosen.items()
            if tag in config.tag_ids or n > 1 + voting.SAME or n * 2 > total
        }
        verdict = voting.each(counts, total, config.accept_share, candidates=config.tag_ids)
        lone = {tag: n for tag, n in chosen.items() if tag not in counts}
        details = dict(verdict.detail.get("choices", {}))
        details |= voting.each(lone, total, config.accept_share).detail.get("choices", {}) if lone else {}
        return Consensus(
            value=None if verdict.value is None else {"tags": verdict.value},
            agreement=verdict.agreement,
            confidence=verdict.confidence,
            n_answers=n_answers,
            is_tied=bool(verdict.tied),
            detail={
                "tags": {tag: details[tag] for tag in [*config.tag_ids, *sorted(chosen)] if tag in details},
                "tied": list(verdict.tied),
                "n_saw": n_answers - n_cant_tell,
                "lead": verdict.lead,
                "entropy": max((detail["entropy"] for detail in details.values()), default=0.0),
            },
            reducer=self.reducer,
            parameters={"accept_share": config.accept_share},
        )

    def parts(self, config: TaggingConfig) -> tuple[Part, ...]:
        """One question with several answers."""
        options = tuple((tag.id, tag.label or tag.id) for tag in config.tags)
        is_open = config.allow_own_tags
        return (Part("tags", "choices", "What does it show?", options=options, is_open=is_open),)

    def scales(self, config: TaggingConfig) -> dict[str, LabelScale]:
        """Each tag of the list: chosen or not."""
        return {tag: LabelScale("nominal", ("no", "yes")) for tag in config.tag_ids}

    def labels(self, value: Mapping[str, Any], config: TaggingConfig) -> dict[str, str]:
        """Which tags of the list were chosen, and which not."""
        chosen = set(value["tags"])
        return {tag: "yes" if tag in chosen else "no" for tag in config.tag_ids}

    def sure_when(self, consensus: Consensus, config: TaggingConfig) -> Sure | None:
        """Every tag of the list, chosen or not; custom tags by their plain confidence."""
        if consensus.value is None:
            return None
        listed = set(config.tag_ids)
        own = [
            detail["confidence"]
            for tag, detail in consensus.detail["tags"].items()
            if tag not in listed and detail["is_accepted"]
        ]
        return Sure(self.labels(consensus.value, config), tuple(own))

    def score(self, value: Mapping[str, Any], gold: Mapping[str, Any], config: TaggingConfig) -> float:
        """Return the overlap: tags in both over tags in either; 1 when both are empty."""
        mine, right = set(value["tags"]), set(gold["tags"])
        return len(mine & right) / len(mine | right) if mine | right else 1.0

    def compare(
        self, value: Mapping[str, Any], right: Mapping[str, Any], config: TaggingConfig
    ) -> list[Compared]:
        """Each tag that is chosen or should be."""
        mine, there = set(value["tags"]), set(right["tags"])
        labels = {tag.id: tag.label or tag.id for tag in config.tags}
        return [
            Compared(
                "extra" if tag not in there else "matched" if tag in mine else "missed",
                tag,
                label=labels.get(tag, tag),
            )
            for tag in [*(it for it in labels if it in mine | there), *sorted((mine | there) - set(labels))]
        ]

    def gold_from_columns(self, columns: Mapping[str, str], config: TaggingConfig) -> dict[str, Any]:
        """Read the column `gold_tags`, tags joined by `|`."""
        if set(columns) != {"tags"}:
            raise AnswerInvalid("Gold for tagging is given in the column `gold_tags`, tags joined by |.")
        return {"tags": [tag.strip() for tag in split_list(columns["tags"]) if tag.strip()]}

    def answer_columns(self, config: TaggingConfig) -> tuple[Column, ...]:
        """One column."""
        return (Column("tags", "string", "Tags of this answer joined by |; empty for none of these."),)

    def answer_row(self, value: Mapping[str, Any] | None, config: TaggingConfig) -> tuple[Any, ...]:
        """Tags joined by `|`; None for "I can't tell"."""
        return (None if value is None else join_list(value["tags"]),)

    def picks(self, config: TaggingConfig) -> tuple[str, ...]:
        """The tags."""
        return ("tags",)

    def columns(self, config: TaggingConfig) -> tuple[Column, ...]:
        """One row a tag of the list, and an own tag that anybody gave."""
        return (
            Column("tag", "string", "Id of a listed tag, or an own tag as written."),
            Column(
                "share",
                "number",
                "Share of the viewers who chose the tag (who can't tell is no viewer).",
                "0..1",
            ),
            Column(
                "confidence",
                "number",
                "Probability that accepting the tag or not is right, if viewers are right 7 times in 10; "
                "by the model if one decided.",
                "0..1",
            ),
            Column("accepted", "boolean", "Does the consensus hold that the item shows it?"),
            Column("n_saw", "integer", "Viewers: answers other than 'I can't tell'."),
            Column("vote", "boolean", "What the plain share says (when a model was fitted)."),
            Column("model", "boolean", "What the model says that weighs volunteers by their record."),
            Column("model_probability", "number", "The model's probability that the item shows it.", "0..1"),
            Column("differs", "boolean", "The vote and the model differ: look at this row."),
            Column(
                "entropy",
                "number",
                "How spread the viewers are: 0 all say the same, 1 half and half.",
                "0..1",
            ),
            Column("decided_by", "string", DECIDED_BY),
        )

    def rows(self, consensus: Consensus, config: TaggingConfig) -> Iterable[tuple[Any, ...]]:
        """One row a tag."""
        for tag, detail in consensus.detail.get("tags", {}).items():
            yield (
                tag,
                detail["share"],
                detail["confidence"],
                detail["is_accepted"],
                consensus.detail.get("n_saw"),
                detail.get("vote"),
                detail.get("model"),
                detail.get("model_probability"),
                detail.get("differs"),
                detail.get("entropy"),
                consensus.detail.get("decided_by", {}).get("tags"),
            )


def _canonical(tags: Iterable[str], config: TaggingConfig) -> list[str]:
    """Each tag once: those of the list in its order, then own ones in one spelling, by alphabet."""
    ids = set(config.tag_ids)
    given = set(tags)
    if given <= ids:
        return [tag for tag in config.tag_ids if tag in given]
    by_spelling = {_spelling(name): tag.id for tag in config.tags for name in (tag.label, tag.id) if name}
    found = {tag if tag in ids else by_spelling.get(_spelling(tag), _spelling(tag)) for tag in given}
    return [*(tag for tag in config.tag_ids if tag in found), *sorted(found - ids)]


def _spelling(tag: str) -> str:
    """A custom tag in the one spelling in which it is counted: NFKC, small letters, single spaces, and no
    characters that nobody can see.
    """
    return typed.clean(unicodedata.normalize("NFKC", typed.clean(tag)).casefold(), lines=False)


TYPE = Tagging()
