"""People, feedback, exports and more"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "certificate",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), server_default="en", nullable=False),
        sa.Column(
            "facts",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
    )
    op.create_index(op.f("ix_certificate_contributor_id"), "certificate", ["contributor_id"], unique=False)
    op.create_table(
        "claim",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claim")),
    )
    op.create_index(op.f("ix_claim_contributor_id"), "claim", ["contributor_id"], unique=False)
    op.create_index("uq_claim_email", "claim", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "claim_link",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_claim_link")),
    )
    op.create_index(op.f("ix_claim_link_contributor_id"), "claim_link", ["contributor_id"], unique=False)
    op.create_table(
        "contributor_alias",
        sa.Column("old_id", sa.Uuid(), nullable=False),
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("old_id", name=op.f("pk_contributor_alias")),
    )
    op.create_index(
        op.f("ix_contributor_alias_contributor_id"), "contributor_alias", ["contributor_id"], unique=False
    )
    op.create_table(
        "mail",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'sent', 'filed', 'failed')", name=op.f("ck_mail_state_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
    )
    op.create_index(
        "ix_mail_waiting",
        "mail",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'sending')"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column(
            "detail",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_audit_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_project_id_id"), "audit", ["project_id", "id"], unique=False)
    op.create_table(
        "form_draft",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column(
            "form", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("saved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_form_draft_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "page", name=op.f("pk_form_draft")),
    )
    op.create_table(
        "task_look",
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_task_look_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_task_look_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "account_id", name=op.f("pk_task_look")),
    )
    op.create_table(
        "team",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("contributor_id", sa.Uuid(), nullable=True),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_team_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team")),
        sa.UniqueConstraint("code", name=op.f("uq_team_code")),
    )
    op.create_index(op.f("ix_team_account_id"), "team", ["account_id"], unique=False)
    op.create_index(op.f("ix_team_contributor_id"), "team", ["contributor_id"], unique=False)
    op.create_table(
        "api_token",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_on", sa.Date(), nullable=True),
        sa.CheckConstraint("scope IN ('read', 'import', 'manage')", name=op.f("ck_api_token_scope_known")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_api_token_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_api_token_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
    )
    op.create_index(op.f("ix_api_token_account_id"), "api_token", ["account_id"], unique=False)
    op.create_table(
        "export",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column(
            "parameters",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("snapshot", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("rows_done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state <> 'done' OR folder <> ''", name=op.f("ck_export_done_has_file")),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'expired')", name=op.f("ck_export_state_known")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_export_account_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_export_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export")),
    )
    op.create_index(op.f("ix_export_project_id_id"), "export", ["project_id", "id"], unique=False)
    op.create_table(
        "invitation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('collaborator', 'reviewer', 'researcher')", name=op.f("ck_invitation_role_known")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_invitation_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_invitation_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitation_token_hash")),
    )
    op.create_index(op.f("ix_invitation_project_id"), "invitation", ["project_id"], unique=False)
    op.create_table(
        "project_member",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "role IN ('collaborator', 'reviewer', 'researcher')", name=op.f("ck_project_member_role_known")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_project_member_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_member_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "account_id", name=op.f("pk_project_member")),
    )
    op.create_index(op.f("ix_project_member_account_id"), "project_member", ["account_id"], unique=False)
    op.create_table(
        "project_text",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_project_text_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "language", "path", name=op.f("pk_project_text")),
    )
    op.create_table(
        "rating",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("score BETWEEN 1 AND 3", name=op.f("ck_rating_score_range")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_rating_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "contributor_id", name=op.f("pk_rating")),
    )
    op.create_table(
        "restoration",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), server_default="staged", nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("upload", sa.Text(), nullable=False),
        sa.Column(
            "options",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("look", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("n_rows", sa.Integer(), nullable=True),
        sa.Column("rows_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('staged', 'queued', 'running', 'done', 'failed')",
            name=op.f("ck_restoration_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_restoration_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_restoration_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restoration")),
    )
    op.create_index(op.f("ix_restoration_account_id"), "restoration", ["account_id"], unique=False)
    op.create_table(
        "team_member",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("team_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contributor_id", sa.Uuid(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["team_id"], ["team.id"], name=op.f("fk_team_member_team_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team_member")),
    )
    op.create_index(op.f("ix_team_member_contributor_id"), "team_member", ["contributor_id"], unique=False)
    op.create_index(
        "uq_team_member_present",
        "team_member",
        ["team_id", "contributor_id"],
        unique=True,
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.create_table(
        "upload",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "files", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_upload_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_upload_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.add_column("answer", sa.Column("told_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "batch", sa.Column("look", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column("batch", sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "cursor",
        sa.Column("soon", sa.BigInteger(), server_default=sa.text("-4611686018427387905"), nullable=False),
    )
    op.add_column("expert_decision", sa.Column("expert", sa.Text(), nullable=True))
    op.add_column("expert_decision", sa.Column("role", sa.Text(), nullable=True))
    op.alter_column("expert_decision", "account_id", existing_type=sa.BIGINT(), nullable=True)
    op.add_column(
        "project", sa.Column("shows_teams", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("project", sa.Column("trial_of", sa.BigInteger(), autoincrement=False, nullable=True))
    op.add_column(
        "project", sa.Column("is_ending", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column(
        "project",
        sa.Column(
            "tutorial",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.add_column(
        "project", sa.Column("tells_known", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column(
        "project", sa.Column("tells_consensus", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_index(
        "ix_project_trial_of",
        "project",
        ["trial_of"],
        unique=False,
        postgresql_where=sa.text("trial_of IS NOT NULL"),
    )
    op.create_foreign_key(
        op.f("fk_project_trial_of"), "project", "project", ["trial_of"], ["id"], ondelete="CASCADE"
    )
    op.add_column(
        "project_quality",
        sa.Column(
            "replay",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.create_index(op.f("ix_skip_project_id_task_id"), "skip", ["project_id", "task_id"], unique=False)
    op.add_column(
        "stopping", sa.Column("n_reopened", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.drop_index(op.f("task_unretired"), table_name="task", postgresql_where="(retired_at IS NULL)")
    op.create_index(
        "task_full",
        "task",
        ["project_id"],
        unique=False,
        postgresql_where=sa.text("retired_at IS NULL AND NOT open"),
    )
    op.drop_constraint(op.f("fk_task_project_id"), "task", type_="foreignkey")
    op.drop_index(op.f("ix_task_content_batch_id"), table_name="task_content")
    op.create_index(
        "task_content_batch",
        "task_content",
        ["batch_id"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
    )
    op.drop_constraint(op.f("fk_task_content_batch_id"), "task_content", type_="foreignkey")
    op.drop_constraint(op.f("fk_task_content_task_id"), "task_content", type_="foreignkey")
    op.drop_constraint(op.f("fk_task_content_project_id"), "task_content", type_="foreignkey")
    op.drop_constraint(op.f("ck_batch_state_known"), "batch", type_="check")
    op.create_check_constraint(
        op.f("ck_batch_state_known"),
        "batch",
        "state IN ('staged', 'queued', 'running', 'done', 'failed', 'undone')",
    )
    op.drop_constraint(op.f("ck_expert_decision_choice_known"), "expert_decision", type_="check")
    op.create_check_constraint(
        op.f("ck_expert_decision_choice_known"),
        "expert_decision",
        "choice IN ('consensus', 'answer', 'own', 'none', 'taken_back')",
    )
    op.create_check_constraint(
        op.f("ck_expert_decision_one_expert"),
        "expert_decision",
        "(account_id IS NULL) = (expert IS NOT NULL)",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_expert_decision_one_expert"), "expert_decision", type_="check")
    op.execute("DELETE FROM expert_decision WHERE account_id IS NULL")
    op.execute("DELETE FROM expert_decision WHERE choice IN ('own', 'taken_back')")
    op.drop_constraint(op.f("ck_expert_decision_choice_known"), "expert_decision", type_="check")
    op.create_check_constraint(
        op.f("ck_expert_decision_choice_known"),
        "expert_decision",
        "choice IN ('consensus', 'answer', 'none')",
    )
    op.execute("DELETE FROM batch WHERE state = 'staged'")
    op.execute("UPDATE batch SET state = 'done' WHERE state = 'undone'")
    op.drop_constraint(op.f("ck_batch_state_known"), "batch", type_="check")
    op.create_check_constraint(
        op.f("ck_batch_state_known"), "batch", "state IN ('queued', 'running', 'done', 'failed')"
    )
    op.create_foreign_key(
        op.f("fk_task_content_project_id"),
        "task_content",
        "project",
        ["project_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.create_foreign_key(
        op.f("fk_task_content_task_id"), "task_content", "task", ["task_id"], ["id"], ondelete="CASCADE"
    )
    op.create_foreign_key(
        op.f("fk_task_content_batch_id"), "task_content", "batch", ["batch_id"], ["id"], ondelete="CASCADE"
    )
    op.drop_index(
        "task_content_batch",
        table_name="task_content",
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
    )
    op.create_index(op.f("ix_task_content_batch_id"), "task_content", ["batch_id"], unique=False)
    op.create_foreign_key(
        op.f("fk_task_project_id"), "task", "project", ["project_id"], ["id"], ondelete="CASCADE"
    )
    op.drop_index("task_full", table_name="task", postgresql_where=sa.text("retired_at IS NULL AND NOT open"))
    op.create_index(
        op.f("task_unretired"), "task", ["project_id"], unique=False, postgresql_where="(retired_at IS NULL)"
    )
    op.drop_column("stopping", "n_reopened")
    op.drop_index(op.f("ix_skip_project_id_task_id"), table_name="skip")
    op.drop_column("project_quality", "replay")
    op.drop_constraint(op.f("fk_project_trial_of"), "project", type_="foreignkey")
    op.drop_index(
        "ix_project_trial_of", table_name="project", postgresql_where=sa.text("trial_of IS NOT NULL")
    )
    op.drop_column("project", "tells_consensus")
    op.drop_column("project", "tells_known")
    op.drop_column("project", "tutorial")
    op.drop_column("project", "is_ending")
    op.drop_column("project", "trial_of")
    op.drop_column("project", "shows_teams")
    op.alter_column("expert_decision", "account_id", existing_type=sa.BIGINT(), nullable=False)
    op.drop_column("expert_decision", "role")
    op.drop_column("expert_decision", "expert")
    op.drop_column("cursor", "soon")
    op.drop_column("batch", "started_at")
    op.drop_column("batch", "look")
    op.drop_column("answer", "told_at")
    op.drop_table("upload")
    op.drop_index(
        "uq_team_member_present", table_name="team_member", postgresql_where=sa.text("left_at IS NULL")
    )
    op.drop_index(op.f("ix_team_member_contributor_id"), table_name="team_member")
    op.drop_table("team_member")
    op.drop_index(op.f("ix_restoration_account_id"), table_name="restoration")
    op.drop_table("restoration")
    op.drop_table("rating")
    op.drop_table("project_text")
    op.drop_index(op.f("ix_project_member_account_id"), table_name="project_member")
    op.drop_table("project_member")
    op.drop_index(op.f("ix_invitation_project_id"), table_name="invitation")
    op.drop_table("invitation")
    op.drop_index(op.f("ix_export_project_id_id"), table_name="export")
    op.drop_table("export")
    op.drop_index(op.f("ix_api_token_account_id"), table_name="api_token")
    op.drop_table("api_token")
    op.drop_index(op.f("ix_team_contributor_id"), table_name="team")
    op.drop_index(op.f("ix_team_account_id"), table_name="team")
    op.drop_table("team")
    op.drop_table("task_look")
    op.drop_table("form_draft")
    op.drop_index(op.f("ix_audit_project_id_id"), table_name="audit")
    op.drop_table("audit")
    op.drop_index(
        "ix_mail_waiting", table_name="mail", postgresql_where=sa.text("state IN ('queued', 'sending')")
    )
    op.drop_table("mail")
    op.drop_index(op.f("ix_contributor_alias_contributor_id"), table_name="contributor_alias")
    op.drop_table("contributor_alias")
    op.drop_index(op.f("ix_claim_link_contributor_id"), table_name="claim_link")
    op.drop_table("claim_link")
    op.drop_index("uq_claim_email", table_name="claim")
    op.drop_index(op.f("ix_claim_contributor_id"), table_name="claim")
    op.drop_table("claim")
    op.drop_index(op.f("ix_certificate_contributor_id"), table_name="certificate")
    op.drop_table("certificate")
