"""`greenroom schedule add --backfill` and `--batch`: pictures that are ordered by the clock, instead of posts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.store.records import Place, Schedule


def options(command: Any) -> Any:
    """What is said of pictures that are made by the clock, instead of posts."""
    for option in (
        click.option(
            "--run-key", default="", metavar="KEY", help="What its runs are called, before the day."
        ),
        click.option("--limit", type=int, metavar="N", help="At most so many pictures each time."),
        click.option("--tag", "tags", multiple=True, metavar="TAG", help="Whoever has it; may be repeated."),
        click.option("--batch", is_flag=True, help="No posts: a picture of everybody whom --tag means."),
        click.option("--backfill", is_flag=True, help="No posts: the pictures that are missing."),
    ):
        command = option(command)
    return command


async def added(
    engine: Engine, when: str, place: Place, flags: Mapping[str, str], told: Mapping[str, Any]
) -> Schedule:
    """The schedule that begins a run each time."""
    from bot.commands.standing import ordered

    kind = {"batch": "yes"} if told["batch"] else {}
    return await ordered(
        engine, when, place, {**flags, **kind}, tags=told["tags"], limit=told["limit"], key=told["key"]
    )
