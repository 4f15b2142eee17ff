"""Something is said in a persona's name, to a chat, because whoever runs the house wants it said: stored, then owed.

It stands in the talk like anything the persona said. How a front shows it, and who may order it, it does not know.
"""

from __future__ import annotations

from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import safety
from engine.clock import Clock
from engine.errors import BadRequest, Conflict, NotFound
from engine.events import Events
from engine.language import Source
from engine.locales import say
from engine.presence import Presence
from engine.safety import BlockList
from engine.settings import Settings
from engine.store import chats, outbox, personas
from engine.store.database import Database
from engine.store.records import ChatRef, DeliveryKind, TurnState

log = structlog.get_logger(__name__)


class Telling:
    def __init__(
        self, database: Database, presence: Presence, events: Events, settings: Settings, clock: Clock
    ) -> None:
        self._database = database
        self._presence = presence
        self._events = events
        self._settings = settings
        self._clock = clock
        self._blocked = BlockList(settings.safety.blocked_words)

    async def tell(self, ref: ChatRef, text: str, *, persona: str = "", key: str = "") -> tuple[int, int]:
        """Answers the place and the turn, by number; `NotFound` for a chat that nobody has spoken in.

        `persona`: who says it; empty: whoever is there. Nobody is brought in by it. `key`: told once; `Conflict`
        where something else was told under it.
        """
        words = safety.cleaned(text, most=self._settings.limits.message_length)
        self._blocked.check(words)
        dedup = f"told:{key}" if key else ""
        told, new = await self._database.change(
            partial(self._tell, ref=ref, words=words, persona=persona, dedup=dedup)
        )
        if new:
            log.info("told", turn=told[1], front=ref.front)
            self._events.publish("notice.stored", chat=ref)
        return told

    async def _tell(
        self, tx: AsyncConnection, ref: ChatRef, words: str, persona: str, dedup: str
    ) -> tuple[tuple[int, int], bool]:
        place = await chats.place(tx, ref)
        if place is None:
            raise NotFound(say("talk.nobody_told"))
        if place.left_at is not None:
            raise BadRequest(say("talk.not_wanted"))
        if dedup and (before := await chats.heard(tx, dedup)) is not None:
            turn = await chats.turn(tx, before)
            if turn is None or (turn.chat_id, turn.text) != (place.id, words):
                raise Conflict(say("store.key_taken"))
            if persona and turn.persona_id != (await personas.find(tx, persona)).id:
                raise Conflict(say("store.key_taken"))
            return (place.id, turn.id), False
        host = await self._presence.who(tx, place)
        record = await personas.find(tx, persona) if persona else host
        most = safety.allowed_rating(
            operator=self._settings.safety.rating,
            place=place.rating,
            platform=place.allows_mature,
            confirmed_adult=True,
        )
        safety.check_persona(record.persona, most)
        now = self._clock.now()
        talk = await chats.talk(tx, place.id)
        turn = await chats.add_turn(
            tx,
            place.id,
            words,
            now=now,
            state=TurnState.ANSWERED,
            persona_id=record.id,
            parent_id=talk.head,
            source=Source.PERSON,
            dedup_key=dedup or None,
        )
        await chats.move_head(tx, place.id, turn.id, of_persona=host.id)
        await outbox.owe(tx, place.id, DeliveryKind.REPLY, turn_id=turn.id, source=Source.PERSON, now=now)
        return (place.id, turn.id), True
