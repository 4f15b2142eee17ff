"""A reply while it is written, for a program: what may be shown of it by now, and how it ended.

Knows no form in which it is told, and nothing of connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.conversation import Draft
from engine.errors import ModelUnavailable
from engine.language import LanguageModel, ReplyWanted, Source, Tally
from engine.language.writers import Written
from engine.locales import say
from engine.speaking import Speaking
from personas.lorebook import CHARS_PER_TOKEN
from personas.persona import printable


class Stops:
    """Where a text is to end: before the first of these words that is complete, however it comes in pieces."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = [word for word in words if word]
        self._longest = max(map(len, self._words), default=0)

    def shown(self, text: str, before: int) -> tuple[int, bool]:
        """How much of a text that grows may be shown, and whether it ends there. So much of it was shown before."""
        start = max(0, before - self._longest)
        found = [(place + len(word), place) for word in self._words if (place := text.find(word, start)) >= 0]
        if found:
            _end, place = min(found)
            return max(before, place), True
        # What may be the beginning of such a word waits for the rest of it, and so does white space for what follows.
        for held in range(min(self._longest - 1, len(text) - before), 0, -1):
            if any(word.startswith(text[-held:]) for word in self._words):
                return max(before, len(text[:-held].rstrip())), False
        return max(before, len(text.rstrip())), False


class Reply:
    """One answer in work. `begin` has it written; `more` waits for words; `close` ends it, whatever its state."""

    def __init__(self, speaking: Speaking, wanted: ReplyWanted, stops: Stops) -> None:
        self._speaking = speaking
        self._wanted = wanted
        self._stops = stops
        self._draft = Draft(self._took, self._began)
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._whole = ""
        self._shown = 0
        self._told = 0
        self._error: Exception | None = None
        self.source = Source.MODEL
        #: Who writes, by its name.
        self.model = ""
        self.ended = False
        self._stopped = False
        self._cut = False

    def begin(self) -> None:
        self._task = asyncio.create_task(self._write())

    async def more(self) -> str:
        """Words that were not told yet, as soon as there are some; nothing once all is told."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._error is not None and not self.ended:
                raise self._error
            piece = self._whole[self._told : self._shown]
            self._told = max(self._told, self._shown)
            if piece or self.ended:
                if self.ended:
                    self._news.set()
                return piece

    async def whole(self) -> str:
        """All of it, at its end."""
        assert self._task is not None  # noqa: S101 - whoever waits for it has begun it
        await asyncio.wait({self._task})
        if self._error is not None:
            raise self._error
        return printable(self._whole[: self._shown])

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    @property
    def reason(self) -> str:
        """Why it ended, in OpenAI's word."""
        return "length" if self._cut or (self._tally.full and not self._stopped) else "stop"

    @property
    def usage(self) -> dict[str, int]:
        """In tokens; guessed by the length where whoever wrote does not tell."""
        read = self._tally.read or _tokens(sum(len(one.text) for one in self._wanted.segments))
        written = self._tally.written or _tokens(self._shown)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    @property
    def _tally(self) -> Tally:
        return self._wanted.tally or Tally()

    async def _write(self) -> None:
        try:
            written = await self._speaking.write(self._wanted, self._draft)
            self._finish(written)
        except Exception as error:
            self._error = error
        finally:
            if not self.ended and self._error is None:
                self._error = ModelUnavailable(say("compatible.broke_off"))
            self._news.set()

    def _began(self, model: LanguageModel) -> None:
        self.source, self.model = model.source, model.name
        if self._told:
            # What was told cannot be taken back, and nobody can go on in the middle of somebody else's sentence.
            self._error = ModelUnavailable(say("compatible.broke_off"))
            self._draft.stop()
            return
        if (tally := self._wanted.tally) is not None:
            tally.read, tally.written, tally.full = 0, 0, False
        self._whole, self._shown = "", 0

    def _took(self, text: str) -> None:
        if self._stopped or self._error is not None:
            return
        self._whole = text
        shown, self._stopped = self._stops.shown(text, self._shown)
        # The understudy knows no tokens.
        room = (self._wanted.most or 0) * CHARS_PER_TOKEN if self.source is Source.UNDERSTUDY else 0
        if room and shown > room:
            shown, self._stopped, self._cut = max(room, self._shown), True, True
        if self._stopped:
            self._draft.stop()
        if shown > self._shown:
            self._shown = shown
            self._news.set()

    def _finish(self, written: Written) -> None:
        if self._error is not None:
            return
        if not self._stopped:
            # Nothing more comes: what was held back is no beginning of anything.
            self._shown = max(self._shown, len(self._whole.rstrip()))
        self.ended = True


def _tokens(characters: int) -> int:
    return -(-characters // CHARS_PER_TOKEN)
