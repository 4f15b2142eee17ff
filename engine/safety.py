"""What may be said and shown: ratings, the block list, and the cleaning of every text that comes in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from engine.errors import BadRequest, Unsuitable
from engine.locales import say
from personas.persona import Persona, Rating, printable

#: Platforms allow longer ones; nobody is called that.
MOST_NAME = 80
#: What somebody's words can be; each has sentences of its own under `safety.empty` and `safety.too_long`.
Kind = Literal["message", "scene", "type", "name"]


def cleaned(text: str, *, most: int, what: Kind = "message") -> str:
    """A person's text as it is stored: readable, of one form, and not too long. It is never interpreted."""
    if len(text) > most:
        raise BadRequest(say(f"safety.too_long.{what}", n=len(text), most=most))
    clean = printable(unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")))
    if not any(unicodedata.category(c)[0] in "LNPS" for c in clean):
        # White space, joiners and marks without a letter show nothing.
        raise BadRequest(say(f"safety.empty.{what}"))
    return clean


def name_of(text: str) -> str:
    """The name that somebody goes by on a platform, in one short line. It may be empty, never a trap."""
    return " ".join(printable(text[:MOST_NAME]).split())


def storable(text: str) -> str:
    """What a platform names things by, so that every database takes it: half a character is none."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,2}")


def language_of(text: str) -> str:
    """A language as platforms name it; anything else is none."""
    return text if _LANGUAGE.fullmatch(text) and len(text) <= 16 else ""


#: Marks on letters, and what stands between letters without being seen.
INVISIBLE = frozenset({"Mn", "Me", "Cf"})


class BlockList:
    """Words and phrases that the operator does not want, found whatever their case, accents or spacing."""

    def __init__(self, words: Iterable[str]) -> None:
        folded = [_folded(word) for word in words]
        joined = "|".join(r"\s+".join(map(re.escape, word.split())) for word in folded if word.strip())
        # An underscore is emphasis in chats, not a letter.
        self._pattern = re.compile(rf"(?<![^\W_])(?:{joined})(?![^\W_])") if joined else None

    def allows(self, text: str) -> bool:
        return not (self._pattern and self._pattern.search(_folded(text)))

    def check(self, text: str) -> None:
        if not self.allows(text):
            raise Unsuitable(say("safety.unwelcome"))


def allowed_rating(
    *, operator: Rating, place: Rating, confirmed_adult: bool, platform: bool = True
) -> Rating:
    """How grown-up things may be here: the least of what operator, place, platform and person allow."""
    least = min(operator, place, key=lambda rating: rating.level)
    return least if confirmed_adult and platform else Rating.ALL_AGES


def check_persona(persona: Persona, allowed: Rating) -> None:
    """A persona appears only where its rating may."""
    if persona.rating.level > allowed.level:
        rating, most = (say(f"safety.rating.{one.value}") for one in (persona.rating, allowed))
        raise Unsuitable(say("safety.rated", name=persona.called, rating=rating, allowed=most))


def _folded(text: str) -> str:
    """Small letters without accents or invisible joiners, so that a disguise does not help."""
    spread = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in spread if unicodedata.category(c) not in INVISIBLE)
