"""From a picture that hangs to another one: larger, alike, in another pose, the same but for a few words; by whom,
and what the new job says of where it came from.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from bot import commands
from engine.engine import Engine
from engine.errors import BadRequest, NotFound, Refused, Unsuitable
from engine.language import PROMPT_WORDS, Source
from engine.remaking import LARGER, SAME_BUT, VARIED
from engine.settings import SafetySettings, Settings
from engine.store import chats, jobs, personas, pictures
from engine.store.records import Job, JobState, Picture, Question
from engine.store.tables import jobs as job_rows
from engine.store.tables import pictures as rows
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from personas.persona import Rating
from tests.bot.commands.guest import ANA, BEN, HALL, Guest, everybody, prompts_wanted

LONG = " ".join(f"word{number}" for number in range(120))
BUTTONS = ("upscale 1 1", "vary 1 1", "pose 1", "same 1", "same 1 but at night")


class Remembering(FakeRenderer):
    """One that knows what it was asked for also when its worker has gone home."""

    def close(self) -> None:
        pass


@pytest.fixture
def renderer() -> FakeRenderer:
    return Remembering()


@pytest.fixture
async def engine(settings: Settings, language: FakeLanguage, renderer: FakeRenderer) -> AsyncIterator[Engine]:
    rated = settings.model_copy(
        update={"safety": SafetySettings(rating=Rating.ADULT, blocked_words=("gherkin",))}
    )
    async with Engine.open(rated, models=[language], renderer=renderer, clock=ManualClock()) as opened:
        yield opened


async def made(guest: Guest, job_id: int) -> list[Picture]:
    async with guest.engine.database.read() as tx:
        return (await pictures.of_jobs(tx, [job_id])).get(job_id, [])


async def newest(guest: Guest) -> Job:
    return (await guest.jobs())[-1]


async def is_really(guest: Guest, width: int, height: int) -> None:
    """All pictures have these sides from now on, as if they had been made so."""
    async with guest.engine.database.write() as tx:
        await tx.execute(update(rows).values(width=width, height=height))


# Larger


async def test_a_picture_is_made_again_with_twice_its_sides(ana: Guest, renderer: FakeRenderer) -> None:
    await ana.gets(
        "/imagine the roof --style noir --seed 7 --count 3 --size 96x128 --quality high --scheduler lcm"
    )
    await ana.sees(1)
    second = (await made(ana, 1))[1]
    [told] = await ana.gets("/upscale 1 2")
    job = await newest(ana)
    assert told.job_id == job.id
    assert job.parent_picture_id == second.id
    request, asked = job.request, (await ana.job(1)).request
    assert (request.width, request.height, request.strength, request.seed, request.count) == (
        192,
        256,
        LARGER,
        8,
        1,
    )
    assert not request.hires, "it begins from a picture that is composed already"
    assert (request.prompt, request.negative, request.scheduler, request.steps) == (
        asked.prompt,
        asked.negative,
        "lcm",
        asked.steps,
    )
    await ana.sees(job.id)
    last = renderer.rendered[-1]
    assert last.start is not None
    assert (last.start.size, last.strength, last.seed) == ((96, 128), LARGER, 8)
    [larger] = await made(ana, job.id)
    assert (larger.parent_id, larger.width, larger.height) == (second.id, 192, 256)


@pytest.mark.parametrize(
    ("sides", "larger"),
    [
        ((1024, 1024), (2048, 2048)),
        ((1216, 832), (2048, 1400)),
        ((64, 2000), None),
        ((2048, 512), None),
        ((1368, 768), (2048, 1152)),
    ],
)
async def test_nothing_grows_beyond_what_a_picture_can_be(
    ana: Guest, sides: tuple[int, int], larger: tuple[int, int] | None
) -> None:
    await ana.gets("/imagine the roof")
    await ana.sees(1)
    await is_really(ana, *sides)
    if larger is None:
        with pytest.raises(BadRequest, match="pixels already"):
            await ana.does("/upscale 1 1")
        assert len(await ana.jobs()) == 1
        return
    await ana.gets("/upscale 1")
    request = (await newest(ana)).request
    assert (request.width, request.height) == larger


async def test_instead_of_a_stand_in_the_real_picture_is_tried_at_that_size(ana: Guest) -> None:
    await ana.gets("/imagine the roof")
    await ana.sees(1)
    async with ana.engine.database.write() as tx:
        await tx.execute(update(rows).values(stand_in=True))
    await ana.gets("/upscale 1")
    job = await newest(ana)
    assert (job.request.strength, job.request.hires, job.request.width) == (None, True, 128)
    assert job.parent_picture_id == (await made(ana, 1))[0].id
    await is_really(ana, 2048, 2048)
    with pytest.raises(BadRequest, match="pixels already"):
        await ana.does("/upscale 1")


@pytest.mark.parametrize("order", ["upscale 1 1", "vary 1 1", "same 1", "same 1 but at night"])
async def test_where_there_is_no_picture_nothing_begins(ana: Guest, order: str) -> None:
    await ana.gets("/imagine the roof")
    with pytest.raises(NotFound, match="#1 has no picture"):
        await ana.does(f"/{order}")
    await ana.sees(1)
    await ana.gets("/delete 1")
    with pytest.raises(NotFound, match="#1 has no picture"):
        await ana.does(f"/{order}")
    assert len(await ana.jobs()) == 1


@pytest.mark.parametrize("number", ["", "0", "3", "-1", "x", "1 2", "9" * 400])
@pytest.mark.parametrize("order", ["upscale", "vary"])
async def test_of_several_pictures_it_has_to_be_one(ana: Guest, order: str, number: str) -> None:
    await ana.gets("/imagine the roof --count 2")
    await ana.sees(1)
    with pytest.raises(NotFound, match="There are: 1 and 2"):
        await ana.does(f"/{order} 1 {number}")


async def test_a_picture_that_goes_meanwhile_is_missed_before_anything_is_promised(
    ana: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ana.gets("/imagine the roof")
    await ana.sees(1)
    found = await made(ana, 1)
    await ana.gets("/delete 1")

    async def as_before(_tx: object, job_ids: list[int]) -> dict[int, list[Picture]]:
        return {1: found}

    monkeypatch.setattr("bot.commands.varying.pictures.of_jobs", as_before)
    with pytest.raises(NotFound, match="no longer there"):
        await ana.does("/vary 1 1")
    assert len(await ana.jobs()) == 1


# Alike


async def test_a_picture_that_is_alike_begins_from_it_with_another_seed(ana: Guest) -> None:
    await ana.gets("/imagine the roof --seed 7 --count 4")
    await ana.sees(1)
    await ana.gets("/vary 1 4")
    job = await newest(ana)
    assert job.parent_picture_id == (await made(ana, 1))[3].id
    request = job.request
    assert (request.strength, request.count, request.width) == (VARIED, 1, 64)
    assert request.seed not in range(7, 11)
    assert request.prompt == (await ana.job(1)).request.prompt


async def test_another_one_of_what_began_from_a_picture_begins_from_that_again(ana: Guest) -> None:
    await ana.gets("/imagine the roof")
    await ana.sees(1)
    await ana.gets("/vary 1")
    await ana.sees(2)
    [first], varied = await made(ana, 1), await ana.job(2)
    await ana.gets("/reroll 2")
    again = await newest(ana)
    assert (again.parent_picture_id, again.request.strength) == (first.id, VARIED)
    assert again.request.seed != varied.request.seed
    await ana.gets("/delete 1")
    with pytest.raises(NotFound, match="no longer there"):
        await ana.does("/reroll 2")


async def test_a_new_prompt_for_an_enlargement_begins_from_noise_in_two_passes(ana: Guest) -> None:
    await ana.gets("/imagine the roof --steps 9 --guidance 4 --scheduler ddim")
    await ana.sees(1)
    await ana.gets("/upscale 1")
    await ana.sees(2)
    for words in ("a cellar", LONG):
        await ana.gets(f"/reprompt 2 {words}")
        request = (await newest(ana)).request
        assert (request.strength, request.hires, request.width) == (None, True, 128)
        assert (request.steps, request.guidance, request.scheduler) == (9, 4, "ddim")
    await ana.gets("/reprompt 1 a cellar")
    assert not (await newest(ana)).request.hires


# In another pose


async def test_another_pose_changes_nothing_else(ana: Guest, language: FakeLanguage) -> None:
    await ana.gets("/persona glenys")
    await ana.gets("/imagine the hall --style noir --seed 7 --count 2 --size 640x480 --negative hats")
    await ana.sees(1)
    for number in range(1, 5):
        await ana.gets(f"/pose {number}")
    poses, asked = [], (await ana.job(1)).request
    for job, wanted in zip(await ana.jobs(), prompts_wanted(language), strict=True):
        request = job.request
        assert (request.scene, request.seed, request.count, request.width) == ("the hall", 7, 2, 640)
        assert (request.style, request.negative, request.strength) == ("noir", asked.negative, None)
        assert wanted.scene.clothes == prompts_wanted(language)[0].scene.clothes
        assert request.word_count in PROMPT_WORDS
        poses.append(request.ledger["pose"])
        assert wanted.scene.request == ", ".join(filter(None, (poses[-1], "the hall")))
        assert " ".join(poses[-1].split()[:4]) in request.prompt
    assert poses[0] == ""
    assert all(one and one != other for one, other in zip(poses[1:], poses, strict=False))


async def test_another_pose_keeps_the_place_and_the_clothes_of_the_moment(
    ana: Guest, language: FakeLanguage
) -> None:
    await ana.gets("/persona glenys")
    await ana.gets("/selfie --seed 3 --outfit loft-coat")
    await ana.gets("/pose 1")
    selfie, posed = prompts_wanted(language)
    assert selfie.scene.place == posed.scene.place != ""
    assert selfie.scene.clothes == posed.scene.clothes
    assert "warehouse coat" in posed.scene.clothes


async def test_a_prompt_by_hand_keeps_its_words_and_takes_the_pose_in_front(ana: Guest) -> None:
    await ana.gets("/imagine the roof")
    await ana.gets(f"/reprompt 1 {LONG}")
    await ana.gets("/pose 2")
    await ana.gets("/pose 3")
    for request in (job.request for job in (await ana.jobs())[2:]):
        assert request.prompt == f"{request.ledger['pose']}, {LONG}"
        assert (request.source, request.word_count) == (Source.PERSON, len(request.prompt.split()))


# The same, but


async def test_the_same_but_for_a_few_words(ana: Guest, language: FakeLanguage) -> None:
    await ana.gets("/imagine the roof --style noir --seed 7 --count 3 --pose kneeling --negative hats")
    await ana.sees(1)
    await ana.gets("/same 1 3 but at night, in the (rain:1.3)")
    job, asked = await newest(ana), (await ana.job(1)).request
    assert job.parent_picture_id == (await made(ana, 1))[2].id
    request = job.request
    assert (request.strength, request.seed, request.count) == (SAME_BUT, 9, 1)
    assert request.scene == "at night, in the (rain:1.3), the roof"
    assert "(rain:1.3)" in request.prompt
    assert (request.style, request.negative, request.ledger) == ("noir", asked.negative, asked.ledger)
    assert prompts_wanted(language)[-1].scene.request.startswith("kneeling on one knee")
    assert request.word_count in PROMPT_WORDS


@pytest.mark.parametrize(
    ("words", "number", "change"),
    [
        ("but at night", 1, "at night"),
        ("BUT at night", 1, "at night"),
        ("at night", 1, "at night"),
        ("2: at night", 2, "at night"),
        ("2 but at night", 2, "at night"),
        ("2but at night", 2, "at night"),
        ("3 cats more", 1, "3 cats more"),
        ("butterflies", 1, "butterflies"),
        ("3:15 on the clock", 1, "3:15 on the clock"),
        ("but --seed 9", 1, "--seed 9"),
    ],
)
async def test_what_is_to_be_different_is_said_in_any_words(
    ana: Guest, words: str, number: int, change: str
) -> None:
    await ana.gets("/imagine the roof --count 2")
    await ana.sees(1)
    await ana.gets(f"/same 1 {words}")
    job = await newest(ana)
    assert job.request.scene == f"{change}, the roof"
    assert job.parent_picture_id == (await made(ana, 1))[number - 1].id


async def test_a_button_asks_what_is_to_be_different(engine: Engine, ana: Guest) -> None:
    await ana.gets("/imagine the roof --count 2")
    await ana.sees(1)
    [asks] = await ana.gets("/same 1")
    assert asks.manner.question == Question("same 1")
    assert "“3: at night”" in asks.text
    form = await commands.question_for(engine, ana.incoming("/same 1"))
    assert form == (asks.text, Question("same 1"))
    await ana.gets("2: in the snow")
    job = await newest(ana)
    assert job.request.scene == "in the snow, the roof"
    assert job.parent_picture_id == (await made(ana, 1))[1].id
    [asks] = await ana.gets("/same 1 2 but")
    assert asks.manner.question == Question("same 1 2:")
    await ana.gets("in the fog")
    assert (await newest(ana)).request.scene == "in the fog, the roof"
    with pytest.raises(NotFound, match="There are: 1 and 2"):
        await ana.does("/same 1 3 but in the fog")


async def test_of_one_picture_nobody_is_told_about_numbers(ana: Guest) -> None:
    await ana.gets("/imagine the roof")
    await ana.sees(1)
    [asks] = await ana.gets("/same 1")
    assert "3:" not in asks.text


async def test_words_that_are_not_wanted_come_in_by_no_button(ana: Guest) -> None:
    await ana.gets("/imagine the roof")
    await ana.sees(1)
    await ana.gets(f"/reprompt 1 {LONG}")
    await ana.sees(2)
    for order in ("same 1 but a gherkin", "same 2 but a gherkin", f"reprompt 1 {LONG} gherkin"):
        with pytest.raises(Unsuitable):
            await ana.does(f"/{order}")
    await ana.gets("/same 2 but at night")
    assert (await newest(ana)).request.prompt == f"at night, {LONG}"


# Who may


async def test_everybody_there_may_have_another_one_and_only_the_asker_changes_words(
    ana_in_hall: Guest, ben_in_hall: Guest
) -> None:
    await ana_in_hall.gets("/imagine the roof")
    await ana_in_hall.sees(1)
    await ben_in_hall.says("Hello")
    ben = await ben_in_hall.person()
    for order in ("upscale 1 1", "vary 1 1", "pose 1"):
        await ben_in_hall.gets(f"/{order}")
        assert (await newest(ben_in_hall)).person_id == ben.id
    for order in ("same 1", "same 1 but at night"):
        with pytest.raises(Refused, match="whoever asked"):
            await ben_in_hall.does(f"/{order}")
        assert await commands.question_for(ana_in_hall.engine, ben_in_hall.incoming(f"/{order}")) is None
    ben_in_hall.in_charge = everybody
    assert await ben_in_hall.does("/same 1 but at night")


@pytest.mark.parametrize("order", BUTTONS)
async def test_a_picture_of_another_chat_is_not_there(ana: Guest, ben_in_hall: Guest, order: str) -> None:
    await ana.gets("/imagine the roof")
    await ana.sees(1)
    with pytest.raises(NotFound, match=r"There is no job 1\."):
        await ben_in_hall.does(f"/{order}")


@pytest.mark.parametrize("order", ["upscale", "vary x", "same", "same but at night", "pose", "pose x"])
async def test_a_job_has_a_number(ana: Guest, order: str) -> None:
    with pytest.raises(BadRequest, match="Which job"):
        await ana.does(f"/{order}")


@pytest.mark.parametrize("order", BUTTONS)
async def test_no_button_is_a_way_around_a_rating(engine: Engine, order: str) -> None:
    ana, ben = Guest(engine, ANA, HALL, shared=True), Guest(engine, BEN, HALL, shared=True)
    ben.in_charge = everybody
    await ana.says("Hello")
    await ana.is_of_age()
    async with engine.database.write() as tx:
        place = await chats.place(tx, HALL)
        assert place is not None
        await chats.set_rating(tx, place.id, Rating.MATURE)
    await ana.gets("/imagine the roof")
    await ana.sees(1)
    with pytest.raises(Unsuitable, match="too grown-up"):
        await ben.does(f"/{order}")
    assert await commands.question_for(engine, ben.incoming(f"/{order}")) is None
    assert await ana.does(f"/{order}")
    assert {job.request.rating for job in await ana.jobs()} == {Rating.MATURE}


async def test_buttons_work_in_another_life_of_the_house(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer
) -> None:
    async with Engine.open(settings, models=[language], renderer=renderer) as engine:
        ana = Guest(engine)
        await ana.gets("/imagine the roof")
        await ana.sees(1)
    async with Engine.open(settings, models=[language], renderer=FakeRenderer()) as engine:
        again = Guest(engine)
        again.heard = ana.heard
        for order in ("upscale 1 1", "vary 1 1", "pose 1", "same 1 but at night"):
            [told] = [row for row in await again.gets(f"/{order}") if row.job_id != 1]
            assert told.job_id is not None
            await again.sees(told.job_id)
            assert (await again.job(told.job_id)).state is JobState.DONE


async def test_an_order_that_an_older_house_took_can_be_gone_on_from(ana: Guest) -> None:
    """Its row lacks all that was not known then."""
    await ana.gets("/imagine the roof")
    await ana.sees(1)
    stored = jobs.request_to_json((await ana.job(1)).request)
    for name in ("scheduler", "hires", "strength", "loras"):
        del stored[name]
    del stored["ledger"]["pose"]
    async with ana.engine.database.write() as tx:
        await tx.execute(update(job_rows).values(request=stored))
    for order in ("upscale 1 1", "vary 1 1", "pose 1", "same 1 but at night"):
        assert await ana.gets(f"/{order}")
    assert len(await ana.jobs()) == 5


async def test_loras_stay_as_they_were_when_the_first_was_asked_for(engine: Engine, ana: Guest) -> None:
    await ana.gets("/persona glenys")
    async with engine.database.write() as tx:
        record = await personas.find(tx, "glenys")
        taste = record.persona.picture.model_copy(update={"loras": {"glenys-v2": 0.8}})
        persona = record.persona.model_copy(update={"picture": taste})
        await personas.revise(tx, record, persona, note="", now=engine.clock.now())
    await ana.gets("/imagine the hall")
    async with engine.database.write() as tx:
        changed = await personas.find(tx, "glenys")
        await personas.revise(tx, changed, record.persona, note="", now=engine.clock.now())
    await ana.gets("/pose 1")
    await ana.gets("/imagine the hall")
    assert [job.request.loras for job in await ana.jobs()] == [{"glenys-v2": 0.8}, {"glenys-v2": 0.8}, {}]
