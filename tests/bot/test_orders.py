"""Orders in words: what is one, and that a form and a line of text say the same."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.front import Option
from bot.orders import Order, flagged, order_in, order_of

#: Text of every kind, and text that looks like an order that was nearly meant.
ANYTHING = st.one_of(
    st.text(),
    st.text(alphabet="/-— =x\"'#0123456789abcdefghijklmno\n\t\u202e\ud800{}%"),
)
#: What somebody may put into a field of a form; fields of one line, and of several.
FIELD = st.one_of(
    st.text(), st.text(alphabet="-— =\"'xyz\n"), st.sampled_from(["--style noir", "—seed", '"', "--"])
)

MAIN = Option("scene", "")
MORE = Option("more", "")
STYLE, SEED = Option("style", "", flag="style"), Option("seed", "", flag="seed")


@given(ANYTHING)
@example("/" * 10_000)
@example("/help" + " " * 10_000 + "x")
def test_anything_is_an_order_or_is_not(text: str) -> None:
    order = order_in(text)
    assert order is None or order.name == order.name.lower()


@pytest.mark.parametrize("text", ["/help", " /help ", "/HELP", "/help@greenroom_bot", "/imagine a\nb", "/x"])
def test_a_slash_and_a_word_are_an_order(text: str) -> None:
    assert order_in(text) is not None


@pytest.mark.parametrize(
    "text", ["", "/", "//", "/ help", "help", "/etc/hosts", "/5", "a /help", "/help!", "/é"]
)
def test_everything_else_is_talk(text: str) -> None:
    assert order_in(text) is None


def test_an_order_is_its_name_and_its_words() -> None:
    assert order_in("/Imagine@greenroom_bot  a red\ncoat ") == Order("imagine", "a red\ncoat")


@given(ANYTHING)
@example("x " + "-" * 20_000)
@example("--seed " * 5_000)
def test_no_flag_stays_in_the_words(words: str) -> None:
    plain, flags = flagged(words)
    assert all(name == name.lower() and name.isascii() and name.isalpha() for name in flags)
    assert len(plain) <= len(words)


def read(value: str) -> str:
    """What comes through of a field's text: one line, and quotes that close nothing."""
    return " ".join(value.replace('"', "”").split())


@given(style=FIELD, seed=FIELD)
def test_what_a_field_for_a_flag_holds_comes_back_as_it_was(style: str, seed: str) -> None:
    line = order_of(["imagine"], [MAIN, STYLE, SEED], {"scene": "a coat", "style": style, "seed": seed})
    order = order_in(line)
    assert order is not None
    told = {name: read(value) for name, value in (("style", style), ("seed", seed)) if read(value)}
    assert flagged(order.words) == ("a coat", told)


@given(scene=FIELD, more=FIELD, style=FIELD)
def test_nothing_in_the_main_words_is_read_as_a_flag(scene: str, more: str, style: str) -> None:
    told = {"scene": scene, "more": more, "style": style}
    order = order_in(order_of(["imagine"], [MAIN, MORE, STYLE], told))
    assert order is not None
    words, flags = flagged(order.words)
    assert flags == ({"style": read(style)} if read(style) else {})
    kept = " ".join(filter(None, (read(scene), read(more))))
    assert "".join(c for c in words if c not in "-—– ") == "".join(c for c in kept if c not in "-—– ")


@given(name=st.sampled_from(["glenys", "zoë"]), words=FIELD)
def test_a_part_stands_before_its_words(name: str, words: str) -> None:
    line = order_of(["persona", "edit"], [Option("name", ""), MORE], {"name": name, "more": words})
    assert line.startswith(f"/persona edit {name}")


def test_what_was_not_filled_in_is_left_out() -> None:
    assert order_of(["imagine"], [MAIN, STYLE], {"scene": "  ", "style": ""}) == "/imagine"
    assert order_of(["imagine"], [MAIN, SEED], {"scene": "a coat", "seed": 7}) == '/imagine a coat --seed "7"'
