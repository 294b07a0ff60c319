"""Addresses that are proven, and logs that keep them as they were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "address_link",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("invitation_id", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "CASE WHEN purpose = 'join' THEN invitation_id IS NOT NULL AND account_id IS NULL"
            " ELSE account_id IS NOT NULL AND invitation_id IS NULL END",
            name=op.f("ck_address_link_is_of_one"),
        ),
        sa.CheckConstraint("purpose IN ('join', 'old', 'new')", name=op.f("ck_address_link_purpose_known")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_address_link_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["invitation.id"],
            name=op.f("fk_address_link_invitation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_address_link")),
    )
    op.create_index(op.f("ix_address_link_account_id"), "address_link", ["account_id"], unique=False)
    op.create_index(op.f("ix_address_link_invitation_id"), "address_link", ["invitation_id"], unique=False)
    op.add_column("audit", sa.Column("email", sa.Text(), nullable=True))
    # As far as anybody knows: from now on entries keep the address as it was.
    op.execute("UPDATE audit SET email = account.email FROM account WHERE account.id = audit.account_id")


def downgrade() -> None:
    op.drop_column("audit", "email")
    op.drop_index(op.f("ix_address_link_invitation_id"), table_name="address_link")
    op.drop_index(op.f("ix_address_link_account_id"), table_name="address_link")
    op.drop_table("address_link")
