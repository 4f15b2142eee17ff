"""/persona: who there is, who comes and goes, somebody new, and somebody changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from bot import commands
from engine.engine import Engine
from engine.errors import BadRequest, NotFound, OverLimit, Refused
from engine.settings import PeopleSettings, Settings
from engine.store import chats, personas
from engine.store.records import DeliveryKind, Question
from engine.store.tables import persona_revisions
from engine.testing import FakeLanguage, ManualClock
from personas.persona import Persona
from tests.bot.commands.guest import HALL, ROOM, Guest, everybody, notices, orders_in
from tests.engine.test_loras_asked import lora, model


async def slugs_here(engine: Engine, guest: Guest) -> list[str]:
    """The host, then the guests."""
    async with engine.database.read() as tx:
        place = await chats.place(tx, guest.chat)
        assert place is not None
        assert place.persona_id is not None
        return [(await personas.get(tx, one)).persona.slug for one in (place.persona_id, *place.guests)]


async def test_the_list_shows_who_there_is_with_faces_and_ways_to_them(ana: Guest) -> None:
    await ana.gets("/persona invite glenys")
    [listed] = await ana.gets("/persona")
    lines = listed.text.splitlines()
    assert sum(line.startswith("→") for line in lines) == 1
    assert "+ Glenys Prosser (glenys-prosser), food" in listed.text or "+ Glenys Prosser" in listed.text
    assert len(listed.manner.faces) == 10
    assert "persona use glenys-prosser" in orders_in(listed)
    assert (await ana.gets("/persona list"))[-1].text == listed.text


async def test_somebody_is_shown_in_words_and_with_their_face(engine: Engine, ana: Guest) -> None:
    [shown] = await ana.gets("/persona show babajide")
    assert shown.text.startswith("Babajide Ogunleye (babajide-ogunleye)\n27 years old, he/him")
    assert "Computer Village" in shown.text
    assert orders_in(shown) == ["persona use babajide-ogunleye"]
    async with engine.database.read() as tx:
        assert shown.manner.faces == ((await personas.find(tx, "babajide")).id,)


async def test_another_persona_comes_in_with_a_greeting_and_goes_on_where_it_was(
    ana: Guest, language: FakeLanguage
) -> None:
    [greeting] = await ana.gets("/persona glenys")
    assert (greeting.kind, greeting.persona_slug) == (DeliveryKind.REPLY, "glenys-prosser")
    await ana.says("Hello, Glenys")
    await ana.gets("/persona use ghada-boulos")
    assert await ana.does("/persona Glenys Prosser") == "Glenys Prosser is back, where you left off."
    await ana.says("Where were we?")
    lines = getattr(language.asked[-1], "lines", ())
    assert [line.text for line in lines] == [
        greeting.text,
        "Hello, Glenys",
        "Quite so.",
        "Where were we?",
    ]


async def test_guests_come_and_go(engine: Engine, ana: Guest) -> None:
    await ana.says("Hello")
    [host] = await slugs_here(engine, ana)
    assert (await ana.gets("/persona invite glenys"))[0].kind is DeliveryKind.REPLY
    assert await ana.does("/persona invite glenys") == "Glenys Prosser is here already."
    assert await slugs_here(engine, ana) == [host, "glenys-prosser"]
    assert await ana.does("/persona leave glenys") == "Glenys Prosser has gone."
    assert await ana.does("/persona leave glenys") == "Glenys Prosser is not here."
    assert await slugs_here(engine, ana) == [host]


@pytest.mark.parametrize("order", ["show", "use", "invite", "leave"])
async def test_somebody_has_to_be_named(ana: Guest, order: str) -> None:
    with pytest.raises(BadRequest, match="Who"):
        await ana.does(f"/persona {order}")
    with pytest.raises(NotFound, match="Nobody here"):
        await ana.does(f"/persona {order} nobody-of-this-name")


async def test_somebody_new_joins_the_cast_once(engine: Engine, ana: Guest) -> None:
    said = await ana.orders("/persona new beekeeper --name Zoë")
    for _ in range(2):
        await ana.run(said)
    [made] = await ana.owed()
    assert "Zoë (zoe) has joined the cast" in made.text
    assert orders_in(made) == ["persona use zoe", "persona show zoe"]
    async with engine.database.read() as tx:
        record = await personas.find(tx, "zoe")
        assert (record.persona.kind, record.origin) == ("beekeeper", "made")
        assert len(await personas.listing(tx)) == 11


async def test_among_others_only_those_in_charge_have_somebody_written(ben_in_hall: Guest) -> None:
    with pytest.raises(Refused, match="has charge of this chat"):
        await ben_in_hall.does("/persona new")

    async def ben_alone(platform_id: str) -> bool:
        return platform_id == "ben"

    ben_in_hall.in_charge = ben_alone
    assert "has joined" in await ben_in_hall.does("/persona new")


@pytest.mark.parametrize("order", ["persona wiebe", "persona use wiebe", "persona leave glenys", "reset"])
async def test_among_others_only_those_in_charge_change_it_for_everybody(
    engine: Engine, ana_in_hall: Guest, ben_in_hall: Guest, order: str
) -> None:
    await ana_in_hall.says("Hello")
    await ben_in_hall.gets("/persona invite glenys")
    before = await slugs_here(engine, ana_in_hall)
    with pytest.raises(Refused, match="Ask somebody who has charge"):
        await ben_in_hall.gets(f"/{order}")
    assert await slugs_here(engine, ana_in_hall) == before
    ana_in_hall.in_charge = everybody
    assert await ana_in_hall.gets(f"/{order}")


async def test_everybody_may_ask_somebody_to_join_until_there_is_no_more_room(
    engine: Engine, ben_in_hall: Guest
) -> None:
    await ben_in_hall.says("Hello")
    async with engine.database.read() as tx:
        slugs = [entry.slug for entry in await personas.listing(tx)]
    [host] = await slugs_here(engine, ben_in_hall)
    first, *more = [slug for slug in slugs if slug != host][:6]
    for slug in more:
        await ben_in_hall.gets(f"/persona invite {slug}")
    with pytest.raises(BadRequest, match="whoever has charge of this chat"):
        await ben_in_hall.gets(f"/persona invite {first}")


class TestTwoADay:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        limits = settings.limits.model_copy(update={"personas_per_day": 2})
        return settings.model_copy(update={"limits": limits})

    async def test_nobody_fills_the_cast_alone(self, ana: Guest, ben: Guest, language: FakeLanguage) -> None:
        clock = ana.engine.clock
        assert isinstance(clock, ManualClock)
        await ana.gets("/persona new")
        await clock.advance(3_600)
        await ana.gets("/persona new")
        asked = len(language.asked)
        for _ in range(2):  # that it was refused once does not count
            with pytest.raises(OverLimit, match="room again in 23 hours"):
                await ana.gets("/persona new")
        assert len(language.asked) == asked, "nothing is written for nothing"
        assert await ben.gets("/persona new")
        await clock.advance(23 * 3_600 + 1)
        assert await ana.gets("/persona new")
        with pytest.raises(OverLimit, match="room again in 60 minutes"):
            await ana.gets("/persona new")

    async def test_to_be_forgotten_makes_no_room(self, ana: Guest) -> None:
        for _ in range(2):
            await ana.gets("/persona new")
        await ana.gets("/forget yes")
        with pytest.raises(OverLimit, match="room again in 1 day"):
            await ana.gets("/persona new")
        async with ana.engine.database.read() as tx:
            notes = set((await tx.execute(select(persona_revisions.c.note))).scalars())
        assert notes == {"", "by somebody"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Ana runs this house."""
    return settings.model_copy(update={"people": PeopleSettings(operators=("stage:ana",))})


async def test_an_operator_changes_somebody_and_a_revision_says_who(engine: Engine, ana: Guest) -> None:
    told = await ana.does("/persona edit Glenys Prosser greeting Shut the gate\nand sit down.")
    assert told == "The greeting of Glenys Prosser is changed; this is revision 2."
    await ana.gets("/persona edit glenys-prosser hair green")
    async with engine.database.read() as tx:
        record = await personas.find(tx, "glenys-prosser")
        notes = (
            await tx.execute(select(persona_revisions.c.note).order_by(persona_revisions.c.id))
        ).scalars()
        assert [note for note in notes if note] == ["greeting, by person 1", "hair, by person 1"]
    assert record.persona.greetings[0] == "Shut the gate\nand sit down."
    assert record.persona.appearance.hair == "green"
    assert record.revision == 3


async def test_without_words_it_asks_and_shows_what_is_there(engine: Engine, ana: Guest) -> None:
    async with engine.database.read() as tx:
        manner = (await personas.find(tx, "glenys")).persona.voice.manner
    [asks] = await ana.gets("/persona edit glenys manner")
    assert asks.manner.question == Question("persona edit glenys-prosser manner", prefill=manner)
    assert "is changed" in notices(await ana.gets("Whispers."))[0]
    async with engine.database.read() as tx:
        assert (await personas.find(tx, "glenys")).persona.voice.manner == "Whispers."


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("glenys", "/persona edit NAME FIELD WORDS"),
        ("glenys age 7", "/persona edit NAME FIELD WORDS"),
        ("glenys style nope", "no style"),
        ("glenys hair " + "x" * 2_001, "does not fit"),
        ("glenys name " + "x" * 81, "does not fit"),
    ],
)
async def test_what_cannot_be_changed_so_says_why(ana: Guest, order: str, told: str) -> None:
    with pytest.raises((BadRequest, NotFound), match=told):
        await ana.does(f"/persona edit {order}")


async def test_a_style_is_found_however_it_is_written(engine: Engine, ana: Guest) -> None:
    await ana.gets("/persona edit glenys style Noir")
    async with engine.database.read() as tx:
        assert (await personas.find(tx, "glenys")).persona.picture.style == "noir"


async def persona(engine: Engine, name: str = "glenys") -> Persona:
    async with engine.database.read() as tx:
        return (await personas.find(tx, name)).persona


async def test_poses_outfits_loras_and_direction_can_be_changed_and_taken_away(
    engine: Engine, ana: Guest
) -> None:
    await ana.gets(
        "/persona edit glenys poses at the stove:  stirring with one  hand\n\nwaving: one arm: high"
    )
    await ana.gets("/persona edit glenys outfits apron: a striped apron, flour on it; coat: a wax coat;")
    await ana.gets("/persona edit glenys loras film grain v1.5: 0,6\n<lora:ink:-1>\nplain")
    told = await ana.does("/persona edit glenys direction muted  colours,\nlong lens")
    assert told == "The direction of pictures of Glenys Prosser is changed; this is revision 5."
    changed = await persona(engine)
    assert [(one.name, one.description) for one in changed.appearance.poses] == [
        ("at the stove", "stirring with one hand"),
        ("waving", "one arm: high"),
    ]
    assert [(one.name, one.description) for one in changed.appearance.wardrobe] == [
        ("apron", "a striped apron, flour on it"),
        ("coat", "a wax coat"),
    ]
    assert changed.picture.loras == {"film grain v1.5": 0.6, "ink": -1, "plain": 1}
    assert changed.picture.direction == "muted colours, long lens"
    for field in ("poses", "outfits", "loras", "direction"):
        await ana.gets(f"/persona edit glenys {field} -")
    cleared = await persona(engine)
    assert (cleared.appearance.poses, cleared.appearance.wardrobe) == ((), ())
    assert (cleared.picture.loras, cleared.picture.direction) == ({}, "")


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("poses", "at the stove: stirring\nwaving: one arm; high"),
        ("outfits", "apron: a striped apron"),
        ("loras", "film grain: 0.6\nink: -1"),
        ("direction", "muted colours"),
    ],
)
async def test_what_is_offered_to_be_changed_can_be_said_again_as_it_is(
    engine: Engine, ana: Guest, field: str, words: str
) -> None:
    await ana.gets(f"/persona edit glenys {field} {words}")
    before = await persona(engine)
    [asks] = await ana.gets(f"/persona edit glenys {field}")
    assert asks.manner.question == Question(f"persona edit glenys-prosser {field}", prefill=words)
    assert "A single - takes" in asks.text.partition("? ")[2]
    await ana.gets(words)
    assert await persona(engine) == before


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("poses standing on one leg", "“standing on one leg” is not written as NAME: WORDS"),
        ("poses waving:", "not written as NAME: WORDS"),
        ("outfits --: a coat", "not written as NAME: WORDS"),
        ("poses one leg: a; One-Leg: b", "“One-Leg” is there twice"),
        ("outfits coat: " + "x" * 201, "“coat” is described in 201 characters, and 200 is the most"),
        ("poses " + "; ".join(f"p{number}: x" for number in range(41)), "These are 41, and 40 is the most"),
        ("outfits " + "n" * 2_001 + ": x", "does not fit as a wardrobe"),
        ("loras grain: much", "“much” is no weight: it goes from -2 to 2"),
        ("loras grain: 2.5", "“2.5” is no weight"),
        ("loras ../grain: 1", "does not fit as a list of LoRAs"),
        ("loras grain; GRAIN: 0.5", "“GRAIN” is there twice"),
        ("loras " + ";".join(f"l{number}" for number in range(7)), "These are 7, and 6 is the most"),
        ("direction " + "x" * 201, "does not fit as a direction of pictures"),
    ],
)
async def test_what_is_not_written_as_it_should_be_says_how(
    engine: Engine, ana: Guest, order: str, told: str
) -> None:
    before = await persona(engine)
    with pytest.raises(BadRequest) as refused:
        await ana.does(f"/persona edit glenys {order}")
    assert told in str(refused.value)
    assert len(str(refused.value)) < 250
    assert await persona(engine) == before


async def test_loras_that_could_not_be_worn_are_told_before_a_persona_wears_them(
    settings: Settings, language: FakeLanguage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Engine.open(settings, models=[language]) as engine:
        told = await Guest(engine).does("/persona edit glenys loras film grain: 0.6")
        assert "is changed" in told, "where no model is there, nobody knows"
        model(settings.home)
        lora(settings.home / "models" / "lora", "film grain")
        ana = Guest(engine, chat=HALL)
        with pytest.raises(BadRequest, match=r"no LoRA “film gran”.*film grain"):
            await ana.does("/persona edit glenys loras film gran: 0.6")
        assert "is changed" in await ana.does("/persona edit glenys loras Film Grain: 0.6")


async def test_it_is_all_said_in_german_too(ana: Guest) -> None:
    await ana.gets("/settings language de")
    told = await ana.does("/persona edit glenys poses winkend: ein Arm hoch")
    assert told == "Geändert bei Glenys Prosser: Posen. Das ist Fassung 2."
    [asks] = await ana.gets("/persona edit glenys loras")
    assert "Ein einzelnes - nimmt alle weg" in asks.text


async def test_nobody_else_changes_anybody(engine: Engine, ben: Guest) -> None:
    with pytest.raises(Refused, match="runs this house"):
        await ben.does("/persona edit glenys hair green")
    assert await commands.question_for(engine, ben.incoming("/persona edit glenys hair")) is None


async def test_two_chats_have_their_own_personas(engine: Engine, ana: Guest, ben_in_hall: Guest) -> None:
    await ana.gets("/persona glenys")
    ben_in_hall.in_charge = everybody
    await ben_in_hall.gets("/persona wiebe")
    assert await slugs_here(engine, ana) == ["glenys-prosser"]
    assert await slugs_here(engine, ben_in_hall) == ["wiebe-terpstra"]
    assert {ana.chat, ben_in_hall.chat} == {ROOM, HALL}
