"""The registry and what it becomes: the menu, the help, suggestions; and the first and last words of the house."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import commands
from bot.commands import COMMANDS
from bot.commands.suggesting import LONGEST, MOST, nearest
from bot.front import Choice, Entry, OptionKind
from engine.engine import Engine
from engine.errors import BadRequest, Refused
from engine.locales import languages, locale_of
from engine.settings import PeopleSettings, Settings
from engine.store import chats, personas
from engine.store.records import DeliveryKind, TurnState
from engine.store.tables import turns
from engine.testing import FakeLanguage
from personas.persona import Outfit, Pose, Rating
from tests.bot.commands.guest import BEN, ROOM, Guest


def every_entry(language: str) -> Iterator[Entry]:
    for entry in commands.menu(locale_of(language)):
        yield entry
        yield from entry.parts


@pytest.mark.parametrize("language", languages())
def test_the_menu_fits_every_platform(language: str) -> None:
    """Discord is the narrowest: 100 characters, 25 choices, and what is required comes first."""
    for entry in every_entry(language):
        assert 1 <= len(entry.says) <= 100, entry.name
        assert len(entry.options) <= 25
        assert not (entry.parts and entry.options)
        required = [option.required for option in entry.options]
        assert required == sorted(required, reverse=True), entry.name
        for option in entry.options:
            assert 1 <= len(option.says) <= 100
            assert len(option.choices) <= 25
            assert bool(option.choices) == (option.kind is OptionKind.CHOICE), option.name
            assert all(1 <= len(choice.label) <= 100 for choice in option.choices)
            assert option.name.isascii()
            assert option.name.islower()


def test_the_menu_holds_what_can_be_typed_and_not_what_only_buttons_order() -> None:
    names = {entry.name for entry in commands.menu(locale_of("en"))}
    buttons = {"reroll", "reprompt", "showprompt", "delete", "retry", "upscale", "vary", "pose", "same"}
    buttons |= {"useprompt"}
    assert names == COMMANDS.keys() - buttons
    assert {entry.name for entry in commands.menu(locale_of("de"))} == names


def test_a_language_is_offered_under_its_own_name() -> None:
    [part] = [part for part in every_entry("de") if part.name == "language"]
    assert part.options[0].choices == (Choice("en", "English"), Choice("de", "Deutsch"))


def test_nobody_can_change_the_registry() -> None:
    with pytest.raises(TypeError):
        COMMANDS["dance"] = COMMANDS["help"]  # type: ignore[index]  # what must not work is tried


async def test_help_lists_what_one_may_in_one_s_language(ana: Guest) -> None:
    told = await ana.does("/help")
    listed = {name for name, command in COMMANDS.items() if command.listed}
    assert {line.split(":")[0] for line in told.splitlines() if line.startswith("/")} == {
        f"/{name}" for name in listed - {"status"}
    }
    assert told.startswith("Pictures\n/imagine: a picture of whoever is here")
    await ana.gets("/settings language de")
    assert (await ana.does("/help")).startswith("Bilder\n/imagine: ein Bild")


@pytest.mark.parametrize("order", ["/dance", "/imagined x", "/helpme"])
async def test_what_is_no_command_points_to_help(ana: Guest, order: str) -> None:
    with pytest.raises(BadRequest, match="/help"):
        await ana.does(order)


async def test_a_start_greets_once_and_says_how_it_goes_on(ana: Guest) -> None:
    greeting, first = await ana.gets("/start")
    assert greeting.kind is DeliveryKind.REPLY
    assert "/help" in first.text
    [again] = await ana.gets("/start")
    assert again.text == first.text


async def test_a_stop_in_line_is_only_answered(ana: Guest) -> None:
    assert commands.STOP in COMMANDS
    said = await ana.orders("/stop")
    await ana.run(said)
    assert await ana.state(said) is TurnState.ANSWERED


async def test_a_reset_begins_again_and_forgets_nothing(
    engine: Engine, ana: Guest, language: FakeLanguage
) -> None:
    await ana.says("Remember the number 7")
    greeting = next(row for row in await ana.gets("/reset") if row.kind is DeliveryKind.REPLY)
    await ana.says("Which number?")
    lines = getattr(language.asked[-1], "lines", ())
    assert [line.text for line in lines] == [greeting.text, "Which number?"]
    async with engine.database.read() as tx:
        kept = (await tx.execute(turns.select())).all()
        assert await chats.place(tx, ROOM) is not None
    assert "Remember the number 7" in [row.text for row in kept]


async def test_privacy_says_who_writes_what_is_kept_and_how_it_goes(ana: Guest) -> None:
    [told] = await ana.gets("/privacy")
    assert told.manner.quiet
    for word in ("computer program", "What is kept", "Where", "How long", "/forget"):
        assert word in told.text


class TestAnOperator:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"people": PeopleSettings(operators=("stage:ana",))})

    async def test_is_told_how_the_house_goes(self, ana: Guest, ben: Guest) -> None:
        await ben.says("Hello")
        await ana.says("Hello")
        await ana.gets("/imagine the roof")
        await ana.gets("/imagine the cellar")
        await ana.ends(1)
        [told] = await ana.gets("/status")
        assert told.manner.quiet
        for line in (
            "Known from stage:one",
            "People: 2, 2 of them in the last 24 hours; places: 1",
            "In the last 24 hours 2 messages were heard",
            "Answers by a model: 2",
            "Pictures: 1 in line, 0 being made, 1 failed in the last 24 hours",
            "0 messages are still owed to chats",
            "Database: ",
        ):
            assert line in told.text
        assert "{" not in told.text

    async def test_sees_in_the_help_what_others_do_not(self, ana: Guest, ben: Guest) -> None:
        assert "/status" in await ana.does("/help")
        assert "/status" not in await ben.does("/help")
        with pytest.raises(Refused, match="runs this house"):
            await ben.does("/status")


# Suggestions

CAST = [Choice("ada-quill", "Ada Quill (tech)"), Choice("ben-ash", "Ben Ash"), Choice("adam", "Adam Nobbs")]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", ["ada-quill", "ben-ash", "adam"]),
        ("ad", ["ada-quill", "adam"]),
        ("ash", ["ben-ash"]),
        ("QUILL", ["ada-quill"]),
        ("qwill", ["ada-quill"]),
        ("zzz", []),
    ],
)
def test_the_nearest_comes_first(typed: str, found: list[str]) -> None:
    assert [choice.value for choice in nearest(typed, CAST)] == found


@given(st.text(max_size=50))
def test_whatever_is_typed_there_are_no_more_suggestions_than_fit(typed: str) -> None:
    many = [Choice(f"style-{number}", f"Style {number}") for number in range(60)]
    assert len(nearest(typed, many)) <= MOST


def test_what_is_typed_at_length_is_compared_at_no_length(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    looked_at_whole: list[int] = []

    class Counted(difflib.SequenceMatcher[str]):
        def __init__(self, isjunk: None, a: str, b: str) -> None:
            sizes.append((len(a), len(b)))
            super().__init__(isjunk, a, b)

        def ratio(self) -> float:
            looked_at_whole.append(1)
            return super().ratio()

    monkeypatch.setattr(difflib, "SequenceMatcher", Counted)
    many = [
        Choice(f"name-{number} " * 40, f"Person Number{number} van der Something") for number in range(50)
    ]
    assert nearest("ab se un me " * 500, many) == []
    assert sizes
    assert max(max(size) for size in sizes) <= LONGEST
    assert looked_at_whole == []


async def test_the_cast_styles_and_one_s_own_jobs_are_suggested(engine: Engine, ana: Guest) -> None:
    await ana.gets("/imagine the roof")
    await ana.gets("/imagine the cellar " + "and the stairs " * 20)
    await ana.ends(1)

    async def values(kind: OptionKind, typed: str = "") -> list[str]:
        return [one.value for one in await commands.suggestions(engine, kind, typed, ana.who)]

    assert await values(OptionKind.PERSONA, "glen") == ["glenys-prosser"]
    assert (await values(OptionKind.STYLE, "noi"))[0] == "noir"
    assert await values(OptionKind.JOB) == ["2"]
    assert await values(OptionKind.WORDS, "x") == []
    assert await commands.suggestions(engine, OptionKind.JOB, "", BEN) == []
    [job] = await commands.suggestions(engine, OptionKind.JOB, "#2", ana.who)
    assert {option.name: option.kind for option in COMMANDS["selfie"].options}.items() >= {
        "pose": OptionKind.POSE,
        "outfit": OptionKind.OUTFIT,
        "style": OptionKind.STYLE,
        "persona": OptionKind.PERSONA,
        "scheduler": OptionKind.CHOICE,
    }.items()
    assert job.label.startswith("#2 the cellar")
    assert len(job.label) <= 100


async def with_a_pose(engine: Engine, slug: str, rating: Rating = Rating.ALL_AGES) -> None:
    """Somebody of the cast, with a way to stand and one thing to wear."""
    async with engine.database.write() as tx:
        record = await personas.find(tx, slug)
        appearance = record.persona.appearance.model_copy(
            update={
                "poses": (Pose(name="Waving", description="waving a dishcloth"),),
                "wardrobe": (
                    Outfit(name="apron", description="a striped apron"),
                    Outfit(name="", description="x"),
                ),
            }
        )
        changed = record.persona.model_copy(update={"appearance": appearance, "rating": rating, "age": 40})
        await personas.revise(tx, record, changed, note="test", now=engine.clock.now())


async def test_poses_and_outfits_are_suggested_of_whoever_is_to_be_seen(
    engine: Engine, ana: Guest, ben: Guest
) -> None:
    async def found(kind: OptionKind, typed: str = "", order: str = "") -> list[tuple[str, str]]:
        choices = await commands.suggestions(engine, kind, typed, ana.who, chat=ana.chat, order=order)
        return [(one.value, one.label) for one in choices]

    await with_a_pose(engine, "glenys")
    await ana.gets("/persona wiebe")
    assert "apron" not in dict(await found(OptionKind.OUTFIT))
    assert dict(await found(OptionKind.POSE, "wav"))["waving"].startswith("waving: raising one arm high")
    await ana.gets("/persona invite glenys")
    named = '/imagine a walk --persona "Glenys Prosser" --pose "x"'
    assert await found(OptionKind.OUTFIT, "", named) == [("apron", "apron: a striped apron")]
    assert (await found(OptionKind.POSE, "", named))[0] == ("Waving", "Waving: waving a dishcloth")
    assert await found(OptionKind.POSE, "dishcloth", named) == [("Waving", "Waving: waving a dishcloth")]
    assert "waving" not in dict(await found(OptionKind.POSE, "wav", named)), "theirs goes by that name"
    # Of somebody who is not here, or nowhere, there is nothing to wear; how anybody stands is the house's.
    for somebody in ("zurab", "nobody at all", ""):
        order = f'/imagine a walk --persona "{somebody}"'
        assert bool(await found(OptionKind.OUTFIT, "", order)) is (somebody == "")
        assert len(await found(OptionKind.POSE, "", order)) >= 20


async def test_in_a_chat_that_was_never_seen_those_who_would_be_there_are_asked_for(
    engine: Engine, ana: Guest
) -> None:
    assert await commands.suggestions(engine, OptionKind.OUTFIT, "", ana.who, chat=ana.chat)
    assert await commands.suggestions(engine, OptionKind.OUTFIT, "", ana.who)
    async with engine.database.read() as tx:
        assert await chats.place(tx, ana.chat) is None, "asking changes nothing"


async def test_what_a_grown_up_persona_wears_is_told_to_nobody_who_may_not_see_them(
    engine: Engine, ana: Guest
) -> None:
    await ana.gets("/persona glenys")
    await with_a_pose(engine, "glenys", Rating.MATURE)
    assert await commands.suggestions(engine, OptionKind.OUTFIT, "", ana.who, chat=ana.chat) == []
    poses = await commands.suggestions(engine, OptionKind.POSE, "wav", ana.who, chat=ana.chat)
    assert "a dishcloth" not in " ".join(one.label for one in poses)
