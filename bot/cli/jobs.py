"""`greenroom jobs`: what was asked for, what became of it, and a second try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bot.cli import listing, opening
from bot.cli.ending import Interrupted

if TYPE_CHECKING:
    import asyncio

    from bot.client import Client
    from engine.settings import Settings

Message = dict[str, Any]

#: What can be asked for again.
TO_TRY_AGAIN = ("failed", "cancelled")
STATES = ("queued", "running", "done", "failed", "cancelled")
COLOURS = {
    "queued": "yellow",
    "running": "cyan",
    "done": "green",
    "failed": "red",
    "cancelled": "bright_black",
}


@click.group()
def jobs() -> None:
    """Picture jobs: look, take back, try again."""


@jobs.command("list")
@click.option(
    "--state", "states", type=click.Choice(STATES), multiple=True, help="Only these; may be repeated."
)
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="At most so many.")
@click.option("--before", type=int, metavar="ID", help="Only jobs older than this one.")
@opening.as_json
def list_(states: tuple[str, ...], limit: int, before: int | None, as_json: bool) -> None:
    """The latest jobs, newest first."""
    settings = opening.settings_and_log()
    found, names = opening.run_async(_listing(settings, states, limit, before))
    if as_json:
        opening.put_json(found)
    elif not found:
        none = "No job yet." if not states and before is None else "No such job."
        click.echo(f'{none} `greenroom imagine PERSONA "scene"` asks for a picture.')
    else:
        _draw_list(found, names)


async def _listing(
    settings: Settings, states: tuple[str, ...], limit: int, before: int | None
) -> tuple[list[Message], dict[int, str]]:
    from bot.shown import job_shown
    from engine.store import jobs as store
    from engine.store import personas, pictures
    from engine.store.records import JobState

    wanted = [JobState(state) for state in states] or None
    async with opening.store(settings) as database, database.read() as tx:
        found = await store.listing(tx, states=wanted, limit=limit, before_id=before)
        made = await pictures.of_jobs(tx, [job.id for job in found])
        names = {entry.id: entry.name for entry in await personas.listing(tx)}
    return [job_shown(job, None, made.get(job.id, [])) for job in found], names


def _draw_list(found: list[Message], names: dict[int, str]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.drawing import fitting

    out = opening.console()
    table = Table(box=box.SIMPLE_HEAD, header_style="bright_black", pad_edge=False)
    table.add_column("job", justify="right", no_wrap=True)
    for name in ("state", "persona", "scene", "style", "asked"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    who = {job["id"]: fitting(names.get(job["persona_id"], "somebody who left"), 20) for job in found}
    states = {job["id"]: _state(job) for job in found}
    styles = {job["id"]: fitting(job["request"]["style"], 14) for job in found}
    for job in found:
        table.add_row(
            str(job["id"]),
            Text(states[job["id"]], COLOURS[job["state"]]),
            Text(who[job["id"]]),
            Text(fitting(job["request"]["scene"], 80)),
            Text(styles[job["id"]]),
            Text(_local(job["created_at"]), "bright_black"),
        )
    listing.draw(out, table, whole=("job", "state", "asked"))


def _state(job: Message) -> str:
    if job["state"] == "running" and job["steps"]:
        return f"running {job['step']}/{job['steps']}"
    return str(job["state"])


def _local(moment: str | None) -> str:
    from datetime import datetime

    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M") if moment else "–"


@jobs.command()
@click.argument("job", type=int)
@opening.as_json
def show(job: int, as_json: bool) -> None:
    """All about one job: what was asked, the prompt, what came of it."""
    settings = opening.settings_and_log()
    shown, who = opening.run_async(_show(settings, job))
    if as_json:
        opening.put_json(shown)
    else:
        _draw_job(shown, who, settings)


async def _show(settings: Settings, job_id: int) -> tuple[Message, str]:
    from bot.shown import job_shown
    from engine.clock import SystemClock
    from engine.pictures.queue import EmbeddedQueue
    from engine.store import jobs as store
    from engine.store import personas, pictures

    async with opening.store(settings) as database:
        async with database.read() as tx:
            job = await store.get(tx, job_id)
            made = await pictures.of_jobs(tx, [job_id])
            names = {entry.id: entry.name for entry in await personas.listing(tx)}
        ahead = None
        if database.is_sqlite and not job.state.ended:
            ahead = await EmbeddedQueue(database, SystemClock()).position(job_id)
    who = names.get(job.persona_id or 0, "somebody who left")
    return job_shown(job, ahead, made.get(job_id, [])), who


def _draw_job(job: Message, who: str, settings: Settings) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.drawing import facts
    from bot.terminal.words import counted, safe, safe_line
    from engine.home import Home

    request = job["request"]
    head = Text().append(f"Job {job['id']}  ", "bold").append(job["state"], COLOURS[job["state"]])
    if job["ahead"]:
        head.append(f"  {job['ahead']} before it", "bright_black")
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bright_black", justify="right")
    rows.add_column(overflow="fold")  # what lies where is never cut
    size = (
        f"{request['width']}×{request['height']}, {request['steps']} steps, guidance {request['guidance']:g}"
    )
    told = [
        ("persona", safe_line(who)),
        ("scene", safe(request["scene"])),
        ("style", f"{safe_line(request['style'])}, seed {request['seed']}, {size}"),
        ("prompt", f"{safe(request['prompt'])}\n({request['word_count']} words, by {request['source']})"),
        ("negative", safe(request["negative"])),
        ("asked", f"{_local(job['created_at'])}, lane {job['lane']}, {counted(job['attempts'], 'attempt')}"),
        ("ended", _local(job["ended_at"])),
        ("error", safe(job["error"])),
    ]
    for name, value in told:
        if value:
            rows.add_row(name, Text(value))
    for picture in job["pictures"]:
        path = Home(settings.home).files / picture["file"]
        took = used(picture["seconds"], picture["facts"])
        rows.add_row("picture", Text(f"{path}\n").append(f"{facts(picture)} · {took}", "bright_black"))
    out = opening.console()
    out.print(head)
    out.print(Padding(rows, (1, 0, 1, 1)))


def used(seconds: float, facts: Mapping[str, Any]) -> str:
    """What a picture took: seconds, and memory at its peak where that was measured."""
    memory = facts.get("memory")
    if not memory or not memory["peak"]:
        return f"{seconds:.1f} s"
    peak = memory["peak"]
    size = f"{peak / 1e9:,.1f} GB" if peak >= 1e8 else f"{peak / 1e6:,.0f} MB"
    of = "of the GPU" if memory["of"] == "gpu" else "more memory"
    return f"{seconds:.1f} s, at most {size} {of}"


@jobs.command()
@click.argument("job", type=int)
@opening.as_json
def cancel(job: int, as_json: bool) -> None:
    """Take a job back. One that is being drawn stops at its next step."""
    settings = opening.settings_and_log()
    shown = opening.run_async(_cancel(settings, job))
    if as_json:
        opening.put_json(shown)
    else:
        click.echo(f"Job {job} is cancelled.")


@jobs.command()
@click.argument("job", type=int)
@opening.as_json
def retry(job: int, as_json: bool) -> None:
    """Ask again for a job that failed or was cancelled.

    Where Greenroom runs, it is put in line there; where it does not, this command waits until it is made.
    """
    settings = opening.settings_and_log()
    try:
        shown = opening.run_async(_retry(settings, job, quiet=as_json))
    except KeyboardInterrupt:  # there was no owner yet
        raise Interrupted(f"Nothing was asked for: job {job} is as it was.") from None
    if as_json:
        opening.put_json(shown)
    elif shown["state"] == "done":
        click.echo(f"Job {job} is done. `greenroom jobs show {job}` shows it.")
    else:
        click.echo(f"Job {job} is in line again.")


async def _cancel(settings: Settings, job_id: int) -> Message:
    from bot.client import reach

    async with reach(settings) as client:
        job: Message = await client.post(f"/jobs/{job_id}/cancel")
    return job


async def _retry(settings: Settings, job_id: int, *, quiet: bool) -> Message:
    from bot.cli import following

    unsure = f"Job {job_id} may be in line again: `greenroom jobs show {job_id}` tells."
    asked_before = False

    async def retried(client: Client, pressed: asyncio.Event) -> Message:
        nonlocal asked_before
        own = opening.is_own(client)
        # An owner that closed over its answer may have heard it.
        job: Message = await client.get(f"/jobs/{job_id}") if asked_before else {}
        if not job or job["state"] in TO_TRY_AGAIN:
            asked_before = True
            order = client.post(f"/jobs/{job_id}/retry")
            # An owner of one's own answers at once; nobody knows that of another.
            job = await (order if own else following.unless_pressed(order, pressed, unsure))
        if not own:
            return job
        # Nobody else would work on it: this process is the house for as long as it stays.
        return await following.until_ended(client, job, pressed, quiet=quiet)

    return await following.owned(settings, retried)
