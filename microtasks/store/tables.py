"""The tables. Their constraints hold the promises even when the code above is wrong.

The hot path (`task`, `lease`, `answer`, `cursor`) is used by hand-written SQL in `hotpath.py`; SQLModel is
for schema, administration and migrations. Its tables have no foreign key to `project`: each insert would
lock that one row for all volunteers at once; `task_id` leads there. Nor have `task` and `task_content` keys
to their project, batch and task: checked row by row, they took three fifths of the database's time in an
import. An import holds the project's row instead, and triggers (`deletion.sql`) do what the keys did, a
statement at a time. Table models do not validate: never build one from client data. A
row is handed out only after it was flushed: its id is a number, never None.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Connection,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Float
from sqlmodel import Field, SQLModel

metadata: MetaData = SQLModel.metadata
#: The hot path's functions and sequence; replaced by every migration.
HOTPATH = Path(__file__).parent / "assignment" / "hotpath.sql"
#: Triggers in the place of keys of `task` and `task_content`; replaced by every migration.
DELETION = Path(__file__).parent / "projects" / "deletion.sql"
metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: Positions past every random one: where a task goes whose lease ran out after all had walked by.
END_OF_ORDER = 1 << 62


def _id() -> Any:
    return Field(default=None, sa_column=Column(BigInteger, Identity(always=False), primary_key=True))


def _big(
    target: str | None = None, *, primary: bool = False, null: bool = False, cascade: bool = True
) -> Any:
    keys = [ForeignKey(target, ondelete="CASCADE" if cascade else None)] if target else []
    return Field(
        default=None,
        sa_column=Column(
            BigInteger, *keys, primary_key=primary, nullable=null and not primary, autoincrement=False
        ),
    )


def _json(*, null: bool = False, default: str | None = "{}") -> Any:
    return Field(
        default=None if null else {},
        sa_column=Column(
            JSONB(none_as_null=True),
            nullable=null,
            server_default=None if null or default is None else text(f"'{default}'"),
        ),
    )


def _time(*, null: bool = False, now: bool = False) -> Any:
    return Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=null, server_default=func.now() if now else None),
    )


def _text(default: str | None = None, *, null: bool = False) -> Any:
    return Field(
        default=default, sa_column=Column(Text, nullable=null, server_default=default if default else None)
    )


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


class Account(SQLModel, table=True):
    """An owner. A password is optional: a one-time link always works."""

    __table_args__ = (Index("uq_account_email", text("lower(email)"), unique=True),)
    id: int = _id()
    email: str = _text()
    password_hash: str | None = Field(default=None, repr=False, sa_column=Column(Text))  # argon2id
    is_operator: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    created_at: datetime | None = _time(now=True)
    disabled_at: datetime | None = _time(null=True)


class SigninLink(SQLModel, table=True):
    """A one-time sign-in link; only the SHA-256 of its token is kept."""

    __tablename__ = "signin_link"
    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account_id: int = _big("account.id")
    expires_at: datetime = _time()
    used_at: datetime | None = _time(null=True)


class OwnerSession(SQLModel, table=True):
    """A signed-in browser. Kept here, so that signing out is real; only the token's SHA-256."""

    __tablename__ = "owner_session"
    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account_id: int = _big("account.id")
    created_at: datetime | None = _time(now=True)
    expires_at: datetime = _time()
    # began with a one-time link: may set a password without knowing the current one
    by_link: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class Project(SQLModel, table=True):
    """An owner's campaign: one task type, its config, its quality policy."""

    __table_args__ = (
        UniqueConstraint("slug"),
        Index(None, "account_id"),
        Index("ix_project_trial_of", "trial_of", postgresql_where=text("trial_of IS NOT NULL")),
        _one_of("state", "draft", "published", "paused", "archived"),
        _one_of("stop_rule", "redundancy", "agreement", "confidence"),
        _one_of("method", "majority", "model", "committee"),
        CheckConstraint("redundancy BETWEEN 1 AND 1000", name="redundancy_range"),
        CheckConstraint("answers_min BETWEEN 1 AND redundancy", name="answers_min_range"),
        CheckConstraint("gold_share BETWEEN 0 AND 0.5", name="gold_share_range"),
    )
    id: int = _id()
    account_id: int | None = _big("account.id", null=True, cascade=False)
    slug: str = _text()
    name: str = _text()
    purpose: str = _text("")  # one line, on the card
    instructions: str = _text("")  # Markdown, beside the work
    thanks: str = _text("")  # what happens with the answers, at the end
    topic: str = _text("")
    language: str = _text("en")  # BCP 47, of the owner's texts
    task_type: str = _text()
    config: dict[str, Any] = _json()
    config_version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    state: str = _text("draft")
    # quality policy; see core/retirement.py
    redundancy: int = Field(default=5, sa_column_kwargs={"server_default": text("5")})
    answers_min: int = Field(default=5, sa_column_kwargs={"server_default": text("5")})
    stop_rule: str = _text("redundancy")
    stop_threshold: float = Field(default=0.8, sa_column=Column(Float, nullable=False, server_default="0.8"))
    method: str = _text("majority")
    gold_share: float = Field(default=0.0, sa_column=Column(Float, nullable=False, server_default="0"))
    lease_seconds: int | None = Field(default=None)  # None: the setting's
    # group totals on its page, for everybody to see; otherwise only those with a team's link see them
    shows_teams: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    # a copy for trying it out: unlisted, thrown away with its answers; see engine/projects/trials.py
    trial_of: int | None = _big("project.id", null=True)
    # the walk: new contributors start here (nothing before it is open)
    head_pos: int = Field(default=-1, sa_column=Column(BigInteger, nullable=False, server_default="-1"))
    # few tasks are open: those are handed out by need; kept by store/hotpath.advance_heads
    is_ending: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    # what volunteers learn from: {"steps": [...], "guide": [...]}; engine/volunteers/tutorial.py
    tutorial: dict[str, Any] = _json()
    # are volunteers told how they did on known tasks, and what others said on tasks that are done?
    tells_known: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    tells_consensus: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    created_at: datetime | None = _time(now=True)
    published_at: datetime | None = _time(null=True)


class ProjectMember(SQLModel, table=True):
    """Somebody who helps to run a project. Its owner is `project.account_id`; see accounts/members.py."""

    __tablename__ = "project_member"
    __table_args__ = (Index(None, "account_id"), _one_of("role", "collaborator", "reviewer", "researcher"))
    project_id: int = _big("project.id", primary=True)
    account_id: int = _big("account.id", primary=True)
    role: str = _text()
    created_at: datetime | None = _time(now=True)


class Invitation(SQLModel, table=True):
    """A link that makes whoever opens it a member, once; only the SHA-256 of its token is kept."""

    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index(None, "project_id"),
        _one_of("role", "collaborator", "reviewer", "researcher"),
    )
    id: int = _id()
    token_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    project_id: int = _big("project.id")
    role: str = _text()
    note: str = _text("")  # for whom, in the owner's words
    account_id: int = _big("account.id")  # who invited
    created_at: datetime | None = _time(now=True)
    expires_at: datetime = _time()
    used_at: datetime | None = _time(null=True)


class AddressLink(SQLModel, table=True):
    """A link in a letter that proves an address; only the SHA-256 of its token is kept.

    join: of somebody invited, who makes an account with it. old, new: an account changes its address once
    both have said yes. email: the address that the account is to have.
    """

    __tablename__ = "address_link"
    __table_args__ = (
        Index(None, "account_id"),
        Index(None, "invitation_id"),
        _one_of("purpose", "join", "old", "new"),
        CheckConstraint(
            "CASE WHEN purpose = 'join' THEN invitation_id IS NOT NULL AND account_id IS NULL"
            " ELSE account_id IS NOT NULL AND invitation_id IS NULL END",
            name="is_of_one",
        ),
    )
    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    purpose: str = _text()
    email: str = _text()
    account_id: int | None = _big("account.id", null=True)
    invitation_id: int | None = _big("invitation.id", null=True)
    created_at: datetime | None = _time(now=True)
    expires_at: datetime = _time()
    used_at: datetime | None = _time(null=True)


class ApiToken(SQLModel, table=True):
    """A key for programs: acts for its account, within its scope; only its SHA-256 is kept."""

    __tablename__ = "api_token"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index(None, "account_id"),
        _one_of("scope", "read", "import", "manage"),
    )
    id: int = _id()
    token_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    account_id: int = _big("account.id")
    project_id: int | None = _big("project.id", null=True)  # for this project alone
    name: str = _text()
    scope: str = _text()
    created_at: datetime | None = _time(now=True)
    expires_at: datetime = _time()
    used_on: date | None = Field(default=None, sa_column=Column(Date))  # the last day it was used, UTC


class Audit(SQLModel, table=True):
    """Who changed what in a project, written with the change. Kept when the project is gone."""

    __table_args__ = (Index(None, "project_id", "id"),)
    id: int = _id()
    at: datetime | None = _time(now=True)
    project_id: int | None = _big(null=True)
    account_id: int | None = _big("account.id", null=True, cascade=False)  # None: the command line
    email: str | None = _text(null=True)  # of that account, as it was then
    action: str = _text()  # engine/audit.py names them
    detail: dict[str, Any] = _json()


class FormDraft(SQLModel, table=True):
    """What somebody has entered into a form and not yet saved: one for each page."""

    __tablename__ = "form_draft"
    account_id: int = _big("account.id", primary=True)
    page: str = Field(sa_column=Column(Text, primary_key=True))
    form: list[list[str]] = Field(
        default=[], sa_column=Column(JSONB, nullable=False, server_default=text("'[]'"))
    )  # [name, value] pairs, in order
    saved_at: datetime | None = _time(now=True)


class ProjectConfig(SQLModel, table=True):
    """Every version of a project's config, so that an answer says what question it answered."""

    __tablename__ = "project_config"
    project_id: int = _big("project.id", primary=True)
    version: int = Field(primary_key=True)
    config: dict[str, Any] = _json()
    created_at: datetime | None = _time(now=True)


class ProjectText(SQLModel, table=True):
    """One text of a project in another language; it holds while the owner’s text is the original."""

    __tablename__ = "project_text"
    project_id: int = _big("project.id", primary=True)
    language: str = Field(sa_column=Column(Text, primary_key=True))
    path: str = Field(sa_column=Column(Text, primary_key=True))  # engine/projects/translations.py
    original: str = _text()
    text: str = _text()


#: staged: waits for the owner's word; undone: its tasks are gone, or withdrawn where they had answers.
BATCH_STATES = ("staged", "queued", "running", "done", "failed", "undone")


class Batch(SQLModel, table=True):
    """One upload; becomes tasks, or rows that failed with a reason each.

    `rows_done` is the restart point: rows before it are tasks or failures already.
    """

    __table_args__ = (Index(None, "project_id"), _one_of("state", *BATCH_STATES))
    id: int = _id()
    project_id: int = _big("project.id")
    state: str = _text("queued")
    phase: str = _text("received")  # received, checked, derived, ready
    label: str = _text("")  # the owner's file name; never a path of ours
    upload: str = _text("")  # folder name below data/uploads
    options: dict[str, Any] = _json()  # tile_px, overlap_px, columns
    look: dict[str, Any] | None = _json(null=True)  # of a staged one: engine/imports/preview.py
    started_at: datetime | None = _time(null=True)
    n_rows: int | None = Field(default=None)
    rows_done: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    n_tasks: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    n_failed: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    error: str | None = _text(null=True)
    # sentences for the owner about what was guessed or left out, such as the encoding of a table
    notices: list[str] = Field(
        default=[], sa_column=Column(JSONB, nullable=False, server_default=text("'[]'"))
    )
    created_at: datetime | None = _time(now=True)
    finished_at: datetime | None = _time(null=True)


class Sending(SQLModel, table=True):
    """An upload that is on its way in pieces, and can go on after a break. `id` names its folder."""

    __tablename__ = "upload"
    id: str = Field(sa_column=Column(Text, primary_key=True))
    project_id: int | None = _big("project.id", null=True)  # None: a package, which makes its own
    account_id: int = _big("account.id")
    # [{"name", "size", "received"}], in bytes
    files: list[dict[str, Any]] = Field(
        default=[], sa_column=Column(JSONB, nullable=False, server_default=text("'[]'"))
    )
    created_at: datetime | None = _time(now=True)


class Restoration(SQLModel, table=True):
    """A package that somebody brings: looked through, and at their word its project is made again.

    `rows_done` is the restart point: the tasks before it are made. Kept for some days: see engine/exports.
    """

    __table_args__ = (
        Index(None, "account_id"),
        _one_of("state", "staged", "queued", "running", "done", "failed"),
    )
    id: int = _id()
    account_id: int = _big("account.id")
    state: str = _text("staged")
    label: str = _text("")  # the file's name; never a path of ours
    upload: str = _text("")  # folder name below data/uploads
    options: dict[str, Any] = _json()  # name, answers: what was asked for
    look: dict[str, Any] | None = _json(null=True)  # what is in it: engine/exports/project_file.py
    project_id: int | None = _big("project.id", null=True)  # once it is begun
    n_rows: int | None = Field(default=None)  # tasks
    rows_done: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    error: str | None = _text(null=True)
    created_at: datetime | None = _time(now=True)
    started_at: datetime | None = _time(null=True)
    finished_at: datetime | None = _time(null=True)


class BatchFailure(SQLModel, table=True):
    """A row or file of a batch that did not become a task, and why, for a person."""

    __tablename__ = "batch_failure"
    __table_args__ = (UniqueConstraint("batch_id", "row_no", "name"),)
    id: int = _id()
    batch_id: int = _big("batch.id")
    row_no: int = Field()  # 1-based line of the table, or entry of the ZIP
    name: str = _text("")
    reason: str = _text()


class Media(SQLModel, table=True):
    """One image by content. Width and height are the oriented original's: marks are in these pixels."""

    __table_args__ = (
        UniqueConstraint("sha256"),
        CheckConstraint("width > 0 AND height > 0", name="size_positive"),
    )
    id: int = _id()
    sha256: str = _text()  # of the original's bytes; names the stored file
    mime: str = _text()
    width: int = Field()
    height: int = Field()
    n_bytes: int = _big()
    # [{"width": 320, "height": 240, "sha256": "..."}], ascending; WebP files named by their own hash
    derivatives: list[dict[str, Any]] = Field(
        default=[], sa_column=Column(JSONB, nullable=False, server_default=text("'[]'"))
    )
    created_at: datetime | None = _time(now=True)


class Task(SQLModel, table=True):
    """The hot row: counters, state, position. It is the lock for its leases, answers and consensus."""

    __table_args__ = (
        CheckConstraint("n_answers >= 0 AND n_leases >= 0", name="counters_not_negative"),
        CheckConstraint("n_answers + n_leases <= redundancy", name="seats"),
        CheckConstraint("(retired_at IS NULL) = (retirement_reason IS NULL)", name="retirement_whole"),
        _one_of("retirement_reason", "consensus", "redundancy", "withdrawn"),
        Index("task_open", "project_id", "pos", postgresql_where=text("open")),
        # says whether a project with no open task is done; a new task, which is open, costs it nothing
        Index("task_full", "project_id", postgresql_where=text("retired_at IS NULL AND NOT open")),
        Index(None, "project_id", "id"),
        {"postgresql_with": {"fillfactor": "80"}},
    )
    id: int = _id()
    project_id: int = _big()
    pos: int = _big()
    #: seats it has at this moment: while a task stops when sure they grow, one by one
    redundancy: int = Field(sa_column=Column(SmallInteger, nullable=False))
    #: answers that this task itself is to get at most; null: as many as the project says
    own_redundancy: int | None = Field(default=None, sa_column=Column(SmallInteger))
    n_answers: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0"))
    n_leases: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0"))
    retired_at: datetime | None = _time(null=True)
    retirement_reason: str | None = _text(null=True)
    open: bool | None = Field(
        default=None,
        sa_column=Column(
            Boolean, Computed("retired_at IS NULL AND n_answers + n_leases < redundancy", persisted=True)
        ),
    )


class TaskContent(SQLModel, table=True):
    """What a task is about. Never changes, so that counting does not copy it."""

    __tablename__ = "task_content"
    __table_args__ = (
        UniqueConstraint("project_id", "external_id"),
        # an upload's tasks lie together: its pages are found for next to nothing a row
        Index(
            "task_content_batch",
            "batch_id",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
        ),
        # finds a task that is nothing but the same image; costs nothing for other tasks
        Index(
            "task_content_only_image",
            "project_id",
            "media_ids",
            postgresql_where=text("payload = '{}' AND source IS NULL AND cardinality(media_ids) = 1"),
        ),
    )
    task_id: int = _big(primary=True)
    project_id: int = _big()
    batch_id: int = _big()
    external_id: str = _text()
    payload: dict[str, Any] = _json()  # core.tasktype.Payload: shown
    hidden: dict[str, Any] = _json()  # `#` columns: never shown to volunteers
    after: dict[str, Any] = _json()  # `!` columns: shown after answering
    media_ids: list[int] = Field(
        default=[], sa_column=Column(ARRAY(BigInteger), nullable=False, server_default=text("'{}'"))
    )
    # a tile: the owner's id of the big image, and where in it the tile begins, in its oriented pixels
    source: str | None = _text(null=True)
    source_x: int | None = Field(default=None)
    source_y: int | None = Field(default=None)
    source_media_id: int | None = _big(null=True)  # media rows are kept; a key would slow every import
    # of the (first) image as it was uploaded, with its folders; of a tile the big image's
    file_name: str | None = _text(null=True)


class TaskGold(SQLModel, table=True):
    """The known right answer of a task. In a table of its own: it must never reach a browser."""

    __tablename__ = "task_gold"
    __table_args__ = (Index(None, "project_id", "draw"),)
    task_id: int = _big("task.id", primary=True)
    project_id: int = _big("project.id")
    value: dict[str, Any] = _json()
    # 0..1: not placed in the order of the project's tasks yet; -1: placed (hotpath.sql: hot_place_gold)
    draw: float = Field(
        default=None, sa_column=Column(Float, nullable=False, server_default=text("random()"))
    )


class Lease(SQLModel, table=True):
    """A task handed out to one contributor until `expires_at`: it holds a seat."""

    __table_args__ = (
        Index(None, "expires_at"),
        Index(None, "task_id"),
        Index("lease_of_network", "project_id", "network", postgresql_where=text("network IS NOT NULL")),
        # Every row is gone within minutes: the defaults would let the dead ones pile up.
        {"postgresql_with": {"fillfactor": "50", "autovacuum_vacuum_scale_factor": "0.05"}},
    )
    contributor_id: UUID = Field(primary_key=True)
    task_id: int = _big("task.id", primary=True)
    project_id: int = _big()
    leased_at: datetime | None = _time(now=True)
    expires_at: datetime = _time()
    # false: of a known task, from before 0.2; its answer is a check
    holds_seat: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    network: bytes | None = Field(default=None, sa_column=Column(LargeBinary))


class Answer(SQLModel, table=True):
    """What one contributor said about one task: the last version (earlier ones: answer_revision)."""

    __table_args__ = (
        UniqueConstraint("task_id", "contributor_id"),
        _one_of("kind", "value", "empty", "cant_tell"),
        _one_of("status", "counted", "surplus", "check"),
        CheckConstraint("(kind = 'cant_tell') = (value IS NULL)", name="value_present"),
        Index(None, "project_id", "id"),
        Index(None, "contributor_id", "project_id", "id"),
    )
    id: int = _id()
    project_id: int = _big()
    task_id: int = _big("task.id")
    contributor_id: UUID = Field()
    kind: str = _text()
    status: str = _text()  # counted; surplus: came late, no seat free; check: a known task shown again
    value: dict[str, Any] | None = _json(null=True)
    seconds_spent: float | None = Field(default=None)  # by the client's clock, as it says
    server_seconds: float | None = Field(default=None)  # the most it can be: hotpath.sql: hot_take
    config_version: int = Field(default=1)
    revision: int = Field(default=1, sa_column=Column(SmallInteger, nullable=False, server_default="1"))
    network: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    created_at: datetime | None = _time(now=True)
    revised_at: datetime | None = _time(null=True)
    told_at: datetime | None = _time(null=True)  # what is right was told: no revision after that


class AnswerRevision(SQLModel, table=True):
    """An earlier version of an answer. Every version is kept; the last one counts."""

    __tablename__ = "answer_revision"
    answer_id: int = _big("answer.id", primary=True)
    revision: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    kind: str = _text()
    value: dict[str, Any] | None = _json(null=True)
    created_at: datetime | None = _time()


class Skip(SQLModel, table=True):
    """Not an answer: the seat is free again, and the task is not offered to this contributor again."""

    __table_args__ = (Index(None, "project_id", "task_id"),)
    contributor_id: UUID = Field(primary_key=True)
    task_id: int = _big("task.id", primary=True)
    project_id: int = _big()
    created_at: datetime | None = _time(now=True)


class Report(SQLModel, table=True):
    """A volunteer says that something is wrong with an item."""

    __table_args__ = (UniqueConstraint("task_id", "contributor_id"), Index(None, "project_id"))
    id: int = _id()
    project_id: int = _big("project.id")
    task_id: int = _big("task.id")
    contributor_id: UUID = Field()
    reason: str = _text()
    note: str = _text("")
    created_at: datetime | None = _time(now=True)
    closed_at: datetime | None = _time(null=True)


class Cursor(SQLModel, table=True):
    """Where a contributor is in a project's walk. A hint: the constraints are the truth."""

    __table_args__ = ({"postgresql_with": {"fillfactor": "50"}},)
    contributor_id: UUID = Field(primary_key=True)
    project_id: int = _big(primary=True)
    pos: int = _big()
    lap: int = Field(default=-1, sa_column=Column(BigInteger, nullable=False, server_default="-1"))
    # where in the tasks that lack one answer only, below position 0
    soon: int = Field(
        default=-END_OF_ORDER - 1,
        sa_column=Column(BigInteger, nullable=False, server_default=text(str(-END_OF_ORDER - 1))),
    )
    n_served: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    # leases that ended unanswered, less the answers given since: one task at a time until it is 0
    n_lapsed: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    # by the server's clock: what was worked until now is accounted for; and an answer a second (hot_take)
    worked_until: datetime | None = _time(null=True)
    paced_until: datetime | None = _time(null=True)
    rest_until: datetime | None = _time(null=True)  # no look back before: the last one found nothing


class Consensus(SQLModel, table=True):
    """What the answers to one task add up to; core.tasktype.Consensus stored."""

    task_id: int = _big("task.id", primary=True)
    project_id: int = _big("project.id")
    value: dict[str, Any] | None = _json(null=True)
    agreement: float = Field(sa_column=Column(Float, nullable=False))
    confidence: float | None = Field(default=None, sa_column=Column(Float))
    n_answers: int = Field()
    is_tied: bool = Field(default=False)
    detail: dict[str, Any] = _json()
    method: str = _text("majority")
    reducer: str = _text()
    parameters: dict[str, Any] = _json()
    updated_at: datetime | None = _time(now=True)


class SourceConsensus(SQLModel, table=True):
    """Consensus of a tiled big image: its tiles' consensus mapped back and merged across their borders."""

    __tablename__ = "source_consensus"
    project_id: int = _big("project.id", primary=True)
    source: str = Field(sa_column=Column(Text, primary_key=True))
    detail: dict[str, Any] = _json()
    reducer: str = _text()
    parameters: dict[str, Any] = _json()
    updated_at: datetime | None = _time(now=True)


class ExpertDecision(SQLModel, table=True):
    """What an expert decided about a task after a look: kept beside the crowd's. The last one counts.

    choice: the consensus; what one volunteer answered; the expert's own answer; nothing of it. `taken_back`:
    the ones before no longer count, as if nobody had decided.
    """

    __tablename__ = "expert_decision"
    __table_args__ = (
        Index(None, "task_id"),
        _one_of("choice", "consensus", "answer", "own", "none", "taken_back"),
        CheckConstraint("(account_id IS NULL) = (expert IS NOT NULL)", name="one_expert"),
    )
    id: int = _id()
    task_id: int = _big("task.id")
    account_id: int | None = _big("account.id", null=True, cascade=False)
    # of one that came with a package: the expert's pseudonym there, and their role
    expert: str | None = _text(null=True)
    role: str | None = _text(null=True)
    choice: str = _text()
    value: dict[str, Any] | None = _json(null=True)  # as it was then; NULL for none and taken_back
    note: str = _text("")
    created_at: datetime | None = _time(now=True)


class TaskLook(SQLModel, table=True):
    """Who of a project's people has looked at a task in the results explorer; none of it is an answer."""

    __tablename__ = "task_look"
    task_id: int = _big("task.id", primary=True)
    account_id: int = _big("account.id", primary=True)
    looked_at: datetime | None = _time(now=True)


class ContributorRecord(SQLModel, table=True):
    """How one contributor works in a project, as the last review found, and whether their answers weigh."""

    __tablename__ = "contributor_record"
    __table_args__ = (_one_of("decided_by", "rule", "owner"),)
    project_id: int = _big("project.id", primary=True)
    contributor_id: UUID = Field(primary_key=True)
    n_answers: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    skill: float | None = Field(default=None)
    gold_score: float | None = Field(default=None)
    n_gold: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    seconds: float | None = Field(default=None)
    habits: list[str] = Field(
        default=[], sa_column=Column(JSONB, nullable=False, server_default=text("'[]'"))
    )
    # what the model knows of them, by field: log P(label | truth), a row a label; core/stopping.py
    tables: dict[str, Any] = _json()
    lost: list[str] = Field(default=[], sa_column=Column(JSONB, nullable=False, server_default=text("'[]'")))
    is_excluded: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    decided_by: str = _text("rule")  # what an owner decided, no rule changes
    updated_at: datetime | None = _time(now=True)


class ProjectQuality(SQLModel, table=True):
    """What the last review of a project found: how people agree, and the model that stopping goes by."""

    __tablename__ = "project_quality"
    project_id: int = _big("project.id", primary=True)
    agreement: dict[str, Any] = _json()
    model: dict[str, Any] = _json()  # by field: labels, crowd, log_prior; n_answers, n_tasks
    replay: dict[str, Any] = _json()  # what other settings would have needed: engine/results/replay.py
    made_at: datetime | None = _time(now=True)


class Stopping(SQLModel, table=True):
    """What "stop when sure" said of a task when it first had something to say."""

    __table_args__ = (
        _one_of("outcome", "sure", "disputed", "full"),
        Index(None, "project_id", "outcome"),
    )
    task_id: int = _big("task.id", primary=True)
    project_id: int = _big()
    outcome: str = _text()
    # sure, and asked on all the same: how often the final value differs is the measured error rate
    is_audit: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    n_answers: int = Field()
    value: dict[str, Any] | None = _json(null=True)
    # how often a later model said otherwise, and the task was asked again
    n_reopened: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    decided_at: datetime | None = _time(now=True)


class Claim(SQLModel, table=True):
    """An e-mail address that stands for a contributor, so that they find their work again. Never exported."""

    __table_args__ = (
        Index("uq_claim_email", text("lower(email)"), unique=True),
        Index(None, "contributor_id"),
    )
    id: int = _id()
    email: str = _text()
    contributor_id: UUID = Field()
    created_at: datetime | None = _time(now=True)


class ClaimLink(SQLModel, table=True):
    """A one-time link, with a code for the device that asked; only SHA-256 of either is kept."""

    __tablename__ = "claim_link"
    __table_args__ = (Index(None, "contributor_id"),)
    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    code_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    email: str = _text()
    contributor_id: UUID = Field()  # who asked: the code is good for them alone
    created_at: datetime | None = _time(now=True)
    expires_at: datetime = _time()
    used_at: datetime | None = _time(null=True)


class ContributorAlias(SQLModel, table=True):
    """An id that a device had before it was joined to a person: never a contributor of its own again."""

    __tablename__ = "contributor_alias"
    __table_args__ = (Index(None, "contributor_id"),)
    old_id: UUID = Field(primary_key=True)
    contributor_id: UUID = Field()
    created_at: datetime | None = _time(now=True)


class Mail(SQLModel, table=True):
    """A letter to send. Written with what it tells of; its text is emptied once it is sent."""

    __table_args__ = (
        _one_of("state", "queued", "sending", "sent", "filed", "failed"),
        Index("ix_mail_waiting", "due_at", postgresql_where=text("state IN ('queued', 'sending')")),
    )
    id: int = _id()
    recipient: str = _text()
    subject: str = _text()
    body: str = _text("")
    state: str = _text("queued")  # filed: no server is set, it lies in the data folder
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    error: str | None = _text(null=True)
    created_at: datetime | None = _time(now=True)
    due_at: datetime | None = _time(now=True)  # no try before; of one that is being sent: it died
    sent_at: datetime | None = _time(null=True)


class Certificate(SQLModel, table=True):
    """What somebody has done, as it was when they asked; the id is the secret of its link."""

    __table_args__ = (Index(None, "contributor_id"),)
    id: str = Field(sa_column=Column(Text, primary_key=True))  # 128 random bits
    contributor_id: UUID = Field()
    name: str = _text()  # as typed
    language: str = _text("en")
    facts: dict[str, Any] = _json()  # engine/volunteers/certificates.py
    created_at: datetime | None = _time(now=True)


class Rating(SQLModel, table=True):
    """How somebody liked helping in a project; the last word counts."""

    __table_args__ = (CheckConstraint("score BETWEEN 1 AND 3", name="score_range"),)
    project_id: int = _big("project.id", primary=True)
    contributor_id: UUID = Field(primary_key=True)
    score: int = Field(sa_column=Column(SmallInteger, nullable=False))  # 1 not so good, 2 all right, 3 good
    created_at: datetime | None = _time(now=True)


class Team(SQLModel, table=True):
    """A class or a group that counts together. Whoever has the code may join and see the totals."""

    __table_args__ = (UniqueConstraint("code"), Index(None, "contributor_id"), Index(None, "account_id"))
    id: int = _id()
    code: str = _text()
    name: str = _text()
    contributor_id: UUID | None = Field(default=None)  # a volunteer made it, or
    account_id: int | None = _big("account.id", null=True)  # an owner
    created_at: datetime | None = _time(now=True)


class TeamMember(SQLModel, table=True):
    """One stay in a team: what is answered between its times counts for the team."""

    __tablename__ = "team_member"
    __table_args__ = (
        Index(None, "contributor_id"),
        Index(
            "uq_team_member_present",
            "team_id",
            "contributor_id",
            unique=True,
            postgresql_where=text("left_at IS NULL"),
        ),
    )
    id: int = _id()
    team_id: int = _big("team.id")
    contributor_id: UUID = Field()
    joined_at: datetime | None = _time(now=True)
    left_at: datetime | None = _time(null=True)


class Job(SQLModel, table=True):
    """Work to do in the background. The row is the truth; Redis only rings. Each write names its attempt."""

    __table_args__ = (
        _one_of("state", "queued", "running", "done", "failed"),
        Index("uq_job_waiting", "name", "target_id", unique=True, postgresql_where=text("state = 'queued'")),
        Index("ix_job_unfinished", "state", postgresql_where=text("state IN ('queued', 'running')")),
    )
    id: int = _id()
    name: str = _text()  # on the allow-list in store/queue.py
    target_id: int = _big()  # what it is about: a batch, a project
    state: str = _text("queued")
    attempt: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    n_tries: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})  # since it last got on
    heartbeat_at: datetime | None = _time(null=True)
    due_at: datetime | None = _time(null=True)  # not before, while a server that it needs is away
    n_pauses: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})  # since it last got on
    error: str | None = _text(null=True)
    created_at: datetime | None = _time(now=True)
    finished_at: datetime | None = _time(null=True)


class Export(SQLModel, table=True):
    """Files that somebody asked for: written by a job, kept for some days; the row is kept as the record."""

    __table_args__ = (
        Index(None, "project_id", "id"),
        _one_of("state", "queued", "running", "done", "failed", "expired"),
        CheckConstraint("state <> 'done' OR folder <> ''", name="done_has_file"),
    )
    id: int = _id()
    project_id: int = _big("project.id")
    account_id: int | None = _big("account.id", null=True, cascade=False)  # None: the command line
    state: str = _text("queued")  # expired: done, and its file thrown away
    what: str = _text()  # one of engine.exporting.WHATS, or "all": a package
    format: str = _text()
    # licence, compress, raw, same_names: how it was asked for
    parameters: dict[str, Any] = _json()
    snapshot: dict[str, Any] | None = _json(null=True)  # engine.snapshots.Snapshot: which state it holds
    software: str = _text("")  # name and version that wrote it
    n_rows: int | None = _big(null=True)  # an estimate of what is to be read; rows_done may pass it
    rows_done: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    name: str = _text("")  # what the file is called for a person
    folder: str = _text("")  # folder name below data/exports
    n_bytes: int | None = _big(null=True)
    sha256: str | None = _text(null=True)
    error: str | None = _text(null=True)
    created_at: datetime | None = _time(now=True)
    finished_at: datetime | None = _time(null=True)


class NetworkKey(SQLModel, table=True):
    """The key that hashes networks for one period of 30 days; destroyed 30 days after it."""

    __tablename__ = "network_key"
    period: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Heartbeat(SQLModel, table=True):
    """When a long-running process last said that it is alive, by the database's clock."""

    name: str = Field(sa_column=Column(Text, primary_key=True))  # "clock"
    beat_at: datetime | None = _time(now=True)


@event.listens_for(metadata, "after_create")
def install_hotpath(_: object, connection: Connection, **__: object) -> None:
    """Create or replace functions and triggers, in the transaction that makes the tables."""
    for file in (HOTPATH, DELETION):
        connection.connection.driver_connection.execute(file.read_text())  # type: ignore[union-attr]
