"""Each command once, for every front. A command is stored like words are, and answered exactly once.

What a command changes and the notice that says so are one transaction with the mark that it was answered: after
a crash it either happened or it is done again from the start.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from engine import safety
from engine.engine import Engine
from engine.errors import BadRequest, NotFound
from engine.imagining import Wish
from engine.language import Source
from engine.store import chats, jobs, outbox, personas
from engine.store.chats import Said
from engine.store.records import DeliveryKind, Job, JobState, Place
from personas.appearance import Ledger

_COMMAND = re.compile(r"/([a-zA-Z]{1,32})(?:@\w{1,64})?(?:\s+(.*))?\Z", re.DOTALL)
_FLAG = re.compile(r"(?:^|(?<=\s))(?:--|—)([a-z]+)(?:=|\s+|$)(\"[^\"]*\"|[^\s]*)", re.IGNORECASE)
_SIZE = re.compile(r"(\d{2,5})(?:[x×*](\d{2,5}))?")


def is_command(text: str) -> bool:
    """A slash and a word; anything else is talk, also `/` alone and paths such as /etc/hosts."""
    return _COMMAND.match(text.strip()) is not None


class AlreadyAnsweredError(Exception):
    """The command had happened before: a crash came between its end and anybody's knowing."""


@dataclass
class Answer:
    """What the person is told. `tx` is the transaction that a command's changes go into."""

    tx: AsyncConnection
    text: str = ""
    job_id: int | None = None
    source: Source | None = None


@dataclass(frozen=True)
class Call:
    """One command in the making: who asked, where, with which words."""

    engine: Engine
    said: Said
    words: str

    @property
    def place(self) -> Place:
        return self.said.place

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[Answer]:
        """The transaction in which the command happens, together with what is told of it."""
        now = self.engine.clock.now()
        async with self.engine.database.write() as tx:
            if not await chats.close_turn(tx, self.said.turn):
                raise AlreadyAnsweredError
            answer = Answer(tx)
            yield answer
            if answer.text:
                await outbox.owe(
                    tx,
                    self.place.id,
                    DeliveryKind.NOTICE,
                    text=answer.text,
                    job_id=answer.job_id,
                    source=answer.source,
                    now=now,
                )
        self.engine.events.publish("notice.stored", chat=self.place.ref)


@dataclass(frozen=True)
class Command:
    name: str
    usage: str
    says: str
    run: Callable[[Call], Awaitable[None]]


async def run(engine: Engine, said: Said) -> None:
    """Do what a stored command asks for."""
    matched = _COMMAND.match(said.turn.text.strip())
    if matched is None:
        raise BadRequest("That is not a command. /help lists them.")
    command = COMMANDS.get(matched[1].lower())
    if command is None:
        raise BadRequest(f"There is no /{matched[1]} here. /help lists what there is.")
    try:
        await command.run(Call(engine, said, (matched[2] or "").strip()))
    except AlreadyAnsweredError:
        return


def wish_of(words: str) -> Wish:
    """`a red coat --style noir --seed 7 --count 2 --size 832x1216 --negative "hats"` as a wish."""
    told: dict[str, str] = {}
    for flag in _FLAG.finditer(words):
        told[flag[1].lower()] = flag[2].strip('"')
    unknown = told.keys() - {"style", "seed", "count", "size", "negative", "no"}
    if unknown:
        raise BadRequest(
            f"--{min(unknown)} is not an option of /imagine. There are --style, --seed, --count, --size, --negative."
        )
    count = _whole(told, "count")
    width, height = size_of(told["size"]) if "size" in told else (None, None)
    return Wish(
        scene=_FLAG.sub(" ", words).strip(),
        style=told.get("style"),
        seed=_whole(told, "seed"),
        count=1 if count is None else count,
        width=width,
        height=height,
        negative=told.get("negative", told.get("no", "")),
    )


def size_of(text: str) -> tuple[int, int]:
    """`1024` is a square, `832x1216` is not."""
    sides = _SIZE.fullmatch(text.strip().lower())
    if sides is None:
        raise BadRequest(f"“{text[:20]}” is not a size. Write it as 1024 or 832x1216.")
    return int(sides[1]), int(sides[2] or sides[1])


def _whole(told: dict[str, str], flag: str) -> int | None:
    if flag not in told:
        return None
    try:
        return int(told[flag])
    except ValueError:
        raise BadRequest(f"--{flag} wants a whole number, not “{told[flag][:20]}”.") from None


async def _imagine(call: Call) -> None:
    if not call.words:
        raise BadRequest(
            "What should the picture show? For example: /imagine on the roof at dusk --style film"
        )
    wish = wish_of(call.words)
    async with call.engine.database.write() as tx:
        record = await call.engine.presence.who(tx, call.place)
    request = await call.engine.imagining.compose(
        record,
        wish,
        rating=safety.allowed_rating(
            operator=call.engine.settings.safety.rating,
            place=call.place.rating,
            confirmed_adult=call.said.person.adult_confirmed_at is not None,
        ),
        ledger=Ledger(**call.place.ledger),
    )
    async with call.answering() as answer:
        accepted = await call.engine.imagining.put_in_line(
            answer.tx,
            request,
            persona_id=record.id,
            person=call.said.person,
            chat_id=call.place.id,
            turn_id=call.said.turn.id,
            dedup_key=f"turn:{call.said.turn.id}",
        )
        what = "a picture" if request.count == 1 else f"{request.count} pictures"
        answer.text = (
            f"#{accepted.job.id} is in line: {what} of {record.persona.called}, style {request.style}."
        )
        answer.job_id = accepted.job.id
        answer.source = request.source
    call.engine.imagining.nudge()


async def _persona(call: Call) -> None:
    if not call.words or call.words.lower() == "list":
        async with call.answering() as answer:
            cast = await personas.listing(answer.tx)
            here = await call.engine.presence.who(answer.tx, call.place)
            lines = [
                f"{'→' if entry.id == here.id else '·'} {entry.name} ({entry.slug})"
                + (f", {entry.kind}" if entry.kind else "")
                for entry in cast
            ]
            answer.text = "\n".join([*lines, "", "/persona NAME brings one of them here."])
        return
    async with call.answering() as answer:
        record = await personas.find(answer.tx, call.words.removeprefix("use "))
        if not await call.engine.presence.bring(answer.tx, call.place, record, call.said.person):
            answer.text = f"{record.persona.name} is back, where you left off."


async def _reset(call: Call) -> None:
    async with call.answering() as answer:
        await call.engine.presence.start_over(answer.tx, call.place, call.said.person)


async def _queue(call: Call) -> None:
    async with call.engine.database.read() as tx:
        waiting = await jobs.listing(
            tx, states=(JobState.QUEUED, JobState.RUNNING), person_id=call.said.person.id, limit=10
        )
    lines = [await _told_job(call.engine, job) for job in reversed(waiting)]
    async with call.answering() as answer:
        answer.text = "\n".join(lines) or "Nothing of yours is in line."


async def _told_job(engine: Engine, job: Job) -> str:
    ahead = await engine.imagining.ahead_of(job.id)
    where = "is being made" if ahead is None else "is next" if ahead == 0 else f"has {ahead} before it"
    scene = job.request.scene if len(job.request.scene) <= 50 else job.request.scene[:49] + "…"
    return f"#{job.id} “{scene}” {where}."


async def _cancel(call: Call) -> None:
    if not re.fullmatch(r"#?\d{1,9}", call.words):
        raise BadRequest("Which job? For example: /cancel 12. /queue shows yours.")
    job_id = int(call.words.lstrip("#"))
    async with call.engine.database.read() as tx:
        job = await jobs.get(tx, job_id)
    if job.person_id != call.said.person.id:
        # The same words as for a job that is not there: numbers of others tell nothing.
        raise NotFound(f"There is no job {job_id}.")
    await call.engine.imagining.cancel(job_id)
    async with call.answering() as answer:
        answer.text = f"#{job_id} is cancelled."


async def _help(call: Call) -> None:
    async with call.answering() as answer:
        answer.text = "\n".join(f"{command.usage}: {command.says}" for command in COMMANDS.values())


COMMANDS = {
    command.name: command
    for command in (
        Command(
            "imagine",
            "/imagine SCENE [--style S] [--seed N] [--count 1-4] [--size WxH] [--negative WORDS]",
            "a picture of whoever is here",
            _imagine,
        ),
        Command("persona", "/persona [NAME]", "who there is; bring somebody else", _persona),
        Command("reset", "/reset", "begin the talk again", _reset),
        Command("queue", "/queue", "your pictures that are still to come", _queue),
        Command("cancel", "/cancel NUMBER", "take one of them back", _cancel),
        Command("help", "/help", "this list", _help),
    )
}
