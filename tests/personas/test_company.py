"""Several personas in one place: who is meant, who goes on, and that it ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas.company import MOST_ANSWERS, MOST_NAMED, Present, goes_on, named_in, present, spoken_to
from personas.persona import Persona

ADA = present(1, Persona(slug="ada", name="Ada Quill"))
BRAM = present(2, Persona(slug="bram", name="Bram Fern", nickname="Captain"))
ROSE = present(3, Persona(slug="rose", name="Rose Bo"))
ALL = [ADA, BRAM, ROSE]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Ada, what do you think?", (1,)),
        ("ada, what do you think?", (1,)),
        ("what do you think, ada?", (1,)),
        ("What does Ada Quill say? And Bram?", (1, 2)),
        ("Bram and Ada, good evening", (2, 1)),
        ("the captain went down with his ship", ()),
        ("Ask the Captain.", (2,)),
        ("I was at the Adam exhibition", ()),
        ("a rose is a rose by another name", ()),
        ("Rose is a name", (3,)),
        ("canada", ()),
        ("@ada hello", (1,)),
        ("", ()),
        ("ADA!", (1,)),
    ],
)
def test_a_name_is_a_call_where_it_is_meant_as_one(text: str, meant: tuple[int, ...]) -> None:
    assert named_in(text, ALL) == meant


def test_short_first_names_are_words_and_no_calls() -> None:
    assert present(9, Persona(slug="bo", name="Bo Rose")).names == ("Bo Rose",)


def test_in_a_shared_place_only_those_who_are_spoken_to_answer() -> None:
    assert spoken_to("nice weather", ALL, shared=True) is None
    assert spoken_to("nice weather", ALL, shared=True, called=True) == (1,)
    assert spoken_to("nice weather, Rose", ALL, shared=True) == (3,)
    assert spoken_to("nice weather", ALL, shared=True, replied=2) == (2,)
    assert spoken_to("nice weather, Ada", ALL, shared=True, replied=2) == (2, 1)


def test_in_a_private_one_somebody_always_answers() -> None:
    assert spoken_to("nice weather", ALL, shared=False) == (1,)
    assert spoken_to("nice weather, Bram", ALL, shared=False) == (2,)


def test_a_reply_to_somebody_who_has_left_is_said_to_the_host_if_to_anybody() -> None:
    assert spoken_to("really?", ALL, shared=True, replied=77) is None
    assert spoken_to("really?", ALL, shared=True, replied=77, called=True) == (1,)


def test_those_who_were_asked_come_before_those_who_are_named_on_the_way() -> None:
    assert goes_on("Rose knows.", 1, ALL, still=[2], answers=1) == (2, 3)
    assert goes_on("I, Ada, know.", 1, ALL, still=[], answers=1) == ()
    assert goes_on("Bram?", 1, ALL, still=[2], answers=1) == (2,)


names = st.sampled_from(["Ada", "Bram", "Rose", "Captain", "nobody", "Ada Quill", ","])
words = st.lists(names, max_size=6).map(" ".join)


@given(
    first=words,
    talk=st.lists(words, min_size=MOST_ANSWERS + 3, max_size=MOST_ANSWERS + 8),
    shared=st.booleans(),
)
def test_to_one_message_there_are_so_many_answers_and_no_more(
    first: str, talk: list[str], shared: bool
) -> None:
    """Whatever they say, and whoever they name: personas never talk for ever."""
    waiting = spoken_to(first, ALL, shared=shared) or ()
    assert len(waiting) <= MOST_NAMED
    answers = 0
    lines = iter(talk)
    while waiting:
        speaker, still = waiting[0], waiting[1:]
        answers += 1
        assert answers <= MOST_ANSWERS
        waiting = goes_on(next(lines), speaker, ALL, still=still, answers=answers)
        assert speaker not in waiting[:1] or speaker in still
        assert len(set(waiting)) == len(waiting)


@given(st.text(), st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4))
def test_no_text_and_no_name_breaks_it(text: str, called: list[str]) -> None:
    here = [Present(number, (name,)) for number, name in enumerate(called)]
    assert set(named_in(text, here)) <= set(range(len(called)))
