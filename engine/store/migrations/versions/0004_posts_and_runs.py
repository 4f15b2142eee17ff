"""What a post is about and what became of it, and what a run was ordered to do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("theme", "error"):
        op.add_column("posts", sa.Column(column, sa.Text(), nullable=False, server_default=""))
    op.add_column("posts", sa.Column("source", sa.String(16), nullable=True))
    for table in ("posts", "runs"):
        op.add_column(table, sa.Column("options", sa.JSON(), nullable=False, server_default="{}"))
    op.create_index(op.f("ix_posts_persona_id_id"), "posts", ["persona_id", "id"])
    for table in ("jobs", "pictures"):
        op.create_index(op.f(f"ix_{table}_run_id"), table, ["run_id"])
