"""What goes into the context of a reply: who speaks, who else is there, and the talk as the speaker hears it.

It reads and decides nothing: the talk comes from the rows, the prompt's form from `personas.prompting`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile

from sqlalchemy.ext.asyncio import AsyncConnection

from engine import safety
from engine.errors import NotFound
from engine.language import ReplyWanted
from engine.presence import Presence
from engine.settings import Settings
from engine.store import chats
from engine.store.chats import Said
from engine.store.database import Database
from personas import lorebook, prompting
from personas.company import Present
from personas.persona import Persona
from personas.prompting import Line

#: What a lorebook may take of the room at one turn.
LORE_TOKENS = 1_000
#: What a model reads in place of words that nobody has said.
GO_ON = "(Go on.)"


@dataclass(frozen=True)
class Context:
    """What a reply is written from: who speaks and who else is there, and the talk up to now."""

    persona_id: int
    revision: int
    persona: Persona
    head: int | None
    #: As the one who speaks hears them: all that others said is said to it.
    lines: tuple[Line, ...]
    host_id: int
    here: tuple[Present, ...] = ()
    #: How many answers the person's last words have had.
    answers: int = 0


class Memory:
    """Reads a talk, and says what is wanted of whoever writes the next words."""

    def __init__(self, database: Database, presence: Presence, settings: Settings, instructions: str) -> None:
        self._database = database
        self._presence = presence
        self._settings = settings
        self._instructions = instructions
        #: The shared part of each persona's prompt, by (id, revision): the same for everybody, and never changing.
        self._shared: dict[tuple[int, int], str] = {}

    async def read(self, said: Said, *, speaker: int | None = None) -> Context:
        """Who speaks, and the talk as they hear it; refused where a speaker's rating is more than is allowed by now.

        `speaker` names the persona that is to speak; else it is the first that is wanted.
        """
        context = await self._read(said, speaker)
        safety.check_persona(context.persona, self._presence.allowed_rating(said.place, said.person))
        return context

    async def _read(self, said: Said, speaker: int | None) -> Context:
        """In one read where one persona is alone; one that has left is replaced by the usual one."""
        place = said.place
        wanted = speaker or (said.turn.wanted[0] if said.turn.wanted else None)
        # Whoever posts somewhere may be spoken to there, and is not there otherwise.
        of_many = place.shared or bool(place.guests) or wanted not in (None, place.persona_id)

        async def as_it_stands(tx: AsyncConnection) -> Context | None:
            talk = await chats.talk(tx, place.id, of_many=of_many)
            if talk.persona_id is None or talk.revision is None:
                return None
            persona = await self._presence.persona(tx, talk.persona_id, talk.revision)
            context = Context(talk.persona_id, talk.revision, persona, talk.head, talk.lines, talk.persona_id)
            return await self._among_others(tx, said, talk, context, wanted) if of_many else context

        async def with_somebody_else(tx: AsyncConnection) -> Context:
            record = await self._presence.who(tx, place)
            talk = await chats.talk(tx, place.id, of_many=of_many)
            context = Context(record.id, record.revision, record.persona, talk.head, talk.lines, record.id)
            return await self._among_others(tx, said, talk, context, wanted) if of_many else context

        found = await self._database.look(as_it_stands)
        return found if found else await self._database.change(with_somebody_else)

    async def _among_others(
        self, tx: AsyncConnection, said: Said, talk: chats.Talk, context: Context, wanted: int | None
    ) -> Context:
        """The same talk as one of several hears it: what the others said, persons or personas, is said to it."""
        here = await self._presence.here(tx, said.place)
        if wanted is not None and wanted != context.persona_id:
            try:
                record = await self._presence.current(tx, wanted)
            except NotFound:
                pass  # it has left since: whoever is here answers
            else:
                context = replace(
                    context, persona_id=record.id, revision=record.revision, persona=record.persona
                )
        # A person's words are not in the talk yet, and have no answer; a persona's are the last ones there.
        of_personas = takewhile(lambda speaker: speaker is not None, reversed(talk.speakers))
        answers = 0 if said.turn.person_id is not None else len(list(of_personas))
        own = context.persona_id
        lines = tuple(
            Line(True, line.text) if by == own else Line(False, line.text, line.name)
            for line, by in zip(talk.lines, talk.speakers, strict=True)
        )
        return replace(context, lines=lines, here=tuple(here), answers=answers)

    def wanted(
        self,
        context: Context,
        lines: tuple[Line, ...],
        person_name: str,
        *,
        seed: int,
        talk: int | str,
        rejected: tuple[str, ...] = (),
        note: str = "",
    ) -> ReplyWanted:
        """The facts of the next words, and the prompt segments made from them."""
        persona = context.persona
        revision = (context.persona_id, context.revision)
        if revision not in self._shared:
            self._shared[revision] = prompting.shared_part(persona, self._instructions)
        lore = lorebook.told(persona.lorebook, lines, budget=LORE_TOKENS) if persona.lorebook else []
        segments = prompting.segments(
            persona,
            lines,
            shared=self._shared[revision],
            person_name=person_name,
            lore=lore,
            scene_note=note,
            room_chars=self._settings.chat.room,
        )
        # Where several talk, each hears the others in their own way: what was read for one is of no use to another.
        return ReplyWanted(
            persona,
            lines,
            person_name,
            segments,
            seed=seed,
            rejected=rejected,
            talk=f"{talk}:{context.persona_id}",
        )


def note_of(said: Said, context: Context) -> str:
    """What somebody in the room would see: who else is there, and what came with the words."""
    others = [one.names[0] for one in context.here if one.id != context.persona_id and one.names]
    came = {one.kind for one in said.turn.attachments}
    return " ".join(
        [
            *([f"Also here: {', '.join(others)}. You speak only for yourself."] if others else []),
            *([prompting.unseen(came)] if came else []),
        ]
    )
