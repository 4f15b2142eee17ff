"""Who asks for pictures lately is found past all that a large run makes meanwhile."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    asked = sa.text("lane = 'interactive'")
    op.create_index("ix_jobs_asked", "jobs", ["id"], sqlite_where=asked, postgresql_where=asked)
