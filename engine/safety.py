"""What may be said and shown: ratings, the block list, and the cleaning of every text that comes in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from engine.errors import BadRequest, Unsuitable
from personas.persona import Persona, Rating, printable

#: Platforms allow longer ones; nobody is called that.
MOST_NAME = 80


def cleaned(text: str, *, most: int, what: str = "message") -> str:
    """A person's text as it is stored: readable, of one form, and not too long. It is never interpreted."""
    if len(text) > most:
        raise BadRequest(
            f"That {what} has {len(text):,} characters; up to {most:,} can be read. Send it in parts?"
        )
    clean = printable(unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")))
    if not any(unicodedata.category(c)[0] in "LNPS" for c in clean):
        # White space, joiners and marks without a letter show nothing.
        raise BadRequest(f"There is nothing to read in that {what}.")
    return clean


def name_of(text: str) -> str:
    """The name that somebody goes by on a platform, in one short line. It may be empty, never a trap."""
    return " ".join(printable(text[:MOST_NAME]).split())


#: Marks on letters, and what stands between letters without being seen.
INVISIBLE = frozenset({"Mn", "Me", "Cf"})


class BlockList:
    """Words and phrases that the operator does not want, found whatever their case, accents or spacing."""

    def __init__(self, words: Iterable[str]) -> None:
        folded = [_folded(word) for word in words]
        joined = "|".join(r"\s+".join(map(re.escape, word.split())) for word in folded if word.strip())
        # An underscore is emphasis in chats, not a letter.
        self._pattern = re.compile(rf"(?<![^\W_])(?:{joined})(?![^\W_])") if joined else None

    def check(self, text: str) -> None:
        if self._pattern and self._pattern.search(_folded(text)):
            raise Unsuitable("That holds words which are not welcome here. Put it another way?")


def allowed_rating(*, operator: Rating, place: Rating, confirmed_adult: bool) -> Rating:
    """How grown-up things may be here: the least of what the operator, the place and the person allow."""
    least = min(operator, place, key=lambda rating: rating.level)
    return least if confirmed_adult else Rating.ALL_AGES


def check_persona(persona: Persona, allowed: Rating) -> None:
    """A persona appears only where its rating may."""
    if persona.rating.level > allowed.level:
        raise Unsuitable(
            f"{persona.called} is rated {persona.rating.value}, and this place is {allowed.value}."
        )


def _folded(text: str) -> str:
    """Small letters without accents or invisible joiners, so that a disguise does not help."""
    spread = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in spread if unicodedata.category(c) not in INVISIBLE)
