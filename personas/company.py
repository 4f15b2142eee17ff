"""Pure: several personas in one place. Who is spoken to, who answers whom, and when they leave it at that.

Nobody answers for ever: to one message of a person there are at most `MOST_ANSWERS`, whoever names whom.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from personas.persona import Persona

#: The hop budget: so many answers follow one message of a person, all personas together.
MOST_ANSWERS = 4
#: Of these, so many to those who were named in the message itself.
MOST_NAMED = 3
#: Shorter first names are words too often.
SHORTEST = 3


@dataclass(frozen=True)
class Present:
    """Somebody who is here, and what they answer to."""

    id: int
    names: tuple[str, ...]


def present(persona_id: int, persona: Persona) -> Present:
    """A persona answers to its name, its nickname and its first name."""
    first = persona.name.split()[0] if persona.name.split() else ""
    names = (persona.name, persona.nickname, first if len(first) >= SHORTEST else "")
    return Present(persona_id, tuple(dict.fromkeys(name for name in names if name)))


def named_in(text: str, here: Sequence[Present]) -> tuple[int, ...]:
    """Who of those here is called by name, in the order of the first call."""
    calls = []
    for one in here:
        places = [place for name in one.names if (place := _called_at(text, name)) is not None]
        if places:
            calls.append((min(places), one.id))
    return tuple(persona_id for _place, persona_id in sorted(calls))


def spoken_to(
    text: str,
    here: Sequence[Present],
    *,
    shared: bool,
    called: bool = False,
    replied: int | None = None,
) -> tuple[int, ...] | None:
    """Who is to answer a person's words; None when they were not meant for anybody here.

    `here` begins with the host. `called`: the bot itself was named or replied to, or the place wants every
    message answered. `replied`: whose message the words reply to.
    """
    asked = list(named_in(text, here))
    if replied is not None and any(one.id == replied for one in here):
        asked = [replied, *(one for one in asked if one != replied)]
    if asked:
        return tuple(asked[:MOST_NAMED])
    if called or not shared:
        return tuple(one.id for one in here[:1])
    return None


def goes_on(
    text: str, by: int, here: Sequence[Present], *, still: Sequence[int], answers: int
) -> tuple[int, ...]:
    """Who speaks next after a persona's words: those who were still to answer, then whom the words name.

    `answers` counts what was answered to the person's message already, these words among it.
    """
    left = MOST_ANSWERS - answers
    if left <= 0:
        return ()
    waiting = [one for one in still if any(there.id == one for there in here)]
    for one in named_in(text, here):
        if one != by and one not in waiting:
            waiting.append(one)
    return tuple(waiting[:left])


def _called_at(text: str, name: str) -> int | None:
    """Where somebody is called. A name in small letters is a call only where a call stands: `ada, look`."""
    exact = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    loose = re.search(
        rf"(?:^\W*|[,;:]\s*|@)({re.escape(name)})(?!\w)|(?<!\w)({re.escape(name)})(?=\s*[,:!?]|\W*$)",
        text,
        re.IGNORECASE,
    )
    found = [match.start() for match in (exact, loose) if match]
    return min(found) if found else None
