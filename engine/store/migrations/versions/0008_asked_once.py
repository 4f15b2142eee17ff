"""What was ordered under a key is known again, and told from what is something else."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("jobs", "schedules", "feeds", "feed_items"):
        op.add_column(table, sa.Column("told", sa.String(length=64), nullable=True))
    for table in ("schedules", "feeds"):
        op.add_column(table, sa.Column("dedup_key", sa.String(length=300), nullable=True))
    _known_again()
    for table in ("schedules", "feeds"):
        op.create_index(op.f(f"ix_{table}_dedup_key"), table, ["dedup_key"], unique=True)


def _known_again() -> None:
    """Feeds kept their orders among their options, where two places could keep the same one: the first has it."""
    feeds = sa.table("feeds", sa.column("id"), sa.column("dedup_key"), sa.column("options", sa.JSON))
    connection = op.get_bind()
    known = connection.execute(sa.select(feeds.c.id, feeds.c.options).order_by(feeds.c.id)).all()
    first: dict[str, int] = {}
    for row in known:
        if order := (row.options or {}).get("order"):
            first.setdefault(str(order)[:300], row.id)
    for order, feed_id in first.items():
        connection.execute(sa.update(feeds).where(feeds.c.id == feed_id).values(dedup_key=order))
