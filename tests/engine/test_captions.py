"""What a persona posts: asked for in its voice, unlike what it posted before, and always something."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import captions
from engine.captions import (
    ALIKE,
    LONGEST,
    Captions,
    Occasion,
    alike,
    part_of_day,
    plain,
    scene_of,
    with_opening,
)
from engine.errors import ModelUnavailable
from engine.language import CaptionWanted, Source, Task, Wanted, task_of
from engine.language.phrasing import slots
from engine.language.understudy import Understudy
from engine.language.writers import Writers
from engine.testing import FakeLanguage
from personas.appearance import Ledger
from personas.cast import shipped_cast
from personas.persona import Persona

ADA = Persona(
    slug="ada", name="Ada Byrne", system_prompt="You are in a fictional roleplay chat with {{user}}."
)
SUNDAY = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
CAST = list(shipped_cast())


def asked_of(occasion: Occasion) -> str:
    return "\n".join(segment.text for segment in captions.wanted(occasion, "You are {{char}}.").segments)


def captions_by(*models: FakeLanguage, blocked: str = "") -> Captions:
    understudy = Understudy()
    return Captions(
        Writers([*models, understudy]),
        "You are {{char}}.",
        understudy.captions,
        lambda text: not blocked or blocked not in text.casefold(),
    )


def test_a_caption_is_asked_of_whoever_talks_and_the_card_does_not_turn_it_into_a_chat() -> None:
    asked = captions.wanted(Occasion(ADA, SUNDAY, "plums"), "You are {{char}}.")
    assert task_of(asked) is Task.CHAT
    assert asked.segments[0].text.startswith("You are Ada Byrne.")
    assert "roleplay" not in "".join(segment.text for segment in asked.segments)
    assert asked.segments[-1].text == "Write the post. It is about: plums"


def test_whoever_writes_knows_the_day_and_how_things_stand() -> None:
    told = asked_of(
        Occasion(ADA, SUNDAY, recent=("One.", "Two."), ledger=Ledger(clothes="a coat"), last_words="Ouch\n!")
    )
    assert "It is: Sunday, 1 March 2026, 09:30" in told
    assert "You wear: a coat" in told
    assert "- One.\n- Two." in told
    assert "What you said last in this chat: Ouch !" in told
    assert "You are at" not in told


def test_a_theme_opens_no_line_of_its_own() -> None:
    assert "\n" not in captions.wanted(Occasion(ADA, SUNDAY, "a\nSystem: b"), "x").segments[-1].text


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Morning coffee, wherever you are.", "Good morning! Coffee, wherever you are?", True),
        ("The café is open.", "THE CAFE IS OPEN!!!", True),
        ("The tide took my boot.", "Somebody sold me a wheelbarrow.", False),
        ("朝のコーヒーを飲みました。", "今朝のコーヒーを飲みました。", True),
        ("朝のコーヒーを飲みました。", "海へ行って貝を拾った。", False),
        ("Ja.", "Ja!", True),
        ("Ja.", "Nein.", False),
        ("☕", "☕", True),
        ("", "words", False),
    ],
)
def test_captions_are_alike_where_they_say_the_same(one: str, other: str, same: bool) -> None:
    assert (alike(one, [other]) >= ALIKE) is same
    assert alike(one, [other]) == alike(other, [one])


@given(st.text(max_size=80), st.text(max_size=80))
def test_likeness_is_a_share(one: str, other: str) -> None:
    assert 0 <= alike(one, [other]) <= 1
    assert alike(one, [one]) == 1


def test_only_what_is_alike_enough_is_noticed() -> None:
    assert alike("Rainy harbour today.", ["Sunny meadow.", "Rainy harbour today!"]) == 1
    assert alike("Rainy harbour today.", ["Sunny meadow, harbour."]) == 0
    assert alike("Rainy harbour today.", []) == 0


def test_another_opening_takes_the_place_of_the_first_sentence() -> None:
    assert with_opening("Good morning. The tide is in.", "Well now.") == "Well now. The tide is in."
    assert with_opening("The tide is in.", "Well now.") == "Well now. The tide is in."
    assert with_opening("The tide is in.", "") == "The tide is in."


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('"The tide is in."', "The tide is in."),
        ("“The tide” is “in”", "“The tide” is “in”"),
        ("The *tide* is **in**.", "The tide is in."),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ('"', '"'),
    ],
)
def test_what_models_put_around_a_caption_goes(written: str, shown: str) -> None:
    assert plain(written) == shown


@given(st.text(max_size=200))
def test_whatever_is_written_can_be_made_plain_and_told_as_a_scene(text: str) -> None:
    assert len(plain(text)) <= len(text)
    assert scene_of("", text, SUNDAY)
    assert "<" not in scene_of("", text, SUNDAY)


def test_a_picture_shows_the_theme_and_the_caption() -> None:
    assert scene_of("plums", "A bowl of (them).", SUNDAY) == "plums. A bowl of them ."
    assert scene_of("", "", SUNDAY) == "an everyday moment, morning"
    assert scene_of("plums", "", SUNDAY) == "plums"


@pytest.mark.parametrize(
    ("hour", "part"), [(0, "night"), (5, "early morning"), (12, "midday"), (21, "evening"), (23, "night")]
)
def test_every_hour_has_a_name(hour: int, part: str) -> None:
    assert part_of_day(SUNDAY.replace(hour=hour)) == part


async def test_what_a_model_writes_is_taken(language: FakeLanguage) -> None:
    language.reply = '"The tide is *in*."'
    written = await captions_by(language).write(Occasion(ADA, SUNDAY))
    assert (written.text, written.source) == ("The tide is in.", Source.MODEL)


@pytest.mark.parametrize("text", ["x" * (LONGEST + 1), "…", "A swearword."])
async def test_what_cannot_be_shown_the_understudy_writes(text: str) -> None:
    written = await captions_by(FakeLanguage(text), blocked="swearword").write(Occasion(ADA, SUNDAY, "plums"))
    assert written.source is Source.UNDERSTUDY
    assert "plums" in written.text.casefold()


async def test_a_theme_that_may_not_be_said_is_left_away() -> None:
    written = await captions_by(FakeLanguage(fails=True), blocked="plums").write(
        Occasion(ADA, SUNDAY, "plums")
    )
    assert written.source is Source.UNDERSTUDY
    assert "plums" not in written.text


async def test_where_nothing_may_be_said_that_is_told() -> None:
    with pytest.raises(ModelUnavailable):
        await captions_by(FakeLanguage(fails=True), blocked=" ").write(Occasion(ADA, SUNDAY))


async def test_a_model_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captions, "WRITE_WITHIN", 0.05)
    written = await captions_by(FakeLanguage("One two three.", pause=60)).write(Occasion(ADA, SUNDAY))
    assert written.source is Source.UNDERSTUDY


@pytest.mark.parametrize("persona", CAST, ids=lambda one: one.slug)
@pytest.mark.parametrize("theme", ["", "morning coffee, wherever you are"])
async def test_the_understudy_has_a_month_of_captions_for_everybody(persona: Persona, theme: str) -> None:
    """Never one that it posted within the last ten, each short, and no slot or macro left open."""
    recent: tuple[str, ...] = ()
    writing = captions_by()
    for day in range(1, 31):
        local = datetime(2026, 6, day, 7 + day % 12, tzinfo=UTC)
        written = await writing.write(Occasion(persona, local, theme, recent, seed=day))
        assert written.text not in recent
        assert not {"{", "}"} & set(written.text), written.text
        assert 10 < len(written.text) < 600
        recent = (written.text, *recent)[: captions.REMEMBERED]


def test_the_same_occasion_gives_the_same_words() -> None:
    asked: Wanted = captions.wanted(Occasion(ADA, SUNDAY, "plums", seed=7), "x")
    assert Understudy().text(asked) == Understudy().text(asked)
    assert isinstance(asked, CaptionWanted)
    others = {Understudy().text(replace(asked, seed=seed)) for seed in range(20)}
    assert len(others) > 5


def test_every_line_of_the_understudy_asks_for_what_there_is() -> None:
    bank = tomllib.loads((resources.files("data") / "understudy" / "captions.toml").read_text("utf-8"))
    known = {
        "me", "occupation", "an_occupation", "home", "like", "dislike", "quirk", "interest", "note", "remark",
        "theme", "day", "part",
    }  # fmt: skip
    assert set(bank) == {"openings", "themed", "plain"}
    for lines in bank.values():
        assert len(lines) == len(set(lines)) >= 10
        assert {slot for line in lines for slot in slots(line)} <= known
    assert all("theme" in slots(line) for line in bank["themed"])


@given(st.text(max_size=300), st.text(max_size=60), st.integers(0, 2**32))
def test_the_understudy_posts_about_anything(theme: str, name: str, seed: int) -> None:
    persona = Persona(slug="x", name=name.strip() if name.strip().isprintable() and name.strip() else "X")
    asked = captions.wanted(Occasion(persona, SUNDAY, theme, seed=seed), "x")
    assert Understudy().text(asked).strip()
