"""The command `greenroom`: its groups, and the one place where errors become sentences and exit codes.

Only click and the standard library are imported here and beside it; each command imports what it needs when it
runs, so that `--help` is quick. Exit codes: 0 it worked, 1 it failed, 2 not understood, 3 the settings, 4 not
there, 5 refused or over a limit, 6 the home is in use, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from bot.cli import (
    backfilling,
    chatting,
    doctor,
    doors,
    feeds,
    imagining,
    jobs,
    models,
    personas,
    posts,
    prompting,
    runs,
    schedules,
    stats,
    status,
)
from bot.cli.ending import Interrupted, code_of, sentence_of, tell_error

SECTIONS = (
    ("Talk", ("up", "chat")),
    ("Pictures", ("imagine", "backfill", "prompt", "jobs", "runs", "replay")),
    ("Cast", ("personas",)),
    ("Posts", ("schedule", "posts", "feeds")),
    ("House", ("models", "status", "stats", "doctor")),
    ("Doors", ("password", "keys")),
)

#: So long a sentence may be that stands beside a command; it takes a second line before it is cut.
WHOLE = 120


class Sections(click.Group):
    """A group whose help stands under headings, in the order in which one meets the commands."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS:
            shown = [(name, self.commands[name].get_short_help_str(WHOLE)) for name in names]
            with formatter.section(title):
                formatter.write_dl(shown)


def _version(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from bot.cli.ending import version

        click.echo(f"greenroom {version()}")
        ctx.exit()


@click.group(
    cls=Sections,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`greenroom COMMAND --help` says more. Everything is kept in one folder, the home; GREENROOM_HOME "
    "names another. Exit codes: 0 it worked, 1 failed, 2 not understood, 3 settings, 4 not found, 5 refused or "
    "over a limit, 6 the home is in use, 130 interrupted.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
def greenroom() -> None:
    """Personas who chat and send pictures, at home on your machine."""


for _command in (
    chatting.up,
    chatting.chat,
    imagining.imagine,
    prompting.prompt,
    jobs.jobs,
    backfilling.backfill,
    runs.runs,
    runs.replay,
    personas.personas,
    schedules.schedule,
    posts.posts,
    feeds.feeds,
    models.models,
    status.status,
    stats.stats,
    doctor.doctor,
    doors.password,
    doors.keys,
):
    greenroom.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command and ends the process with its exit code."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run a command; answers its exit code. Whatever goes wrong is told in a sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if (encoded := getattr(stream, "reconfigure", None)) is not None:
            encoded(errors="replace")  # a terminal that lacks a letter must not end the program
    as_json = "--json" in arguments
    try:
        ended: Any = greenroom.main(arguments, prog_name="greenroom", standalone_mode=False)
        return ended if isinstance(ended, int) else 0
    except click.exceptions.NoArgsIsHelpError as asked:
        asked.show()
        return 2
    except click.Abort as aborted:
        if isinstance(aborted.__cause__, EOFError):
            return tell_error("Nobody answered.", 1, "Abort", as_json=as_json)
        return Interrupted.code
    except click.ClickException as error:
        if as_json:
            return tell_error(error.format_message(), error.exit_code, type(error).__name__, as_json=True)
        error.show()
        return error.exit_code
    except Exception as error:
        return tell_error(sentence_of(error), code_of(error), type(error).__name__, as_json=as_json)
