"""Grammars against the real llama.cpp, and models that would write anything: byte-level BPE, and SentencePiece."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.language import PersonaWanted, count_words
from engine.language.grammars import (
    Choice,
    Fixed,
    List,
    Name,
    Number,
    Object,
    Phrase,
    Schema,
    Text,
    escaped,
    gbnf,
    parse_persona,
    persona_grammar,
    picture_prompt_grammar,
)
from personas.persona import Persona, slug_of
from tests.models.gguf import Kind, make_model
from tests.models.writing import Writing

#: Those that end strings soon, so that a persona is written quickly.
LEANING = {'"': 5.0}


@pytest.fixture(scope="module", params=get_args(Kind))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writing]:
    file = tmp_path_factory.mktemp("grammars") / f"{request.param}.gguf"
    make_model(file, vocabulary=request.param, weights="Q8_0", leaning=LEANING)
    with Writing(file) as opened:
        yield opened


def words(count: int) -> str:
    return " ".join(["light"] * count)


# Picture prompts.


def test_a_picture_prompt_has_as_many_words_as_are_asked_for(model: Writing) -> None:
    grammar = picture_prompt_grammar()
    for seed in range(6):
        written = model.write("A picture:", grammar, seed=seed)
        text = written.text.decode()
        assert written.ended
        assert 100 <= count_words(text) <= 200
        assert len(text.split()) == count_words(text), "every run counts, so nobody can count otherwise"
        assert all(len(run.encode()) <= 24 for run in text.split())
        assert "\n" not in text
        assert not set('()[]{}<>|\\"') & set(text)


def test_room_can_be_left_for_words_that_come_later(model: Writing) -> None:
    for seed in range(3):
        written = model.write("A picture:", picture_prompt_grammar(40, 42), seed=seed)
        assert 40 <= count_words(written.text.decode()) <= 42
    assert count_words(model.write("A", picture_prompt_grammar(7, 7), seed=1).text.decode()) == 7


@pytest.mark.parametrize(("count", "fits"), [(1, False), (99, False), (100, True), (200, True), (201, False)])
def test_the_bounds_are_exact(model: Writing, count: int, fits: bool) -> None:
    assert model.admits(picture_prompt_grammar(), words(count)) is fits


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("soft light, 85mm f/1.8; well-lit", True),
        (" a model's first piece often begins with a space", True),
        ("it's late. No. 5: go", True),
        ("two  spaces", False),
        ("a new\nline", False),
        ("a - dash that counts as no word", False),
        ("(brackets:1.3) weigh", False),
        ("<lora:more:1>", False),
        ("{{char}} smiles", False),
        ("ends with a space ", False),
        ("x" * 22, True),
        ("x" * 25, False),
    ],
)
def test_a_prompt_is_one_paragraph_of_plain_words(model: Writing, text: str, fits: bool) -> None:
    assert model.admits(picture_prompt_grammar(1, 12), text) is fits


# Personas.


def test_whatever_is_written_is_a_persona_with_every_field_filled(model: Writing) -> None:
    for seed in range(2):
        written = model.write("A persona:", persona_grammar(), seed=seed)
        assert written.ended
        persona = Persona.model_validate(parse_persona(written.text.decode(), PersonaWanted()))
        assert persona.slug == slug_of(persona.name)
        assert persona.age is not None
        assert 18 <= persona.age <= 90
        assert persona.pronouns in {"she/her", "he/him", "they/them"}
        assert all((persona.occupation, persona.home, persona.kind, persona.description, persona.tags))
        assert all(persona.personality.model_dump().values())
        assert 3 <= len(persona.interests) <= 5
        assert all(all(interest.model_dump().values()) for interest in persona.interests)
        assert all((persona.voice.manner, persona.voice.openers, persona.voice.farewells))
        # Whoever has no poses of their own has the house's.
        assert all(persona.appearance.model_dump(exclude={"poses"}).values())
        assert len(persona.greetings) >= 2
        for example_talk in persona.examples:
            assert re.fullmatch(r"\{\{user\}\}: .+\n\{\{char\}\}: .+", example_talk)


def test_a_name_and_a_kind_that_are_given_are_not_asked(model: Writing) -> None:
    name, kind = 'Zoë "Q" O\\Neill-東京 🙂', "sea\tfaring"
    written = model.write("A persona:", persona_grammar(name, kind), seed=3)
    persona = Persona.model_validate(
        parse_persona(written.text.decode(), PersonaWanted(kind=kind, name=name))
    )
    assert persona.name == name
    assert persona.kind == kind


def test_a_name_of_nothing_that_can_be_read_is_asked(model: Writing) -> None:
    assert persona_grammar("\u202e \x07") == persona_grammar()


def test_a_persona_gets_the_slug_and_tags_that_nobody_is_asked_for() -> None:
    text = '{"name": "Íris Vale", "kind": "tech", "interests": [{"name": "radios"}, {"name": "tech"}]}'
    assert parse_persona(text, PersonaWanted()) == json.loads(text) | {
        "slug": "iris-vale",
        "tags": ["tech", "radios"],
    }


def test_a_persona_that_is_whole_stays_as_it_is() -> None:
    fields = {"slug": "mine", "name": "Ada", "tags": ["own"], "kind": "tech", "age": 30}
    assert parse_persona(json.dumps(fields), PersonaWanted()) == fields


def test_the_name_that_was_asked_for_is_the_name() -> None:
    found = parse_persona('{"name": "ADA!!"}', PersonaWanted(name="Ada"))
    assert (found["name"], found["slug"]) == ("Ada", "ada")


def test_words_and_a_fence_around_a_persona_are_passed_over() -> None:
    found = parse_persona('Here you are:\n```json\n{"name": "Ada"}\n```\nEnjoy {it}!', PersonaWanted())
    assert found["name"] == "Ada"


@pytest.mark.parametrize("text", ["", "no", "[1, 2]", '"text"', "{", '{"name": ', "{it}"])
def test_what_holds_no_object_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_persona(text, PersonaWanted())


# The writer of grammars.


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=40))
@example(text='"\\\n\r\t[]{}()-^#|<>/')
@example(text="\x00\x7f\u2028\ud800🙂\U0010ffff")
def test_any_text_can_be_fixed(model: Writing, text: str) -> None:
    written = model.write("A", gbnf(Fixed(text)), seed=1)
    assert written.ended
    assert json.loads(written.text.decode()) == text


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_literal_that_no_model_could_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"zero|surrogates"):
        escaped(text)


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 60_000))
@example(18, 90, 17)
@example(18, 90, 91)
@example(0, 0, 0)
@example(7, 1_000, 999)
def test_a_number_is_within_its_bounds_and_any_number_within_them_is_one(a: int, b: int, asked: int) -> None:
    low, high = min(a, b), max(a, b)
    rule = next(line for line in gbnf(Number(low, high)).splitlines() if line.startswith("number-1 ::= "))
    # Classes, digits and bars alone: the same thing as a regular expression.
    pattern = re.compile(rule.removeprefix("number-1 ::= ").replace(" ", ""))
    for number in (low - 1, low, high, high + 1, asked, asked // 10, (low + high) // 2):
        assert bool(pattern.fullmatch(str(number))) is (low <= number <= high)
    assert not pattern.fullmatch(f"0{high}")


@pytest.mark.parametrize(
    ("schema", "fits", "not_so"),
    [
        (Number(18, 90), ["18", "59", "90", " 90"], ["17", "91", "018", "9", "180", "18.0", "-18"]),
        (Choice(("she", 'a "b"')), ['"she"', r'"a \"b\""'], ['"he"', "she", '""']),
        (List(Number(1, 3), 2, 4), ["[1,2]", "[1, 2, 3,1]"], ["[]", "[1]", "[1,2,3,1,2]", "[1,2,]", "[1 2]"]),
        (List(Number(1, 3), 1, 1), ["[2]"], ["[2,2]"]),
        (Name(2), ['"Ada"', '"Éva O\'Neill"', '"Ł. Nowak-Lis"'], ['"ada"', '"A b c"', '"4da"', '""']),
        (
            Text(2, 4),
            ['"two words"', r'"he says \"no\""', '"well – yes"', '"Zoë’s café…"', '"(ok) then"'],
            [
                '"one"',
                '"a b c d e"',
                '"a  b"',
                '"1 2"',
                '"a\nb"',
                '"a <b>"',
                '"{{a}} b"',
                r'"a \\ b"',
                '"! b"',
            ],
        ),
        (Text(1, 1, plain=True), ['"word"'], ['"word!"', '"two words"', '"(word"']),
        (
            Phrase(("{{user}}: ", Text(1, 2), "\n!")),
            [r'"{{user}}: hello you\n!"'],
            [r'"{{user}}: \n!"', '"{{user}}: hi\n!"'],
        ),
        (
            Object((("a", Number(1, 1)), ('b"', Object((("c", Fixed("d")),))))),
            ['{"a":1,"b\\"":{"c":"d"}}', '{"a": 1, "b\\"": {"c": "d"}}'],
            ['{"a":1}', '{"b\\"":{"c":"d"},"a":1}', '{"a":1,"b\\"":{"c":"d"}}}'],
        ),
    ],
)
def test_a_schema_admits_what_it_says_and_nothing_else(
    model: Writing, schema: Schema, fits: list[str], not_so: list[str]
) -> None:
    grammar = gbnf(schema)
    assert [text for text in fits if not model.admits(grammar, text)] == []
    assert [text for text in not_so if model.admits(grammar, text)] == []


@pytest.mark.parametrize(
    ("raw", "fits"),
    [
        (b"\xc3\xa9", True),  # é
        (b"\xe2\x80\x99", True),  # an apostrophe
        (b"\xc3i", False),  # half a character, then a letter
        (b"\xc1\xa1", False),  # a, in more bytes than it has
        (b"\xe0\x83\xa9", False),  # é, in more bytes than it has
        (b"\xf0\x82\x80\x99", False),
        (b"\xed\xa0\x80", False),  # half a surrogate pair
        (b"\xa9", False),
        (b"\xff", False),
    ],
)
def test_a_model_that_writes_byte_by_byte_cannot_break_utf8(model: Writing, raw: bytes, fits: bool) -> None:
    with model.grammar(gbnf(Text(1, 1))) as state:
        assert model.accepts(state, model.spelt(b'"e' + raw + b'"')) is fits


def test_equal_parts_share_their_rule() -> None:
    same = Text(1, 5)
    grammar = gbnf(Object((("a", same), ("b", List(Text(1, 5), 1, 2)))))
    assert len(re.findall(r"^text-\d+ ::=", grammar, re.MULTILINE)) == 1


def test_a_grammar_is_plain_ascii_whatever_it_admits() -> None:
    assert persona_grammar("東京", "naïve").isascii()


@pytest.mark.parametrize(
    "schema",
    [
        Text(0, 3),
        Text(4, 3),
        Text(1, 3_000),
        List(Number(1, 2), 0, 3),
        List(Number(1, 2), 5, 2),
        Number(5, 4),
        Number(-1, 4),
    ],
)
def test_counts_that_cannot_be_are_refused_before_llama_cpp_sees_them(schema: Schema) -> None:
    with pytest.raises(ValueError, match=r"from -?\d+ to"):
        gbnf(schema)


@pytest.mark.parametrize(("least", "most"), [(0, 5), (6, 5), (1, 2_500)])
def test_a_prompt_of_no_words_or_of_too_many_is_refused(least: int, most: int) -> None:
    with pytest.raises(ValueError, match=r"from -?\d+ to"):
        picture_prompt_grammar(least, most)


def test_a_list_may_be_as_long_as_llama_cpp_can_count(model: Writing) -> None:
    with model.grammar(gbnf(List(Text(1, 2_000), 1, 2_000))) as state:
        assert len(model.admitted(state, np.array(model.spelt(b"["), dtype=np.int32))) == 1
