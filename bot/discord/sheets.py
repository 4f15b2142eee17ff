"""What is owed, made ready for Discord: its words in pages, its file, and who says it.

Where it goes, it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass

import discord

from bot.discord.markdown import coded, parts, plain, shown
from bot.front import Outgoing
from engine.locales import locale_of
from engine.store.records import DeliveryKind

NAME_LENGTH = 60
#: A message must hold something, if only its buttons.
NOTHING = "\u200b"


@dataclass(frozen=True)
class Sheet:
    """A delivery made ready: pages of text, a file beside the first, and who says it."""

    pages: tuple[str, ...]
    file: tuple[str, bytes] | tuple[()]
    name: str


def sheet(outgoing: Outgoing, *, signed: bool, room: int, rights: discord.Permissions | None) -> Sheet:
    """`signed`: a persona's name stands above its words. `room` is how many bytes a file may have, `rights` are what
    we may do where it will stand, as far as that matters.
    """
    delivery, name = outgoing.delivery, name_of(outgoing)
    written = delivery.kind is DeliveryKind.REPLY
    text = shown(delivery.text) if written else coded(delivery.text, outgoing.code)
    file: tuple[str, bytes] | tuple[()] = ()
    if outgoing.image:
        file = (_file_name(outgoing), outgoing.image)
        if trouble := _not_attached(outgoing, room, rights):
            file, text = (), f"{text}\n\n{plain(trouble)}".strip()
    pages = parts(text, before=before(name) if signed and speaks(outgoing) else "")
    return Sheet(tuple(pages or ["" if file else NOTHING]), file, name)


def name_of(outgoing: Outgoing) -> str:
    return outgoing.face.name if outgoing.face else outgoing.delivery.persona_name


def speaks(outgoing: Outgoing) -> bool:
    """Whether this is said by a persona, and not by the house."""
    theirs = outgoing.delivery.kind in (DeliveryKind.REPLY, DeliveryKind.POST)
    return bool(name_of(outgoing)) and (theirs or outgoing.face is not None)


def before(name: str) -> str:
    """A persona's name above its words."""
    return f"**{plain(name[:NAME_LENGTH]).strip()}**"


def kind_of(image: bytes) -> str:
    if image.startswith(b"\xff\xd8"):
        return "jpg"
    return "webp" if image[8:12] == b"WEBP" else "png"


def drafted_under(outgoing: Outgoing) -> int:
    return outgoing.delivery.manner.drafted_under or outgoing.delivery.answers_id or 0


def replied_to(outgoing: Outgoing) -> str:
    """A person's own message; for a command it is a message of ours, to which nobody replies."""
    delivery = outgoing.delivery
    return "" if delivery.answer_to else delivery.answers_message


def _not_attached(outgoing: Outgoing, room: int, rights: discord.Permissions | None) -> str:
    """Why a picture cannot stand in a message here; empty where it can."""
    locale = locale_of(outgoing.delivery.language)
    if len(outgoing.image) > room:
        return locale.say("discord.picture.too_large", megabytes=round(room / 2**20))
    if rights is not None and not rights.attach_files:
        return locale.say("discord.picture.not_allowed")
    return ""


def _file_name(outgoing: Outgoing) -> str:
    job = outgoing.delivery.job_id
    name = (
        f"greenroom-{job}" if job is not None else "faces" if outgoing.delivery.manner.faces else "greenroom"
    )
    return f"{name}.{kind_of(outgoing.image)}"
