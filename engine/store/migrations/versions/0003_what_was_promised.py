"""When a picture was promised for, so that later promises can be better."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import engine.store.tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("promised_at", engine.store.tables.Moment(), nullable=True))
    for column in ("likely", "at_most", "guessed_likely", "guessed_at_most"):
        op.add_column("jobs", sa.Column(column, sa.Float(), nullable=True))
    kept = sa.text("state = 'done' AND promised_at IS NOT NULL")
    op.create_index("ix_jobs_promised", "jobs", ["id"], sqlite_where=kept, postgresql_where=kept)
