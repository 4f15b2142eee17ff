"""The page's socket: a browser says what it watches, and is told what happens there. It decides nothing.

Whatever comes in is read with care: what is not understood is answered with a sentence, and whoever goes on sending
such things is shown the door.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, WebSocket
from starlette.websockets import WebSocketDisconnect

from bot.web.doors import Caller, Scope, caller
from bot.web.happenings import jobs_topic
from bot.web.pages import Pages
from bot.web.problems import API, spoken
from bot.web.talks import account_of, ref_of
from bot.web.watchers import Topic, Watcher, told
from engine.errors import BadRequest, GreenroomError, Refused
from engine.locales import say

#: What may be watched besides chats, and what has to be allowed for it.
WATCHED = {
    "jobs": Scope.MAKE,
    "runs": Scope.READ,
    "posts": Scope.READ,
    "health": Scope.READ,
    "models": Scope.READ,
}
#: One socket watches no more than so many chats.
MOST_CHATS = 32
#: Nothing that may be said here is longer.
MOST_LETTERS = 4_096
#: After so many things that were not understood nobody listens any more.
MOST_PROBLEMS = 20
#: What a socket is closed with: the house goes and comes back, or it was told too much nonsense.
GOING, NONSENSE = 1012, 1008
#: So long the other end may take to take what is told last.
FAREWELL = 1.0

_CHAT = re.compile(r"[\w.:-]{1,64}")


def routes(front: Pages) -> APIRouter:
    router = APIRouter(prefix=API)

    @router.websocket("/live")
    async def live(socket: WebSocket, who: Annotated[Caller, Depends(caller)]) -> None:
        await socket.accept()
        with front.watchers.joined(spoken(socket)) as watcher:
            telling = asyncio.create_task(_tell(socket, watcher))
            try:
                await Ear(front, who, watcher).listen(socket)
            except WebSocketDisconnect:
                pass
            finally:
                front.leave_all(watcher)
                telling.cancel()
                await asyncio.wait([telling])

    return router


async def _tell(socket: WebSocket, watcher: Watcher) -> None:
    try:
        while (text := await watcher.next()) is not None:
            await socket.send_text(text)
        async with asyncio.timeout(FAREWELL):
            await socket.close(GOING)
    except (WebSocketDisconnect, RuntimeError, OSError, TimeoutError):
        pass  # the other end is gone; whoever listens to it hears so
    finally:
        watcher.close()  # nobody waits any more until somebody has read, who never will


class Ear:
    """What one socket says."""

    def __init__(self, front: Pages, who: Caller, watcher: Watcher) -> None:
        self._front = front
        self._who = who
        self._watcher = watcher
        self._problems = 0

    async def listen(self, socket: WebSocket) -> None:
        """Until it says nothing any more, or nothing but nonsense."""
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                await self._hear(_understood(message.get("text")))
            except GreenroomError as error:
                self._problems += 1
                if self._problems > MOST_PROBLEMS:
                    await socket.close(NONSENSE)
                    return
                self._watcher.put(told({"is": "problem", "detail": self._watcher.words.says(error)}))
            await self._watcher.not_behind()  # whoever asks for more reads first

    async def _hear(self, said: dict[str, Any]) -> None:
        if isinstance(wanted := said.get("watch"), str):
            await self._watch(wanted, said)
        elif isinstance(left := said.get("leave"), str):
            self._leave(left, said)
        else:
            raise BadRequest(say("web.live.what"))

    async def _watch(self, wanted: str, said: dict[str, Any]) -> None:
        if wanted != "chat":
            self._front.watchers.watch(self._watcher, self._topic(wanted))
            return
        self._check(Scope.CHAT, wanted)
        if sum(topic[0] == "chat" for topic in self._watcher.topics) >= MOST_CHATS:
            raise BadRequest(say("web.live.too_many", most=MOST_CHATS))
        chat, after = _chat_in(said), said.get("after", 0)
        if type(after) is not int or not 0 <= after < 2**63:
            raise BadRequest(say("web.live.after"))
        await self._front.join(self._watcher, ref_of(self._who, self._front, chat), chat, after)

    def _leave(self, left: str, said: dict[str, Any]) -> None:
        if left == "chat":
            chat = _chat_in(said)
            self._front.leave(self._watcher, ref_of(self._who, self._front, chat), chat)
        else:
            self._front.watchers.leave(self._watcher, self._topic(left))

    def _topic(self, name: str) -> Topic:
        if (scope := WATCHED.get(name)) is None:
            raise BadRequest(say("web.live.nothing"))
        self._check(scope, name)
        if name != "jobs" or self._who.may(Scope.MANAGE):
            return (name,)
        return jobs_topic(account_of(self._who).platform_id)

    def _check(self, scope: Scope, what: str) -> None:
        if not self._who.may(scope):
            raise Refused(say("web.live.scope", what=what, scope=scope))


def _understood(text: str | None) -> dict[str, Any]:
    if text is None:
        raise BadRequest(say("web.live.text"))
    if len(text) > MOST_LETTERS:
        raise BadRequest(say("web.live.too_long", most=MOST_LETTERS))
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest(say("mistakes.no_json")) from None
    if not isinstance(said, dict):
        raise BadRequest(say("mistakes.object"))
    return said


def _chat_in(said: dict[str, Any]) -> str:
    chat = said.get("chat")
    if not isinstance(chat, str) or not _CHAT.fullmatch(chat):
        raise BadRequest(say("web.live.chat"))
    return chat
