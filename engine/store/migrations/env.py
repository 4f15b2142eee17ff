"""What Alembic runs. The connection is always ours: see `engine.store.database`."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from engine.store.tables import Moment, metadata


def _named(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Migrations name our own column type by the module that the template imports."""
    return "engine.store.tables.Moment()" if kind == "type" and isinstance(item, Moment) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=_named,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
