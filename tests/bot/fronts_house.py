"""A house with both fronts in a process of its own, killed and started again; the platforms live in another one.

Reads a line of JSON for each life, forks, and writes down when it was born and how it ended. `town.py` is at the
other end of the line.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bot.discord.front import DiscordFront
from bot.front import Outgoing
from bot.fronts import configured_fronts
from bot.house import open_house, stopped_by_signals
from bot.logs import start_logging
from bot.telegram.front import TelegramFront
from engine.errors import ModelUnavailable
from engine.home import Home
from engine.language import LanguageModel, ReplyWanted, Wanted
from engine.language.local import Local
from engine.language.scribe import Scribe
from engine.language.shelf import plan_for
from engine.pictures import PictureWanted, Progress, Rendered, Renderer
from engine.settings import (
    DiscordSettings,
    LanguageSettings,
    LimitSettings,
    LogSettings,
    PeopleSettings,
    PictureSettings,
    Settings,
    TelegramSettings,
    WebSettings,
)
from engine.testing import FakeLanguage, FakeRenderer
from tests.bot.house_to_kill import POINTS, Countdown, never_give_up, wrap
from tests.lives import bear

#: What every reply ends with: one without it is half written.
END = "and that is all."
WORDS = 24
#: A real model writes so many replies at once, and each of so many tokens at most.
ROWS, REPLY_TOKENS = 16, 160
_TOKEN = re.compile(r"\bw\d+\b")
_LENGTH = re.compile(r"\bin (\d{1,4}) words\b")
FRONTS: dict[str, type[TelegramFront] | type[DiscordFront]] = {
    "telegram": TelegramFront,
    "discord": DiscordFront,
}


@dataclass(frozen=True)
class Life:
    """One life of the house: where it lives, whom it speaks to, how quick its parts are, and where it dies."""

    home: str
    telegram_api: str = ""
    telegram_tokens: tuple[str, ...] = ()
    discord_api: str = ""
    discord_tokens: tuple[str, ...] = ()
    hurry: float = 1.0
    #: Seconds for each word of a reply, and for each step of a picture.
    word: float = 0.0
    step: float = 0.0
    steps: int = 3
    side: int = 64
    #: A model that talks instead of the echo, and whether it does so in a process of its own.
    model: str = ""
    isolated: bool = False
    #: A folder of weights: pictures come from real diffusers on one thread; else they are plain colour.
    weights: str = ""
    #: No turn and no job is given up, however often its process ends.
    patient: bool = True
    operators: tuple[str, ...] = ()
    #: A name of `POINTS`, or a front and a kind of delivery: "telegram picture". It dies there for the nth time.
    point: str = ""
    when: str = "before"
    nth: int = 1

    @classmethod
    def of(cls, told: dict[str, Any]) -> Life:
        return cls(**{one.name: _tupled(told[one.name]) for one in fields(cls)})

    def written(self) -> str:
        return json.dumps(asdict(self))

    def settings(self) -> Settings:
        much = 1_000_000
        first, *more = (*self.telegram_tokens, "")
        one, *others = (*self.discord_tokens, "")
        return Settings.model_validate(
            {
                "home": Path(self.home),
                "pictures": PictureSettings(width=self.side, height=self.side, steps=self.steps),
                "web": WebSettings(port=0),
                "people": PeopleSettings(operators=self.operators),
                "limits": LimitSettings(
                    messages_per_minute=much,
                    place_messages_per_minute=much,
                    pictures_per_day=much,
                    pictures_waiting=much,
                ),
                "telegram": TelegramSettings.model_validate(
                    {"token": first, "more_tokens": [one for one in more if one], "api": self.telegram_api}
                ),
                "discord": DiscordSettings.model_validate(
                    {"token": one, "more_tokens": [one for one in others if one], "api": self.discord_api}
                ),
            }
        )


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Echo(FakeLanguage):
    """Names what it was told, so that everybody sees which answer belongs to which words. `in 90 words`: as long."""

    def __init__(self, pause: float = 0.0) -> None:
        super().__init__(pause=pause)

    def _text(self, wanted: Wanted) -> str:
        if not isinstance(wanted, ReplyWanted):
            return super()._text(wanted)
        said = wanted.lines[-1].text if wanted.lines else ""
        token = _TOKEN.search(said)
        long = _LENGTH.search(said)
        words = " ".join(["word"] * (int(long[1]) if long else WORDS))
        return f"I heard {token[0] if token else 'you'}, {words} {END}"

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        self.asked.clear()  # it lives for a long time, and nobody looks
        async for piece in super().write(wanted):
            yield piece


class Talker(Local):
    """A real model that only talks: what has a form is left to the next in line, so that pictures come at once."""

    def __init__(self, life: Life) -> None:
        settings = LanguageSettings(
            threads=1,
            context=4_096,
            rows=ROWS,
            reply_tokens=REPLY_TOKENS,
            isolate=life.isolated,
            patience=600.0,
        )
        plan = plan_for(settings, Path(life.model))
        scribe = Scribe("talker", lambda: plan.works(isolated=life.isolated), patience=600.0)
        super().__init__(scribe, settings, casting="", picture="")

    async def write(self, wanted: Wanted) -> AsyncGenerator[str, None]:
        if not isinstance(wanted, ReplyWanted):
            raise ModelUnavailable("it only talks")
        async with aclosing(super().write(wanted)) as pieces:
            async for piece in pieces:
                yield piece


class Unhurried(FakeRenderer):
    """Keeps no list of what it rendered: it lives for a long time, and nobody looks."""

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        self.rendered.clear()
        return super().render(wanted, progress)


def die_at(life: Life) -> None:
    """Put the end of this life where it was ordered."""
    reached = Countdown(life.nth)
    if life.point in POINTS:
        wrap(POINTS[life.point], life.when, reached)
    elif life.point:
        front, _, kind = life.point.partition(" ")
        die_delivering(FRONTS[front], kind, life.when, reached)


def die_delivering(
    front: type[TelegramFront] | type[DiscordFront], kind: str, when: str, reached: Callable[[], None]
) -> None:
    deliver = front.deliver

    async def wrapped(self: Any, outgoing: Outgoing) -> tuple[str, ...]:
        ours = outgoing.delivery.kind.value == kind
        if ours and when == "before":
            reached()
        messages = await deliver(self, outgoing)
        if ours and when == "after":
            reached()
        return messages

    setattr(front, "deliver", wrapped)  # noqa: B010 - a method of two classes, replaced for this process alone


def painter(weights: Path) -> Renderer:
    """Random weights make noise, and are not to be blamed for it."""
    from engine.pictures.sdxl.finding import look
    from engine.pictures.sdxl.renderer import Sdxl

    return Sdxl(look(weights), device="cpu", threads=1, least_likeness=-1)


def tell_tasks() -> None:
    """For whoever asks with SIGUSR1: what runs on this loop."""
    names = sorted(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())
    print(json.dumps({"tasks": names}), flush=True)


async def live(life: Life) -> None:
    die_at(life)
    if life.patient:
        never_give_up()
    settings = life.settings()
    start_logging(Home(settings.home).log, LogSettings(), console=False)
    fronts = configured_fronts(settings, hurry=life.hurry)
    renderer: Renderer = painter(Path(life.weights)) if life.weights else Unhurried(pause=life.step)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell_tasks)
    models: list[LanguageModel] = [Talker(life)] if life.model else [Echo(life.word)]
    async with open_house(settings, fronts, models=models, renderer=renderer) as house:
        with stopped_by_signals(house.stop):
            await house.stop.wait()


if __name__ == "__main__":
    print(json.dumps({"ready": os.getpid()}), flush=True)
    bear(lambda order: live(Life.of(order)))
