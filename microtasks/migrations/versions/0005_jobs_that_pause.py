"""Jobs that pause while a server they need is away."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job", sa.Column("n_pauses", sa.Integer(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    op.drop_column("job", "n_pauses")
    op.drop_column("job", "due_at")
