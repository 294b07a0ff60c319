"""The first schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("is_operator", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
    )
    op.create_index("uq_account_email", "account", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "cursor",
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pos", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lap", sa.BigInteger(), server_default="-1", nullable=False),
        sa.Column("n_served", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_gold", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("gold_draw", sa.Float(), nullable=True),
        sa.Column("rest_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("contributor_id", "project_id", name=op.f("pk_cursor")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("target_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_job_state_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index(
        "ix_job_unfinished",
        "job",
        ["state"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "uq_job_waiting",
        "job",
        ["name", "target_id"],
        unique=True,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "media",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "derivatives",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("width > 0 AND height > 0", name=op.f("ck_media_size_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sa.UniqueConstraint("sha256", name=op.f("uq_media_sha256")),
    )
    op.create_table(
        "network_key",
        sa.Column("period", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("period", name=op.f("pk_network_key")),
    )
    op.create_table(
        "owner_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_link", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_owner_session_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_owner_session")),
    )
    op.create_table(
        "project",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("thanks", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), server_default="en", nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column(
            "config",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("config_version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("state", sa.Text(), server_default="draft", nullable=False),
        sa.Column("redundancy", sa.Integer(), server_default=sa.text("5"), nullable=False),
        sa.Column("answers_min", sa.Integer(), server_default=sa.text("5"), nullable=False),
        sa.Column("stop_rule", sa.Text(), server_default="redundancy", nullable=False),
        sa.Column("stop_threshold", sa.Float(), server_default="0.8", nullable=False),
        sa.Column("method", sa.Text(), server_default="majority", nullable=False),
        sa.Column("gold_share", sa.Float(), server_default="0", nullable=False),
        sa.Column("lease_seconds", sa.Integer(), nullable=True),
        sa.Column("head_pos", sa.BigInteger(), server_default="-1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "method IN ('majority', 'model', 'committee')", name=op.f("ck_project_method_known")
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'published', 'paused', 'archived')", name=op.f("ck_project_state_known")
        ),
        sa.CheckConstraint(
            "stop_rule IN ('redundancy', 'agreement', 'confidence')", name=op.f("ck_project_stop_rule_known")
        ),
        sa.CheckConstraint("answers_min BETWEEN 1 AND redundancy", name=op.f("ck_project_answers_min_range")),
        sa.CheckConstraint("gold_share BETWEEN 0 AND 0.5", name=op.f("ck_project_gold_share_range")),
        sa.CheckConstraint("redundancy BETWEEN 1 AND 1000", name=op.f("ck_project_redundancy_range")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_project_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("slug", name=op.f("uq_project_slug")),
    )
    op.create_index(op.f("ix_project_account_id"), "project", ["account_id"], unique=False)
    op.create_table(
        "signin_link",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_signin_link_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_signin_link")),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("phase", sa.Text(), server_default="received", nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("upload", sa.Text(), nullable=False),
        sa.Column(
            "options",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("n_rows", sa.Integer(), nullable=True),
        sa.Column("rows_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_tasks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "notices", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_batch_state_known")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_batch_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    op.create_index(op.f("ix_batch_project_id"), "batch", ["project_id"], unique=False)
    op.create_table(
        "contributor_record",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("n_answers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("skill", sa.Float(), nullable=True),
        sa.Column("gold_score", sa.Float(), nullable=True),
        sa.Column("n_gold", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column(
            "habits", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column(
            "tables",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "lost", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("is_excluded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("decided_by", sa.Text(), server_default="rule", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "decided_by IN ('rule', 'owner')", name=op.f("ck_contributor_record_decided_by_known")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_contributor_record_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "contributor_id", name=op.f("pk_contributor_record")),
    )
    op.create_table(
        "project_config",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "config",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_config_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "version", name=op.f("pk_project_config")),
    )
    op.create_table(
        "project_quality",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "agreement",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "model",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_quality_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_quality")),
    )
    op.create_table(
        "source_consensus",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column(
            "detail",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("reducer", sa.Text(), nullable=False),
        sa.Column(
            "parameters",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_source_consensus_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "source", name=op.f("pk_source_consensus")),
    )
    op.create_table(
        "task",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pos", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("redundancy", sa.SmallInteger(), nullable=False),
        sa.Column("n_answers", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("n_leases", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retirement_reason", sa.Text(), nullable=True),
        sa.Column(
            "open",
            sa.Boolean(),
            sa.Computed("retired_at IS NULL AND n_answers + n_leases < redundancy", persisted=True),
            nullable=True,
        ),
        sa.CheckConstraint(
            "retirement_reason IN ('consensus', 'redundancy', 'withdrawn')",
            name=op.f("ck_task_retirement_reason_known"),
        ),
        sa.CheckConstraint(
            "(retired_at IS NULL) = (retirement_reason IS NULL)", name=op.f("ck_task_retirement_whole")
        ),
        sa.CheckConstraint("n_answers + n_leases <= redundancy", name=op.f("ck_task_seats")),
        sa.CheckConstraint("n_answers >= 0 AND n_leases >= 0", name=op.f("ck_task_counters_not_negative")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_task_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(op.f("ix_task_project_id_id"), "task", ["project_id", "id"], unique=False)
    op.create_index(
        "task_open", "task", ["project_id", "pos"], unique=False, postgresql_where=sa.text("open")
    )
    op.create_index(
        "task_unretired", "task", ["project_id"], unique=False, postgresql_where=sa.text("retired_at IS NULL")
    )
    op.create_table(
        "answer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("seconds_spent", sa.Float(), nullable=True),
        sa.Column("config_version", sa.Integer(), nullable=False),
        sa.Column("revision", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("network", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revised_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(kind = 'cant_tell') = (value IS NULL)", name=op.f("ck_answer_value_present")),
        sa.CheckConstraint("kind IN ('value', 'empty', 'cant_tell')", name=op.f("ck_answer_kind_known")),
        sa.CheckConstraint("status IN ('counted', 'surplus', 'check')", name=op.f("ck_answer_status_known")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_answer_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answer")),
        sa.UniqueConstraint("task_id", "contributor_id", name=op.f("uq_answer_task_id_contributor_id")),
    )
    op.create_index(
        op.f("ix_answer_contributor_id_project_id_id"),
        "answer",
        ["contributor_id", "project_id", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_answer_project_id_id"), "answer", ["project_id", "id"], unique=False)
    op.create_table(
        "batch_failure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_batch_failure_batch_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_failure")),
        sa.UniqueConstraint("batch_id", "row_no", "name", name=op.f("uq_batch_failure_batch_id_row_no_name")),
    )
    op.create_table(
        "consensus",
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("agreement", sa.Float(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("n_answers", sa.Integer(), nullable=False),
        sa.Column("is_tied", sa.Boolean(), nullable=False),
        sa.Column(
            "detail",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("method", sa.Text(), server_default="majority", nullable=False),
        sa.Column("reducer", sa.Text(), nullable=False),
        sa.Column(
            "parameters",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_consensus_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_consensus_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_consensus")),
    )
    op.create_table(
        "expert_decision",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "choice IN ('consensus', 'answer', 'none')", name=op.f("ck_expert_decision_choice_known")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_expert_decision_account_id")),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_expert_decision_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_expert_decision")),
    )
    op.create_index(op.f("ix_expert_decision_task_id"), "expert_decision", ["task_id"], unique=False)
    op.create_table(
        "lease",
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holds_seat", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("network", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_lease_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("contributor_id", "task_id", name=op.f("pk_lease")),
        postgresql_with={"fillfactor": "50", "autovacuum_vacuum_scale_factor": "0.05"},
    )
    op.create_index(op.f("ix_lease_expires_at"), "lease", ["expires_at"], unique=False)
    op.create_index(op.f("ix_lease_task_id"), "lease", ["task_id"], unique=False)
    op.create_table(
        "report",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_report_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_report_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
        sa.UniqueConstraint("task_id", "contributor_id", name=op.f("uq_report_task_id_contributor_id")),
    )
    op.create_index(op.f("ix_report_project_id"), "report", ["project_id"], unique=False)
    op.create_table(
        "skip",
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_skip_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("contributor_id", "task_id", name=op.f("pk_skip")),
    )
    op.create_table(
        "stopping",
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("is_audit", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("n_answers", sa.Integer(), nullable=False),
        sa.Column("value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("outcome IN ('sure', 'disputed', 'full')", name=op.f("ck_stopping_outcome_known")),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_stopping_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_stopping")),
    )
    op.create_index(
        op.f("ix_stopping_project_id_outcome"), "stopping", ["project_id", "outcome"], unique=False
    )
    op.create_table(
        "task_content",
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column(
            "payload",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "hidden",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "after",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "media_ids", postgresql.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("source_x", sa.Integer(), nullable=True),
        sa.Column("source_y", sa.Integer(), nullable=True),
        sa.Column("source_media_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_task_content_batch_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_task_content_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_task_content_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_task_content")),
        sa.UniqueConstraint("project_id", "external_id", name=op.f("uq_task_content_project_id_external_id")),
    )
    op.create_index(op.f("ix_task_content_batch_id"), "task_content", ["batch_id"], unique=False)
    op.create_index(
        "task_content_only_image",
        "task_content",
        ["project_id", "media_ids"],
        unique=False,
        postgresql_where=sa.text("payload = '{}' AND source IS NULL AND cardinality(media_ids) = 1"),
    )
    op.create_table(
        "task_gold",
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "value",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("draw", sa.Float(), server_default=sa.text("random()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_task_gold_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_task_gold_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_task_gold")),
    )
    op.create_index(op.f("ix_task_gold_project_id_draw"), "task_gold", ["project_id", "draw"], unique=False)
    op.create_table(
        "answer_revision",
        sa.Column("answer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["answer.id"], name=op.f("fk_answer_revision_answer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("answer_id", "revision", name=op.f("pk_answer_revision")),
    )


def downgrade() -> None:
    op.drop_table("answer_revision")
    op.drop_index(op.f("ix_task_gold_project_id_draw"), table_name="task_gold")
    op.drop_table("task_gold")
    op.drop_index(
        "task_content_only_image",
        table_name="task_content",
        postgresql_where=sa.text("payload = '{}' AND source IS NULL AND cardinality(media_ids) = 1"),
    )
    op.drop_index(op.f("ix_task_content_batch_id"), table_name="task_content")
    op.drop_table("task_content")
    op.drop_index(op.f("ix_stopping_project_id_outcome"), table_name="stopping")
    op.drop_table("stopping")
    op.drop_table("skip")
    op.drop_index(op.f("ix_report_project_id"), table_name="report")
    op.drop_table("report")
    op.drop_index(op.f("ix_lease_task_id"), table_name="lease")
    op.drop_index(op.f("ix_lease_expires_at"), table_name="lease")
    op.drop_table("lease")
    op.drop_index(op.f("ix_expert_decision_task_id"), table_name="expert_decision")
    op.drop_table("expert_decision")
    op.drop_table("consensus")
    op.drop_table("batch_failure")
    op.drop_index(op.f("ix_answer_project_id_id"), table_name="answer")
    op.drop_index(op.f("ix_answer_contributor_id_project_id_id"), table_name="answer")
    op.drop_table("answer")
    op.drop_index("task_unretired", table_name="task", postgresql_where=sa.text("retired_at IS NULL"))
    op.drop_index("task_open", table_name="task", postgresql_where=sa.text("open"))
    op.drop_index(op.f("ix_task_project_id_id"), table_name="task")
    op.drop_table("task")
    op.drop_table("source_consensus")
    op.drop_table("project_quality")
    op.drop_table("project_config")
    op.drop_table("contributor_record")
    op.drop_index(op.f("ix_batch_project_id"), table_name="batch")
    op.drop_table("batch")
    op.drop_table("signin_link")
    op.drop_index(op.f("ix_project_account_id"), table_name="project")
    op.drop_table("project")
    op.drop_table("owner_session")
    op.drop_table("network_key")
    op.drop_table("media")
    op.drop_index("uq_job_waiting", table_name="job", postgresql_where=sa.text("state = 'queued'"))
    op.drop_index(
        "ix_job_unfinished", table_name="job", postgresql_where=sa.text("state IN ('queued', 'running')")
    )
    op.drop_table("job")
    op.drop_table("heartbeat")
    op.drop_table("cursor")
    op.drop_index("uq_account_email", table_name="account")
    op.drop_table("account")
