"""The routes of the page's chats: who is there, what stands there, say something, press, stop, what may be meant.

A program that came in by a key has chats of its own, whose names begin with the key's; it never sees that.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.desk import Desk
from bot.shown import persona_shown
from bot.web import typing_on
from bot.web.doors import Caller, Scope, needs
from bot.web.messages_shown import message_shown, stamp
from bot.web.pages import Pages
from bot.web.problems import API, PROBLEMS
from bot.web.shapes import Before, Key, Limit, Whole
from bot.web.talk_shapes import (
    EnteredOut,
    HeardOut,
    MessageOut,
    MessagesOut,
    StandingOut,
    StoppedOut,
    SuggestedOut,
    TalksOut,
)
from engine import safety
from engine.engine import Engine
from engine.errors import BadRequest, Conflict, NotFound
from engine.locales import say as words
from engine.rights import OPERATOR, PAGE
from engine.store import chats, pages, people
from engine.store import page_news as store
from engine.store.records import Account, By, ChatRef, Incoming, Message, Turn

ChatName = Annotated[str, Path(pattern=r"^[\w.:-]{1,64}$")]
Talker = Annotated[Caller, Depends(needs(Scope.CHAT))]

#: More than the longest message that any setting would allow.
MOST_WORDS = 100_000


class Entering(BaseModel):
    model_config = ConfigDict(extra="forbid")

    persona: Annotated[str, Field(max_length=200)] = ""
    chat: Annotated[str, Field(pattern=r"^[\w.:-]{1,64}$")] = "home"


class Saying(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=MOST_WORDS)]
    #: The sender's own id of this message: sent twice, it is heard once.
    key: Key


class Pressing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message: Whole
    #: The button's id, as the message has it.
    button: Annotated[str, Field(min_length=1, max_length=200)]
    key: Key
    #: What is added, where the button asks for words.
    words: Annotated[str, Field(max_length=MOST_WORDS)] = ""


class Reacting(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message: Whole
    emoji: Literal["👍", "👎", "❤"]
    #: false: it is taken away.
    added: bool = True


def ref_of(who: Caller, front: Pages, chat: str) -> ChatRef:
    """The chat that a caller means."""
    return front.chat(f"{mine(who)}{chat}")


def mine(who: Caller) -> str:
    """How the names of a caller's chats begin, unseen by themselves."""
    return f"key:{who.key_id}:" if who.key_id is not None else ""


def account_of(who: Caller, language: str = "") -> Account:
    """Who talks: a key's program, or else the operator, whether on the page or by the command line's secret."""
    if who.key_id is not None:
        return who.account
    return Account(PAGE, OPERATOR, language=language.split(",")[0].split(";")[0].strip())


def _pressed_in(turn: Turn | None) -> str | None:
    """The order of a button; None where whoever pressed it was forgotten."""
    return turn.text if turn is not None and turn.person_id is not None else None


def routes(engine: Engine, desk: Desk, front: Pages) -> APIRouter:
    router = APIRouter(prefix=f"{API}/talks", responses=PROBLEMS, tags=["chats"])

    @router.get("", response_model=TalksOut)
    async def listing(
        who: Talker,
        limit: Limit = 50,
        before: Before = None,
        keys: bool = False,
    ) -> dict[str, Any]:
        """The chats of the caller, the last used first. `keys`: those of programs too."""
        own = mine(who)
        asked = partial(store.talks, front=front.name, account=front.account, begins=own, before=before)
        found = await engine.database.look(partial(asked, most=limit + 1, keys=keys or bool(own)))
        items = [
            {
                "chat": one.chat.removeprefix(own),
                "persona": {"slug": one.persona, "name": one.name},
                "last": one.last,
                "when": one.when.isoformat() if one.when else None,
            }
            for one in found[:limit]
        ]
        return {"items": items, "next": found[limit - 1].place if len(found) > limit else None}

    @router.post("", response_model=EnteredOut)
    async def enter(entering: Entering, who: Talker) -> dict[str, Any]:
        """Somebody opens a chat. Naming a persona brings it in; where nothing was said yet, it greets."""
        ref = ref_of(who, front, entering.chat)
        record, _recent = await engine.presence.enter(ref, most=1, wanted=entering.persona, tell=True)
        engine.events.publish("notice.stored", chat=ref)
        return {"chat": entering.chat, "persona": persona_shown(record)}

    @router.get("/{chat}", response_model=StandingOut)
    async def about(chat: ChatName, who: Talker) -> dict[str, Any]:
        ref = ref_of(who, front, chat)
        place = await engine.database.look(partial(chats.place, ref=ref))
        record = await engine.presence.host(place) if place else None
        chat_id, revision = await engine.database.look(partial(store.revision, chat=ref))
        return {
            "chat": chat,
            "persona": persona_shown(record) if record else None,
            "revision": stamp(chat_id, revision),
            "answering": desk.answering(ref),
        }

    @router.get("/{chat}/messages", response_model=MessagesOut)
    async def messages(
        chat: ChatName,
        who: Talker,
        limit: Limit = 50,
        before: Before = None,
    ) -> dict[str, Any]:
        """What stands in a chat, the oldest first: the last messages, or those before one of them."""
        ref = ref_of(who, front, chat)
        news = await engine.database.look(partial(store.before, chat=ref, message=before, most=limit))
        return {
            "items": [message_shown(one, news.shots) for one in news.messages],
            "next": news.messages[0].id if news.more and news.messages else None,
        }

    @router.post("/{chat}/messages", status_code=202, response_model=HeardOut)
    async def say(chat: ChatName, said: Saying, who: Talker, request: Request) -> dict[str, Any]:
        """Say something. `told` is why it was not heard, where it was not."""
        account = account_of(who, request.headers.get("accept-language", ""))
        return await _hear(ref_of(who, front, chat), account, said.text, said.key, kept=True)

    @router.post("/{chat}/press", status_code=202, response_model=HeardOut)
    async def press(chat: ChatName, pressed: Pressing, who: Talker, request: Request) -> dict[str, Any]:
        ref = ref_of(who, front, chat)
        found = await engine.database.look(partial(store.get, chat=ref, message=pressed.message))
        buttons = [one for row in found.buttons for one in row] if found else []
        order = f"/{pressed.button.removeprefix('/')} {pressed.words}".rstrip()
        if all(one.order != pressed.button for one in buttons):
            key = Incoming(ref, who.account, order, ref.key(pressed.key)).dedup_key
            turn, _ = await engine.database.look(partial(_heard_as, key=key))
            if turn is None:
                raise NotFound(words("web.no_button"))
            _check_same(_pressed_in(turn), order)
            return {"heard": pressed.key, "told": "", "message": None}
        account = account_of(who, request.headers.get("accept-language", ""))
        return await _hear(ref, account, order, pressed.key, kept=False)

    @router.post("/{chat}/react", response_model=MessageOut)
    async def react(chat: ChatName, reacted: Reacting, who: Talker, request: Request) -> dict[str, Any]:
        """Say what one thinks of a persona's reply or picture. Told twice it is kept once."""
        ref = ref_of(who, front, chat)
        account = account_of(who, request.headers.get("accept-language", ""))
        now = engine.clock.now()

        async def kept(tx: AsyncConnection) -> Message:
            message = await store.get(tx, ref, reacted.message)
            if message is None:
                raise NotFound(words("web.no_message"))
            if message.by is By.PERSON or (message.turn_id is None and message.job_id is None):
                raise BadRequest(words("web.not_reacted_to"))
            person = await people.known(tx, account) or await people.add_person(tx, account, now=now)
            await pages.mark(tx, message, person, reacted.emoji, added=reacted.added, now=now)
            return await store.get(tx, ref, message.id) or message

        message = await engine.database.change(kept)
        shots = await engine.database.look(partial(store.shots, found=[message]))
        await front.announce(ref)
        return message_shown(message, shots)

    @router.post("/{chat}/stop", response_model=StoppedOut)
    async def stop(chat: ChatName, who: Talker) -> dict[str, Any]:
        return {"stopped": desk.stop(ref_of(who, front, chat))}

    @router.get("/{chat}/suggest", response_model=SuggestedOut)
    async def suggest(
        chat: ChatName, who: Talker, typed: Annotated[str, Query(max_length=2_000)] = ""
    ) -> dict[str, Any]:
        """What somebody may mean who has typed so much: `value` takes the place of all behind `at`."""
        account = account_of(who)
        known = await engine.database.look(partial(people.known, account=account))
        heard = Incoming(ref_of(who, front, chat), account, typed, "")
        return await typing_on.suggestions(desk, typed, heard, known.language if known else "")

    async def _hear(ref: ChatRef, account: Account, text: str, key: str, *, kept: bool) -> dict[str, Any]:
        incoming = Incoming(
            ref, account, text, ref.key(key), stranger=False, pressed=not kept, kept_by_us=kept
        )
        await desk.hear(incoming)
        await front.announce(ref)
        turn, message = await engine.database.look(partial(_heard_as, key=incoming.dedup_key))
        _check_same(message.text if message else _pressed_in(turn), text)
        return {
            "heard": key,
            "told": front.refused(incoming.key),
            "message": message_shown(message, {}) if message else None,
        }

    async def _heard_as(tx: AsyncConnection, key: str) -> tuple[Turn | None, Message | None]:
        """What was heard under a key, and how it stands in the chat; what was pressed stands nowhere."""
        turn_id = await chats.heard(tx, key)
        if turn_id is None:
            return None, None
        return await chats.turn(tx, turn_id), await store.of_turn(tx, turn_id)

    def _check_same(said: str | None, text: str) -> None:
        """Raises `Conflict` where something else was said under the key. What is gone is taken for the same."""
        if said is not None and said != safety.cleaned(text, most=engine.settings.limits.message_length):
            raise Conflict(words("store.key_taken"))

    return router
