"""The routes of a chat at a terminal: come in, say something, listen, stop a reply, say that something was shown.

They are the command line's own, and no part of the API's document: other programs talk by `talks.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from bot import commands
from bot.desk import Desk
from bot.shown import persona_shown
from bot.web.doors import Scope, needs
from bot.web.lines import Lines, Message
from bot.web.owners import Looker, to_be_met
from bot.web.problems import API
from engine import locales
from engine.engine import Engine
from engine.errors import NotFound
from engine.events import CLOSING, Event, Watch
from engine.store import chats, jobs, outbox
from engine.store.records import Account, Incoming, Place, Turn

#: Told that somebody is in a chat now.
Came = Callable[[Place], Coroutine[Any, Any, None]]
ChatName = Annotated[str, Path(pattern=r"^[\w.:-]{1,64}$")]
#: A line that is silent this long says so, so that both ends notice when the other is gone.
BEAT_SECONDS = 15.0


class Said(BaseModel):
    text: str
    #: The sender's own id of this message: sent twice, it is heard once.
    key: Annotated[str, Field(min_length=1, max_length=64)]
    name: Annotated[str, Field(max_length=80)] = ""


class Entering(BaseModel):
    persona: Annotated[str, Field(max_length=200)] = ""


def routes(engine: Engine, desk: Desk, lines: Lines, came: Came) -> APIRouter:
    # These are the operator's own chats.
    manages = Depends(needs(Scope.MANAGE))
    router = APIRouter(prefix=f"{API}/chats/{{chat}}", include_in_schema=False, dependencies=[manages])

    @router.post("/enter")
    async def enter(chat: ChatName, entering: Entering) -> dict[str, Any]:
        """Who is there, and what was said last. Naming a persona brings it in first."""
        ref = lines.chat(chat)
        record, recent = await engine.presence.enter(ref, most=12, wanted=entering.persona)
        return {"persona": persona_shown(record), "lines": [_line(turn) for turn in recent]}

    @router.post("/turns", status_code=202)
    async def say(chat: ChatName, said: Said) -> dict[str, Any]:
        ref, account = lines.chat(chat), Account(lines.name, "operator", said.name)
        await desk.hear(Incoming(ref, account, said.text, ref.key(said.key), stranger=False))
        return {"heard": said.key}

    @router.post("/stop")
    async def stop(chat: ChatName) -> dict[str, Any]:
        return {"stopped": desk.stop(lines.chat(chat))}

    @router.post("/shown/{delivery_id}", status_code=204)
    async def shown(chat: ChatName, delivery_id: int) -> None:
        """The other end has shown a delivery. Until it says so, the chat is still owed it."""
        lines.confirm(lines.chat(chat), delivery_id)

    @router.get("/live")
    async def live(chat: ChatName) -> StreamingResponse:
        """Everything that happens in the chat from now on, one JSON object a line."""
        return StreamingResponse(_happenings(await _place(chat)), media_type="application/x-ndjson")

    @router.get("/open")
    async def still_open(chat: ChatName) -> dict[str, Any]:
        """What the chat still waits for: an answer, things to be shown, pictures in the making."""
        place = await _place(chat)
        answering = desk.answering(place.ref)
        async with engine.database.read() as tx:
            owed = await outbox.owed(tx, chat_id=place.id)
            making = [job.id for job in await jobs.unfinished(tx) if job.chat_id == place.id]
        return {"answering": answering, "owed": owed, "jobs": making}

    async def _place(chat: str) -> Place:
        async with engine.database.read() as tx:
            place = await chats.place(tx, lines.chat(chat))
        if place is None:
            raise NotFound(locales.say("web.nobody_here"))
        return place

    async def _happenings(place: Place) -> AsyncIterator[str]:
        def of_this_chat(event: Event) -> bool:
            ours = event.name.startswith("job.") and event.about.get("chat_id") == place.id
            return ours or event.name == CLOSING

        with lines.line(place.ref) as line, engine.events.watch(of_this_chat) as watch:
            passing = asyncio.create_task(_pass_on(watch, line))
            # Only now: what is shown before anybody is on the line would be put away again.
            coming = asyncio.create_task(came(place))
            try:
                message: Message = {"is": "open"}  # from here on nothing is missed
                while True:
                    yield json.dumps(message, ensure_ascii=False) + "\n"
                    if message["is"] == CLOSING:
                        return
                    try:
                        async with asyncio.timeout(BEAT_SECONDS):
                            message = await line.get()
                    except TimeoutError:
                        message = {"is": "beat"}
            finally:
                passing.cancel()
                coming.cancel()

    return router


async def _pass_on(watch: Watch, line: asyncio.Queue[Message]) -> None:
    async for event in watch:
        if not line.full():
            line.put_nowait({"is": event.name, **event.about})


def words(engine: Engine) -> APIRouter:
    """What may be typed at a terminal; a page asks `/talks/{chat}/suggest`."""
    router = APIRouter(prefix=API, include_in_schema=False)

    @router.get("/vocabulary")
    async def vocabulary(who: Looker) -> dict[str, Any]:
        """The commands, and the names that stand after them."""
        met = await engine.database.look(partial(to_be_met, engine=engine, who=who))
        return {
            "commands": [
                {"name": command.name, "usage": command.usage, "says": command.says}
                for command in commands.COMMANDS.values()
                if command.listed
            ],
            "personas": [{"slug": entry.slug, "name": entry.name} for entry, _ in met],
            "styles": [
                {"slug": style.slug, "name": style.name} for style in engine.imagining.styles.values()
            ],
        }

    return router


def _line(turn: Turn) -> dict[str, Any]:
    return {
        "turn": turn.id,
        "by": "person" if turn.person_id is not None else "persona",
        "text": turn.text,
        "source": turn.source.value if turn.source else None,
    }
