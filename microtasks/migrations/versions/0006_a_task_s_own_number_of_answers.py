"""A task's own number of answers is stored, so that all others follow what the project says.

Of tasks that are there it is guessed this once: whose seats differ from the project's number has one of its
own, but for those that are done with what they have (they may only have kept seats that were taken when the
owner lowered the number) and those that stop when sure, whose seats grow.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("task", sa.Column("own_redundancy", sa.SmallInteger(), nullable=True))
    op.execute(
        """UPDATE task t SET own_redundancy = t.redundancy FROM project p
           WHERE p.id = t.project_id AND p.stop_rule <> 'confidence' AND t.redundancy <> p.redundancy
             AND t.retirement_reason IS DISTINCT FROM 'redundancy'
             AND t.redundancy > t.n_answers + t.n_leases"""
    )


def downgrade() -> None:
    op.drop_column("task", "own_redundancy")
