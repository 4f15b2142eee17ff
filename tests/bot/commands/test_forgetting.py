"""/forget: nothing is left of somebody, in rows or files, and others keep what is theirs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine import forgetting
from engine.clock import SystemClock
from engine.engine import Engine
from engine.errors import BadRequest, OverLimit
from engine.pictures import PictureWanted, Progress, Rendered
from engine.settings import SafetySettings, Settings, StoreSettings
from engine.store import chats, jobs, messages, outbox, people, personas
from engine.store import forgetting as store
from engine.store.records import Account, ChatRef, DeliveryKind, TurnState
from engine.store.tables import metadata, persona_revisions, turns
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from personas.persona import Persona, Rating
from tests.bot.commands.guest import BEN, HALL, Guest, orders_in

ANA = Account("stage", "id-4711-of-ana", "Anastasia Pomegranate")
#: As on most platforms, a private chat goes by the id of whoever it is with.
HOME = ChatRef("stage", "one", "id-4711-of-ana")
#: A topic of the same chat.
TOPIC = ChatRef("stage", "one", "id-4711-of-ana", "topic")
#: All that could tell that she was here.
TRACES = ("4711", "Anastasia", "Pomegranate", "marzipan", "trombone")


@pytest.fixture
def settings(settings: Settings, database_url: str) -> Settings:
    """On each kind of database; grown-ups may say that they are."""
    return settings.model_copy(
        update={
            "store": StoreSettings(database=SecretStr(database_url)),
            "safety": SafetySettings(rating=Rating.MATURE),
        }
    )


async def rows(engine: Engine) -> str:
    """All rows of all tables."""
    async with engine.database.read() as tx:
        lines = [
            f"{table.name}: {tuple(row)}"
            for table in metadata.sorted_tables
            for row in await tx.execute(select(table))
        ]
    return "\n".join(lines)


def every_byte(folder: Path) -> bytes:
    """The names of all files, and what is in them."""
    names = [str(path.relative_to(folder)).encode() for path in folder.rglob("*")]
    return b"".join(names + [path.read_bytes() for path in folder.rglob("*") if path.is_file()])


async def traces(engine: Engine, folder: Path) -> list[str]:
    """Which of her traces are found in any row, in the bytes of any file, or in a file's name."""
    told = (await rows(engine)).encode()
    told += await asyncio.to_thread(every_byte, folder)
    return [trace for trace in TRACES if trace.encode() in told]


async def swept(engine: Engine) -> float | None:
    """A first sweep, as at a start."""
    return await forgetting.Sweep(engine.database, engine.files, engine.queue, engine.clock).make()


async def in_hall(engine: Engine) -> list[str]:
    async with engine.database.read() as tx:
        place = await chats.place(tx, HALL)
        assert place is not None
        return [line.text for line in (await chats.talk(tx, place.id)).lines]


async def live(engine: Engine, language: FakeLanguage) -> tuple[Guest, Guest]:
    """Ana talks by herself and among others, and Ben talks among them too."""
    ana, topic = Guest(engine, ANA, HOME), Guest(engine, ANA, TOPIC)
    hall, ben = Guest(engine, ANA, HALL, shared=True), Guest(engine, BEN, HALL, shared=True)
    language.reply = "Quite so."
    await ben.says("Is this the stair?")
    async with engine.database.write() as tx:
        ada = Persona(slug="ada", name="Ada Quill", greetings=("Come in, {{user}}.",))
        await personas.take_in(tx, ada, origin="made", now=engine.clock.now())
    [welcome] = await hall.gets("/persona invite ada")
    assert welcome.text == "Come in, Anastasia Pomegranate."
    language.reply = "Marzipan, Anastasia? I love marzipan."
    for guest in (ana, topic, hall):
        await guest.says("Do you like marzipan?")
    language.reply = "It is, Ben."
    await ben.says("And this the lamp?")
    await ana.gets("/settings language de")
    await ana.gets("/settings adult confirm")
    await ana.gets("/persona glenys")
    await ana.gets("/imagine a trombone")
    await hall.gets("/imagine another trombone")
    await ben.gets("/imagine a lamp")
    await ben.gets("/reroll 2")
    for job_id in (1, 2, 3, 4):
        await ana.sees(job_id)
    await ana.gets("/queue")
    await ana.gets("/imagine --style noir")  # asks, and is not answered
    await ana.owed()
    async with engine.database.write() as tx:
        place = await chats.place(tx, HOME)
        person = await people.known(tx, ANA)
        assert place is not None
        assert person is not None
        noted = persona_revisions.update().where(persona_revisions.c.id == 1)
        await tx.execute(noted.values(note=f"hair, by person {person.id}"))
        about = messages.About(turn_id=1, job_id=None)
        now = engine.clock.now()
        await messages.react(tx, place.id, "m1", person.id, "🎺", added=True, what=about, now=now)
    return ana, ben


async def test_it_is_asked_first_and_says_what_there_is(engine: Engine, language: FakeLanguage) -> None:
    ana, _ben = await live(engine, language)
    await ana.gets("/settings language en")
    [asks] = await ana.gets("/forget")
    assert "3 messages and 2 pictures" in asks.text
    assert orders_in(asks) == ["forget yes"]
    assert asks.manner.quiet
    with pytest.raises(BadRequest, match="/forget yes"):
        await ana.does("/forget everything")
    assert len(await ana.jobs()) == 4, "nothing has happened yet"


async def test_nothing_is_left_of_somebody_who_is_forgotten(
    engine: Engine, language: FakeLanguage, tmp_path: Path
) -> None:
    ana, _ben = await live(engine, language)
    assert await traces(engine, tmp_path) == list(TRACES)
    [told] = await ana.gets("/forget yes")
    assert told.text.startswith("Alles ist gelöscht.")
    assert told.answers_id is not None, "the platform still learns what is answered"
    told_rows = await rows(engine)
    assert [trace for trace in TRACES if trace in told_rows] == ["4711"], "where she is to be told"
    assert [key async for key in engine.files.keys("pictures") if "/1-" in key or "/2-" in key] == []
    await swept(engine)
    assert await traces(engine, tmp_path) == []
    async with engine.database.read() as tx:
        assert await people.known(tx, ANA) is None
        assert await chats.place(tx, HOME) is None
        assert await chats.place(tx, TOPIC) is None


async def test_others_keep_what_is_theirs(engine: Engine, language: FakeLanguage) -> None:
    ana, ben = await live(engine, language)
    await ana.gets("/forget yes")
    await swept(engine)
    assert await in_hall(engine) == ["Is this the stair?", "Quite so.", "And this the lamp?", "It is, Ben."]
    [job] = await ben.jobs()
    assert job.request.scene == "a lamp"
    assert [key async for key in engine.files.keys("pictures")] == await ben.files_of(job.id)
    async with engine.database.read() as tx:
        assert len(await personas.listing(tx)) == 11


async def test_where_she_spoke_last_the_talk_goes_on_before_her(
    engine: Engine, language: FakeLanguage
) -> None:
    ben, hall = Guest(engine, BEN, HALL, shared=True), Guest(engine, ANA, HALL, shared=True)
    await ben.says("First")
    await hall.says("Second")
    await hall.says("Third")
    await hall.gets("/forget yes")
    assert await in_hall(engine) == ["First", "Quite so."]
    await ben.says("Fourth")
    assert await in_hall(engine) == ["First", "Quite so.", "Fourth", "Quite so."]


async def test_whoever_writes_again_is_somebody_new(engine: Engine, language: FakeLanguage) -> None:
    ana, _ben = await live(engine, language)
    before = await ana.person()
    await ana.gets("/forget yes")
    await ana.says("Have we met?")
    await swept(engine)
    after = await ana.person()
    assert after.id != before.id
    assert (after.language, after.adult_confirmed_at) == ("", None)
    async with engine.database.read() as tx:
        place = await chats.place(tx, HOME)
        assert place is not None
        assert place.settings == {}
        first, _answer = (await chats.talk(tx, place.id)).lines
        assert first.text == "Have we met?"


async def test_a_crash_before_the_end_leaves_everything_to_be_done_again(
    engine: Engine, language: FakeLanguage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object, **_more: object) -> int:
        raise RuntimeError("the plug was pulled")

    ana, _ben = await live(engine, language)
    said = await ana.orders("/forget yes")
    kept = await rows(engine)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "owe", broken)
        with pytest.raises(RuntimeError):
            await ana.run(said)
    assert await rows(engine) == kept
    assert await ana.state(said) is TurnState.RECEIVED
    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "remove_files", broken)
        with pytest.raises(RuntimeError):
            await ana.run(said)
    assert await ana.state(said) is TurnState.ANSWERED
    await ana.run(said)
    assert len(await ana.owed()) == 1, "told once"
    await swept(engine)
    assert await traces(engine, tmp_path) == []


class Endless(FakeRenderer):
    """Goes on until it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.at_it = threading.Event()
        self.stopped = threading.Event()

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        try:
            while True:
                progress(1, 3)
                self.at_it.set()
                self.stopped.wait(0.01)
        finally:
            self.stopped.set()


async def test_a_picture_in_the_making_is_stopped_and_leaves_nothing(
    settings: Settings, language: FakeLanguage
) -> None:
    renderer = Endless()
    async with Engine.open(settings, models=[language], renderer=renderer, clock=SystemClock()) as engine:
        ana = Guest(engine, ANA, HOME)
        await ana.gets("/imagine a trombone")
        working = asyncio.create_task(engine.worker.run(1))
        await asyncio.to_thread(renderer.at_it.wait, 30)
        await ana.gets("/forget yes")
        assert renderer.stopped.is_set()
        working.cancel()
        await asyncio.wait([working])
        async with engine.database.read() as tx:
            assert await jobs.listing(tx) == []
        assert [key async for key in engine.files.keys("pictures")] == []


async def test_a_house_where_nobody_was_forgotten_has_nothing_to_finish(engine: Engine) -> None:
    await Guest(engine, BEN, HALL, shared=True).says("Hello")
    await swept(engine)
    async with engine.database.read() as tx:
        assert (await tx.execute(select(func.count()).select_from(turns))).scalar_one() == 2


async def test_the_file_is_scrubbed_at_most_once_in_ten_minutes_and_never_in_the_command(
    settings: Settings, language: FakeLanguage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scrubbed = []
    scrub = store.scrub

    async def counted(tx: AsyncConnection) -> None:
        scrubbed.append(tx)
        await scrub(tx)

    monkeypatch.setattr(store, "scrub", counted)
    here = settings.model_copy(update={"store": StoreSettings()})
    clock = ManualClock()
    async with Engine.open(here, models=[language], clock=clock) as engine:
        sweep = forgetting.Sweep(engine.database, engine.files, engine.queue, clock)
        assert await sweep.make() is None
        assert scrubbed == [], "nobody was forgotten"
        ana = Guest(engine, ANA, HOME)
        for _ in range(2):
            await ana.gets("/forget yes")
        assert scrubbed == []
        assert await sweep.make() is None
        assert len(scrubbed) == 1
        await clock.advance(60)
        await ana.gets("/forget yes")
        assert await sweep.make() == 540, "and says when"
        assert len(scrubbed) == 1
        async with engine.database.read() as tx:
            assert await chats.place(tx, HOME) is None, "the rows are gone, whatever the file still holds"
        assert await swept(engine) is None
        assert len(scrubbed) == 2, "what was left to do is known at the next start"
        await clock.advance(540)
        assert await sweep.make() is None
        assert len(scrubbed) == 2


async def test_the_message_of_a_job_that_was_to_come_goes_wherever_it_is(engine: Engine) -> None:
    home, topic = Guest(engine, ANA, HOME), Guest(engine, ANA, TOPIC)
    hall = Guest(engine, ANA, HALL, shared=True)
    for number, guest in enumerate((home, topic, hall), 1):
        [card] = await guest.gets(f"/imagine a trombone {number}")
        async with engine.database.write() as tx:
            place = await chats.place(tx, guest.chat)
            assert place is not None
            await messages.shown(tx, place.id, card.id, [f"m{number}"])
    owed = await home.gets("/forget yes")
    gone = {(row.chat, *row.manner.removes) for row in owed if row.kind is DeliveryKind.REMOVAL}
    # A topic goes with all that is owed to it; the platform finds its messages from here too.
    assert gone == {(HOME, "m1"), (HOME, "m2"), (HALL, "m3")}


class TestOnePictureADay:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        limits = settings.limits.model_copy(update={"pictures_per_day": 1})
        return settings.model_copy(update={"limits": limits})

    @pytest.mark.parametrize("made", [True, False])
    async def test_to_be_forgotten_is_no_way_to_more_of_them(self, engine: Engine, made: bool) -> None:
        clock = engine.clock
        assert isinstance(clock, ManualClock)
        ana, ben = Guest(engine, ANA, HOME), Guest(engine, BEN, HALL, shared=True)
        await ana.gets("/imagine a trombone")
        if made:
            await ana.sees(1)
        await clock.advance(3_600)
        for _ in range(2):
            await ana.gets("/forget yes")
            with pytest.raises(OverLimit, match="in 23 hours"):
                await ana.gets("/imagine a trombone")
        assert await ben.gets("/imagine a lamp")
        await clock.advance(23 * 3_600 + 1)
        assert await ana.gets("/imagine a trombone")
