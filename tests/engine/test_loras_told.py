"""LoRAs told in a text: taken out of it, and nothing that only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.pictures import Lora
from engine.pictures.loras_told import MOST_LORAS, MOST_WEIGHT, key_of, settled, told, words

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=200)

#: What a reader of LoRAs may stumble over, side by side.
SYNTAX = st.lists(
    st.sampled_from(
        ["<lora:", "<LoRA:", ">", "<", ":", "a", "é", " ", ",", "0.8", "-1", ".5", "9" * 5, "\n"]
    ),
    max_size=80,
).map("".join)

NAMES = st.text("abc XYZ_-.()é東", min_size=1, max_size=12).map(str.strip).filter(bool)
WEIGHTS = st.integers(-200, 200).map(lambda cents: cents / 100)


@pytest.mark.parametrize(
    ("text", "rest", "loras"),
    [
        ("a cat", "a cat", ()),
        ("a cat <lora:film>", "a cat", (Lora("film"),)),
        ("<lora:film:0.8> a cat", "a cat", (Lora("film", 0.8),)),
        ("a cat, <lora:film:-.5>, at night", "a cat, at night", (Lora("film", -0.5),)),
        ("a cat<lora:film:+1.25>at night", "a cat at night", (Lora("film", 1.25),)),
        ("(<lora:film:1> red coat:1.3)", "(red coat:1.3)", (Lora("film"),)),
        ("a cat <lora:film:1>.", "a cat.", (Lora("film"),)),
        ("a <LORA:Film Grain v1.2_(XL):2>", "a", (Lora("Film Grain v1.2_(XL)", 2.0),)),
        ("<lora:one:5><lora:two:-100>", "", (Lora("one", 5.0), Lora("two", -100.0))),
        ("<lora:one:0.1> x <lora:ONE:0.7>", "x", (Lora("one", 0.7),)),
        ("one\n<lora:a>\ntwo", "one\n\ntwo", (Lora("a"),)),
    ],
)
def test_loras_are_taken_out_of_a_text(text: str, rest: str, loras: tuple[Lora, ...]) -> None:
    assert told(text) == (rest, loras)


@pytest.mark.parametrize(
    "text",
    [
        "<lora:>",
        "<lora: >",
        "<lora:x:0.855>",
        "<lora:x:much>",
        "<lora:x:>",
        "<lora:x:1e3>",
        "<lora:x:nan>",
        "<lora:x:1:2>",
        "<lora:x:1000>",
        "<lora:x:٣>",
        "<lora:../x>",
        "<lora:x\ny>",
        "<lora:x",
        "lora:x>",
        "<lyco:x:1>",
        f"<lora:{'x' * 101}>",
    ],
)
def test_what_only_looks_like_a_lora_is_text(text: str) -> None:
    assert told(text) == (text, ())


def test_those_beyond_the_sixth_stay_text() -> None:
    rest, loras = told("".join(f"<lora:n{number}>" for number in range(8)) + "<lora:n0:0.5>")
    assert [one.name for one in loras] == [f"n{number}" for number in range(6)]
    assert loras[0].weight == 0.5
    assert rest == "<lora:n6><lora:n7>"


@given(ANYTHING | SYNTAX)
@example("<lora:" * 30)
@example("<lora:a<lora:b>:1>")
def test_any_text_is_read_and_no_word_of_it_is_made_up(text: str) -> None:
    rest, loras = told(text)
    left = iter(text)
    assert all(letter in left for letter in rest if letter != " ")
    assert len(loras) <= MOST_LORAS
    assert len({key_of(one.name) for one in loras}) == len(loras)
    assert all(one.name and abs(one.weight) < 1_000 for one in loras), "as it was written"
    assert all(abs(one.weight) <= MOST_WEIGHT for one in settled(loras))
    if not loras:
        assert rest == text


@given(st.lists(st.builds(Lora, NAMES, WEIGHTS), max_size=MOST_LORAS, unique_by=lambda one: key_of(one.name)))
def test_what_is_written_for_other_programs_is_read_again(loras: list[Lora]) -> None:
    assert told(f"a cat {words(loras)}".strip()) == ("a cat", tuple(loras))


def test_the_longest_text_is_read_at_once() -> None:
    """Anything but linear would not come to an end."""
    for piece in ("<lora:", "<lora:x", "<lora:x:", "<lora:a>", ", ", " <", "<lora:" + "x" * 99):
        text = piece * (1_000_000 // len(piece))
        assert len(told(text)[0]) <= len(text)


def test_loras_are_the_same_for_a_picture_when_they_are_settled() -> None:
    asked = (
        Lora("Film", 0.2),
        Lora("rain", 0.0),
        Lora("film", 0.801),
        Lora("fog", float("nan")),
        Lora("x", 9),
    )
    assert settled(asked) == (Lora("Film", 0.8), Lora("x", 2.0))
    assert settled((Lora("a", 1.0), Lora("a", -0.001))) == ()
    assert words((Lora("a", -0.0), Lora("b", 0.8))) == "<lora:a:0> <lora:b:0.8>"
