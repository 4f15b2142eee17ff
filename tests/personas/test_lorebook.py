from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas.decorators import decorated
from personas.lorebook import Entry, Lorebook, Told, told
from personas.patterns import pattern, ways
from personas.prompting import Line


def entry(*keys: str, content: str = "", **more: Any) -> Entry:
    return Entry(keys=keys, content=content or f"about {' '.join(keys)}", **more)


def talk(*texts: str) -> list[Line]:
    """Lines by turns, the person first."""
    return [Line(by_persona=place % 2 == 1, text=text) for place, text in enumerate(texts)]


def names(book: Lorebook, lines: list[Line], budget: int = 1_000) -> list[str]:
    return [one.content for one in told(book, lines, budget=budget)]


def test_an_entry_is_told_when_the_talk_comes_near_it() -> None:
    book = Lorebook(entries=(entry("harbour"), entry("castle")))
    assert names(book, talk("Shall we go to the Harbour?")) == ["about harbour"]
    assert names(book, talk("Shall we stay?")) == []


def test_capitals_count_only_where_the_entry_says_so() -> None:
    book = Lorebook(entries=(entry("Rose", case_sensitive=True), entry("LILY")))
    assert names(book, talk("a rose and a lily")) == ["about LILY"]
    assert names(book, talk("Rose!")) == ["about Rose"]


def test_only_the_last_lines_are_looked_through() -> None:
    lines = talk("harbour", "yes", "and then", "well")
    assert names(Lorebook(scan_depth=3, entries=(entry("harbour"),)), lines) == []
    assert names(Lorebook(scan_depth=4, entries=(entry("harbour"),)), lines) == ["about harbour"]
    assert names(Lorebook(scan_depth=0, entries=(entry("well"),)), lines) == []
    assert names(Lorebook(scan_depth=900, entries=(entry("harbour"),)), lines) == ["about harbour"]


def test_disabled_entries_are_never_told_and_constant_ones_always() -> None:
    book = Lorebook(entries=(entry("a", enabled=False, constant=True), entry("zzz", constant=True)))
    assert names(book, talk("a")) == ["about zzz"]
    assert names(book, []) == ["about zzz"]


def test_empty_keys_and_empty_contents_bring_nothing_up() -> None:
    book = Lorebook(entries=(Entry(keys=("", " "), content="x"), Entry(keys=("a",), content="@@depth 2\n")))
    assert names(book, talk("a b c")) == []


def test_a_selective_entry_needs_a_key_of_both_kinds() -> None:
    book = Lorebook(entries=(entry("harbour", selective=True, secondary_keys=("night",)),))
    assert names(book, talk("the harbour")) == []
    assert names(book, talk("the harbour at night")) == ["about harbour"]
    plain = Lorebook(entries=(entry("harbour", selective=False, secondary_keys=("night",)),))
    assert names(plain, talk("the harbour")) == ["about harbour"]


def test_what_is_told_brings_up_more_only_where_the_book_wants_it() -> None:
    entries = (entry("harbour", content="The lighthouse stands there."), entry("lighthouse"), entry("zebra"))
    lines = talk("the harbour")
    assert len(names(Lorebook(entries=entries, recursive_scanning=True), lines)) == 2
    assert len(names(Lorebook(entries=entries), lines)) == 1


def test_a_note_in_an_entry_brings_nothing_up_but_a_hidden_key_does() -> None:
    entries = (entry("a", content="x {{// zebra }} {{hidden_key: lion }}"), entry("zebra"), entry("lion"))
    found = names(Lorebook(entries=entries, recursive_scanning=True), talk("a"))
    assert "about lion" in found
    assert "about zebra" not in found


def test_lower_insertion_order_stands_higher_and_before_comes_before_after() -> None:
    book = Lorebook(
        entries=(
            entry("a", content="late", insertion_order=9),
            entry("a", content="behind", insertion_order=1, position="after_char"),
            entry("a", content="early", insertion_order=2),
            entry("a", content="@@depth 1\nlow"),
            entry("a", content="@@depth 4\ndeep"),
        )
    )
    assert names(book, talk("a")) == ["early", "late", "behind", "deep", "low"]


def test_the_lowest_priority_is_dropped_first_when_the_budget_is_small() -> None:
    book = Lorebook(
        entries=(
            entry("a", content="x" * 40, priority=1),
            entry("a", content="y" * 40, priority=5),
            entry("a", content="z" * 40, priority=3),
        )
    )
    assert names(book, talk("a"), budget=20) == ["y" * 40, "z" * 40]
    assert names(book, talk("a"), budget=10) == ["y" * 40]
    assert names(book, talk("a"), budget=9) == []
    assert names(book.model_copy(update={"token_budget": 10}), talk("a")) == ["y" * 40]


def test_an_entry_that_could_never_fit_drives_out_no_other() -> None:
    book = Lorebook(entries=(entry("a", content="x" * 999, priority=9), entry("a", content="small")))
    assert names(book, talk("a"), budget=10) == ["small"]


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        (r"/drag(on|ons)\b/", "two dragons", True),
        (r"/Dragon/", "dragon", False),
        (r"/Dragon/i", "dragon", True),
        (r"Dragon", "dragon", True),
        (r"/(?<beast>drake)/", "a drake", True),
        (r"/[/", "[", False),
        (r"(unclosed", "(unclosed", False),
        (r"/(a+)+$/", "aaaa", False),
        (r"/(?#[)(a*)*(?#])/", "aaaa", False),
    ],
)
def test_a_regular_expression_matches_or_is_passed_over(key: str, text: str, expected: bool) -> None:
    book = Lorebook(entries=(entry(key, use_regex=True),))
    assert bool(told(book, talk(text), budget=100)) is expected


def test_with_regular_expressions_constant_and_secondary_keys_are_ignored() -> None:
    book = Lorebook(entries=(entry("zz", use_regex=True, constant=True),))
    assert names(book, talk("a")) == []
    book = Lorebook(entries=(entry("a", use_regex=True, selective=True, secondary_keys=("zz",)),))
    assert names(book, talk("a")) == ["about a"]


@pytest.mark.parametrize(
    "source",
    [
        r"(a+)+$",
        r"(a|a)*$",
        r"(.*)*x",
        r"(a*a*a*a*)*b",
        r"((a{1,30}){1,30}){1,30}b",
        "(?:a?){60}" + "a" * 60,
        "a?" * 60 + "a" * 60,
        "a*" * 30 + "b",
        "(?:" * 200 + ")" * 200,
        r"(?x)(a #)" + "\n*)*b",
        r"(?:(?:(?:){999999999}){999999999}){9}",
        "[" * 400,
        "\\",
    ],
)
def test_no_regular_expression_can_keep_a_message_waiting(source: str) -> None:
    book = Lorebook(entries=(entry(source, use_regex=True), entry("safe")))
    begun = time.thread_time()  # what others do on the machine meanwhile is not counted
    found = names(book, talk("a" * 20_000, "a" * 20_000 + " safe"))
    assert time.thread_time() - begun < 2
    assert "about safe" in found


def test_open_repetitions_are_tried_on_less_text_and_simple_words_on_more() -> None:
    simple, open_ended = pattern("dragon", steps=10**6), pattern(".*dragon", steps=10**6)
    assert simple is not None
    assert open_ended is not None
    assert simple.length > open_ended.length > 100
    assert ways("(a|b)c?", 100) == 4


@given(st.text(alphabet="ab()[]{}|*+?.,\\d^$<>=!:1-", max_size=40))
def test_any_expression_is_either_sound_or_refused(source: str) -> None:
    found = pattern(source, steps=100_000)
    if found is not None:
        found.found_in("abab dada " * 20)


def test_decorators_are_read_and_taken_out_of_the_text() -> None:
    asked = decorated("@@depth 3\n@@role assistant\n@@unheard_of 4\n\nThe tide is low.\n")
    assert (asked.text, asked.depth, asked.role) == ("The tide is low.", 3, "assistant")


def test_the_first_of_two_decorators_counts_and_fallbacks_stand_in_for_unknown_ones() -> None:
    assert decorated("@@depth 1\n@@depth 2\nx").depth == 1
    assert decorated("@@strange 1\n@@@stranger 2\n@@@depth 5\nx").depth == 5
    assert decorated("@@scan_depth 1\n@@@depth 5\nx").depth is None
    assert decorated("@@depth deep\n@@@depth 5\nx").depth == 5


def test_decorators_decide_when_an_entry_may_speak() -> None:
    lines = talk("a", "one", "a", "two")

    def speaks(decorators: str, **more: Any) -> bool:
        return bool(names(Lorebook(entries=(entry("a", content=f"{decorators}\nx", **more),)), lines))

    assert speaks("@@activate_only_after 2")
    assert not speaks("@@activate_only_after 3")
    assert speaks("@@activate_only_every 2")
    assert not speaks("@@activate_only_every 3")
    assert not speaks("@@dont_activate")
    assert speaks("@@dont_activate\n@@activate")
    assert not speaks("@@activate", enabled=False)
    assert not speaks("@@scan_depth 1")
    assert not speaks("@@exclude_keys zebra,two")
    assert speaks("@@additional_keys zebra,two")
    assert not speaks("@@additional_keys zebra")


def test_a_decorator_can_make_an_entry_constant_or_place_it() -> None:
    book = Lorebook(entries=(entry("zz", content="@@constant\n@@position after_desc\n@@depth 4\nx"),))
    (one,) = told(book, talk("hello"), budget=10)
    assert (one.position, one.depth, one.content) == ("after_char", None, "x")
    assert isinstance(one, Told)


@given(
    st.lists(
        st.builds(entry, st.sampled_from("abcd"), content=st.text(max_size=60), priority=st.integers(0, 3))
    ),
    st.lists(st.builds(Line, st.booleans(), st.text(alphabet="abcd ", max_size=10)), max_size=6),
    st.integers(0, 40),
)
def test_what_is_told_never_outgrows_the_budget(entries: list[Entry], lines: list[Line], budget: int) -> None:
    book = Lorebook(entries=tuple(entries), recursive_scanning=True)
    assert sum(-(-len(one.content) // 4) for one in told(book, lines, budget=budget)) <= budget


@pytest.mark.parametrize("budget", [-5, 0])
def test_a_budget_of_nothing_tells_nothing(budget: int) -> None:
    book = Lorebook(entries=(entry("sea"),), token_budget=budget)
    assert names(book, talk("the sea")) == []


def test_a_book_of_very_many_keys_costs_a_moment_and_no_more() -> None:
    entries = tuple(
        entry(*[f"k{n} {m}" for m in range(60)], content=f"k{n + 1} " * 200) for n in range(2_000)
    )
    book = Lorebook(entries=entries, recursive_scanning=True, scan_depth=9_999)
    begun = time.thread_time()
    told(book, talk(*["k0 " * 5_000] * 50), budget=1_000)
    assert time.thread_time() - begun < 5
