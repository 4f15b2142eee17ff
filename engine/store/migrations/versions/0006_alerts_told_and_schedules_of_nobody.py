"""Which alerts were told, across restarts; and schedules that order pictures belong to no persona."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import engine.store.tables

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("told_at", engine.store.tables.Moment(), nullable=False),
        sa.Column("lasts", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alerts")),
    )
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _copied(connection)
    else:
        op.alter_column("schedules", "persona_id", existing_type=sa.Integer(), nullable=True)
    schedules = sa.table("schedules", sa.column("id"), sa.column("persona_id"), sa.column("options", sa.JSON))
    known = connection.execute(sa.select(schedules.c.id, schedules.c.options)).all()
    of_nobody = [row.id for row in known if "order" in (row.options or {})]
    if of_nobody:
        told = sa.update(schedules).where(schedules.c.id.in_(of_nobody)).values(persona_id=None)
        connection.execute(told)


def _copied(connection: sa.Connection) -> None:
    """SQLite changes a column only by a copy of its table, and posts lose their schedules when the old one goes."""
    posts = sa.table("posts", sa.column("id"), sa.column("schedule_id"))
    theirs = connection.execute(sa.select(posts).where(posts.c.schedule_id.is_not(None))).mappings().all()
    numbers = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
    of_schedules = numbers.c.name == "schedules"
    last = connection.execute(sa.select(numbers.c.seq).where(of_schedules)).scalar()
    with op.batch_alter_table(
        "schedules", recreate="always", table_kwargs={"sqlite_autoincrement": True}
    ) as batch:
        batch.alter_column("persona_id", existing_type=sa.Integer(), nullable=True)
    if theirs:
        again = sa.update(posts).where(posts.c.id == sa.bindparam("post"))
        again = again.values(schedule_id=sa.bindparam("schedule"))
        connection.execute(again, [{"post": row["id"], "schedule": row["schedule_id"]} for row in theirs])
    # A number that was given once is given to no other: the keys of posts begin with it.
    if last is not None:
        connection.execute(sa.delete(numbers).where(of_schedules))
        connection.execute(sa.insert(numbers).values(name="schedules", seq=last))
