"""`greenroom personas`: the cast, looked at, written, changed, and carried in and out as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli import opening
from bot.terminal.words import safe_line

if TYPE_CHECKING:
    from engine.settings import Settings
    from engine.store.records import PersonaRecord
    from personas.cards import CardFormat, CardRead, Written
    from personas.persona import Persona

FORMATS = ("json", "v1", "v3", "png", "charx", "toml")


@click.group()
def personas() -> None:
    """The cast: who there is, and who they are."""


@personas.command("list")
@opening.as_json
def list_(as_json: bool) -> None:
    """Everybody in the cast."""
    settings = opening.settings_and_log()
    cast = opening.run_async(_cast(settings))
    if as_json:
        opening.put_json([_short(record) for record in cast])
    else:
        from bot.cli.portraits import draw_cast

        draw_cast(cast)


async def _cast(settings: Settings) -> list[PersonaRecord]:
    from engine.store import personas as store

    async with opening.store(settings) as database, database.read() as tx:
        return [await store.get(tx, entry.id) for entry in await store.listing(tx)]


def _short(record: PersonaRecord) -> dict[str, Any]:
    from bot.shown import persona_shown

    persona = record.persona
    return persona_shown(record) | {
        "age": persona.age,
        "kind": persona.kind,
        "tags": list(persona.tags),
        "rating": persona.rating.value,
        "origin": record.origin,
        "revision": record.revision,
    }


def _whole(record: PersonaRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "origin": record.origin,
        "revision": record.revision,
        "persona": record.persona.model_dump(mode="json"),
    }


@personas.command()
@click.argument("persona")
@opening.as_json
def show(persona: str, as_json: bool) -> None:
    """All about one persona, by slug, number or name."""
    settings = opening.settings_and_log()
    _show(opening.run_async(_find(settings, persona)), as_json=as_json)


def _show(record: PersonaRecord, *, as_json: bool) -> None:
    if as_json:
        opening.put_json(_whole(record))
    else:
        from bot.cli.portraits import draw_persona

        draw_persona(record)


async def _find(settings: Settings, wanted: str) -> PersonaRecord:
    from engine.store import personas as store

    async with opening.store(settings) as database, database.read() as tx:
        return await store.find(tx, wanted)


@personas.command()
@click.option(
    "--type", "kind", default="", metavar="WORD", help="A hint: fitness, tech, fashion, food, music …"
)
@click.option("--name", default="", help="Their name; without it one is found.")
@click.option("--seed", type=int, metavar="N", help="The same seed writes the same persona.")
@click.option(
    "--model", default="", metavar="NAME", help="Who writes, of the models that the settings allow."
)
@opening.as_json
def new(kind: str, name: str, seed: int | None, model: str, as_json: bool) -> None:
    """Have somebody new written, and take them into the cast."""
    settings = opening.settings_and_log()
    _show(opening.run_async(_write(settings, kind, name, seed, model)), as_json=as_json)


async def _write(settings: Settings, kind: str, name: str, seed: int | None, model: str) -> PersonaRecord:
    from bot.client import reach
    from engine.store.records import PersonaRecord
    from personas.persona import Persona

    async with reach(settings) as client:
        made = await client.post("/personas", kind=kind, name=name, seed=seed, model=model)
    return PersonaRecord(made["id"], Persona.model_validate(made["persona"]), 1, made["origin"])


@personas.command()
@click.argument("persona")
@click.option(
    "--from",
    "source",
    type=click.Path(allow_dash=True, path_type=Path),
    help="Take the new text from this file (- is standard input) instead of an editor.",
)
@opening.as_json
def edit(persona: str, source: Path | None, as_json: bool) -> None:
    """Change a persona, as a TOML file in your editor ($VISUAL or $EDITOR).

    What you save becomes a new revision; the ones before stay. If it cannot be read you are told why, and may
    go on editing: the draft is kept until it is stored.
    """
    settings = opening.settings_and_log()
    record = opening.run_async(_find(settings, persona))
    draft: Path | None = None
    if source is not None:
        changed = _from_file(source, record)
    else:
        from bot.cli.editing import draft_of, edited

        draft = draft_of(record, settings.home)
        changed = edited(draft, record)
    if changed == record.persona:
        click.echo("Nothing was changed.", err=True)
    else:
        record = opening.run_async(_revise(settings, record, changed))
        click.echo(f"{changed.slug} is at revision {record.revision} now.", err=True)
    if draft is not None:
        draft.unlink(missing_ok=True)
    if as_json:
        opening.put_json(_whole(record))


def _from_file(source: Path, record: PersonaRecord) -> Persona:
    from bot.carrying import in_place_of

    return in_place_of(_read(source), record)


def _read(source: Path) -> CardRead:
    from personas.cards import load, read_card

    if str(source) == "-":
        return read_card(sys.stdin.buffer.read(), "standard input")
    return load(source)


async def _revise(settings: Settings, record: PersonaRecord, changed: Persona) -> PersonaRecord:
    from engine.clock import SystemClock
    from engine.store import personas as store

    async with opening.store(settings) as database, database.write() as tx:
        return await store.revise(
            tx, record, changed, note="edited on the command line", now=SystemClock().now()
        )


@personas.command()
@click.argument("persona")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@opening.as_json
def delete(persona: str, yes: bool, as_json: bool) -> None:
    """Take a persona off the cast. Its talks and pictures stay."""
    settings = opening.settings_and_log()
    record = opening.run_async(_find(settings, persona))
    who = f"{record.persona.name} ({record.persona.slug})"
    if not yes:
        if not opening.somebody_sits_there():
            raise click.UsageError(f"Nobody is here to ask. --yes takes {who} off the cast.")
        click.confirm(f"Take {safe_line(who)} off the cast?", abort=True, err=True)
    opening.run_async(_delete(settings, record))
    if as_json:
        opening.put_json({"deleted": record.persona.slug, "id": record.id})
    else:
        click.echo(f"{safe_line(who)} has left the cast. Talks and pictures stay.")


async def _delete(settings: Settings, record: PersonaRecord) -> None:
    from engine.clock import SystemClock
    from engine.store import personas as store

    async with opening.store(settings) as database, database.write() as tx:
        await store.delete(tx, record.id, now=SystemClock().now())


@personas.command()
@click.argument("persona")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    help="json is a card of version 2 that everybody reads. Without it: by the ending of --out, else json.",
)
@click.option("--out", "-o", metavar="FILE", default="", help="Where to; - is standard output.")
@click.option("--force", "-f", is_flag=True, help="Overwrite what is there.")
@opening.as_json
def export(persona: str, file_format: str | None, out: str, force: bool, as_json: bool) -> None:
    """Write a persona to a file: a character card, or TOML that keeps everything.

    What the format cannot carry is said. A PNG or CHARX card gets the persona's face picture, or a drawn one.
    """
    from personas.cards import CardFormat

    ending = Path(out).suffix.lstrip(".").lower()
    chosen = CardFormat(file_format or (ending if ending in FORMATS else "json"))
    settings = opening.settings_and_log()
    record, written = opening.run_async(_written(settings, persona, chosen))
    if out == "-":
        sys.stdout.buffer.write(written.data)
        sys.stdout.buffer.flush()
    else:
        path = Path(out) if out else Path(f"{record.persona.slug}{written.suffix}")
        if path.is_dir():
            path /= f"{record.persona.slug}{written.suffix}"
        opening.write_new(path, written.data, force=force)
        if as_json:
            opening.put_json({"path": str(path), "format": chosen.value, "lost": list(written.lost)})
            return
        click.echo(str(path))
    if written.lost:
        click.secho(f"A {chosen.value} file cannot carry everything. Left out:", fg="yellow", err=True)
        for lost in written.lost:
            click.echo(f"  · {lost}", err=True)
        click.echo("--format toml keeps it all.", err=True)


async def _written(settings: Settings, wanted: str, chosen: CardFormat) -> tuple[PersonaRecord, Written]:
    from functools import partial

    from bot.carrying import card_of
    from engine.clock import SystemClock
    from engine.home import Home
    from engine.store import personas as store
    from engine.store.outgoing import files_of

    async with opening.store(settings) as database:
        record = await database.look(partial(store.find, wanted=wanted))
        files = partial(files_of, settings.files, Home(settings.home), SystemClock())
        return record, await card_of(database, files, record, chosen)


@personas.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@opening.as_json
def import_(files: tuple[Path, ...], as_json: bool) -> None:
    """Take personas in from files: cards of version 1 to 3 (JSON, PNG, CHARX) or TOML.

    Two may have one name: each gets a slug of its own. A file that cannot be read does not keep the others out.
    """
    settings = opening.settings_and_log()
    told = opening.run_async(_take_in(settings, files))
    if as_json:
        opening.put_json(told)
    else:
        _tell_taken_in(told)
    if any("error" in one for one in told):
        raise click.exceptions.Exit(1)


async def _take_in(settings: Settings, files: tuple[Path, ...]) -> list[dict[str, Any]]:
    from bot.carrying import taken_in
    from engine.clock import SystemClock
    from personas.cards import CardError

    told: list[dict[str, Any]] = []
    async with opening.store(settings) as database:
        for file in files:
            try:
                read = _read(file)
                record = await taken_in(database, SystemClock(), read)
            except CardError as error:
                told.append({"file": str(file), "error": str(error)})
            else:
                told.append(
                    {
                        "file": str(file),
                        "format": read.format.value,
                        "notes": list(read.notes),
                        **_short(record),
                    }
                )
    return told


def _tell_taken_in(told: list[dict[str, Any]]) -> None:
    for one in told:
        if "error" in one:
            click.secho(safe_line(one["error"]), fg="red", err=True)
            continue
        click.echo(f"{safe_line(one['name'])} joined the cast as {one['slug']}.")
        for note in one["notes"]:
            click.echo(f"  · {safe_line(note)}", err=True)
