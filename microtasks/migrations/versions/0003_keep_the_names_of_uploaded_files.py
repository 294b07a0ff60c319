"""Keep the names of uploaded files"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("task_content", sa.Column("file_name", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("task_content", "file_name")
