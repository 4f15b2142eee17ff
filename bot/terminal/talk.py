"""One talk with the house over its API: says each thing once, shows each thing once, and waits for an owner that
comes back. What showing means is the screen's business.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from bot.client import Client, GoneError
from engine.errors import GreenroomError

Message = dict[str, Any]

#: The terminal's own talk; a home has one.
CHAT = "home"
#: How long to look for an owner that went away, and the pauses between looks.
WAIT_FOR_OWNER = 120.0
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
#: How often those who wait in line look ahead.
LOOK_EVERY = 1.0


class Screen(Protocol):
    """Where a talk is seen."""

    async def show(self, message: Message) -> None:
        """A delivery, for good: a reply, a notice, pictures."""

    async def tell(self, text: str) -> None:
        """Something that is not kept: a refusal, trouble with the line."""

    def draft(self, text: str | None) -> None:
        """What stands of a reply that is being written; None when none is."""

    def job(self, job_id: int, message: Message | None) -> None:
        """How far a picture is; None when nothing is left to wait for."""

    def line(self, *, open_: bool) -> None:
        """Whether the owner of the home is heard."""


@dataclass
class Persona:
    """Who is in the chat, as the API tells it."""

    name: str = ""
    called: str = ""
    occupation: str = ""
    palette: list[str] = field(default_factory=list)


class Talk:
    """State of one chat at our end of the line. `find` looks for the owner of the home."""

    def __init__(self, client: Client, find: Callable[[], Client | None], chat: str = CHAT) -> None:
        self.client = client
        self.persona = Persona()
        #: A reply is being written.
        self.writing = False
        #: Held while something is shown and confirmed: whoever leaves in between would be shown it again.
        self.taking = asyncio.Lock()
        self._find = find
        self._path = f"/chats/{quote(chat)}"
        self._chat = chat
        self._seen: set[int] = set()
        self._turns: set[int] = set()
        self._jobs: set[int] = set()
        #: Those of them on which no work has begun.
        self._waiting: set[int] = set()
        self._cast: dict[str, Persona] = {}
        self._unsaid: deque[tuple[str, str]] = deque()
        self._heard = asyncio.Event()
        self._news = asyncio.Event()
        #: Somebody who is refused is told down the line alone: nothing is said before it stands.
        self._online = asyncio.Event()

    async def enter(self, persona: str = "") -> list[Message]:
        """Come in: who is there is known afterwards; answers what was said last."""
        lines = await self._look_who_is_there(persona)
        self._turns.update(line["turn"] for line in lines)
        return lines

    async def listen(self, screen: Screen) -> None:
        """Show everything that happens, until the owner has gone for good."""
        while True:
            with suppress(GoneError):
                async for message in self.client.live(f"{self._path}/live"):
                    async with self.taking:
                        await self._take(message, screen)
            await self._find_again(screen)

    async def speak(self, screen: Screen) -> None:
        """Say what was typed, in order. What the owner did not hear is said again, and heard once."""
        while True:
            await self._online.wait()
            while not self._unsaid:
                self._heard.set()
                self._news.clear()
                await self._news.wait()
            key, text = self._unsaid[0]
            try:
                await self.client.post(f"{self._path}/turns", text=text, key=key)
            except GoneError:
                await asyncio.sleep(FIRST_PAUSE)  # the listener notices too, and then nobody is online
                continue
            except GreenroomError as error:
                await screen.tell(str(error))
            self._unsaid.popleft()

    async def look_ahead(self, screen: Screen) -> None:
        """While pictures wait, see how many stand before them."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for job_id in list(self._waiting):
                with suppress(GreenroomError):
                    job = await self.client.get(f"/jobs/{job_id}")
                    if job["state"] == "queued" and job_id in self._waiting:
                        screen.job(job_id, {"ahead": job["ahead"]})

    def say(self, text: str) -> None:
        self._unsaid.append((secrets.token_hex(12), text))
        self._heard.clear()
        self._news.set()

    async def heard(self) -> None:
        """Wait until the house has heard everything that was said."""
        await self._heard.wait()

    @property
    def unsaid(self) -> list[str]:
        return [text for _key, text in self._unsaid]

    async def stop(self, screen: Screen) -> bool:
        """Stop the reply that is being written. Before its first word, nothing will be delivered of it."""
        with suppress(GoneError):
            answer = await self.client.post(f"{self._path}/stop")
            if answer["stopped"]:
                return True
        self._write(screen, None)
        return False

    async def waits_for(self) -> Message:
        """What the house still has to answer, to show and to make here."""
        opened: Message = await self.client.get(f"{self._path}/open")
        return opened

    async def _take(self, message: Message, screen: Screen) -> None:
        what = message["is"]
        if what == "open":
            self._online.set()
            screen.line(open_=True)
        elif what == "draft":
            self._write(screen, message["text"])
        elif what == "told":
            await screen.tell(message["text"])
        elif what == "delivery":
            await self._show(message, screen)
        elif what in ("job.started", "job.step"):
            self._waiting.discard(message["job"])
            self._follow(screen, message["job"], message)
        elif what == "job.ended":
            self._follow(screen, message["job"], None)

    async def _show(self, message: Message, screen: Screen) -> None:
        """Show a delivery unless it was shown before, and say that it was: only then is it no longer owed."""
        kind, job = message["kind"], message["job"]
        if kind == "reply" or job is None:
            self._write(screen, None)
        if message["id"] not in self._seen and message["turn"] not in self._turns:
            if kind == "picture":
                self._follow(screen, job, None)
            elif kind == "notice" and job is not None and message["source"]:
                self._waiting.add(job)
                self._follow(screen, job, {})
            elif kind == "notice":
                with suppress(GreenroomError):  # it may have brought somebody else in
                    await self._look_who_is_there()
            elif kind == "reply":
                with suppress(GreenroomError):
                    self.persona = await self._speaker(message["by"]["slug"])
            await screen.show(message)
        self._seen.add(message["id"])
        if message["turn"] is not None:
            self._turns.add(message["turn"])
        with suppress(GreenroomError):  # it is sent again when the owner is back, and not shown twice
            await self.client.post(f"{self._path}/shown/{message['id']}")

    async def _look_who_is_there(self, wanted: str = "") -> list[Message]:
        entered = await self.client.enter(self._chat, wanted)
        self.persona = self._met(entered["persona"])
        lines: list[Message] = entered["lines"]
        return lines

    async def _speaker(self, slug: str) -> Persona:
        """Who says something: what was owed for long may be of somebody who is no longer in the chat."""
        if slug not in self._cast:
            self._met(await self.client.get(f"/personas/{slug}"))
        return self._cast[slug]

    def _met(self, told: Message) -> Persona:
        persona = Persona(told["name"], told["called"], told["occupation"], told["palette"])
        self._cast[told["slug"]] = persona
        return persona

    def _write(self, screen: Screen, text: str | None) -> None:
        self.writing = text is not None
        screen.draft(text)

    def _follow(self, screen: Screen, job_id: int, message: Message | None) -> None:
        if message is None:
            self._jobs.discard(job_id)
            self._waiting.discard(job_id)
        else:
            self._jobs.add(job_id)
        screen.job(job_id, message)

    async def _find_again(self, screen: Screen) -> None:
        """The owner went away. Wait for it, or for another, as long as it is worth it."""
        self._online.clear()
        self._write(screen, None)
        screen.line(open_=False)
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + WAIT_FOR_OWNER, FIRST_PAUSE
        while loop.time() < until:
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)
            found = self._find()
            if found is None:
                continue
            before, self.client = self.client, found
            await before.close()
            try:
                await self._look_who_is_there()
                await self._look_after_jobs(screen)
            except GreenroomError:
                continue
            return
        raise GoneError(
            "Greenroom has stopped, and did not come back. `greenroom chat` goes on where you were."
        )

    async def _look_after_jobs(self, screen: Screen) -> None:
        for job_id in list(self._jobs):
            job = await self.client.get(f"/jobs/{job_id}")
            if job["state"] not in ("queued", "running"):
                self._follow(screen, job_id, None)
