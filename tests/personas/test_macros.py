from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from personas.macros import MAX_ADDED, SOMEBODY, expand, expand_shared


def said(
    text: str, *, person: str = "Sam", seed: int = 0, moment: int = 0, original: str | None = None
) -> str:
    return expand(text, persona_name="Iris", person_name=person, seed=seed, moment=moment, original=original)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{char}} {{Char}} {{CHAR}} <BOT> <char>", "Iris Iris Iris Iris Iris"),
        ("{{user}} {{ user }} <User>", "Sam Sam Sam"),
        ("{{{char}}}", "{Iris}"),
        ("a{{// a note }}b{{comment: c}}c{{hidden_key:d}}d", "abcd"),
        ("{{reverse:abc}} {{reverse: {{user}}}}", "cba maS"),
        ("{{random:only}} {{pick:only}} {{random::only}}", "only only only"),
        ("{{roll:1}} {{roll:d1}} {{roll:2d1+3}} {{roll:3D1-1}}", "1 1 5 2"),
        ("{{random:a\\,b}}", "a,b"),
    ],
)
def test_known_macros_stand_for_what_they_should(text: str, expected: str) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{unknown}}",
        "{{unknown:a,b::c}}",
        "{{",
        "}}",
        "{{char",
        "{{char:x}}",
        "{{roll:x}}",
        "{{roll:0}}",
        "{{random:a",
        "{%s}",
    ],
)
def test_what_is_no_macro_of_ours_stays_as_it_is(text: str) -> None:
    assert said(text) == text


def test_original_is_known_only_where_there_is_one() -> None:
    assert said("{{original}}!") == "{{original}}!"
    assert said("{{Original}}!", original="Be kind") == "Be kind!"


@pytest.mark.parametrize("name", ["{{char}}", "<bot>", "{{random:a,b}}", "}}", "{{//", "char"])
def test_a_name_that_looks_like_a_macro_is_only_a_name(name: str) -> None:
    assert said("{{user}}", person=name) == name
    assert said("Hello <user>, {{unknown:{{user}}}}", person=name) == f"Hello {name}, {{{{unknown:{name}}}}}"
    assert said("{{ {{user}} }}", person=name) == f"{{{{ {name} }}}}"


def test_a_comma_in_a_name_parts_no_choices() -> None:
    assert said("{{random:{{user}}}}", person="Sam, the elder") == "Sam, the elder"


def test_choices_are_the_same_for_the_same_seed_and_differ_with_it() -> None:
    text = "{{pick:a,b,c,d,e,f,g,h}} {{pick::a::b::c::d::e}} {{random:1,2,3,4,5,6,7}} {{roll:d20}}"
    assert said(text, seed=7) == said(text, seed=7)
    assert len({said(text, seed=seed) for seed in range(20)}) > 10


def test_picks_stay_from_turn_to_turn_while_random_moves_on() -> None:
    picks = {said("{{pick:a,b,c,d,e,f,g,h}}", moment=moment) for moment in range(20)}
    draws = {said("{{random:a,b,c,d,e,f,g,h}}", moment=moment) for moment in range(20)}
    assert len(picks) == 1
    assert len(draws) > 3


def test_dice_stay_within_their_sides() -> None:
    rolls = [int(said("{{roll:2d6+1}}", seed=seed)) for seed in range(200)]
    assert 3 <= min(rolls) <= 5
    assert 11 <= max(rolls) <= 13


def test_the_shared_text_names_nobody_and_is_the_same_for_everybody() -> None:
    text = "{{char}} meets {{user}} {{random:at home,at work}} {{roll:d6}}"
    assert expand_shared(text, "Iris") == expand_shared(text, "Iris")
    assert expand_shared("{{user}}", "Iris") == SOMEBODY


@given(st.text(alphabet="{}:/,\\<>acdehrunobtpiklm 1d6+", max_size=200), st.text(max_size=20), st.integers())
@example("{{random:{{pick:{{reverse:{{// ", "{{user}}", 0)
def test_any_text_comes_out_as_some_text_always_the_same(text: str, name: str, seed: int) -> None:
    assert said(text, person=name, seed=seed) == said(text, person=name, seed=seed)


@given(st.text().filter(lambda text: not set(text) & set("{<")))
def test_text_without_braces_is_untouched(text: str) -> None:
    assert said(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        "{{",
        "}}",
        "{",
        "{{random:",
        "{{reverse:{{",
        "{{//",
        ",",
        "::",
        "{{char",
        "{{a{{user}}",
        "<user",
        "{{ ",
    ],
)
def test_braces_within_braces_cost_no_more_than_their_length(piece: str) -> None:
    def seconds(count: int) -> float:  # of work: what others do on the machine meanwhile is not counted
        text = piece * count + "}}" * count
        best = float("inf")
        for _ in range(2):
            begun = time.thread_time()
            said(text)
            best = min(best, time.thread_time() - begun)
        return best

    # Twenty times the text: far under what its square would take.
    assert seconds(20_000) < 200 * seconds(1_000) + 0.1


def test_names_cannot_make_a_text_grow_without_end() -> None:
    assert len(said("{{user}}" * 20_000, person="x" * 5_000)) <= MAX_ADDED
