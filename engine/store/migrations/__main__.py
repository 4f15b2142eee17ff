"""`python -m engine.store.migrations "what it is for"`: writes the next step from what the tables now say."""

from __future__ import annotations

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from engine.store.database import HEAD


def write_step(purpose: str) -> None:
    """Compare a database at the present step with the tables, and write what leads from one to the other."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with create_engine("sqlite://").begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
        command.revision(config, purpose, autogenerate=True, rev_id=f"{int(HEAD) + 1:04d}")


if __name__ == "__main__":
    write_step(" ".join(sys.argv[1:]) or "A step")
