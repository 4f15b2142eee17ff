"""A picture that nobody here made, as a file of ours, no larger than need be. It says where it is from, and nowhere
that a model made it. Who lends it, and how it was come by, it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from PIL.PngImagePlugin import PngInfo

from engine.locales import say
from engine.pictures.foreign import Terms, decoded
from engine.pictures.metadata import plain_png

#: What a picture's row has as its model, when no model made it.
MODEL = "borrowed"
#: What is smaller is an icon, or counts who looks at it; on a side no more is shown in any chat.
LEAST_SIDE, MOST_SIDE = 100, 1_536
#: A picture that says it has more would fill the memory.
MOST_PIXELS = 50_000_000
KINDS = ("PNG", "JPEG", "WEBP", "GIF")

_FACT = "borrowed"


@dataclass(frozen=True)
class Origin:
    """Whose a picture is."""

    #: `item` or `folder`.
    lender: str
    #: For whoever reads it: a host, mostly.
    source: str = ""
    #: Where it lies: a web address, or the name of a file.
    address: str = ""
    licence: str = ""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self | None:
        """What a picture's row says of it; None for what was made here."""
        told = facts.get(_FACT)
        if not isinstance(told, Mapping):
            return None
        known = cls.__dataclass_fields__
        return cls(**{"lender": ""} | {name: str(one) for name, one in told.items() if name in known})

    @property
    def facts(self) -> dict[str, Any]:
        return {_FACT: asdict(self)}

    @property
    def credit(self) -> str:
        """One line under the picture, in any language; empty where there is nobody to name."""
        told = ", ".join(filter(None, (self.source, self.licence)))
        return f"📷 {told}" if told else ""


@dataclass(frozen=True)
class Borrowed:
    png: bytes
    width: int
    height: int


def as_ours(data: bytes, origin: Origin) -> Borrowed:
    """The picture in these bytes; the first one, where it moves. `BadRequest` says why it cannot be used.

    It takes long, and the bytes are a stranger's: not on a loop, and better in a process of its own.
    """
    seen = decoded(data, _terms())
    return Borrowed(plain_png(seen, _told(origin)), seen.width, seen.height)


def _terms() -> Terms:
    return Terms(
        kinds=KINDS,
        most_pixels=MOST_PIXELS,
        most_side=MOST_SIDE,
        unreadable=say("feeds.picture.unreadable"),
        large=say("feeds.picture.large", most=MOST_PIXELS // 1_000_000),
        least_side=LEAST_SIDE,
        small=say("feeds.picture.small", least=str(LEAST_SIDE)),
    )


def _told(origin: Origin) -> PngInfo:
    """No DigitalSourceType: who made it, and how, nobody told us."""
    info = PngInfo()
    for name, text in (
        ("Source", " ".join(filter(None, (origin.source, origin.address)))),
        ("Copyright", origin.licence),
    ):
        if text:
            info.add_itxt(name, text)
    return info
