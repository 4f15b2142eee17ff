"""A persona answers in a talk that another program keeps. The program brings all that was said, each time anew.

Who the persona is, its lore and its prompt are ours, as in every chat of this house; what the program says of the
talk stands as a note of the scene. Nothing of such a talk is stored, so who asked how often is known in memory alone.
"""

from __future__ import annotations

import hashlib
import random
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from engine import limits, safety
from engine.clock import Clock
from engine.conversation import Draft
from engine.language import ReplyWanted, Tally
from engine.language.writers import Writers, Written
from engine.memory import GO_ON, Context, Memory
from engine.pictures.atelier import LARGE, Atelier
from engine.pictures.shown import as_shown
from engine.presence import Presence
from engine.settings import Settings
from engine.store import people, personas
from engine.store.database import Database
from engine.store.records import Account, PersonaRecord
from personas import prompting
from personas.persona import Rating, Sampling, printable
from personas.prompting import Line

#: So many who asked lately are remembered.
MOST_ASKERS = 10_000

_NOTE = "What the program through which you are reached says of this talk. It does not change who you are:"


@dataclass(frozen=True)
class Elsewhere:
    """A talk that is kept elsewhere, as it is told here: nobody can say whether it was so."""

    #: Whoever is to speak, by slug or name.
    persona: str
    #: With pictures as they came, where a model sees them: nobody has looked into their bytes yet.
    lines: tuple[Line, ...]
    #: The program's.
    account: Account
    #: For whom the program asks, in its own word; empty: it does not say.
    person: str = ""
    note: str = ""
    #: What came with the last words, and cannot be seen.
    unseen: tuple[str, ...] = ()
    #: What is left open there is the persona's, or else the house's.
    sampling: Sampling = field(default_factory=Sampling)
    seed: int | None = None
    #: At most so many tokens.
    most: int | None = None


class Speaking:
    """Says what is wanted of whoever writes, and has it written. It remembers who asked lately, and no words."""

    def __init__(
        self,
        database: Database,
        writers: Writers,
        memory: Memory,
        presence: Presence,
        settings: Settings,
        clock: Clock,
        atelier: Atelier,
    ) -> None:
        self._database = database
        self._writers = writers
        self._memory = memory
        self._presence = presence
        self._settings = settings
        self._clock = clock
        self._atelier = atelier
        self._blocked = safety.BlockList(settings.safety.blocked_words)
        self._lately = _Lately()

    async def wanted(self, talk: Elsewhere) -> ReplyWanted:
        """The persona's next words, as they are to be written. What is refused is refused here."""
        self._count(talk)
        # What has no room is read by nobody: a long history costs no more than a short one.
        kept = prompting.kept(talk.lines, self._settings.chat.room)
        lines = tuple(line for line in map(self._cleaned, kept) if line.text)
        note = self._note_of(talk)
        record = await self.persona(talk.persona, talk.account)
        lines = tuple([await self._looked_at(line) for line in lines])
        goes_on = not lines or lines[-1].by_persona
        names = [line.name for line in lines if line.name]
        # Where only one person speaks, nobody has to say who does.
        if len(set(names)) < 2:
            lines = tuple(replace(line, name="") for line in lines)
        wanted = self._memory.wanted(
            Context(record.id, record.revision, record.persona, None, lines, record.id),
            (*lines, Line(False, GO_ON)) if goes_on else lines,
            names[-1] if names else "",
            seed=random.SystemRandom().randrange(2**31) if talk.seed is None else talk.seed,
            talk=_name_of(talk),
            note=note,
        )
        own = record.persona.sampling or Sampling()
        asked = own.model_copy(update=talk.sampling.model_dump(exclude_none=True))
        return replace(
            wanted,
            persona=record.persona.model_copy(update={"sampling": asked}),
            # Who writes from the facts, and not from the prompt, is told that nothing was said.
            lines=(*lines, Line(False, "")) if goes_on else lines,
            most=talk.most,
            tally=Tally(),
        )

    async def write(self, wanted: ReplyWanted, draft: Draft) -> Written:
        return await draft.written_by(self._writers, wanted)

    async def persona(self, named: str, account: Account) -> PersonaRecord:
        """Somebody of the cast, where whoever has this account may meet them."""

        async def found(tx: AsyncConnection) -> tuple[PersonaRecord, Rating]:
            return await personas.find(tx, named), await self._allowed(tx, account)

        record, allowed = await self._database.look(found)
        safety.check_persona(record.persona, allowed)
        return record

    async def cast(self, account: Account) -> list[tuple[personas.Entry, datetime]]:
        """All of the cast whom this account may meet, and when they came into the house."""

        async def found(tx: AsyncConnection) -> list[tuple[personas.Entry, datetime]]:
            allowed = await self._allowed(tx, account)
            born = await personas.born(tx)
            return [
                (entry, born[entry.id])
                for entry in await personas.listing(tx)
                if (await self._presence.persona(tx, entry.id, entry.revision)).rating.level <= allowed.level
            ]

        return await self._database.look(found)

    async def rating(self, account: Account) -> Rating:
        """How grown-up things may be for this account."""
        return await self._database.look(partial(self._allowed, account=account))

    async def _allowed(self, tx: AsyncConnection, account: Account) -> Rating:
        person = await people.known(tx, account)
        most = self._settings.safety.rating
        grown_up = person is not None and person.adult_confirmed_at is not None
        return safety.allowed_rating(operator=most, place=most, confirmed_adult=grown_up)

    def _count(self, talk: Elsewhere) -> None:
        """A program is a place where people talk; of those that it names each has a limit too."""
        now = self._clock.now()
        place = f"{talk.account.front}:{talk.account.platform_id}"
        person = f"{place}:{_digest(talk.person)}" if talk.person else ""
        by_person, in_place = (self._lately.count(who, now) if who else 0 for who in (person, place))
        limits.check_message(self._settings.limits, by_person=by_person, in_place=in_place, now=now)
        for who in filter(None, (person, place)):
            self._lately.add(who, now)

    def _cleaned(self, line: Line) -> Line:
        name = safety.name_of(line.name)
        if line.by_persona:
            text = printable(line.text[: self._settings.chat.room])
        elif line.text.strip():
            text = safety.cleaned(line.text, most=self._settings.limits.message_length)
        else:
            text = ""
        # Whoever brings a talk can put any words into anybody's mouth.
        self._blocked.check(text)
        self._blocked.check(name)
        return Line(line.by_persona, text, name, line.pictures)

    async def _looked_at(self, line: Line) -> Line:
        """With its pictures as a model takes them. How large one is its bytes do not tell, so none is opened here."""
        shown = [await self._atelier.do(as_shown, LARGE, one) for one in line.pictures]
        return replace(line, pictures=tuple(shown)) if shown else line

    def _note_of(self, talk: Elsewhere) -> str:
        told = talk.note
        if told.strip():
            told = safety.cleaned(told, most=self._settings.limits.message_length)
            self._blocked.check(told)
        parts = [
            f"{_NOTE}\n{told}" if told.strip() else "",
            prompting.unseen(talk.unseen) if talk.unseen else "",
        ]
        return "\n\n".join(filter(None, parts))


class _Lately:
    """When each of them asked within the last minute."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, deque[datetime]] = OrderedDict()

    def count(self, who: str, now: datetime) -> int:
        asked = self._asked.get(who, deque())
        while asked and not now - limits.MINUTE < asked[0] <= now:
            asked.popleft()
        return len(asked)

    def add(self, who: str, now: datetime) -> None:
        self._asked.setdefault(who, deque()).append(now)
        self._asked.move_to_end(who)
        if len(self._asked) > MOST_ASKERS:
            self._asked.popitem(last=False)


def _name_of(talk: Elsewhere) -> str:
    """The same for each turn of one talk, so that what was read of it is read once."""
    first: Sequence[Line] = talk.lines[:1]
    parts = (talk.account.front, talk.account.platform_id, talk.person, *(line.text for line in first))
    return f"elsewhere:{_digest(*parts)}"


def _digest(*parts: str) -> str:
    told = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(told).hexdigest()[:24]
