"""A talk without a terminal: lines in, lines out, no colours. What scripts, pipes and tests use."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from bot.client import GoneError
from bot.terminal import drawing
from bot.terminal.talk import Message, Talk
from bot.terminal.words import safe, safe_line

#: How often the house is asked whether all is answered; the pause grows while it works.
FIRST_LOOK = 0.02
LONGEST_LOOK = 0.5
#: A refusal comes down the line and not through the outbox: so long is waited for one.
REFUSAL_WITHIN = 2.0


class Paper:
    """A Screen that only ever grows."""

    def __init__(self, talk: Talk, files: Path) -> None:
        self._talk = talk
        self._files = files
        self.something = asyncio.Event()

    async def show(self, message: Message) -> None:
        if message["kind"] == "reply":
            self.say(message["text"], message["source"])
        elif message["text"]:
            self._print(safe(message["text"]))
        for one in message["pictures"]:
            self._print(f"[picture] {self._files / one['file']} · {drawing.facts(one)}")
        self.something.set()

    async def tell(self, text: str) -> None:
        self._print(safe(text))
        self.something.set()

    def say(self, text: str, source: str | None) -> None:
        name = safe_line(self._talk.persona.called)
        aside = " (understudy)" if source == "understudy" else ""
        self._print(f"{name}{aside}: {safe(text)}")

    def draft(self, text: str | None) -> None:
        pass

    def job(self, job_id: int, message: Message | None) -> None:
        pass

    def line(self, *, open_: bool) -> None:
        if not open_:
            sys.stderr.write("Greenroom has stopped; waiting for it.\n")
            sys.stderr.flush()

    @staticmethod
    def _print(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


async def talk_in_lines(talk: Talk, files: Path, persona: str, left: asyncio.Event) -> None:
    """Say each line of the input when the one before is answered; at its end wait for the pictures too."""
    paper = Paper(talk, files)
    lines = await talk.enter(persona)
    if len(lines) == 1 and lines[0]["by"] == "persona":
        paper.say(lines[0]["text"], lines[0]["source"])
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(talk.listen(paper))
        speaking = group.create_task(talk.speak(paper))
        reading = group.create_task(_read_out(talk, paper, left))
        leaving = group.create_task(left.wait())
        # Whoever asks us to leave means it, also while an answer or a picture does not come.
        await asyncio.wait([reading, leaving], return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, speaking, reading, leaving):
            task.cancel()


async def _read_out(talk: Talk, paper: Paper, left: asyncio.Event) -> None:
    async for text in _typed(left):
        if text.strip() in ("/quit", "/exit"):
            break
        if text.strip():
            paper.something.clear()
            talk.say(text)
            await talk.heard()
            await _quiet(talk, paper, pictures=False)
    await _quiet(talk, paper, pictures=True)


async def _quiet(talk: Talk, paper: Paper, *, pictures: bool) -> None:
    pause = FIRST_LOOK
    while True:
        waits = await _waits_for(talk)
        if waits is not None and not waits["answering"] and not waits["owed"]:
            if not pictures:
                break
            if not waits["jobs"]:
                return
        await asyncio.sleep(pause)
        pause = min(LONGEST_LOOK, pause * 1.4)
    try:
        async with asyncio.timeout(REFUSAL_WITHIN):
            await paper.something.wait()
    except TimeoutError:
        return


async def _waits_for(talk: Talk) -> Message | None:
    try:
        return await talk.waits_for()
    except GoneError:
        return None  # the listener looks for the owner, and ends the talk when there is none


async def _typed(left: asyncio.Event) -> AsyncIterator[str]:
    """The lines of standard input as they come, until it ends or we are asked to leave."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    # A thread of its own that nobody waits for: a read that never ends must not keep us from leaving.
    threading.Thread(target=_read, args=(loop, lines), name="typed", daemon=True).start()
    leaving = asyncio.create_task(left.wait())
    try:
        while True:
            coming = asyncio.create_task(lines.get())
            await asyncio.wait([coming, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                return
            if not (line := coming.result()):
                return
            yield line.decode("utf-8", "replace").rstrip("\r\n")
    finally:
        leaving.cancel()


def _read(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[bytes]) -> None:
    """Whole lines of standard input, and at its end an empty one. Not by `sys.stdin`, whose lock outlives us."""
    rest = b""
    with suppress(OSError, RuntimeError):  # closed, or the loop is: then nobody wants to know
        while piece := os.read(0, 65_536):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                loop.call_soon_threadsafe(lines.put_nowait, line + b"\n")
    with suppress(RuntimeError):
        if rest:
            loop.call_soon_threadsafe(lines.put_nowait, rest)
        loop.call_soon_threadsafe(lines.put_nowait, b"")
