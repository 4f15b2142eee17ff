"""Asking for pictures: what a wish says, what is asked back, and that a picture is put in line once."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot import commands
from bot.commands import size_of, wish_of
from bot.commands.imagining import ASPECTS, SELFIE, sides_of
from engine.engine import Engine
from engine.errors import BadRequest, GreenroomError, NotFound, OverLimit
from engine.imagining import SIDES, Wish
from engine.language import Source
from engine.locales import locale_of
from engine.settings import SafetySettings, Settings
from engine.store import chats, outbox, personas
from engine.store.records import DeliveryKind, Question, TurnState
from engine.store.tables import chats as rows
from engine.testing import FakeLanguage
from personas.persona import Pose, Rating
from tests.bot.commands.guest import BEN, HALL, ROOM, Guest, prompts_wanted

#: Text of every kind, and text that looks like a wish that was nearly meant.
ANYTHING = st.one_of(
    st.text(),
    st.text(alphabet="/-— =x\"'#0123456789abcdefghijklmno\n\t\u202e\ud800{}%"),
    st.builds(
        "{} --{}{}{}".format,
        st.text(max_size=20),
        st.sampled_from(
            [
                "style",
                "seed",
                "count",
                "size",
                "aspect",
                "negative",
                "no",
                "steps",
                "guidance",
                "cfg",
                "Seed",
                "x",
            ]
        ),
        st.sampled_from([" ", "=", "\n", ""]),
        st.text(max_size=20),
    ),
)


@given(ANYTHING)
@example("--seed " + "9" * 5_000)
@example("--count -1")
@example('--negative "')
@example("--size 99999x99999")
@example("--aspect 0:0")
@example("--steps nan --guidance inf")
@example("--guidance " + "9" * 5_000)
@example("--size 2k --aspect 21:9")
@example("--" + "x" * 5_000)
@example("x " + "-" * 20_000)
def test_any_words_are_a_wish_or_are_asked_back(words: str) -> None:
    told = ""
    try:
        assert isinstance(wish_of(words), Wish)
    except GreenroomError as error:
        told = str(error)
    assert len(told) < 250, "a mistake is not answered with a wall of text"


@given(
    scene=st.text(alphabet="abc é", min_size=1).map(str.strip).filter(bool),
    style=st.sampled_from(["noir", "film"]),
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 4),
    width=st.integers(64, 2048),
    height=st.integers(64, 2048),
    negative=st.text(alphabet="abc ,", min_size=1),
    order=st.permutations(range(5)),
)
def test_a_wish_says_the_same_in_any_order(
    scene: str, style: str, seed: int, count: int, width: int, height: int, negative: str, order: list[int]
) -> None:
    flags = [
        f"--style {style}",
        f"--seed={seed}",
        f"—count {count}",  # what a phone makes of two dashes
        f"--size {width}x{height}",
        f'--negative "{negative}"',
    ]
    told = " ".join([scene, *(flags[number] for number in order)])
    assert wish_of(told) == Wish(scene, style, seed, count, width, height, negative)


def test_a_wish_without_options_leaves_the_choice_to_the_house() -> None:
    assert wish_of("a red coat -- in the rain, 3-4 people") == Wish("a red coat -- in the rain, 3-4 people")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("a coat --colour red", "--colour is not an option of /imagine"),
        ("a coat --seed many", "--seed wants a whole number"),
        ("a coat --count", "--count wants a whole number"),
        ("a coat --size big", "is not a size"),
        ("a coat --size 1x1", "is not a size"),
        ("a coat --aspect 7:3", "is not an aspect"),
        ("a coat --aspect 1:1 --size 512x640", "one of the two"),
        ("a coat --size 3k", "is not a size"),
        ("a coat --size 0", "is not a size"),
        ("a coat --size -512", "is not a size"),
        ("a coat --size nan", "is not a size"),
        ("a coat --steps many", "--steps wants a whole number"),
        ("a coat --steps 7.5", "--steps wants a whole number"),
        ("a coat --guidance strong", "--guidance wants a number from 0 to 30"),
        ("a coat --guidance nan", "--guidance wants a number"),
        ("a coat --cfg -inf", "--cfg wants a number"),
        ("a coat --cfg 1e400", "--cfg wants a number"),
        ("a coat --guidance", "--guidance wants a number"),
    ],
)
def test_what_is_not_an_option_is_asked_back(words: str, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        wish_of(words)


def test_one_side_is_a_square() -> None:
    assert size_of("512") == (512, 512)
    assert size_of("1k") == (1024, 1024)
    assert size_of(" 2K ") == (2048, 2048)
    assert size_of("832×1216") == (832, 1216)


@given(aspect=st.sampled_from(ASPECTS), side=st.integers(256, 1536))
def test_an_aspect_keeps_the_pixels_and_the_shape(aspect: str, side: int) -> None:
    width, height = sides_of(aspect, side * side)
    across, down = map(int, aspect.split(":"))
    assert width % 8 == height % 8 == 0
    assert width in SIDES
    assert height in SIDES
    assert width * down == pytest.approx(height * across, abs=4 * (across + down) + 1)
    assert max(SIDES) in (width, height) or width * height == pytest.approx(side * side, rel=0.07)


@pytest.mark.parametrize(
    ("told", "sides"),
    [
        ("--size 1k --aspect 16:9", (1368, 768)),
        ("--size 512 --aspect 3:4", (440, 592)),
        ("--size 2k --aspect 1:1", (2048, 2048)),
        ("--size 2k --aspect 16:9", (2048, 1152)),
        ("--size 2k --aspect 9:21", (880, 2048)),
        ("--size 832x832 --aspect 4:3", (960, 720)),
        ("--aspect 21:9", (1568, 672)),
        ("--size 99999 --aspect 16:9", (99999, 99999)),  # refused when it is asked for, not made to fit
    ],
)
def test_a_size_says_how_many_pixels_and_an_aspect_how_they_lie(told: str, sides: tuple[int, int]) -> None:
    wish = wish_of(f"a coat {told}")
    assert (wish.width, wish.height) == sides


def test_guidance_is_read_with_a_point_or_a_comma() -> None:
    assert wish_of("x --guidance 7.5").guidance == wish_of("x --cfg 7,5").guidance == 7.5
    assert wish_of("x --guidance 3 --cfg 9").guidance == 3


async def test_a_picture_is_put_in_line_and_says_so(ana: Guest) -> None:
    [notice] = await ana.gets("/imagine on the roof --style noir --seed 7 --count 2 --size 640x480")
    [job] = await ana.jobs()
    assert f"#{job.id} is in line: 2 pictures of" in notice.text
    assert (notice.kind, notice.job_id, notice.source) == (DeliveryKind.NOTICE, job.id, Source.MODEL)
    assert notice.answers_id is not None, "the platform learns which message is answered"
    request = job.request
    assert (request.scene, request.style, request.seed, request.count) == ("on the roof", "noir", 7, 2)
    assert (request.width, request.height) == (640, 480)
    assert 100 <= request.word_count <= 200
    assert job.person_id is not None
    assert job.chat_id is not None


async def test_an_aspect_has_about_the_pixels_of_the_house(ana: Guest) -> None:
    await ana.gets("/imagine on the roof --aspect 16:9")
    [job] = await ana.jobs()
    assert (job.request.width, job.request.height) == (88, 64)


async def test_an_order_happens_once_however_often_it_is_run(engine: Engine, ana: Guest) -> None:
    said = await ana.orders("/imagine on the roof")
    for _ in range(3):
        await ana.run(said)
    assert len(await ana.owed()) == 1
    assert len(await ana.jobs()) == 1
    assert await ana.state(said) is TurnState.ANSWERED


async def test_an_order_that_breaks_in_the_middle_has_not_happened(
    ana: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object, **_more: object) -> int:
        raise RuntimeError("the plug was pulled")

    said = await ana.orders("/imagine on the roof")
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "owe", broken)
        with pytest.raises(RuntimeError):
            await ana.run(said)
    assert await ana.jobs() == []
    assert await ana.state(said) is TurnState.RECEIVED
    await ana.run(said)
    assert len(await ana.owed()) == 1


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("/imagine x --style nope", "no style"),
        ("/imagine x --count 9", "From 1 to 4"),
        ("/imagine x --seed -1", "seed"),
        ("/imagine x --size 63", "pixels"),
        ("/imagine x --size 99999", "pixels"),
        ("/imagine x --size 99999 --aspect 1:1", "pixels"),
        ("/imagine x --steps 0", "from 1 to 150 steps"),
        ("/imagine x --steps -20", "from 1 to 150 steps"),
        ("/imagine x --steps 1000000", "from 1 to 150 steps"),
        ("/imagine x --guidance -0.1", "from 0 to 30"),
        ("/imagine x --guidance 30.1", "from 0 to 30"),
        ("/imagine x --quality best", "draft, standard, and high"),
        ("/imagine x --scheduler warp", "no scheduler “warp”"),
        ("/imagine x --scheduler dpm++ 2m", "dpm.. 2m"),
        ("/imagine x --outfit tutu", "rubber boots|There are: "),
        (f"/imagine x --pose {'x' * 201}", "201 characters"),
        ("/imagine --scheduler warp", "no scheduler"),
        ("/imagine --steps 0", "from 1 to 150 steps"),
        ("/imagine x --persona nobody-of-this-name", "Nobody here"),
        ("/imagine x --persona glenys", "Glenys Prosser is not here"),
        ("/imagine --count many", "whole number"),
        ("/imagine " + "x" * 1_001, "1,001 characters"),
    ],
)
async def test_what_cannot_be_made_says_why(ana: Guest, order: str, told: str) -> None:
    with pytest.raises((BadRequest, NotFound), match=told):
        await ana.does(order)
    assert await ana.jobs() == []


async def test_without_a_scene_it_asks_and_the_next_words_are_the_scene(ana: Guest) -> None:
    [asks] = await ana.gets("/imagine --style noir --count 2")
    assert "What should the picture show" in asks.text
    assert asks.manner.question == Question('imagine --style "noir" --count "2"')
    await ana.gets("a cat on the roof")
    [job] = await ana.jobs()
    assert (job.request.scene, job.request.style, job.request.count) == ("a cat on the roof", "noir", 2)


async def test_a_form_shows_the_same_question_and_nothing_is_stored(engine: Engine, ana: Guest) -> None:
    asked = await commands.question_for(engine, ana.incoming("/imagine"))
    assert asked is not None
    assert asked[1] == Question("imagine")
    assert await commands.question_for(engine, ana.incoming("/imagine a cat")) is None
    assert await commands.question_for(engine, ana.incoming("/imagine --count many")) is None
    assert await commands.question_for(engine, ana.incoming("/nonsense")) is None
    assert await commands.question_for(engine, ana.incoming("hello")) is None
    assert await ana.owed() == []


async def test_the_quota_is_a_person_s_own(ana: Guest, ben: Guest) -> None:
    for number in range(5):
        await ana.does(f"/imagine roof {number} --count 4")
    with pytest.raises(OverLimit, match="20 pictures waiting"):
        await ana.does("/imagine one more")
    assert "in line" in await ben.does("/imagine a cellar")


async def test_a_picture_is_of_whoever_is_there_when_it_is_asked_for(engine: Engine, ana: Guest) -> None:
    """Both are heard before either is done, as when two messages come at once."""
    bring, wish = await ana.orders("/persona glenys"), await ana.orders("/imagine the roof")
    await ana.run(bring)
    await ana.run(wish)
    [job] = await ana.jobs()
    async with engine.database.read() as tx:
        assert job.persona_id == (await personas.find(tx, "glenys")).id


async def test_a_guest_can_be_in_the_picture_too(engine: Engine, ana: Guest) -> None:
    await ana.gets("/persona invite glenys")
    await ana.gets("/imagine the roof --persona glenys")
    [job] = await ana.jobs()
    async with engine.database.read() as tx:
        assert job.persona_id == (await personas.find(tx, "glenys")).id


async def test_a_selfie_shows_them_where_they_are(engine: Engine, ana: Guest, language: FakeLanguage) -> None:
    await ana.gets("/selfie")
    await ana.gets("/selfie eating cake")
    bare, told = prompts_wanted(language)
    assert bare.scene.request == SELFIE
    assert bare.scene.place in bare.scene.persona.appearance.places
    assert told.scene.request == f"{SELFIE}, eating cake"


async def test_a_selfie_is_of_the_present_moment(engine: Engine, ana: Guest, language: FakeLanguage) -> None:
    await ana.says("Where are you?")
    async with engine.database.write() as tx:
        place = await chats.place(tx, ROOM)
        assert place is not None

        await tx.execute(rows.update().values(ledger={"place": "in the rain", "clothes": "a yellow coat"}))
    await ana.gets("/selfie")
    [wanted] = prompts_wanted(language)
    assert (wanted.scene.place, wanted.scene.clothes) == ("in the rain", "a yellow coat")


async def test_a_picture_is_as_grown_up_as_all_three_allow(
    settings: Settings, language: FakeLanguage
) -> None:
    grown_up = settings.model_copy(update={"safety": SafetySettings(rating=Rating.ADULT)})
    async with Engine.open(grown_up, models=[language]) as engine:
        marked = Guest(engine, BEN, HALL, shared=True)
        await marked.says("Hello")
        async with engine.database.write() as tx:
            place = await chats.place(tx, HALL)
            assert place is not None
            await chats.set_rating(tx, place.id, Rating.MATURE)
        await marked.gets("/imagine a roof")
        await marked.is_of_age()
        await marked.gets("/imagine a roof")
        marked.allows_mature = False
        await marked.gets("/imagine a roof")
        ratings = [job.request.rating for job in await marked.jobs()]
    assert ratings == [Rating.ALL_AGES, Rating.MATURE, Rating.ALL_AGES]


# How it is made, worn and held


@pytest.mark.parametrize(
    ("flags", "steps", "hires"),
    [
        ("", 3, False),
        ("--quality standard", 3, False),
        ("--quality draft", 2, False),
        ("--quality HIGH", 5, True),
        ("--quality high --steps 40", 40, True),
        ("--steps 1", 1, False),
    ],
)
async def test_quality_says_in_a_word_how_much_work_it_is(
    ana: Guest, flags: str, steps: int, hires: bool
) -> None:
    await ana.gets(f"/imagine the roof {flags}")
    [job] = await ana.jobs()
    assert (job.request.steps, job.request.hires) == (steps, hires)


async def test_guidance_and_scheduler_reach_the_job_under_the_names_of_the_house(ana: Guest) -> None:
    await ana.gets('/imagine the roof --guidance 0 --scheduler "DPM++ 2M Karras"')
    await ana.gets("/imagine the roof --cfg 9,5 --scheduler dpmpp_2m-karras")
    await ana.gets("/imagine the roof")
    requests = [job.request for job in await ana.jobs()]
    assert [(one.guidance, one.scheduler) for one in requests] == [
        (0, "dpm++ 2m karras"),
        (9.5, "dpm++ 2m karras"),
        (7.5, ""),
    ]


async def test_they_wear_what_is_named_and_stand_as_it_is_said(
    ana: Guest, engine: Engine, language: FakeLanguage
) -> None:
    await ana.gets("/persona glenys")
    await ana.gets('/imagine the roof --outfit "SEA COAT" --pose waving')
    await ana.gets('/selfie --pose "balancing a (tray:1.3)"')
    named, told = prompts_wanted(language)
    coat = next(one for one in named.scene.persona.appearance.wardrobe if one.name == "sea coat")
    assert named.scene.clothes == coat.description
    assert named.scene.request == "raising one arm high to wave at the viewer, the roof"
    assert told.scene.request.startswith("balancing a tray, ")
    first, second = [job.request for job in await ana.jobs()]
    assert first.scene == "the roof", "it is shown as it was asked for"
    assert (first.ledger["clothes"], first.ledger["pose"]) == (
        coat.description,
        "raising one arm high to wave at the viewer",
    )
    assert "(tray:1.3)" in second.prompt


async def test_a_persona_s_own_poses_go_before_the_house_s(
    ana: Guest, engine: Engine, language: FakeLanguage
) -> None:
    await ana.gets("/persona glenys")
    async with engine.database.write() as tx:
        record = await personas.find(tx, "glenys")
        poses = (Pose(name="waving", description="waving a skipping rope"),)
        look = record.persona.appearance.model_copy(update={"poses": poses})
        persona = record.persona.model_copy(update={"appearance": look})
        await personas.revise(tx, record, persona, note="", now=engine.clock.now())
    await ana.gets("/imagine the hall --pose waving")
    await ana.gets("/imagine the hall --pose kneeling")
    own, house = prompts_wanted(language)
    assert own.scene.request == "waving a skipping rope, the hall"
    assert house.scene.request.startswith("kneeling on one knee")


async def test_who_has_no_outfits_says_so(ana: Guest, engine: Engine) -> None:
    await ana.says("Hello")
    async with engine.database.write() as tx:
        place = await chats.place(tx, ROOM)
        assert place is not None
        record = await engine.presence.who(tx, place)
        look = record.persona.appearance.model_copy(update={"wardrobe": ()})
        persona = record.persona.model_copy(update={"appearance": look})
        await personas.revise(tx, record, persona, note="", now=engine.clock.now())
    with pytest.raises(NotFound, match="no outfits"):
        await ana.does("/imagine x --outfit tutu")


def test_a_form_offers_what_can_be_chosen() -> None:
    [imagine] = [entry for entry in commands.menu(locale_of("de")) if entry.name == "imagine"]
    offered = {option.name: [choice.value for choice in option.choices] for option in imagine.options}
    assert offered["quality"] == ["draft", "standard", "high"]
    assert "dpm++ 2m karras" in offered["scheduler"]
    assert "21:9" in offered["aspect"]
    [quality] = [option for option in imagine.options if option.name == "quality"]
    assert [choice.label for choice in quality.choices] == ["Entwurf", "normal", "hoch"]
