"""How grown-up it may be, for whoever asks: looked at each time, not only when a persona comes in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot import commands
from bot.front import OptionKind
from engine.engine import Engine
from engine.errors import Unsuitable
from engine.settings import Settings
from engine.store import people, personas
from engine.store.records import JobState
from engine.testing import FakeLanguage, FakeRenderer
from personas.persona import Rating
from tests.bot.commands.guest import (
    BEN,
    HALL,
    Guest,
    among_grown_ups,
    ana_of_age,
    everybody,
    orders_in,
    rate_hall,
)

LONG = " ".join(f"word{number}" for number in range(120))


@pytest.fixture
async def engine(settings: Settings, language: FakeLanguage, renderer: FakeRenderer) -> AsyncIterator[Engine]:
    async with among_grown_ups(settings, language, renderer) as opened:
        yield opened


@pytest.fixture
async def ana(engine: Engine) -> Guest:
    return await ana_of_age(engine)


@pytest.fixture
async def ben(engine: Engine, ana: Guest) -> Guest:
    """He is there too, and has not said that he is of age."""
    ben = Guest(engine, BEN, HALL, shared=True, in_charge=everybody)
    await ben.says("Hello")
    return ben


async def vesper_id(engine: Engine) -> int:
    async with engine.database.read() as tx:
        return (await personas.find(tx, "vesper")).id


@pytest.mark.parametrize("order", ["imagine a walk", "selfie", "imagine a walk --persona vesper"])
async def test_nobody_is_drawn_for_whom_they_are_too_grown_up(ana: Guest, ben: Guest, order: str) -> None:
    await ana.gets("/persona vesper")
    with pytest.raises(Unsuitable, match="Vesper Quill"):
        await ben.gets(f"/{order}")
    assert await ana.gets(f"/{order}")
    await rate_hall(ana.engine, Rating.ALL_AGES)
    with pytest.raises(Unsuitable, match="Vesper Quill"):
        await ana.gets(f"/{order}")


async def test_nobody_is_told_of_whom_they_are_too_grown_up(ana: Guest, ben: Guest) -> None:
    [shown] = await ana.gets("/persona show vesper")
    assert "Not for children." in shown.text
    with pytest.raises(Unsuitable, match="Vesper Quill"):
        await ben.gets("/persona show vesper")


async def test_in_the_list_only_a_name_stands_of_whom_is_too_grown_up(
    engine: Engine, ana: Guest, ben: Guest
) -> None:
    async with engine.database.write() as tx:
        for entry in await personas.listing(tx):
            if entry.name < "S":
                await personas.delete(tx, entry.id, now=engine.clock.now())  # so that everybody fits in
    number = await vesper_id(engine)
    [told] = await ana.gets("/persona")
    assert "· Vesper Quill (vesper), burlesque" in told.text.splitlines()
    assert number in told.manner.faces
    assert "persona use vesper" in orders_in(told)
    assert "/settings" not in told.text
    [told] = await ben.gets("/persona")
    assert "· Vesper Quill" in told.text.splitlines()
    assert number not in told.manner.faces
    assert "persona use vesper" not in orders_in(told)
    assert "/settings" in told.text
    [suggested] = await commands.suggestions(engine, OptionKind.PERSONA, "vesper", BEN)
    assert suggested.label == "Vesper Quill"


@pytest.mark.parametrize(
    "order",
    [
        "pose 1",
        "reroll 1",
        "retry 1",
        "reprompt 1",
        "reprompt 1 a cellar",
        f"reprompt 1 {LONG}",
        "showprompt 1",
    ],
)
async def test_no_button_is_a_way_around_a_rating(ana: Guest, ben: Guest, order: str) -> None:
    await ana.gets("/imagine a walk")
    await ana.ends(1)
    await rate_hall(ana.engine, Rating.ALL_AGES)
    for guest in (ana, ben):
        with pytest.raises(Unsuitable, match="too grown-up"):
            await guest.gets(f"/{order}")
        assert await commands.question_for(ana.engine, guest.incoming(f"/{order}")) is None
    [job] = await ana.jobs()
    assert (job.state, job.request.rating) == (JobState.FAILED, Rating.MATURE)
    await rate_hall(ana.engine, Rating.MATURE)
    with pytest.raises(Unsuitable, match="too grown-up"):
        await ben.gets(f"/{order}")
    assert await ana.gets(f"/{order}")
    assert {job.request.rating for job in await ana.jobs()} == {Rating.MATURE}


async def test_whoever_takes_their_word_back_sees_their_own_no_more(engine: Engine, ana: Guest) -> None:
    await ana.gets("/imagine a walk")
    await ana.ends(1)
    async with engine.database.write() as tx:
        await people.confirm_adult(tx, (await ana.person()).id, None)
    with pytest.raises(Unsuitable, match="too grown-up"):
        await ana.gets("/retry 1")
    assert (await ana.job(1)).state is JobState.FAILED
