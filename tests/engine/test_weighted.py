"""Weights are read as people write them elsewhere, and whatever else they write is text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.pictures.sdxl.weighted import (
    LEAST_WEIGHT,
    MOST_CHARACTERS,
    MOST_WEIGHT,
    Fragment,
    fragments,
    kept,
    plain,
    weighed,
)

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=200)
#: What a reader of weights may stumble over, side by side.
SYNTAX = st.lists(
    st.sampled_from([*"()[]:\\-; a\0", "1.3", "9", "<|endof", "text|>", ":)"]), max_size=60
).map("".join)


def read(prompt: str) -> list[tuple[str, float]]:
    return [(part.text, part.weight) for part in fragments(prompt)]


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a red coat", [("a red coat", 1.0)]),
        ("a (red coat:1.3), [fog]", [("a ", 1.0), ("red coat", 1.3), (", ", 1.0), ("fog", 0.9091)]),
        ("(x)", [("x", 1.1)]),
        ("((x))", [("x", 1.21)]),
        ("[[x]]", [("x", 0.8264)]),
        ("([x])", [("x", 1.0)]),
        ("(a: 1.2 )", [("a", 1.2)]),
        ("(a:.5)", [("a", 0.5)]),
        ("(a:1)", [("a", 1.0)]),
        ("((a) b:1.3)", [("a", 1.43), (" b", 1.3)]),
        ("((a):1.3)", [("a", 1.43)]),
        ("a (b, (c:1.2), d:0.8) e", [("a ", 1.0), ("b, ", 0.8), ("c", 0.96), (", d", 0.8), (" e", 1.0)]),
        ("(cyberpunk 2077:1.3)", [("cyberpunk 2077", 1.3)]),
        ("(portrait: woman)", [("portrait: woman", 1.1)]),
        ("style :(red coat:1.2)", [("style :", 1.0), ("red coat", 1.2)]),
        ("(東京の夜:1.2)。", [("東京の夜", 1.2), ("。", 1.0)]),
    ],
)
def test_weights_are_read_as_they_are_written_elsewhere(prompt: str, parts: list[tuple[str, float]]) -> None:
    assert read(prompt) == parts


@pytest.mark.parametrize(
    "prompt",
    [
        "C++ and C#",
        "a cat :-) and a dog",
        "fox :( and cat :)",
        "(hello :)",
        "an ( unbalanced one",
        "] and ) and [",
        "()",
        "( ) [ ]",
        "(x:-1)",
        "(x:inf)",
        "(x:nan)",
        "(x:1e9)",
        "(x:99)",
        "(x:1,3)",
        "(x:1.3.1)",
        "(x:)",
        "(:1.3)",
        "(x:１.３)",
        "(16:9)",
        "at (10:30)",
        "[day:night:0.5]",
        "[x:1.3]",
        'a "quoted" one.and() withLora(x',
        "<lora:x:1>",
        "back \\ slash",
    ],
)
def test_what_looks_like_syntax_and_is_not_is_text(prompt: str) -> None:
    assert [weight for _, weight in read(prompt)] == [1.0]
    assert plain(fragments(prompt)) == prompt


def test_an_escaped_bracket_is_a_bracket_and_nothing_more() -> None:
    assert read(r"anna \(of the house\) \[1\]") == [("anna (of the house) [1]", 1.0)]
    assert read(r"(a\)b:1.2)") == [("a)b", 1.2)]


def test_of_brackets_that_cross_those_count_that_close_first() -> None:
    assert read("[a (b] c)") == [("a (b", 0.9091), (" c)", 1.0)]


def test_no_weight_tears_a_picture_apart() -> None:
    assert read("(a:0) (b:9)") == [("a", LEAST_WEIGHT), (" ", 1.0), ("b", MOST_WEIGHT)]
    assert read("(" * 50 + "x" + ")" * 50) == [("x", MOST_WEIGHT)]
    assert read("[" * 50 + "x" + "]" * 50) == [("x", LEAST_WEIGHT)]


def test_words_of_the_same_weight_are_one_part() -> None:
    assert read("a (b:1.0) c") == [("a b c", 1.0)]
    assert read("(a)(b)") == [("ab", 1.1)]


@pytest.mark.parametrize(
    "prompt",
    [
        "a <|endoftext|> fox",
        "a <|startoftext|> fox",
        "a <|EndOfText|> fox",
        "a (<|endof:1.0)text|> fox",
        "a (<|endof)(text|>) fox",
    ],
)
def test_no_token_that_ends_the_text_gets_through(prompt: str) -> None:
    assert plain(fragments(prompt)) == "a fox"


def test_a_token_put_together_by_taking_one_out_is_none() -> None:
    assert "<|endoftext|>" not in plain(fragments("<|end<|endoftext|>oftext|> fox"))


def test_control_characters_are_spaces() -> None:
    assert read("(a\x00b\ud800c\nd:1.2)") == [("a b c d", 1.2)]


def test_nothing_is_made_of_nothing() -> None:
    assert fragments("") == ()
    assert plain(()) == ""


def test_a_prompt_beyond_all_measure_ends_with_a_whole_word() -> None:
    words = kept("word " * MOST_CHARACTERS)
    assert MOST_CHARACTERS - 5 <= len(words) <= MOST_CHARACTERS
    assert set(words.split()) == {"word"}
    assert len(kept("x" * 2 * MOST_CHARACTERS)) == MOST_CHARACTERS, "a word without an end is cut"
    assert kept("a fox") == "a fox"


def test_a_hundred_thousand_brackets_are_read_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.pictures.sdxl.weighted.MOST_CHARACTERS", 1_000_000)
    deep = 100_000
    assert read("(" * deep + "x" + ")" * deep) == [("x", MOST_WEIGHT)]
    assert plain(fragments("(" * deep)) == "(" * deep
    assert plain(fragments("[(" * deep + "]" * deep)) == "(" * deep


def steps(work: Callable[[], Any]) -> int:
    """How many lines of Python a piece of work takes."""
    taken = 0

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal taken
        taken += event == "line"
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        work()
    finally:
        sys.settrace(before)
    return taken


@pytest.mark.parametrize(
    "unit", ["(", ")", "()", "[(", "(])", "(a:1.3)", "[(x]", "(a:", ":1.3)", ":) ", "\\(", "((a:1.1) b)", "a"]
)
def test_twice_the_prompt_is_twice_the_work(unit: str) -> None:
    once, twice = (steps(partial(fragments, unit * count)) for count in (500, 1_000))
    assert twice <= 2.1 * once


@pytest.mark.parametrize(("opens", "closes"), ["()", "[]"])
def test_twice_as_deep_is_twice_the_work(opens: str, closes: str) -> None:
    once, twice = (steps(partial(fragments, opens * count + "x" + closes * count)) for count in (500, 1_000))
    assert twice <= 2.1 * once


@given(ANYTHING | SYNTAX)
@example("(:1.3)")
@example("((x:1.3)\n")
def test_any_text_has_parts_of_sound_weights(prompt: str) -> None:
    parts = fragments(prompt)
    assert all(part.text and LEAST_WEIGHT <= part.weight <= MOST_WEIGHT for part in parts)
    assert all(one.weight != other.weight for one, other in pairwise(parts))
    plain(parts).encode()
    assert "<|endoftext|>" not in plain(parts).lower()


@given(st.text(st.sampled_from("()[]abc ")))
def test_brackets_never_cost_a_letter(prompt: str) -> None:
    letters = [letter for letter in prompt if letter.isalpha()]
    assert [letter for letter in plain(fragments(prompt)) if letter.isalpha()] == letters


@given(ANYTHING | SYNTAX)
def test_no_word_is_made_up_and_none_changes_its_place(prompt: str) -> None:
    rest = iter(prompt)
    assert all(letter in rest for letter in "".join(plain(fragments(prompt)).split()))


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="()[]\\<|>")))
def test_text_without_brackets_stays_as_it_is(prompt: str) -> None:
    assert fragments(prompt) == ((Fragment(prompt),) if prompt else ())


def test_a_prompt_that_was_written_from_weighted_words_weighs_them_where_they_stand() -> None:
    asked = fragments("a pier, (Red coat:1.3), [fog] and (nobody)")
    written = "Ada on a pier in a red coat, fog behind her, red coat again"
    assert (
        weighed(written, asked)
        == "Ada on a pier in a (red coat:1.3), (fog:0.9091) behind her, red coat again"
    )
    assert weighed(written, fragments("a pier")) == written


def test_weighted_words_are_whole_words() -> None:
    asked = fragments("(red:1.3)")
    assert weighed("a weathered face in a red hood", asked) == "a weathered face in a (red:1.3) hood"
    assert weighed("a weathered face", asked) == "a weathered face"


@given(ANYTHING | SYNTAX, ANYTHING)
def test_weights_put_back_cost_no_word_of_the_prompt(asked: str, written: str) -> None:
    again = weighed(written, fragments(asked))
    rest = iter(again)
    assert all(letter in rest for letter in written)
    assert len(again.split()) == len(written.split())
