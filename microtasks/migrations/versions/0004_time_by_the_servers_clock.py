"""Time by the server's clock, lapsed leases, leases by network; no order of known tasks alone"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("answer", sa.Column("server_seconds", sa.Float(), nullable=True))
    op.add_column("cursor", sa.Column("n_lapsed", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("cursor", sa.Column("worked_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cursor", sa.Column("paced_until", sa.DateTime(timezone=True), nullable=True))
    op.drop_column("cursor", "n_gold")
    op.drop_column("cursor", "gold_draw")
    op.add_column(
        "lease",
        sa.Column("leased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_index(
        "lease_of_network",
        "lease",
        ["project_id", "network"],
        postgresql_where=sa.text("network IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("lease_of_network", table_name="lease")
    op.drop_column("lease", "leased_at")
    op.add_column("cursor", sa.Column("gold_draw", sa.Float(), nullable=True))
    op.add_column("cursor", sa.Column("n_gold", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.drop_column("cursor", "paced_until")
    op.drop_column("cursor", "worked_until")
    op.drop_column("cursor", "n_lapsed")
    op.drop_column("answer", "server_seconds")
