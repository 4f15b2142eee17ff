"""A talk on a terminal: a line to type in that is always there, what is under way just above it, and above that
everything that was said, for good.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style
from rich.console import Console
from rich.text import Text

from bot.terminal import drawing
from bot.terminal.completing import Vocabulary, Words, history_in
from bot.terminal.talk import Message, Talk
from bot.terminal.words import safe_line
from engine.errors import GreenroomError

#: How many lines of the earlier talk are shown on coming in.
EARLIER = 6
#: How long a hint stands.
HINT_SECONDS = 4.0
#: How long leaving waits for the last words to be heard.
LAST_WORDS_WITHIN = 3.0

LOOKS = Style.from_dict(
    {
        "quiet": "ansibrightblack",
        "prompt": "bold",
        "bar": "ansicyan",
        "hint": "ansiyellow",
        "completion-menu": "bg:default",
        "completion-menu.completion": "bg:default fg:default",
        "completion-menu.completion.current": "reverse",
        "completion-menu.meta.completion": "bg:default fg:ansibrightblack",
        "completion-menu.meta.completion.current": "reverse",
        "scrollbar.background": "bg:default",
        "scrollbar.button": "bg:ansibrightblack",
    }
)


class Terminal:
    """A Screen with a prompt. It draws, and passes keys on."""

    def __init__(self, talk: Talk, home: Path) -> None:
        self._talk = talk
        self._files = home / "files"
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._words = Words()
        self._draft: str | None = None
        self._jobs: dict[int, Message] = {}
        self._trouble = ""
        self._hint = ""
        self._unhint: asyncio.TimerHandle | None = None
        self._typed: asyncio.Queue[str] = asyncio.Queue()
        self._doing: set[asyncio.Task[Any]] = set()
        self._session: PromptSession[str] = PromptSession(
            message=self._above,
            history=history_in(home),
            completer=self._words,
            complete_while_typing=Condition(lambda: self._session.default_buffer.text.startswith("/")),
            key_bindings=self._keys(),
            reserve_space_for_menu=6,
            erase_when_done=True,
            style=LOOKS,
        )

    async def run(self, persona: str, left: asyncio.Event) -> None:
        """Talk until somebody leaves."""
        self._greet(await self._talk.enter(persona))
        self._words.vocabulary = await Vocabulary.of(self._talk.client)
        prompt = asyncio.create_task(self._session.prompt_async(handle_sigint=False))
        leaving = asyncio.create_task(left.wait())
        parts = [
            asyncio.create_task(self._talk.listen(self)),
            asyncio.create_task(self._talk.speak(self)),
            asyncio.create_task(self._talk.look_ahead(self)),
            asyncio.create_task(self._pass_on()),
        ]
        try:
            await asyncio.wait([prompt, leaving, *parts], return_when=asyncio.FIRST_COMPLETED)
            with suppress(TimeoutError):
                if not any(part.done() for part in parts):
                    async with asyncio.timeout(LAST_WORDS_WITHIN):
                        await self._last_words()
        finally:
            # Not by `app.exit`, which fails where the prompt has not quite begun.
            prompt.cancel()
            await asyncio.gather(prompt, return_exceptions=True)
            for task in (leaving, *parts, *self._doing):
                task.cancel()
            ended = await asyncio.gather(*parts, return_exceptions=True)
        if self._jobs:
            self._print(
                drawing.quietly("What is still being drawn is shown when you come back.", self._width)
            )
        for text in self._talk.unsaid:
            self._print(drawing.quietly(f"Not heard any more: {text}", self._width))
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _last_words(self) -> None:
        """What was typed is heard, and what is being shown is confirmed."""
        await self._talk.heard()
        async with self._talk.taking:
            return

    # What the talk shows.

    async def show(self, message: Message) -> None:
        if message["kind"] == "reply":
            persona = self._talk.persona
            accent = drawing.accent_of(persona.palette)
            said = drawing.reply(persona.called, accent, message["text"], message["source"], self._width)
            self._put(said)
        elif message["text"]:
            self._put(drawing.notice(message["text"], self._width))
        for one in message["pictures"]:
            self._put(*await self._picture(one))
        if message["kind"] == "notice":
            self._do(self._learn())

    async def tell(self, text: str) -> None:
        self._put(drawing.notice(text, self._width))

    def draft(self, text: str | None) -> None:
        self._draft = text
        self._redraw()

    def job(self, job_id: int, message: Message | None) -> None:
        if message is None:
            self._jobs.pop(job_id, None)
        else:
            self._jobs[job_id] = message
        self._redraw()

    def line(self, *, open_: bool) -> None:
        self._trouble = (
            "" if open_ else "Greenroom has stopped. Waiting for it to come back; you can type on."
        )
        self._redraw()

    # What stands above the line one types in.

    def _above(self) -> StyleAndTextTuples:
        width = self._width
        shown: StyleAndTextTuples = []
        if self._draft is not None:
            shown += self._drafted(self._draft, width)
        for job_id, message in list(self._jobs.items())[:4]:
            step, steps = message.get("step", 0), message.get("steps", 0)
            shown += [
                ("class:quiet", f"{drawing.INDENT}#{job_id} "),
                ("class:bar", drawing.bar(step, steps)),
                ("class:quiet", f" {_how_far(message)}\n"),
            ]
        if self._trouble:
            shown.append(("class:hint", f"{drawing.INDENT}{drawing.fitting(self._trouble, width - 4)}\n"))
        if self._hint:
            shown.append(("class:hint", f"{drawing.INDENT}{drawing.fitting(self._hint, width - 4)}\n"))
        return [*shown, ("class:prompt", "› ")]

    def _drafted(self, text: str, width: int) -> StyleAndTextTuples:
        persona = self._talk.persona
        name = safe_line(persona.called)
        accent = f"bold fg:{drawing.accent_of(persona.palette)}"
        if not text:
            return [(accent, name), ("class:quiet", " is writing …\n\n")]
        # More than the window holds would push the line away; its end is what is being written.
        room = max(3, self._session.app.output.get_size().rows - 12)
        lines = drawing.wrapped(text, width)
        return [(accent, name), ("", "\n" + "\n".join(lines[-room:]) + "\n\n")]

    def _redraw(self) -> None:
        self._session.app.invalidate()

    # What is printed for good.

    def _greet(self, lines: list[Message]) -> None:
        persona = self._talk.persona
        accent = drawing.accent_of(persona.palette)
        self._print(Text())
        head = drawing.heading(persona.name, accent, safe_line(persona.occupation))
        self._print(head)
        self._print(
            Text("/help lists what one can say · Ctrl-C stops a reply · Ctrl-D leaves\n", drawing.QUIET)
        )
        for line in lines[-EARLIER:]:
            if line["by"] == "person":
                self._print(drawing.spoken(line["text"], self._width))
            else:
                self._print(drawing.reply(persona.called, accent, line["text"], line["source"], self._width))

    async def _picture(self, one: Message) -> list[Text]:
        drawn: list[Text] = []
        if self._console.color_system == "truecolor":
            with suppress(GreenroomError):
                png = await self._talk.client.picture(one["id"])
                small = await asyncio.to_thread(drawing.preview, png, self._width)
                drawn += [small] if small else []
        path = self._files / one["file"]
        return [*drawn, drawing.picture(one, path if path.is_file() else None, self._width)]

    def _put(self, *drawn: Text) -> None:
        """Print above the line. The keyboard is ours all the while: `run_in_terminal` would give it back for a
        moment, and a Ctrl-D of that moment be lost."""
        app = self._session.app
        if not app.is_running:
            self._print(*drawn)
            return
        app.renderer.erase()
        self._print(*drawn)
        app.renderer.reset()
        app.renderer.request_absolute_cursor_position()
        app.invalidate()

    def _print(self, *drawn: Text) -> None:
        for one in drawn:
            self._console.print(one)
        sys.stdout.flush()

    @property
    def _width(self) -> int:
        return self._console.width

    # What is typed.

    async def _pass_on(self) -> None:
        """What was typed becomes part of the talk on the screen, and then is said."""
        while True:
            text = await self._typed.get()
            self._put(drawing.spoken(text, self._width))
            self._talk.say(text)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("enter")
        def _enter(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if buffer.complete_state and buffer.complete_state.current_completion:
                buffer.complete_state = None
                return
            text = buffer.text.encode("utf-8", "replace").decode().strip()
            if text in ("/quit", "/exit"):
                event.app.exit()
            elif text:
                buffer.append_to_history()
                buffer.reset()
                self._typed.put_nowait(text)

        @keys.add("escape", "enter")
        def _new_line(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @keys.add("c-c")
        def _stop(event: KeyPressEvent) -> None:
            if self._talk.writing:
                self._do(self._stop())
            elif event.current_buffer.text:
                event.current_buffer.reset()
            else:
                self._give_hint("Ctrl-D leaves.")

        return keys

    async def _stop(self) -> None:
        begun = bool(self._draft)  # what was written may be delivered before we hear that it was stopped
        if not await self._talk.stop(self):
            self._give_hint("There is nothing to stop any more.")
        elif not (begun or self._draft):
            self.draft(None)
            self._give_hint("Stopped before the first word.")

    async def _learn(self) -> None:
        """A command may have changed who there is."""
        self._words.vocabulary = await Vocabulary.of(self._talk.client)

    def _give_hint(self, hint: str) -> None:
        if self._unhint:
            self._unhint.cancel()
        self._hint = hint
        self._unhint = asyncio.get_running_loop().call_later(HINT_SECONDS, self._take_hint_back)
        self._redraw()

    def _take_hint_back(self) -> None:
        self._hint = ""
        self._redraw()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)


def _how_far(message: Message) -> str:
    if message.get("steps"):
        return f"{message['step']}/{message['steps']}"
    if "is" in message:
        return "begun"
    return f"in line, {message['ahead']} before it" if message.get("ahead") else "in line"
