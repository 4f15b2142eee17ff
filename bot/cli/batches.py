"""Many pictures on one order, as `imagine --all` and `backfill` give it: told, followed, paused, summed up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from bot.cli import following, opening
from bot.cli.ending import Interrupted

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from bot.client import Client
    from engine.settings import Settings

Message = dict[str, Any]

#: How often one looks how far a run is: a small one often, for the others count each time what they have.
LOOK, LOOK_AT_MANY, MANY = 0.2, 1.0, 200
#: Of a plan, so many are named to a person.
NAMED = 20


@dataclass(frozen=True)
class Cohort:
    """Whom a run is about, and how it is kept, as the command line was told of it."""

    tags: tuple[str, ...]
    who: tuple[str, ...]
    year: int | None
    limit: int | None
    run_key: str
    notes: str
    face: bool
    dry_run: bool

    @property
    def is_named(self) -> bool:
        return bool(self.tags or self.who or self.year is not None)

    @property
    def said(self) -> list[str]:
        """What only many can have."""
        told = {
            "--limit": self.limit is not None,
            "--run-key": self.run_key,
            "--notes": self.notes,
            "--face": self.face,
            "--dry-run": self.dry_run,
        }
        return [name for name, value in told.items() if value]

    def ordered(
        self, kind: str, scene: str, *, missing_only: bool, wish: Message, posts: bool = False
    ) -> Message:
        """The order of a run, as its owner is told of it."""
        return {
            "kind": kind,
            "scene": scene,
            "tags": self.tags,
            "personas": self.who,
            "year": self.year,
            "posts": posts,
            "missing_only": missing_only,
            "limit": self.limit,
            "face": self.face,
            "key": self.run_key,
            "notes": self.notes,
            "wish": wish,
        }


def cohort_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make a `Cohort`: the same for every command that begins a run."""

    @wraps(command)
    def with_cohort(**told: Any) -> Any:
        cohort = Cohort(**{one.name: told.pop(one.name) for one in fields(Cohort)})
        return command(cohort=cohort, **told)

    options = (
        click.option("--tag", "tags", multiple=True, metavar="TAG", help="Whoever has it; may be repeated."),
        click.option(
            "--persona", "who", multiple=True, metavar="WHO", help="By id, slug or name; may be repeated."
        ),
        click.option("--year", type=int, metavar="YEAR", help="Whoever came in that year."),
        click.option("--limit", type=int, metavar="N", help="At most so many pictures."),
        click.option(
            "--run-key",
            default="",
            metavar="KEY",
            help="What the run is called. Without it: after its order.",
        ),
        click.option("--notes", default="", metavar="WORDS", help="What is to be remembered of the run."),
        click.option(
            "--face", is_flag=True, help="Its pictures become everybody's face, not only where there is none."
        ),
        click.option("--dry-run", is_flag=True, help="Only tell how many, how long, and what it costs."),
    )
    decorated: Callable[..., Any] = with_cohort
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def carry_out(settings: Settings, ordered: Message, *, dry_run: bool, as_json: bool, head: str = "") -> int:
    """Begin a run, or go on with it, and follow it to its end; answers the exit code."""
    if dry_run:
        plan = opening.run_async(_planned(settings, ordered))
        if as_json:
            opening.put_json(plan)
        else:
            _tell_plan(plan, head)
        return 0
    ended = opening.run_async(_carried_out(settings, ordered, quiet=as_json))
    if as_json:
        opening.put_json(ended)
    elif ended["run"] is None:
        lacks = "lacks a picture" if ordered["missing_only"] else "is there"
        who = "no published post" if ordered["posts"] else "nobody"
        click.echo(f"There is nothing to be made: {who} {lacks} ({ended['cohort']}).")
    else:
        _tell_summary(ended["run"])
    return 1 if ended["run"] is not None and ended["run"]["failed"] else 0


async def _planned(settings: Settings, ordered: Message) -> Message:
    from bot.client import reach

    async with reach(settings) as client:
        plan: Message = await client.post("/runs/plan", **ordered)
    return plan


async def _carried_out(settings: Settings, ordered: Message, *, quiet: bool) -> Message:
    began: Message | None = None

    async def carried_out(client: Client, asked: asyncio.Event) -> Message:
        nonlocal began
        # Whoever owns the home next goes on from the rows.
        began = await _begun(client, ordered, began)
        if began["run"] is None:
            return began
        return began | {"run": await _until_done(client, began["run"], asked, quiet=quiet)}

    return await following.owned(settings, carried_out)


async def _begun(client: Client, ordered: Message, before: Message | None) -> Message:
    """An order that was given to another owner already is not given twice."""
    if before is not None and before["run"] is not None:
        run: Message = await client.get(f"/runs/{before['run']['id']}")
        if run["state"] != "paused":
            return before | {"run": run}
    began: Message = await client.post("/runs", **ordered)
    return began


async def _until_done(client: Client, run: Message, asked: asyncio.Event, *, quiet: bool) -> Message:
    """`asked`: somebody pressed Ctrl-C."""
    import asyncio

    with following.bar("counts", "left", quiet=quiet) as shows:
        while run["state"] == "open":
            _tell(shows, run)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AT_MANY if run["total"] > MANY else LOOK):
                    await asked.wait()
            if asked.is_set():
                raise Interrupted(await _paused(client, run))
            run = await client.get(f"/runs/{run['id']}")
        _tell(shows, run)
    return run


async def _paused(client: Client, run: Message) -> str:
    from engine.errors import GreenroomError

    try:
        run = await client.post(f"/runs/{run['id']}/pause")
    except GreenroomError:
        return f"Run {run['name']} had just ended: `greenroom runs show {run['name']}`."
    so_far = f"{run['made']} made, {run['failed']} failed, {run['left']} left"
    return f"Run {run['name']} is paused: {so_far}. The same command goes on with it."


def _tell(shows: following.Shows, run: Message) -> None:
    expected = run["expected"]
    shows(
        description=run["name"],
        total=run["total"],
        completed=run["total"] - run["left"],
        counts=f"{run['made']} made, {run['failed']} failed, {run['left']} left",
        left=f"about {span(expected['likely'])} to go" if expected and run["left"] else "",
    )


def _tell_plan(plan: Message, head: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.words import safe_line

    out = opening.console()
    if head:
        out.print(Text(head))
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bright_black", justify="right")
    rows.add_column()
    names = [member["slug"] for member in plan["members"][:NAMED]]
    more = plan["total"] - len(names)
    told = [
        ("run", plan["key"] + (f", goes on with {plan['goes_on']}" if plan["goes_on"] else "")),
        ("cohort", plan["cohort"]),
        ("pictures", f"{plan['total']:,}"),
        ("time", _time(plan)),
        ("cost", money(plan["cost"], plan["currency"])),
        ("of", ", ".join(names) + (f" and {more:,} more" if more > 0 else "")),
    ]
    for name, value in told:
        if value:
            rows.add_row(name, Text(safe_line(value)))
    out.print(rows)


def _time(plan: Message) -> str:
    if not plan["total"]:
        return ""
    if plan["expected"] is None:
        return "not known: no picture was made on this machine yet"
    likely, at_most = span(plan["expected"]["likely"]), span(plan["expected"]["at_most"])
    return f"about {likely}, with what is in line already" + (
        f"; at most {at_most}" if at_most != likely else ""
    )


def _tell_summary(run: Message) -> None:
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.words import safe_line

    out = opening.console()
    words = "is done" if run["state"] == "done" else "was paused elsewhere; the same command goes on with it"
    head = Text().append(f"Run {run['name']}", "bold").append(f" {words}: {safe_line(run['cohort'])}")
    out.print(head)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(justify="right")
    rows.add_column()
    rows.add_row(f"{run['made']:,}", Text("made", "green"))
    if run["failed"]:
        rows.add_row(f"{run['failed']:,}", Text("failed", "red"))
        for reason in run["reasons"]:
            rows.add_row("", Text(f"{reason['jobs']:,} × {safe_line(reason['says'])}", "bright_black"))
    if run["cancelled"]:
        rows.add_row(f"{run['cancelled']:,}", Text("taken back"))
    rows.add_row(span(run["seconds"]), Text("of work"))
    rows.add_row(money(run["cost"], run["currency"]), Text("spent"))
    out.print(rows)
    if run["stand_ins"]:
        several = run["stand_ins"] > 1
        some = f"{run['stand_ins']:,} of them are stand-ins" if several else "One of them is a stand-in"
        it = "them" if several else "it"
        note = f"{some}: no picture model painted {it}. See `greenroom doctor`."
        opening.console(err=True).print(Text(note, "yellow"))


def local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def money(cost: float, currency: str = "") -> str:
    from engine import costs

    return costs.told(cost, currency)


def moneys(amounts: Sequence[float]) -> tuple[str, ...]:
    """Of one sum: what stands in a column adds up to what stands below it."""
    from engine import costs

    return costs.told_together(amounts)


def tenths(seconds: Sequence[float]) -> tuple[str, ...]:
    """Of one sum as well, in seconds."""
    from decimal import Decimal

    from engine import costs

    return tuple(map(str, costs.apportioned(seconds, Decimal("0.1"))))


def span(seconds: float) -> str:
    """A time that nobody measures exactly.

    >>> span(4), span(75), span(4000)
    ('4 s', '1 min 15 s', '1 h 7 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole or not seconds else "1 s"
    minutes, left = divmod(whole, 60)
    if minutes < 10 and left:
        return f"{minutes} min {left} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"
