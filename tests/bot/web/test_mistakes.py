"""What is wrong with a field is told in sentences of the house: in each language, and for all that may be wrong."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter, ValidationError

from bot.web.by_time import Line, Moment
from bot.web.mistakes import sentence, told
from bot.web.shapes import Given, Id, Number, Whole
from engine.locales import locale_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Shelf(Given):
    name: str
    books: tuple[Id, ...] = ()


def small(told: int) -> int:
    if told > 9:
        raise ValueError("nine is enough")
    return told


WRONG: list[tuple[Any, Any, str, str]] = [
    (Shelf, {}, "This is missing.", "Das fehlt."),
    (Shelf, {"name": "x", "nmae": 1}, "no field of this name", "Ein Feld mit diesem Namen gibt es nicht."),
    (Shelf, [], "This should be an object.", "Hier muss ein Objekt stehen."),
    (Shelf, {"name": None}, "This should be text.", "Hier muss Text stehen."),
    (Shelf, {"name": "x", "books": {}}, "This should be a list.", "Hier muss eine Liste stehen."),
    (Shelf, {"name": "x", "books": [0]}, "This should be 1 at least.", "Das muss mindestens 1 sein."),
    (int, "seven", "This should be a whole number.", "Hier muss eine ganze Zahl stehen."),
    (int, 1.5, "This should be a whole number.", "Hier muss eine ganze Zahl stehen."),
    (int, [], "This should be a whole number.", "Hier muss eine ganze Zahl stehen."),
    (int, "9" * 5_000, "No number is as long", "So lang ist hier keine Zahl."),
    (float, "much", "This should be a number.", "Hier muss eine Zahl stehen."),
    (Number, float("inf"), "with an end", "Hier muss eine Zahl stehen, die ein Ende hat."),
    (bool, "perhaps", "This should be true or false.", "Hier muss true oder false stehen."),
    (dict[str, int], 7, "This should be an object.", "Hier muss ein Objekt stehen."),
    (tuple[int, ...], 7, "This should be a list.", "Hier muss eine Liste stehen."),
    (None, 7, "This should be null.", "Hier muss null stehen."),
    (AwareDatetime, "noon", "such as 2026-12-24T18:00:00Z", "zum Beispiel 2026-12-24T18:00:00Z."),
    (AwareDatetime, "2026-12-24T18:00:00", "lacks its zone", "fehlt die Zeitzone"),
    (Moment, "1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z at least", "mindestens 1970-01-01T00:00:00"),
    (Whole, 2**63, "9223372036854775807 at most", "höchstens 9223372036854775807"),
    (Annotated[int, Field(gt=1_000)], 3, "more than 1,000.", "mehr als 1.000"),
    (Annotated[float, Field(lt=0.5)], 3, "less than 0.5.", "weniger als 0,5"),
    (Annotated[str, Field(min_length=1)], "", "This should not be empty.", "Das darf nicht leer sein."),
    (Annotated[str, AfterValidator(str.strip), Field(min_length=1)], " ", "not be empty", "nicht leer sein"),
    (Annotated[str, Field(min_length=3)], "x", "3 characters at least", "mindestens 3 Zeichen"),
    (
        Annotated[str, Field(max_length=1_200)],
        "x" * 1_201,
        "1,200 characters at most",
        "höchstens 1.200 Zeichen",
    ),
    (Annotated[str, Field(max_length=1)], "xx", "one character at most", "höchstens ein Zeichen"),
    (Annotated[list[int], Field(min_length=1)], [], "one of it at least", "mindestens eins"),
    (Annotated[list[int], Field(max_length=2)], [1, 2, 3], "2 of it at most", "höchstens 2"),
    (Line, "two\nlines", "characters in it that cannot be seen", "die niemand sehen kann"),
    (Annotated[str, Field(pattern="^[a-z]+$")], "A", "right form: ^[a-z]+$", "die richtige Form: ^[a-z]+$"),
    (
        Literal["render", "item", "none"],
        "x",
        "here: render, item, and none.",
        "Es gibt: render, item und none.",
    ),
    (Literal["only"], "x", "here: only.", "Es gibt: only."),
    (Literal[1, 2], 3, "here: 1 and 2.", "Es gibt: 1 und 2."),
    (Colour, "green", "here: red and blue.", "Es gibt: red und blue."),
]


@pytest.mark.parametrize(("kind", "value", "english", "german"), WRONG)
def test_each_mistake_is_told_in_a_sentence_of_the_language(
    kind: Any, value: Any, english: str, german: str
) -> None:
    with pytest.raises(ValidationError) as wrong:
        TypeAdapter(kind).validate_python(value)
    [mistake] = wrong.value.errors()
    said = sentence(mistake)
    assert english in said
    assert german in locale_of("de").says(said)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 5_000, b'{"name": NaN}'])
def test_what_is_no_json_is_told_so(body: bytes) -> None:
    with pytest.raises(ValidationError) as wrong:
        Shelf.model_validate_json(body)
    [mistake] = wrong.value.errors()
    assert locale_of("de").says(sentence(mistake)) in ("Das ist kein JSON.", "Hier muss Text stehen.")


def test_what_we_found_wrong_ourselves_is_told_as_we_said_it() -> None:
    with pytest.raises(ValidationError) as wrong:
        TypeAdapter(Annotated[int, AfterValidator(small)]).validate_python(12)
    assert locale_of("de").says(sentence(wrong.value.errors()[0])) == "Das geht so nicht: nine is enough"


def test_a_kind_that_nobody_knows_is_told_as_it_came_and_breaks_nothing() -> None:
    said = sentence({"type": "wrong_phase_of_the_moon", "loc": (), "msg": "Wait a week"})
    assert said == "This cannot be taken: Wait a week"
    assert locale_of("de").says(said) == "Das geht so nicht: Wait a week"


def test_several_are_told_in_one_line_each_with_its_place() -> None:
    with pytest.raises(ValidationError) as wrong:
        Shelf.model_validate({"books": [1, 0], "x" * 500: 1})
    line = told(locale_of("de"), wrong.value.errors())
    assert line.startswith("name: Das fehlt. books.1: Das muss mindestens 1 sein. xxx")
    assert len(line) < 250
    assert told(locale_of("de"), []) == ""
    outer = [{**one, "loc": ("body", *one["loc"])} for one in wrong.value.errors()]
    assert told(locale_of("de"), outer, within=1) == line
