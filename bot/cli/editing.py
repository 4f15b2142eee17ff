"""A persona in an editor: the draft is a file in the home until it is stored, so nothing typed is lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli import opening

if TYPE_CHECKING:
    from engine.store.records import PersonaRecord
    from personas.persona import Persona


def draft_of(record: PersonaRecord, home: Path) -> Path:
    """The file to edit. A draft that an earlier try left behind is gone on with."""
    from engine.errors import StoreError
    from personas.personafile import toml_of

    path = home / "drafts" / f"{record.persona.slug}.{record.revision}.toml"
    if path.exists():
        click.echo(f"Going on with your draft from before: {path}", err=True)
        return path
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(toml_of(record.persona), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"The draft {path} cannot be written: {error.strerror}.") from None
    return path


def edited(draft: Path, record: PersonaRecord) -> Persona:
    """What the person makes of the draft. While it cannot be read and they are there, they may go on."""
    from personas.cards import CardError

    while True:
        click.edit(filename=str(draft))
        try:
            return _read(draft, record)
        except CardError as error:
            if not opening.somebody_sits_there():
                raise CardError(f"{error}. Your draft is kept: {draft}") from None
            click.secho(f"{error}.", fg="red", err=True)
            if not click.confirm("Edit again?", default=True, err=True):
                raise CardError(f"Nothing was stored. Your draft is kept: {draft}") from None


def _read(draft: Path, record: PersonaRecord) -> Persona:
    from bot.carrying import of_the_same_slug
    from personas.cards import CardError
    from personas.personafile import persona_from_toml

    try:
        text = draft.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"The draft cannot be read: {error}") from None
    return of_the_same_slug(persona_from_toml(text), record)
