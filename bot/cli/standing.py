"""`greenroom schedule add --backfill` and `--batch`: pictures that are ordered by the clock, instead of posts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.settings import Settings

Message = dict[str, Any]


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
    settings: Settings, when: str, place: str, flags: Mapping[str, str], told: Mapping[str, Any]
) -> Message:
    """The schedule that begins a run each time, as scripts are told of it."""
    from bot.cli.schedules import parts, place_named, shown
    from bot.commands.settings import zone_here
    from engine.ordering import Kind, Order
    from engine.timewords import read

    async with parts(settings) as engine:
        there = await place_named(engine, place)
        timing, rest = read(when)
        order = Order(
            kind=Kind.BATCH if told["batch"] else Kind.BACKFILL,
            scene=flags.get("theme") or rest,
            tags=told["tags"],
            personas=(flags["persona"],) if "persona" in flags else (),
            missing_only=not told["batch"],
            limit=told["limit"],
            key=told["key"],
            wish={"style": flags.get("style", "").strip().lower() or None},
        )
        zone = flags.get("zone") or zone_here(there, engine.settings)
        return await shown(
            engine, await engine.standing.add(place=there, timing=timing, zone=zone, order=order)
        )
