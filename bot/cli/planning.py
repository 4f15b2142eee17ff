"""A schedule as the command line asks for one: options become the flags of a chat, and a plan is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bot.cli import opening

if TYPE_CHECKING:
    from bot.commands.plans import Plan
    from engine.engine import Engine
    from engine.store.records import Place


def how(command: Any) -> Any:
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


def ask(engine: Engine, plan: Plan, place: Place) -> None:
    """Show what would be saved to whoever sits here; it ends here unless they agree."""
    from bot.commands.plans import told
    from bot.terminal.words import safe_line
    from engine.locales import locale_of

    if not opening.somebody_sits_there():
        raise click.UsageError("Nobody is here to ask. --yes saves it.")
    planned = plan.as_schedule(place, engine.clock.now())
    for line in told(engine, locale_of("en"), planned, plan.persona.persona.called):
        click.echo(safe_line(line), err=True)
    click.confirm("Save it?", default=True, abort=True, err=True)
