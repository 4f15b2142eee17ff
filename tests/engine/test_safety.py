"""What may be said and shown: cleaning, the block list, and ratings."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import BadRequest, Unsuitable
from engine.locales import locale_of, say
from engine.safety import BlockList, Kind, allowed_rating, check_persona, cleaned, name_of
from personas.persona import Persona, Rating

OVERRIDES = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text())
@example("\ud800\udfff")
@example("\r\n\r")
@example("\x00")
def test_what_is_kept_can_be_stored_shown_and_read(text: str) -> None:
    try:
        clean = cleaned(text, most=10_000)
    except BadRequest:
        return
    clean.encode("utf-8")
    assert clean == clean.strip()
    assert not set(clean) & set(OVERRIDES)
    assert all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs") for c in clean)
    assert cleaned(clean, most=20_000) == clean, "cleaning twice changes nothing"


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n\t", "\u200b", "\u200d\ufe0f", "\u202e\u202c", "\u0301", "\x00\x1b", "\ud83d", "\u00ad"],
)
def test_what_shows_nothing_is_nothing(text: str) -> None:
    with pytest.raises(BadRequest, match="nothing to read in that scene"):
        cleaned(text, most=100, what="scene")


@pytest.mark.parametrize("text", ["?", "👋", "…", "5", "שלום", "👩‍👩‍👧", "{{char}}", "<b>", "%s", "e\u0301"])
def test_the_smallest_thing_to_read_is_something(text: str) -> None:
    assert cleaned(text, most=100) == unicodedata.normalize("NFC", text)


def test_a_text_that_is_too_long_is_told_its_length() -> None:
    assert len(cleaned("x" * 100, most=100)) == 100
    with pytest.raises(BadRequest, match="100,000 characters; up to 8,000"):
        cleaned("x" * 100_000, most=8_000)


@pytest.mark.parametrize("what", get_args(Kind))
def test_whatever_was_meant_to_be_read_is_named_in_every_language(what: Kind) -> None:
    for text in ("", "xx"):
        with pytest.raises(BadRequest, match=f"[Tt]hat {what}") as caught:
            cleaned(text, most=1, what=what)
        assert locale_of("de").says(caught.value) != str(caught.value)


@given(st.text())
def test_a_name_is_one_short_line(text: str) -> None:
    name = name_of(text)
    name.encode("utf-8")
    assert len(name) <= 80
    assert "\n" not in name
    assert name_of(name) == name


# The block list

BLOCKED = BlockList(["gherkin", "Über Sache", "c++", "  ", "ß"])


@pytest.mark.parametrize(
    "text",
    [
        "gherkin",
        "GHERKIN!",
        "a Gherkin, please",
        "ghe\u0301rki\u0300n",
        "ｇｈｅｒｋｉｎ",
        "𝐆𝐇𝐄𝐑𝐊𝐈𝐍",
        "ℊherkin",
        "gher\u200bkin",
        "gher\u00adkin",
        "gher\ufe0fkin",
        "gher\u034fkin",
        "gher\u20ddkin",
        "_gherkin_",
        "*gherkin*",
        "“gherkin”",
        "uber sache",
        "über   \n sache",
        "ÜBER SACHE",
        "I like C++.",
        "SS",
    ],
)
def test_a_word_is_found_in_any_disguise(text: str) -> None:
    with pytest.raises(Unsuitable):
        BLOCKED.check(text)


@pytest.mark.parametrize("text", ["", "gherkins", "a gher kin", "übersache", "c+", "class", "pickle"])
def test_another_word_is_not_taken_for_it(text: str) -> None:
    BLOCKED.check(text)


def test_an_empty_list_lets_everything_through() -> None:
    BlockList([]).check("anything")
    BlockList(["", " "]).check("anything")


@given(st.lists(st.text()), st.text())
@example(["(" * 50, "[a-", "\\"], "x" * 50_000)
@example(["a a a a a a a a a a b"], "a " * 20_000)
def test_any_list_and_any_text_are_compared(words: list[str], text: str) -> None:
    with suppress(Unsuitable):
        BlockList(words).check(text)


# Ratings


@pytest.mark.parametrize("operator", list(Rating))
@pytest.mark.parametrize("place", list(Rating))
def test_the_strictest_of_operator_place_and_person_holds(operator: Rating, place: Rating) -> None:
    assert allowed_rating(operator=operator, place=place, confirmed_adult=False) is Rating.ALL_AGES
    allowed = allowed_rating(operator=operator, place=place, confirmed_adult=True)
    assert allowed.level == min(operator.level, place.level)


def test_a_persona_appears_only_where_it_may() -> None:
    grown_up = Persona(slug="x", name="X", age=40, rating=Rating.MATURE)
    check_persona(grown_up, Rating.MATURE)
    check_persona(grown_up, Rating.ADULT)
    with pytest.raises(Unsuitable, match="rated mature; here, for you, all-ages is the most") as caught:
        check_persona(grown_up, Rating.ALL_AGES)
    assert "mit „für Reifere“ eingestuft" in locale_of("de").says(caught.value)


@pytest.mark.parametrize("rating", list(Rating))
def test_every_rating_has_a_name(rating: Rating) -> None:
    assert say(f"safety.rating.{rating.value}") == rating.value
