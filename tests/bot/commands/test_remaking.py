"""What can be done with a job that is there: by whoever asked, by others, and by those in charge."""

from __future__ import annotations

import asyncio

import pytest

from bot import commands
from engine.engine import Engine
from engine.errors import BadRequest, NotFound, OverLimit, Refused, Unsuitable
from engine.language import Source
from engine.settings import SafetySettings, Settings
from engine.store import chats, messages, pictures
from engine.store.records import DeliveryKind, JobState, Question
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from personas.persona import Rating
from tests.bot.commands.guest import ANA, BEN, HALL, Guest, everybody

LONG = " ".join(f"word{number}" for number in range(120))
CHANGING = ("cancel", "delete", "retry", "reprompt")


async def test_the_line_shows_one_s_own_pictures_in_order(ana: Guest, ben: Guest) -> None:
    assert await ana.does("/queue") == "Nothing of yours is in line."
    await ana.does("/imagine the roof")
    await ben.does("/imagine the cellar")
    await ana.does("/imagine " + "the attic " * 20)
    told = (await ana.does("/queue")).splitlines()
    assert [line.split(" ")[0] for line in told] == ["#1", "#3"]
    assert "is next" in told[0]
    assert "has 2 before it" in told[1]
    assert "…" in told[1]


async def test_among_others_the_line_shows_only_what_was_asked_for_there(
    ana: Guest, ana_in_hall: Guest
) -> None:
    await ana.gets("/imagine something private")
    await ana_in_hall.gets("/imagine the stairs")
    assert "private" not in await ana_in_hall.does("/queue")
    assert "the stairs" in await ana.does("/queue")


async def test_a_picture_can_be_taken_back_by_whoever_asked(
    engine: Engine, ana_in_hall: Guest, ben_in_hall: Guest, ana: Guest
) -> None:
    await ana_in_hall.gets("/imagine the roof")
    with pytest.raises(Refused, match="whoever asked"):
        await ben_in_hall.does("/cancel 1")
    [told] = await ana_in_hall.gets("/cancel #1")
    assert (told.text, told.job_id) == ("#1 is cancelled.", 1)
    assert (await ana.job(1)).state is JobState.CANCELLED
    assert await engine.imagining.ahead_of(1) is None
    with pytest.raises(BadRequest, match="ended already"):
        await ana_in_hall.does("/cancel 1")


async def test_one_s_own_can_be_taken_back_from_anywhere(ana: Guest, ana_in_hall: Guest) -> None:
    await ana_in_hall.gets("/imagine the roof")
    told, there = sorted(await ana.gets("/cancel 1"), key=lambda row: row.chat != ana.chat)
    assert (told.text, told.job_id, told.chat) == ("#1 is cancelled.", None, ana.chat)
    assert (there.text, there.job_id, there.chat) == ("#1 is cancelled.", 1, ana_in_hall.chat)
    assert there.kind is DeliveryKind.NOTICE, "the message in which it stands says so too"


@pytest.mark.parametrize("order", [*CHANGING, "reroll", "showprompt"])
async def test_a_job_of_another_chat_is_not_there(
    engine: Engine, ana: Guest, ben_in_hall: Guest, order: str
) -> None:
    await ana.gets("/imagine the roof")
    said = []
    for number in (1, 2):
        with pytest.raises(NotFound) as refused:
            await ben_in_hall.does(f"/{order} {number}")
        said.append(str(refused.value).replace(str(number), "N"))
    assert said == ["There is no job N."] * 2


@pytest.mark.parametrize("order", CHANGING)
async def test_only_the_asker_and_those_in_charge_change_anything(
    engine: Engine, ana_in_hall: Guest, ben_in_hall: Guest, order: str
) -> None:
    await ana_in_hall.gets("/imagine the roof")
    if order == "retry":
        await ana_in_hall.ends(1)
    with pytest.raises(Refused):
        await ben_in_hall.does(f"/{order} 1")
    assert await commands.question_for(engine, ben_in_hall.incoming(f"/{order} 1")) is None
    ben_in_hall.in_charge = everybody
    assert await ben_in_hall.does(f"/{order} 1")


@pytest.mark.parametrize("order", ["/cancel", "/cancel x", "/reroll", "/delete 1x", "/reprompt words"])
async def test_a_job_has_a_number(ana: Guest, order: str) -> None:
    with pytest.raises(BadRequest, match="Which job"):
        await ana.does(order)


async def test_a_reroll_is_the_same_with_another_seed_and_for_whoever_presses(
    ana_in_hall: Guest, ben_in_hall: Guest
) -> None:
    await ana_in_hall.gets("/imagine the roof --style noir --count 2 --seed 7")
    [told] = await ben_in_hall.gets("/reroll 1")
    first, again = await ana_in_hall.jobs()
    assert told.job_id == again.id
    assert again.request.seed != 7
    assert (again.request.prompt, again.request.style, again.request.count) == (
        first.request.prompt,
        "noir",
        2,
    )
    assert again.person_id == (await ben_in_hall.person()).id != first.person_id


async def test_what_was_made_from_a_picture_knows_it(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer
) -> None:
    async with Engine.open(settings, models=[language], renderer=renderer) as engine:
        ana = Guest(engine)
        await ana.gets("/imagine the roof")
        await ana.sees(1)
        await ana.gets("/reroll 1")
        async with engine.database.read() as tx:
            [made] = (await pictures.of_jobs(tx, [1]))[1]
        assert (await ana.job(2)).parent_picture_id == made.id


async def test_a_reroll_is_no_way_around_a_rating(settings: Settings, language: FakeLanguage) -> None:
    grown_up = settings.model_copy(update={"safety": SafetySettings(rating=Rating.ADULT)})
    async with Engine.open(grown_up, models=[language], clock=ManualClock()) as engine:
        ana, ben = Guest(engine, ANA, HALL, shared=True), Guest(engine, BEN, HALL, shared=True)
        await ana.says("Hello")
        await ana.is_of_age()
        async with engine.database.write() as tx:
            place = await chats.place(tx, HALL)
            assert place is not None
            await chats.set_rating(tx, place.id, Rating.ADULT)
        await ana.gets("/imagine the roof")
        with pytest.raises(Unsuitable, match="/settings"):
            await ben.does("/reroll 1")
        assert await ana.does("/reroll 1")


async def test_a_prompt_can_be_edited_in_a_form_or_in_words(engine: Engine, ana: Guest) -> None:
    await ana.gets("/imagine the roof")
    prompt = (await ana.job(1)).request.prompt
    question = Question("reprompt 1", prefill=prompt)
    asked = await commands.question_for(engine, ana.incoming("/reprompt 1"))
    assert asked is not None
    assert asked[1] == question
    [asks] = await ana.gets("/reprompt 1")
    assert asks.manner.question == question
    await ana.gets(f"{LONG} --seed 9")
    request = (await ana.job(2)).request
    assert request.prompt == f"{LONG} --seed 9", "what is in a prompt is no flag"
    assert (request.source, request.word_count) == (Source.PERSON, 122)


async def test_a_short_prompt_becomes_a_whole_one_and_a_long_one_stays(
    ana: Guest, language: FakeLanguage
) -> None:
    await ana.gets("/imagine the roof --style noir --seed 7 --negative hats")
    await ana.gets("/reprompt 1 a cellar")
    short = (await ana.job(2)).request
    assert (short.scene, short.style, short.seed, short.source) == ("a cellar", "noir", 7, Source.MODEL)
    assert 100 <= short.word_count <= 200
    assert "hats" in short.negative
    await ana.gets(f"/reprompt 1 {LONG} {LONG}")
    long = (await ana.job(3)).request
    assert (long.prompt, long.word_count) == (f"{LONG} {LONG}", 240)
    assert "kept as it was written" in await ana.does("/showprompt 3")


async def test_everybody_there_may_see_a_prompt_each_by_themselves(
    ana_in_hall: Guest, ben_in_hall: Guest
) -> None:
    await ana_in_hall.gets("/imagine the roof --seed 7 --style noir --negative hats")
    request = (await ana_in_hall.job(1)).request
    [shown] = await ben_in_hall.gets("/showprompt 1")
    for told in (request.prompt, "hats", "noir", "Seed: 7", f"{request.word_count} words", "language model"):
        assert told in shown.text
    assert shown.manner.quiet
    assert shown.manner.code == (request.prompt,)
    assert shown.job_id is None, "the job's own message stays as it is"


async def test_a_deleted_picture_is_nowhere_any_more(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer
) -> None:
    async with Engine.open(settings, models=[language], renderer=renderer) as engine:
        ana = Guest(engine)
        [told] = await ana.gets("/imagine the roof --count 2")
        async with engine.database.write() as tx:
            place = await chats.place(tx, ana.chat)
            assert place is not None
            await messages.shown(tx, place.id, told.id, ["m1", "m2"])
        files = await ana.sees(1)
        assert len(files) == 2
        removal, notice = [row for row in await ana.gets("/delete 1") if row.kind is not DeliveryKind.PICTURE]
        assert (removal.kind, removal.manner.removes) == (DeliveryKind.REMOVAL, ("m1", "m2"))
        assert notice.text == "#1 is deleted."
        for file in files:
            with pytest.raises(NotFound):
                await engine.files.get(file)
        async with engine.database.read() as tx:
            assert await pictures.of_jobs(tx, [1]) == {}


async def test_what_is_deleted_before_it_was_shown_is_owed_to_nobody(engine: Engine, ana: Guest) -> None:
    await ana.gets("/imagine the roof")
    await ana.sees(1)
    await ana.run(await ana.orders("/delete 1"))
    assert [row.text for row in await ana.owed()] == ["#1 is deleted."]


async def test_files_are_deleted_while_others_may_write(
    engine: Engine, ana: Guest, ben: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted = []

    async def slowly(key: str) -> None:
        deleted.append(key)
        await ben.says("Hello")  # it would wait for ever, were the transaction still open

    await ana.gets("/imagine the roof")
    files = await ana.sees(1)
    monkeypatch.setattr(engine.files, "delete", slowly)
    async with asyncio.timeout(20):
        await ana.gets("/delete 1")
    assert deleted == files


async def test_a_job_that_waits_is_deleted_with_its_place_in_line(engine: Engine, ana: Guest) -> None:
    await ana.gets("/imagine the roof")
    await ana.gets("/delete 1")
    assert (await ana.job(1)).state is JobState.CANCELLED
    assert await engine.imagining.ahead_of(1) is None


async def test_what_failed_is_tried_again_once_however_often_it_is_pressed(ana: Guest) -> None:
    await ana.gets("/imagine the roof")
    with pytest.raises(BadRequest, match="has not failed"):
        await ana.does("/retry 1")
    await ana.ends(1)
    [told] = await ana.gets("/retry 1")
    assert (told.job_id, (await ana.job(1)).state) == (1, JobState.QUEUED)
    with pytest.raises(BadRequest, match="has not failed"):
        await ana.does("/retry 1")


async def test_trying_again_is_no_way_around_a_quota(ana: Guest) -> None:
    for number in range(5):
        await ana.gets(f"/imagine roof {number} --count 4")
    await ana.gets("/cancel 1")
    await ana.gets("/imagine another roof --count 4")
    with pytest.raises(OverLimit, match="20 pictures waiting"):
        await ana.does("/retry 1")
    await ana.ends(2)
    assert (await ana.gets("/retry 2"))[0].job_id == 2
