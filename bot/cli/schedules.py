"""`greenroom schedule`: when personas post by themselves, where, and about what; one by one, or from a file.

It changes rows, beside whoever owns the home: a house that runs does what they say, one that does not does it when it
is opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli import opening, standing

if TYPE_CHECKING:
    from bot.commands.plans import Plan
    from engine.engine import Engine
    from engine.settings import Settings
    from engine.store.records import Place, Schedule

Message = dict[str, Any]

ONE_OR_ALL = "Name one schedule by its ID, or a persona with --persona."

COLOURS = {"active": "green", "paused": "yellow", "ended": "bright_black"}


@click.group()
def schedule() -> None:
    """Posts that personas make by themselves: when, where, about what."""


def _how(command: Any) -> Any:
    """What is said of a schedule beside its time, when it is made and when it is changed."""
    for option in (
        click.option("--to", metavar="PLACES", help="Other places it also goes to: 7,12."),
        click.option("--ahead", metavar="TIME", help="How long before its time a post is made: 90m, 2h, 1d."),
        click.option(
            "--approval",
            type=click.Choice(("skip", "post", "no")),
            help="A post waits for approval; unapproved at its time, it is skipped, or posted all the same.",
        ),
        click.option("--picture-only", is_flag=True, help="A picture, and no words."),
        click.option("--text-only", is_flag=True, help="Words, and no picture."),
        click.option("--style", metavar="STYLE", help="How its pictures look."),
        click.option("--zone", metavar="ZONE", help="As Europe/Berlin; without it, the place's own."),
    ):
        command = option(command)
    return command


def flags_of(**told: Any) -> dict[str, str]:
    """The same flags that are given in a chat."""
    return {
        name.replace("_", "-"): "yes" if value is True else str(value)
        for name, value in told.items()
        if value is not None and value is not False
    }


@asynccontextmanager
async def parts(settings: Settings) -> AsyncIterator[Engine]:
    """All that can be asked, though nothing is worked on here."""
    from engine.engine import Engine

    async with Engine.open(settings) as engine:
        yield engine


@schedule.command("list")
@click.option("--place", metavar="PLACE", help="Only those of this place.")
@opening.as_json
def list_(place: str | None, as_json: bool) -> None:
    """All schedules, with their next times."""
    settings = opening.settings_and_log()
    found = opening.run_async(_listing(settings, place))
    if as_json:
        opening.put_json(found)
    elif not found:
        click.echo('Nothing is scheduled. `greenroom schedule add "daily 09:00" --place PLACE` changes that.')
    else:
        _draw_list(found)


async def _listing(settings: Settings, place: str | None) -> list[Message]:
    async with parts(settings) as engine:
        chat_id = (await place_named(engine, place)).id if place else None
        return [await shown(engine, one) for one in await engine.posting.listing(chat_id)]


async def shown(engine: Engine, one: Schedule) -> Message:
    """A schedule as scripts are told of it."""
    from functools import partial

    from bot.commands.plans import names_of
    from engine.errors import BadRequest
    from engine.store import chats

    try:
        times = [when.isoformat() for when in engine.posting.next_times(one)]
        error = ""
    except BadRequest as unreadable:
        # It was written by a program that knew more, or less. The others are told all the same.
        times, error = [], str(unreadable)
    place = await engine.database.look(partial(chats.place_of, chat_id=one.chat_id))
    return {
        "id": one.id,
        "state": one.state.value,
        "place": one.chat_id,
        "chat": ref_told(place),
        "persona": (await names_of(engine)).get(one.persona_id, ""),
        "persona_id": one.persona_id,
        "when": one.spec,
        "zone": one.zone,
        "theme": one.theme,
        "options": {name: value for name, value in one.options.items() if name not in ("seed", "skipped")},
        "next": times,
        **({"error": error} if error else {}),
    }


def ref_told(place: Place | None) -> str:
    """A place as platforms know it: `telegram:bot:-100815`."""
    if place is None:
        return ""
    ref = place.ref
    return ":".join(part for part in (ref.front, ref.account, ref.chat, ref.thread) if part)


async def place_named(engine: Engine, told: str) -> Place:
    """A place by its number, or as platforms know it: FRONT:ACCOUNT:CHAT, and its thread behind that."""
    from functools import partial

    from engine.errors import NotFound
    from engine.store import chats
    from engine.store.records import ChatRef

    number = told.strip().lstrip("#")
    place = None
    if number.isascii() and number.isdecimal() and len(number) < 10:
        place = await engine.database.look(partial(chats.place_of, chat_id=int(number)))
    elif len(names := told.split(":", 3)) > 2:
        place = await engine.database.look(partial(chats.place, ref=ChatRef(*names)))
    if place is None:
        raise NotFound(
            f"There is no place {told[:60]}. /schedule, said in a chat, shows the number of that place; "
            "`greenroom schedule list` shows those that have schedules."
        )
    return place


def local(moment: str, zone: str) -> str:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M")


def _draw_list(found: list[Message]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.drawing import fitting

    out = opening.console()
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
            Text(f"{fitting(one['persona'], 24)}\n").append(where, "bright_black"),
            Text(f"{one['when']}\n").append(one["zone"], "bright_black").append(_trouble(one), "red"),
            Text(fitting(about(one), 80)),
            Text(local(times[0], one["zone"]) if times else "–", "bright_black"),
        )
    out.print(table)


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
@_how
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
    settings = opening.settings_and_log()
    flags = flags_of(persona=persona, theme=theme or None, **how)
    if not backfill and not batch:
        if tags or limit is not None or run_key:
            raise click.UsageError("--tag, --limit and --run-key are said of a --backfill or a --batch.")
        saved = opening.run_async(_add(settings, when, place, flags, yes=yes))
    else:
        if backfill and batch:
            raise click.UsageError("--backfill and --batch say two things; choose one.")
        if unused := sorted(flags.keys() - {"persona", "theme", "style", "zone"}):
            raise click.UsageError(f"--{unused[0]} is said of posts, and none come of pictures alone.")
        about = {"tags": tags, "limit": limit, "key": run_key, "batch": batch}
        saved = opening.run_async(standing.added(settings, when, place, flags, about))
    if as_json:
        opening.put_json(saved)
    else:
        click.echo(f"Schedule {saved['id']} is saved.")


async def _add(settings: Settings, when: str, place: str, flags: Mapping[str, str], *, yes: bool) -> Message:
    async with parts(settings) as engine:
        there = await place_named(engine, place)
        plan = await planned_here(engine, when, flags, there)
        if not yes:
            _ask(engine, plan, there)
        return await shown(engine, await save(engine, plan, there))


async def planned_here(
    engine: Engine,
    when: str,
    flags: Mapping[str, str],
    place: Place,
    *,
    seed: str = "",
    kept: Schedule | None = None,
) -> Plan:
    from functools import partial

    from bot.commands.plans import most_shown, planned
    from engine.store import personas

    if wanted := flags.get("persona"):
        persona = await engine.database.look(partial(personas.find, wanted=wanted))
    else:
        persona = await engine.presence.host(place)
    rating = most_shown(engine, place)
    return await planned(
        engine, when, flags, place=place, persona=persona, rating=rating, seed=seed, kept=kept
    )


def _ask(engine: Engine, plan: Plan, place: Place) -> None:
    from bot.commands.plans import told
    from bot.terminal.words import safe_line
    from engine.locales import locale_of

    if not opening.somebody_sits_there():
        raise click.UsageError("Nobody is here to ask. --yes saves it.")
    planned = plan.as_schedule(place, engine.clock.now())
    for line in told(engine, locale_of("en"), planned, plan.persona.persona.called):
        click.echo(safe_line(line), err=True)
    click.confirm("Save it?", default=True, abort=True, err=True)


async def save(engine: Engine, plan: Plan, place: Place) -> Schedule:
    return await engine.posting.add(
        place=place,
        persona=plan.persona,
        person=None,
        timing=plan.timing,
        zone=plan.zone,
        theme=plan.theme,
        options=plan.options,
    )


@schedule.command()
@click.argument("schedule_id", metavar="ID", type=int)
@click.argument("when", default="")
@click.option("--theme", metavar="WORDS", help="What it is about from now on.")
@click.option("--both", is_flag=True, help="Words and a picture again.")
@_how
@opening.as_json
def edit(schedule_id: int, when: str, as_json: bool, **how: Any) -> None:
    """Change a schedule: another time, another theme, another look. What is not said stays; `--style none` and
    `--ahead default` take back what was said.
    """
    changed = _on(schedule_id, _edit, when, flags_of(**how))
    _tell(changed, f"Schedule {schedule_id} is changed.", as_json=as_json)


async def _edit(engine: Engine, one: Schedule, when: str, flags: Mapping[str, str]) -> Schedule:
    from bot.commands.plans import edited

    return await edited(engine, one, when, flags)


def _on(schedule_id: int, does: Any, *more: Any) -> Message:
    """Do something with a schedule; answers how it is then."""
    settings = opening.settings_and_log()

    async def done() -> Message:
        async with parts(settings) as engine:
            return await shown(engine, await does(engine, await engine.posting.get(schedule_id), *more))

    return opening.run_async(done())


def _tell(changed: Message, sentence: str, *, as_json: bool) -> None:
    if as_json:
        opening.put_json(changed)
        return
    click.echo(sentence)
    if changed["state"] == "active" and changed["next"]:
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
    if persona is not None and schedule_id is None:
        _told_persona(persona, paused=True, as_json=as_json)
    elif schedule_id is not None and persona is None:
        _tell(_on(schedule_id, _done, "pause"), f"Schedule {schedule_id} is paused.", as_json=as_json)
    else:
        raise click.UsageError(ONE_OR_ALL)


@schedule.command()
@_one_or_all
def resume(schedule_id: int | None, persona: str | None, as_json: bool) -> None:
    """Let it go on. What was paused by itself does not go on with its persona."""
    if persona is not None and schedule_id is None:
        _told_persona(persona, paused=False, as_json=as_json)
    elif schedule_id is not None and persona is None:
        _tell(_on(schedule_id, _done, "resume"), f"Schedule {schedule_id} goes on.", as_json=as_json)
    else:
        raise click.UsageError(ONE_OR_ALL)


def _told_persona(persona: str, *, paused: bool, as_json: bool) -> None:
    settings = opening.settings_and_log()
    name, count = opening.run_async(_persona_paused(settings, persona, paused=paused))
    if as_json:
        opening.put_json({"persona": name, "paused": paused, "schedules": count})
    else:
        rests = "rest" if paused else "go on"
        click.echo(f"{name}: schedules that {rests} now: {count}.")


async def _persona_paused(settings: Settings, persona: str, *, paused: bool) -> tuple[str, int]:
    from functools import partial

    from engine.store import personas

    async with parts(settings) as engine:
        record = await engine.database.look(partial(personas.find, wanted=persona))
        count = await engine.posting.pause_persona(record.id, paused)
    return record.persona.called, count


@schedule.command()
@click.argument("schedule_id", metavar="ID", type=int)
@opening.as_json
def skip(schedule_id: int, as_json: bool) -> None:
    """Leave its next time out."""
    told = f"The next one of schedule {schedule_id} is left out."
    _tell(_on(schedule_id, _done, "skip_next"), told, as_json=as_json)


async def _done(engine: Engine, one: Schedule, what: str) -> Schedule:
    await getattr(engine.posting, what)(one.id)
    return await engine.posting.get(one.id)


@schedule.command()
@click.argument("schedule_id", metavar="ID", type=int)
@opening.as_json
def run(schedule_id: int, as_json: bool) -> None:
    """Make a post of it now. Where Greenroom does not run, that happens once it does."""
    settings = opening.settings_and_log()
    post_id = opening.run_async(_run(settings, schedule_id))
    if as_json:
        opening.put_json({"schedule": schedule_id, "post": post_id})
    else:
        click.echo(f"Post {post_id} is to be made now. `greenroom posts list` shows how it goes.")


async def _run(settings: Settings, schedule_id: int) -> int:
    async with parts(settings) as engine:
        return (await engine.posting.run_now(schedule_id)).id


@schedule.command()
@click.argument("schedule_id", metavar="ID", type=int)
@opening.as_json
def remove(schedule_id: int, as_json: bool) -> None:
    """Take a schedule away. What was published stays."""
    settings = opening.settings_and_log()
    opening.run_async(_remove(settings, schedule_id))
    if as_json:
        opening.put_json({"removed": schedule_id})
    else:
        click.echo(f"Schedule {schedule_id} is gone. What was published stays.")


async def _remove(settings: Settings, schedule_id: int) -> None:
    async with parts(settings) as engine:
        await engine.posting.get(schedule_id)
        await engine.posting.remove(schedule_id)


@schedule.command("next")
@click.argument("schedule_id", metavar="ID", type=int)
@opening.as_json
def next_(schedule_id: int, as_json: bool) -> None:
    """Its next times."""
    one = _on(schedule_id, _same)
    if as_json:
        opening.put_json(one["next"])
    elif not one["next"]:
        click.echo(f"Schedule {schedule_id} has no time that is still to come.")
    else:
        for moment in one["next"]:
            click.echo(f"{local(moment, one['zone'])} {one['zone']}")


async def _same(_engine: Engine, one: Schedule) -> Schedule:
    return one


@schedule.command()
@click.argument("file", type=click.Path(path_type=Path))
@opening.as_json
def load(file: Path, as_json: bool) -> None:
    """Schedules from a TOML FILE, one in each [[schedule]]: `place`, `when`, and what `add` takes, with _ for -.

    All of them are looked at first: where one cannot be used, none is saved. One with a `name` that is there already
    is changed and not doubled, so that the file can be loaded again.
    """
    from bot.cli.loading import entries_of, load_all

    settings = opening.settings_and_log()
    saved = opening.run_async(load_all(settings, entries_of(file)))
    if as_json:
        opening.put_json(saved)
    else:
        for one in saved:
            click.echo(f"Schedule {one['id']}: {one['when']}, {about(one)}.")
