"""`greenroom models`: which models there are, which fit, how they come and go; and the offer of a first start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli import listing, opening
from bot.cli.ending import Interrupted
from bot.cli.fetching import fetch, size_shown
from bot.terminal.words import safe, safe_line

if TYPE_CHECKING:
    from engine.models import Machine
    from engine.settings import Settings

Message = dict[str, Any]

KINDS = ("text", "picture", "refiner", "vae", "upscaler", "adapter", "vision", "embedding")
FIT_COLOURS = {"fits on gpu": "green", "fits in ram, slow": "yellow", "no": "bright_black"}
#: Lies in the home of somebody who did not want any.
DECLINED = "models-declined"

token_option = click.option(
    "--token",
    metavar="TOKEN",
    default="",
    help="The hub's token; better in HF_TOKEN, where no list of commands shows it.",
)


@click.group()
def models() -> None:
    """Models: what there is, what fits this machine, what is here."""


@models.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Only these.")
@click.option("--installed", "only_here", is_flag=True, help="Only what is here.")
@click.option("--updates", is_flag=True, help="Ask the hub whether it has newer files.")
@token_option
@opening.as_json
def list_(kind: str | None, only_here: bool, updates: bool, token: str, as_json: bool) -> None:
    """The catalogue, what of it is here, which model is in use and why, and what fits this machine."""
    from engine.models import machine, newer
    from engine.models.overview import overview

    settings = opening.settings_and_log()
    here = machine()
    fresh = opening.run_async(newer(settings.home, token=token)) if updates else []
    told = overview(settings, here, fresh).told()
    told["models"] = [
        one for one in told["models"] if kind in (None, one["kind"]) and (one["installed"] or not only_here)
    ]
    if as_json:
        opening.put_json(told)
    else:
        _draw_list(told, here)


def _draw_list(told: Message, here: Machine) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = opening.console()
    table = Table(box=box.SIMPLE_HEAD, header_style="bright_black", pad_edge=False)
    for name in ("", "model", "kind"):
        table.add_column(name, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("fits", no_wrap=True)
    for name in ("licence", "good at"):
        table.add_column(name, overflow="fold")
    for one in told["models"]:
        mark, colour = _mark(one)
        table.add_row(
            Text(mark, colour),
            Text(safe_line(one["id"]), "bold" if one["installed"] else ""),
            one["kind"],
            size_shown(one["size"]) if one["size"] else "–",
            Text(one["fits"] or "–", FIT_COLOURS.get(one["fits"], "bright_black")),
            Text(safe_line(one["licence"]) + (" (token)" if one["gated"] else ""), "bright_black"),
            Text(safe_line(one["good_at"] or one["title"])),
        )
    listing.draw(out, table, whole=("", "model", "size", "fits"))
    gpu = f"{safe_line(here.gpu_name)} with {size_shown(here.gpu_bytes)}" if here.gpu_bytes else "no GPU"
    out.print(Text(f"● in use  ✓ here  ↑ the hub has newer files  ☆ offered to this machine ({gpu}, "
                   f"{size_shown(here.ram_bytes)} of memory)", "bright_black"), soft_wrap=True)  # fmt: skip
    out.print(Text(safe(told["reason"])), soft_wrap=True)
    for one in told["models"]:
        if one["problem"]:
            out.print(Text(f"{safe_line(one['id'])}: {safe(one['problem'])}", "yellow"), soft_wrap=True)


def _mark(one: Message) -> tuple[str, str]:
    if one["update"]:
        return "↑", "yellow"
    if one["in_use"]:
        return "●", "green"
    if one["installed"]:
        return "✓", "green"
    return ("☆", "cyan") if one["offered"] else ("", "")


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--as", "kind", type=click.Choice(KINDS), help="What it is, if it is not in the catalogue.")
@token_option
@opening.as_json
def pull(names: tuple[str, ...], kind: str | None, token: str, as_json: bool) -> None:
    """Fetch models from the hub: by a name of the catalogue, or as OWNER/REPOSITORY:FILE.

    Ctrl-C leaves what came so far, and the same command goes on with it. What is here already, whole, is not fetched
    again. HF_ENDPOINT names another hub.
    """
    from dataclasses import replace

    from engine.models import Kind, catalogue

    settings = opening.settings_and_log()
    known = catalogue()
    entries = [known.wanted(name) for name in names]
    if kind is not None:
        entries = [one if known.get(one.id) is one else replace(one, kind=Kind(kind)) for one in entries]
    folders = fetch(settings, entries, token, quiet=as_json)
    if as_json:
        opening.put_json(
            [{"id": entry.id, "folder": str(path)} for entry, path in zip(entries, folders, strict=True)]
        )


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME…]")
@opening.as_json
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Read every pulled model, and compare it with what was promised. Ends with 1 if one is not whole."""
    from engine.models import verify as look

    settings = opening.settings_and_log()
    checks = look(settings.home, names)
    broken = [check for check in checks if check.problems and check.kept.noted]
    if as_json:
        told = [
            {
                "id": one.kept.folder.name,
                "kind": one.kept.kind,
                "whole": not one.problems,
                "problems": one.problems,
            }
            for one in checks
        ]
        opening.put_json(told)
    elif not checks:
        click.echo("No model is here. `greenroom models list` shows what there is.")
    for check in [] if as_json else checks:
        mark, colour = (
            ("✗", "red") if check in broken else ("·", "bright_black") if check.problems else ("✓", "green")
        )
        click.echo(
            click.style(mark, fg=colour)
            + f" {safe_line(check.kept.kind)}/{safe_line(check.kept.folder.name)}"
        )
        for problem in check.problems:
            click.echo(f"  {safe_line(problem)}")
    if broken:
        raise click.exceptions.Exit(1)


@models.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@opening.as_json
def remove(name: str, yes: bool, as_json: bool) -> None:
    """Delete a model from the home, with what was begun of it."""
    from engine.models import remove as delete
    from engine.models.keeping import find

    settings = opening.settings_and_log()
    kept = find(settings.home, name)
    called = f"{kept.kind}/{kept.folder.name}"
    if not yes:
        if not opening.somebody_sits_there():
            raise click.UsageError(f"Nobody is here to ask. --yes deletes {called}.")
        click.confirm(f"Delete {safe_line(str(kept.folder))}?", abort=True, err=True)
    room = delete(settings.home, called)
    if as_json:
        opening.put_json({"removed": called, "freed": room.size + room.unfinished})
    else:
        click.echo(f"{safe_line(called)} is gone; {size_shown(room.size + room.unfinished)} are free again.")


@models.command()
@opening.as_json
def disk(as_json: bool) -> None:
    """What the models of the home take, and what is free."""
    from engine.models import disk as look
    from engine.models import machine

    settings = opening.settings_and_log()
    rooms = look(settings.home)
    free = machine().disk_free(settings.home)
    if as_json:
        told = [
            {
                "id": one.kept.folder.name,
                "kind": one.kept.kind,
                "size": one.size,
                "unfinished": one.unfinished,
            }
            for one in rooms
        ]
        opening.put_json({"models": told, "free": free})
        return
    for one in rooms:
        begun = f", {size_shown(one.unfinished)} of it unfinished" if one.unfinished else ""
        name = f"{safe_line(one.kept.kind)}/{safe_line(one.kept.folder.name)}"
        click.echo(f"{size_shown(one.size + one.unfinished):>10}  {name}{begun}")
    whole = sum(one.size + one.unfinished for one in rooms)
    click.echo(
        f"{size_shown(whole):>10}  together, in {settings.home / 'models'}; {size_shown(free)} are free there"
    )


def offer(settings: Settings) -> None:
    """Ask once, on a terminal, whether to fetch the set that fits, where no model writes. A “no” is remembered.

    Whatever goes wrong is said, and the start goes on: the understudy writes meanwhile.
    """
    from engine.errors import GreenroomError
    from engine.models import find_text, machine, recommended

    language, server = settings.language, settings.server
    if language.models == "off" or language.model or server.address or not opening.somebody_sits_there():
        return
    note = settings.home / DECLINED
    if note.exists() or find_text(settings.home, Path.cwd()):
        return
    here = machine()
    fitting = recommended(here)
    if not any(entry.kind == "text" for entry in fitting):
        return
    click.echo(
        "No language model is here, so a template answers for the personas. These fit this machine:", err=True
    )
    for entry in fitting:
        words = f"{entry.title}, {size_shown(entry.size)}, licence {entry.licence}"
        click.echo(f"  {entry.id:<18} {words}: {entry.good_at}", err=True)
    whole = sum(entry.size for entry in fitting)
    free = here.disk_free(settings.home)
    click.echo(f"Together {size_shown(whole)}; {size_shown(free)} are free on the disk.", err=True)
    asked = click.Choice(["all", "words", "no"])
    answer = click.prompt("Fetch all, only the words, or no", type=asked, default="no", err=True)
    if answer == "no":
        note.write_text(
            "`greenroom models pull` fetches models; without this file the next start asks again.\n"
        )
        click.echo("Not fetched, and not asked again. `greenroom models list` shows what there is.", err=True)
        return
    try:
        fetch(settings, [one for one in fitting if answer == "all" or one.kind == "text"], "", quiet=False)
    except (GreenroomError, Interrupted) as error:
        said = error.message if isinstance(error, Interrupted) else str(error)
        click.secho(safe_line(said), fg="yellow", err=True)
