"""`greenroom runs` and `replay`: what was ordered of many pictures, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bot.cli import batches, listing, opening

if TYPE_CHECKING:
    import asyncio

    from bot.client import Client
    from engine.runs import Standing
    from engine.settings import Settings
    from engine.store.audits import Both, Line, Share

Message = dict[str, Any]

COLOURS = {"open": "cyan", "paused": "yellow", "done": "green", "failed": "red", "running": "cyan"}
QUIET = "bright_black"


@click.command()
@click.argument("picture", type=int)
@opening.as_json
def replay(picture: int, as_json: bool) -> None:
    """Make PICTURE once more of all that made it, and say whether it is the same."""
    settings = opening.settings_and_log()
    told = opening.run_async(_replay(settings, picture, quiet=as_json))
    if as_json:
        opening.put_json(told)
    else:
        click.echo(f"Picture {picture}, made again as picture {told['again']['id']}. {told['says']}")


async def _replay(settings: Settings, picture: int, *, quiet: bool) -> Message:
    import secrets

    from bot.cli import following

    key = secrets.token_hex(12)

    async def replayed(client: Client, asked: asyncio.Event) -> Message:
        # The next owner knows the order by its key.
        job = await client.post(f"/pictures/{picture}/replay", key=key)
        ended = await following.until_ended(client, job, asked, quiet=quiet)
        again = ended["pictures"][0]
        found: Message = await client.get(f"/pictures/{picture}/against/{again['id']}")
        return found | {"picture": picture, "again": again}

    return await following.owned(settings, replayed)


@click.group()
def runs() -> None:
    """Runs of many pictures: what was ordered, and what came of it."""


@runs.command("list")
@click.option("--key", metavar="KEY", help="All versions of this one.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="At most so many.")
@opening.as_json
def list_(key: str | None, limit: int, as_json: bool) -> None:
    """The latest runs, newest first. The current one of its key has a star."""
    settings = opening.settings_and_log()
    found = opening.run_async(_listing(settings, key, limit))
    if as_json:
        from bot.runs_shown import run_shown

        opening.put_json([run_shown(one) for one in found])
    elif not found:
        none = "No run yet." if key is None else "No such run."
        click.echo(f"{none} `greenroom backfill` makes the pictures that are missing.")
    else:
        _draw_list(found)


async def _listing(settings: Settings, key: str | None, limit: int) -> list[Standing]:
    from engine.runs import standing_of
    from engine.store import runs as store

    async with opening.store(settings) as database, database.read() as tx:
        found = await store.listing(tx, key=key, most=limit)
        counted = await store.counts(tx, [run.id for run in found])
    return [standing_of(run, counted[run.id], settings.pictures.currency) for run in found]


def _draw_list(found: list[Standing]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.drawing import fitting
    from engine.store.runs import named

    table = Table(box=box.SIMPLE_HEAD, header_style=QUIET, pad_edge=False)
    # What is typed to see more of it is never cut.
    names = {one.run.id: named(one.run) + (" *" if one.run.current else "") for one in found}
    table.add_column("run", no_wrap=True, min_width=max(map(len, names.values())))
    table.add_column("state", no_wrap=True, min_width=len("paused"))
    for name in ("cohort", "style"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    made = {one.run.id: f"{one.counts.made:,} of {one.total:,}" for one in found}
    table.add_column("made", justify="right", no_wrap=True, min_width=max(map(len, made.values())))
    table.add_column("failed", justify="right", no_wrap=True, min_width=len("failed"))
    table.add_column("cost", justify="right", no_wrap=True, min_width=len("cost"))
    table.add_column("ordered", no_wrap=True, min_width=len("01-01 00:00"))
    for one in found:
        run, counts = one.run, one.counts
        table.add_row(
            Text(names[run.id]),
            Text(run.state, COLOURS[run.state]),
            Text(fitting(run.cohort, 24)),
            Text(run.style or "own"),
            made[run.id],
            Text(f"{counts.failed:,}", "red" if counts.failed else ""),
            batches.money(counts.cost),
            Text(f"{run.created_at.astimezone():%m-%d %H:%M}", QUIET),
        )
    whole = ("run", "state", "made", "failed", "ordered")
    listing.draw(opening.console(), table, whole=whole)


@runs.command()
@click.argument("key")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Of pictures.")
@opening.as_json
def show(key: str, limit: int, as_json: bool) -> None:
    """All about one run and its pictures. KEY is the newest version, KEY@2 the second one."""
    settings = opening.settings_and_log()
    standing, lines, why = opening.run_async(_show(settings, key, limit))
    if as_json:
        from dataclasses import asdict

        from bot.runs_shown import run_shown

        reasons = [{"says": says, "jobs": n} for says, n in why]
        shown = run_shown(standing) | {"reasons": reasons, "lines": [asdict(line) for line in lines]}
        opening.put_json(shown)
    else:
        _draw_run(standing, lines, why)


async def _show(
    settings: Settings, key: str, limit: int
) -> tuple[Standing, list[Line], list[tuple[str, int]]]:
    from engine.runs import standing_of
    from engine.store import audits
    from engine.store import runs as store

    async with opening.store(settings) as database, database.read() as tx:
        run = await store.find(tx, key)
        counted = (await store.counts(tx, [run.id]))[run.id]
        lines = await audits.lines(tx, run.id, most=limit)
        return standing_of(run, counted, settings.pictures.currency), lines, await audits.reasons(tx, run.id)


def _draw_run(one: Standing, lines: list[Line], why: list[tuple[str, int]]) -> None:
    from rich import box
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.drawing import fitting
    from bot.terminal.words import safe, safe_line
    from engine.store.runs import named

    run, counts = one.run, one.counts
    out = opening.console()
    head = Text().append(f"Run {named(run)}  ", "bold").append(run.state, COLOURS[run.state])
    out.print(head.append("  the current one" if run.current else "", QUIET))
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style=QUIET, justify="right")
    rows.add_column()
    told = [
        ("cohort", safe_line(run.cohort)),
        ("scene", safe_line(run.options["order"]["scene"])),
        ("style", f"{run.style or 'their own'}, {run.size}"),
        ("prompt", f"{run.prompt_name}, {run.prompt_version}"),
        ("ordered", batches.local(run.created_at)),
        ("done", batches.local(run.ended_at) if run.ended_at else ""),
        ("pictures", _counted(one)),
        ("work", batches.span(counts.seconds)),
        ("cost", batches.money(counts.cost, one.currency)),
        ("notes", safe(run.notes)),
        *(("failed", f"{n:,} × {safe_line(says)}") for says, n in why),
    ]
    for name, value in told:
        if value:
            rows.add_row(name, Text(value))
    out.print(Padding(rows, (1, 0, 1, 1)))
    table = Table(box=box.SIMPLE_HEAD, header_style=QUIET, pad_edge=False)
    table.add_column("picture", justify="right", no_wrap=True)
    for name in ("state", "persona", "style"):
        table.add_column(name, no_wrap=True)
    for name in ("seed", "seconds", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    fails = any(line.error for line in lines)
    if fails:
        table.add_column("error", overflow="fold")
    # Of a run that is shown whole, they add up to what it cost.
    costs = batches.moneys([line.cost for line in lines])
    for line, cost in zip(lines, costs, strict=True):
        table.add_row(
            str(line.picture_id or "–"),
            Text("stand-in" if line.stand_in else line.state, COLOURS.get(line.state, "")),
            Text(fitting(safe_line(line.name) or "somebody who left", 24)),
            Text(line.style),
            str(line.seed),
            f"{line.seconds:.1f}",
            cost,
            *((Text(safe_line(line.error)),) if fails else ()),
        )
    listing.draw(out, table, whole=("picture", "state", "seed", "seconds", "cost"))


def _counted(one: Standing) -> str:
    counts = one.counts
    parts = [f"{counts.made:,} of {one.total:,} made"]
    if counts.stand_ins:
        parts.append(f"{counts.stand_ins:,} of them stand-ins")
    if counts.failed:
        parts.append(f"{counts.failed:,} failed")
    if one.cancelled:
        parts.append(f"{one.cancelled:,} taken back")
    return ", ".join(parts)


@runs.command()
@click.argument("key")
@opening.as_json
def pause(key: str, as_json: bool) -> None:
    """Put nothing more of a run in line. The order that began it goes on with it."""
    settings = opening.settings_and_log()
    run = opening.run_async(_pause(settings, key))
    if as_json:
        opening.put_json(run)
    else:
        so_far = f"{run['made']} made, {run['failed']} failed, {run['left']} left"
        click.echo(f"Run {run['name']} is paused: {so_far}. The order that began it goes on with it.")


async def _pause(settings: Settings, key: str) -> Message:
    from functools import partial

    from bot.client import reach
    from engine.store import runs as store

    async with opening.store(settings) as database:
        run = await database.look(partial(store.find, wanted=key))
    async with reach(settings) as client:
        paused: Message = await client.post(f"/runs/{run.id}/pause")
    return paused


@runs.command()
@click.argument("one")
@click.argument("other")
@opening.as_json
def compare(one: str, other: str, as_json: bool) -> None:
    """Two runs side by side, persona by persona: KEY@1 KEY@2, or two keys."""
    settings = opening.settings_and_log()
    first, second, both = opening.run_async(_compare(settings, one, other))
    if as_json:
        from dataclasses import asdict

        from bot.runs_shown import run_shown

        opening.put_json(
            {
                "one": run_shown(first),
                "other": run_shown(second),
                "personas": [asdict(each) for each in both],
            }
        )
    else:
        _draw_both(first, second, both)


async def _compare(settings: Settings, one: str, other: str) -> tuple[Standing, Standing, list[Both]]:
    from functools import partial

    from engine.runs import standing_of
    from engine.store import audits
    from engine.store import runs as store

    async with opening.store(settings) as database, database.read() as tx:
        first, second = await store.find(tx, one), await store.find(tx, other)
        counted = await store.counts(tx, [first.id, second.id])
        both = await audits.compare(tx, first.id, second.id)
    told = partial(standing_of, currency=settings.pictures.currency)
    return told(first, counted[first.id]), told(second, counted[second.id]), both


def _draw_both(first: Standing, second: Standing, both: list[Both]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.drawing import fitting
    from bot.terminal.words import safe_line
    from engine.store.audits import NOTHING
    from engine.store.runs import named

    table = Table(box=box.SIMPLE_HEAD, header_style=QUIET, pad_edge=False, show_footer=True)
    table.add_column("persona", "total", no_wrap=True)
    for one in (first, second):
        counts = one.counts
        # The name may take two lines; what is counted is never cut.
        table.add_column(named(one.run), f"{counts.pictures:,}, {counts.failed:,} failed", overflow="fold")
        [seconds] = batches.tenths([counts.seconds])
        table.add_column("s", seconds, justify="right", no_wrap=True, min_width=4)
        table.add_column("cost", batches.money(counts.cost), justify="right", no_wrap=True, min_width=4)

    def column(shares: list[Share | None]) -> list[tuple[Text, str, str]]:
        """What stands in it adds up to what stands below it."""
        there = [share or NOTHING for share in shares]
        seconds = batches.tenths([share.seconds for share in there])
        costs = batches.moneys([share.cost for share in there])
        cells: list[tuple[Text, str, str]] = []
        for share, took, cost in zip(shares, seconds, costs, strict=True):
            if share is None:
                cells.append((Text("–", QUIET), "", ""))
                continue
            told = Text(f"{share.pictures} {share.style}".strip() if share.pictures else "none")
            if share.failed:
                told.append(f" {share.failed} failed", "red")
            cells.append((told, took, cost))
        return cells

    left, right = column([each.one for each in both]), column([each.other for each in both])
    for each, one_side, other_side in zip(both, left, right, strict=True):
        name = fitting(safe_line(each.name) or "somebody who left", 24)
        table.add_row(Text(name), *one_side, *other_side)
    opening.console().print(table)
