"""`greenroom schedule`: when personas post by themselves, where, and about what; one by one, or from a file.

It changes rows, beside whoever owns the home: a house that runs does what they say, one that does not does it when it
is opened.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot import places
from bot.cli import listing, opening, planning, standing
from bot.posts_shown import schedule_shown

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.store.records import Post, Schedule

Message = dict[str, Any]

ONE_OR_ALL = "Name one schedule by its ID, or a persona with --persona."

#: Words that no time ends with: what follows belongs to it.
FIRST_WORDS = ("daily", "weekly", "every", "cron", "window", "once")
#: So long a key may be, as by the API.
LONGEST_KEY = 64
#: A store that does not answer is asked again, so many seconds later each time.
PAUSES = (0.2, 1.0)

COLOURS = {"active": "green", "paused": "yellow", "ended": "bright_black"}


@click.group()
def schedule() -> None:
    """Posts that personas make by themselves: when, where, about what."""


@schedule.command("list")
@click.option("--place", metavar="PLACE", help="Only those of this place.")
@opening.as_json
def list_(place: str | None, as_json: bool) -> None:
    """All schedules, with their next times."""
    found = opening.on_engine(
        lambda engine: places.listed(engine, place, engine.posting.listing, schedule_shown)
    )
    if as_json:
        opening.put_json(found)
    elif not found:
        click.echo('Nothing is scheduled. `greenroom schedule add "daily 09:00" --place PLACE` changes that.')
    else:
        _draw_list(found)


def local(moment: str, zone: str) -> str:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M")


def _draw_list(found: list[Message]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.drawing import fitting

    table = Table(box=box.SIMPLE_HEAD, header_style="bright_black", pad_edge=False)
    table.add_column("id", justify="right", no_wrap=True)
    for name in ("state", "who and where", "when", "about", "next"):
        # Words break, so that all of them can be read; what is one piece stays whole.
        table.add_column(name, no_wrap=name in ("state", "who and where", "next"), overflow="fold")
    for one in found:
        times = one["next"] if one["state"] == "active" else []
        where = f"#{one['place']} {fitting(one['chat'], 24)}"
        table.add_row(
            str(one["id"]),
            Text(one["state"], COLOURS[one["state"]]),
            Text(f"{fitting(one['persona'] or '–', 24)}\n").append(where, "bright_black"),
            Text(f"{one['when']}\n").append(one["zone"], "bright_black").append(_trouble(one), "red"),
            Text(fitting(about(one), 80)),
            Text(local(times[0], one["zone"]) if times else "–", "bright_black"),
        )
    listing.draw(opening.console(), table, whole=("id", "state", "who and where", "next"))


def _trouble(one: Message) -> str:
    return f"\n{one['error']}" if "error" in one else ""


def about(one: Message) -> str:
    if order := one["options"].get("order"):
        whom = ", ".join([*(f"tag {tag}" for tag in order["tags"]), *map(str, order["personas"])]) or "all"
        return f"{order['kind']} of {whom}" + (f": {order['scene']}" if order["scene"] else "")
    return " | ".join(one["options"].get("themes") or [one["theme"]]) or "whatever comes to mind"


@schedule.command()
@click.argument("when")
@click.argument("theme", default="")
@click.option("--place", required=True, metavar="PLACE", help="Its number, or FRONT:ACCOUNT:CHAT.")
@click.option("--persona", metavar="PERSONA", help="Who posts; without it, whoever is there.")
@planning.how
@standing.options
@click.option("--yes", "-y", is_flag=True, help="Save it without asking.")
@opening.as_json
def add(
    when: str,
    theme: str,
    place: str,
    persona: str | None,
    backfill: bool,
    batch: bool,
    tags: tuple[str, ...],
    limit: int | None,
    run_key: str,
    yes: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Have a persona post at certain times: WHEN is `daily 09:00`, `weekly mon,thu 20:00`, `every 6 hours`,
    `cron 0 9 * * 1-5`, `window 18:00-21:00` or `once 2026-12-24 18:00`; several themes have | between them.

    With --backfill or --batch no post comes of it, but a run of pictures each time: THEME is their scene then, and
    PLACE is told what came of them.
    """
    from bot.commands.plans import planned_here, saved

    if when.lower() in FIRST_WORDS and theme:
        raise click.UsageError(f'WHEN is one piece, in quotes: `greenroom schedule add "{when} {theme}" …`.')
    flags = planning.flags_of(persona=persona, theme=theme or None, **how)
    of_pictures = {"tags": tags, "limit": limit, "key": run_key, "batch": batch}
    if not backfill and not batch:
        if tags or limit is not None or run_key:
            raise click.UsageError("--tag, --limit and --run-key are said of a --backfill or a --batch.")
    elif backfill and batch:
        raise click.UsageError("--backfill and --batch say two things; choose one.")
    elif unused := sorted(flags.keys() - {"persona", "theme", "style", "zone"}):
        raise click.UsageError(f"--{unused[0]} is said of posts, and none come of pictures alone.")

    async def added(engine: Engine) -> Message:
        there = await places.place_named(engine, place)
        if backfill or batch:
            one = await standing.added(engine, when, there, flags, of_pictures)
        else:
            plan = await planned_here(engine, when, flags, there)
            if not yes:
                planning.ask(engine, plan, there)
            one = await saved(engine, plan, there)
        return await schedule_shown(places.WhoAndWhere(engine), one)

    there = opening.on_engine(added)
    _tell(there, f"Schedule {there['id']} is saved.", as_json=as_json)


@schedule.command()
@click.argument("schedule_id", metavar="ID", type=int)
@click.argument("when", default="")
@click.option("--theme", metavar="WORDS", help="What it is about from now on.")
@click.option("--both", is_flag=True, help="Words and a picture again.")
@planning.how
@opening.as_json
def edit(schedule_id: int, when: str, as_json: bool, **how: Any) -> None:
    """Change a schedule: another time, another theme, another look. What is not said stays; `--style none` and
    `--ahead default` take back what was said.
    """
    from bot.commands.plans import edited

    flags = planning.flags_of(**how)
    changed = _on(schedule_id, lambda engine, one: edited(engine, one, when, flags))
    _tell(changed, f"Schedule {schedule_id} is changed.", as_json=as_json)


def _on(schedule_id: int, does: Callable[[Engine, Schedule], Awaitable[object]]) -> Message:
    """Do something with a schedule; answers how it is then."""

    async def done(engine: Engine) -> Message:
        await does(engine, await engine.posting.get(schedule_id))
        return await schedule_shown(places.WhoAndWhere(engine), await engine.posting.get(schedule_id))

    return opening.on_engine(done)


def _tell(changed: Message, sentence: str, *, as_json: bool) -> None:
    opening.tell(changed, sentence, as_json=as_json)
    if not as_json and changed["state"] == "active" and changed["next"]:
        click.echo(f"Next: {local(changed['next'][0], changed['zone'])} ({changed['zone']}).")


def _one_or_all(command: Any) -> Any:
    """One schedule, or all of a persona's."""
    for option in (
        opening.as_json,
        click.option("--persona", metavar="PERSONA", help="All that this one posts, in all places."),
        click.argument("schedule_id", metavar="[ID]", type=int, required=False),
    ):
        command = option(command)
    return command


@schedule.command()
@_one_or_all
def pause(schedule_id: int | None, persona: str | None, as_json: bool) -> None:
    """Let a schedule rest, or all of a persona's."""
    _pause(schedule_id, persona, paused=True, as_json=as_json)


@schedule.command()
@_one_or_all
def resume(schedule_id: int | None, persona: str | None, as_json: bool) -> None:
    """Let it go on. What was paused by itself does not go on with its persona."""
    _pause(schedule_id, persona, paused=False, as_json=as_json)


def _pause(schedule_id: int | None, persona: str | None, *, paused: bool, as_json: bool) -> None:
    if persona is not None and schedule_id is None:
        _pause_persona(persona, paused=paused, as_json=as_json)
    elif schedule_id is not None and persona is None:
        changed = _on(schedule_id, partial(_paused, paused=paused))
        stands = "is paused" if paused else "goes on"
        _tell(changed, f"Schedule {schedule_id} {stands}.", as_json=as_json)
    else:
        raise click.UsageError(ONE_OR_ALL)


async def _paused(engine: Engine, one: Schedule, *, paused: bool) -> None:
    await (engine.posting.pause(one.id) if paused else engine.posting.resume(one.id))


def _pause_persona(persona: str, *, paused: bool, as_json: bool) -> None:
    from engine.store import personas

    async def done(engine: Engine) -> tuple[str, int]:
        record = await engine.database.look(partial(personas.find, wanted=persona))
        return record.persona.called, await engine.posting.pause_persona(record.id, paused)

    name, count = opening.on_engine(done)
    rests = "rest" if paused else "go on"
    told = {"persona": name, "paused": paused, "schedules": count}
    opening.tell(told, f"{name}: schedules that {rests} now: {count}.", as_json=as_json)


@schedule.command()
@click.argument("schedule_id", metavar="ID", type=int)
@opening.as_json
def skip(schedule_id: int, as_json: bool) -> None:
    """Leave its next time out."""
    changed = _on(schedule_id, lambda engine, one: engine.posting.skip_next(one.id))
    _tell(changed, f"The next one of schedule {schedule_id} is left out.", as_json=as_json)


@schedule.command()
@click.argument("schedule_id", metavar="ID", type=int)
@click.option("--key", default="", metavar="KEY", help="Run again with the same one, it is posted once.")
@opening.as_json
def run(schedule_id: int, key: str, as_json: bool) -> None:
    """Make a post of it now. Where Greenroom does not run, that happens once it does."""
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise click.UsageError(f"A key has {LONGEST_KEY} characters at most, all of which can be seen.")
    order = f"cli:{key or secrets.token_hex(12)}"
    post = opening.on_engine(partial(_ordered, schedule_id=schedule_id, order=order))
    sentence = f"Post {post.id} is to be made now. `greenroom posts list` shows how it goes."
    opening.tell({"schedule": schedule_id, "post": post.id}, sentence, as_json=as_json)


async def _ordered(engine: Engine, *, schedule_id: int, order: str) -> Post:
    """A store that did not answer may have kept the order: it is given again as the same one."""
    import asyncio

    from engine.errors import StoreError

    for pause in PAUSES:
        try:
            return await engine.posting.run_now(schedule_id, by=order)
        except StoreError:
            await asyncio.sleep(pause)
    return await engine.posting.run_now(schedule_id, by=order)


@schedule.command()
@click.argument("schedule_id", metavar="ID", type=int)
@opening.as_json
def remove(schedule_id: int, as_json: bool) -> None:
    """Take a schedule away. What was published stays."""

    async def removed(engine: Engine) -> None:
        await engine.posting.get(schedule_id)
        await engine.posting.remove(schedule_id)

    opening.on_engine(removed)
    sentence = f"Schedule {schedule_id} is gone. What was published stays."
    opening.tell({"removed": schedule_id}, sentence, as_json=as_json)


@schedule.command("next")
@click.argument("schedule_id", metavar="ID", type=int)
@opening.as_json
def next_(schedule_id: int, as_json: bool) -> None:
    """Its next times."""

    async def told(engine: Engine) -> Message:
        return await schedule_shown(places.WhoAndWhere(engine), await engine.posting.get(schedule_id))

    one = opening.on_engine(told)
    if as_json:
        opening.put_json(one["next"])
    elif not one["next"]:
        click.echo(f"Schedule {schedule_id} has no time that is still to come.")
    else:
        for moment in one["next"]:
            click.echo(f"{local(moment, one['zone'])} {one['zone']}")


@schedule.command()
@click.argument("file", type=click.Path(path_type=Path))
@opening.as_json
def load(file: Path, as_json: bool) -> None:
    """Schedules from a TOML FILE, one in each [[schedule]]: `place`, `when`, and what `add` takes, with _ for -.

    All of them are looked at first: where one cannot be used, none is saved. One with a `name` that is there already
    is changed and not doubled, so that the file can be loaded again.
    """
    from bot.cli.loading import entries_of, load_all

    entries = entries_of(file)
    saved = opening.on_engine(lambda engine: load_all(engine, entries))
    if as_json:
        opening.put_json(saved)
    else:
        for one in saved:
            click.echo(f"Schedule {one['id']}: {one['when']}, {about(one)}.")
