"""`greenroom doctor`: what is configured, found and missing, and the one command that mends each."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bot.cli import findings, opening
from bot.cli.findings import Finding

if TYPE_CHECKING:
    from engine.settings import Settings

MARKS = {
    "ok": ("✓", "green"),
    "note": ("·", "bright_black"),
    "warning": ("!", "yellow"),
    "broken": ("✗", "red"),
}


@click.command()
@opening.as_json
@click.option(
    "--try", "tries", is_flag=True, help="Load each model that is in use, and let it write a few words."
)
def doctor(as_json: bool, tries: bool) -> None:
    """Look at everything, and say what mends what is broken.

    Ends with 1 if something is broken. Nothing is changed, but for what any command brings up to date.
    """
    from bot.logs import keep_quiet

    keep_quiet()
    found = opening.run_async(_look(tries=tries))
    broken = any(finding.state == "broken" for finding in found)
    if as_json:
        opening.put_json({"well": not broken, "findings": [asdict(finding) for finding in found]})
    else:
        _draw(found, broken=broken)
    if broken:
        raise click.exceptions.Exit(1)


async def _look(*, tries: bool = False) -> list[Finding]:
    from engine.errors import SettingsError
    from engine.home import Home, home_folder
    from engine.settings_file import read_settings

    settings: Settings | None
    try:
        settings, mistakes = read_settings(), []
    except SettingsError as error:
        settings, mistakes = None, str(error).splitlines()
    home = Home(home_folder())
    found = [findings.of_python(), findings.of_home(home), *findings.of_settings(home, mistakes)]
    if settings is None:
        later = "not looked at: the settings come first"
        what_waits = ("database", "files", "doors", "extras", "telegram", "discord")
        found += [Finding(what, "note", later) for what in what_waits]
    else:
        found += [await findings.of_database(settings, home), await findings.of_files(settings, home)]
        found += [*await findings.of_doors(settings, home), findings.of_extras(settings)]
        found += await findings.of_fronts(settings)
    found += [findings.of_room(home), await findings.of_owner(home), findings.of_log(home)]
    writers = await findings.of_language(settings, tries=tries) if settings else []
    pictures = [findings.of_pictures(settings), findings.of_check(settings)] if settings else []
    return [*found, *writers, *pictures, findings.of_styles(home)]


def _draw(found: list[Finding], *, broken: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from bot.terminal.words import safe

    table = Table.grid(padding=(0, 1))
    table.add_column(width=2, justify="right")
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for finding in found:
        mark, colour = MARKS[finding.state]
        says = Text(safe(finding.says), "" if finding.state != "note" else "bright_black")
        if finding.mend and finding.state != "note":
            says.append(f"\n→ {finding.mend}", colour)
        elif finding.mend:
            says.append(f"  ({finding.mend})", colour)
        table.add_row(Text(mark, colour), finding.what, says)
    out = opening.console()
    out.print()
    out.print(table)
    out.print()
    if broken:
        out.print(Text(" Something is broken. The lines with → say what mends it.", "red"))
    else:
        out.print(Text(" All is well.", "green"))
