"""What stays of a prompt when something in it is to change."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.language import count_words
from engine.language.picturing import _REQUEST_WORDS
from engine.rewording import VARIATIONS
from engine.varying import (
    VARIANTS,
    Anyway,
    Change,
    changes_for,
    load_changes,
    marks_of,
    names,
    phrases_of,
    shortened_to,
    whole,
    with_change,
)

CHANGES = load_changes(VARIATIONS)
ANYWAY = Anyway(("Ada Low", "Ada", "30-year-old"), ("grey eyes, short brown hair", "film grain, soft focus"))
PROMPT = (
    "medium shot of Ada, 30-year-old, mending a net with both hands, grey eyes, short brown hair, on an old pier, "
    "low evening light, a calm mood, film grain, soft focus"
)


@given(st.text(max_size=400), st.integers(0, 2**32 - 1))
@example("", 0)
@example(" ,.;!?" * 50, 1)
@example("a, " * 3_000, 2)
def test_the_variants_of_any_text_change_different_things(text: str, seed: int) -> None:
    drawn = changes_for(text, CHANGES, seed)
    assert len({change.kind for change, _ in drawn}) == VARIANTS
    assert changes_for(text, CHANGES, seed) == drawn
    for change, gives_way in drawn:
        left = whole(text, ANYWAY, gives_way=gives_way)
        assert change.words in with_change(left, change)


def test_every_change_is_made_of_words_that_are_fit_for_a_prompt() -> None:
    assert set(CHANGES) == {"light", "angle", "place", "mood"}
    for kind in CHANGES.values():
        assert len(kind["changes"]) == len(set(kind["changes"])) >= 5
        assert all(2 <= count_words(change) <= 14 for change in kind["changes"])
        assert not any(set("()[]<>{}|") & set(change) for change in kind["changes"])


def test_what_is_said_anyway_goes_and_the_subject_stays() -> None:
    assert whole(PROMPT, ANYWAY) == (
        "mending a net with both hands, on an old pier, low evening light, a calm mood,"
    )


@pytest.mark.parametrize(
    ("kind", "gone"),
    [("light", "low evening light,"), ("place", "on an old pier,"), ("mood", "a calm mood,")],
)
def test_what_quarrels_with_a_change_gives_way(kind: str, gone: str) -> None:
    left = whole(PROMPT, ANYWAY, gives_way=CHANGES[kind]["words"])
    assert left == whole(PROMPT, ANYWAY).replace(gone, "").replace("  ", " ").strip()


def test_the_first_phrase_says_what_the_picture_is_of_and_never_gives_way() -> None:
    assert whole("a lamp by the sea", Anyway(), gives_way=CHANGES["light"]["words"]) == "a lamp by the sea"


def test_what_the_subject_says_is_changed_last() -> None:
    for seed in range(30):
        kinds = {change.kind for change, _ in changes_for("a walk at night", CHANGES, seed)}
        assert kinds == {"angle", "place", "mood"}


def test_a_change_comes_early_enough_for_those_who_read_only_the_beginning() -> None:
    long = ", ".join(f"thing number {number}" for number in range(60))
    for kind in CHANGES.values():
        for words in kind["changes"]:
            beginning = with_change(long, Change("light", words)).split()[:_REQUEST_WORDS]
            assert words in " ".join(beginning)


def test_a_change_stands_behind_a_subject_that_is_one_long_phrase() -> None:
    assert with_change("fox " * 80, Change("light", "moonlight")).endswith("fox, moonlight")
    assert with_change("a fox, in snow.", Change("light", "moonlight")) == "a fox, in snow, moonlight"


def test_a_text_that_fits_is_left_alone() -> None:
    assert shortened_to(PROMPT, len(PROMPT), without=ANYWAY) == (PROMPT, False)


def test_a_longer_one_does_first_without_what_is_said_anyway() -> None:
    text, cut = shortened_to(PROMPT, len(PROMPT) - 1, without=ANYWAY)
    assert (text, cut) == (whole(PROMPT, ANYWAY), False)
    text, cut = shortened_to(PROMPT, 50, without=ANYWAY)
    assert (text, cut) == ("mending a net with both hands, on an old pier,", True)


@given(st.text(max_size=300), st.integers(1, 60))
def test_what_is_shortened_fits(text: str, most: int) -> None:
    left, cut = shortened_to(text, most, without=ANYWAY)
    assert len(left) <= most
    assert cut or left == text or set(phrases_of(left)) <= set(phrases_of(text))


def test_words_are_found_as_words() -> None:
    marks = marks_of(["night", "golden hour", ""])
    assert names("at Night, alone", marks)
    assert names("the golden-hour", marks_of(["golden-hour"]))
    assert names("in the golden  hour", marks)
    assert not names("a knight, nightly", marks)
