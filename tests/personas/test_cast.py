"""The cast that ships: every file is a whole persona, and no two of them could be mistaken for each other."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from itertools import combinations
from typing import Any

import pytest

from personas.persona import Persona, Rating, slug_of

FILES = {
    entry.name: entry.read_text(encoding="utf-8")
    for entry in sorted(resources.files("personas.cast").iterdir(), key=lambda entry: entry.name)
    if entry.name.endswith(".toml")
}
CAST = {name: Persona.model_validate(tomllib.loads(text)) for name, text in FILES.items()}

each_file = pytest.mark.parametrize("file", list(FILES))


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings_in(part)


def spoken(persona: Persona) -> list[str]:
    """What the persona says in its own words, and says again and again."""
    voice = persona.voice
    lines = [*voice.openers, *voice.asides, *voice.comforts, *voice.farewells]
    for interest in persona.interests:
        lines += [*interest.remarks, *interest.questions]
    return lines


def test_there_are_enough_people_in_the_green_room() -> None:
    assert len(CAST) >= 8


@each_file
def test_a_file_begins_by_saying_who_this_is(file: str) -> None:
    first = FILES[file].splitlines()[0]
    assert first.startswith("# ")
    assert CAST[file].name.split()[-1] in first


@each_file
def test_a_file_is_called_what_its_persona_is_called(file: str) -> None:
    persona = CAST[file]
    assert file == f"{persona.slug}.toml"
    assert persona.slug == slug_of(persona.name)


@each_file
def test_a_persona_is_an_adult_and_suits_all_ages(file: str) -> None:
    persona = CAST[file]
    assert persona.age is not None
    assert 18 <= persona.age <= 100
    assert persona.rating is Rating.ALL_AGES


@each_file
def test_a_persona_says_who_it_is(file: str) -> None:
    persona = CAST[file]
    assert all([persona.pronouns, persona.occupation, persona.home, persona.tags, persona.scenario])
    assert re.fullmatch(r"[a-z]+", persona.kind)
    assert 150 <= len(persona.description.split()) <= 250
    assert persona.personality.summary
    assert 4 <= len(persona.personality.traits) <= 6
    assert all([persona.personality.likes, persona.personality.dislikes, persona.personality.quirks])


@each_file
def test_a_persona_has_a_body_clothes_and_places(file: str) -> None:
    look = CAST[file].appearance
    assert all([look.face, look.hair, look.eyes, look.skin, look.build, look.marks])
    # The body goes into every prompt of 100-200 words, so it must leave room for the scene.
    assert 30 <= len(look.body.split()) <= 80
    assert len(look.wardrobe) >= 4
    assert all(8 <= len(outfit.description.split()) <= 20 for outfit in look.wardrobe)
    assert len({outfit.name for outfit in look.wardrobe}) == len(look.wardrobe)
    assert len(look.places) >= 4


@each_file
def test_a_palette_is_three_colours_from_dark_to_light(file: str) -> None:
    palette = CAST[file].picture.palette
    assert len(set(palette)) == len(palette) == 3

    def brightness(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, _, light = palette
    assert brightness(dark) < 64
    assert brightness(light) > 192


@each_file
def test_a_persona_has_much_to_talk_about(file: str) -> None:
    interests = CAST[file].interests
    assert len(interests) >= 5
    for interest in interests:
        assert 6 <= len(interest.words) <= 12, interest.name
        assert all(word == word.lower() for word in interest.words), interest.name
        assert len(interest.remarks) >= 4, interest.name
        assert len(interest.questions) >= 3, interest.name
        assert all(question.endswith("?") for question in interest.questions), interest.name
        assert all(not remark.endswith("?") for remark in interest.remarks), interest.name


@each_file
def test_a_persona_has_a_voice(file: str) -> None:
    voice = CAST[file].voice
    assert voice.manner
    assert voice.avoids
    assert min(len(voice.openers), len(voice.asides)) >= 6
    assert min(len(voice.comforts), len(voice.farewells)) >= 4
    # They are put together with other sentences, so each must be a whole one, on one line.
    for line in spoken(CAST[file]):
        assert line[-1] in ".!?", line
        assert "\n" not in line, line


@each_file
def test_a_persona_never_repeats_itself(file: str) -> None:
    assert [line for line, times in Counter(spoken(CAST[file])).items() if times > 1] == []


@each_file
def test_a_persona_knows_how_to_greet_and_shows_how_it_talks(file: str) -> None:
    persona = CAST[file]
    assert len(set(persona.greetings)) >= 3
    assert len(set(persona.examples)) >= 3
    for example in persona.examples:
        speakers = re.findall(r"^\{\{(\w+)\}\}: \S", example, flags=re.MULTILINE)
        assert len(speakers) == len(example.splitlines())
        assert speakers == ["user", "char"] * (len(speakers) // 2)


@each_file
def test_a_persona_has_a_world(file: str) -> None:
    lorebook = CAST[file].lorebook
    assert lorebook is not None
    assert len(lorebook.entries) >= 3
    assert all(entry.keys and entry.content for entry in lorebook.entries)
    # What nobody validates in an entry is still known by name: a misspelt field would be kept and ignored.
    assert all(not entry.model_extra for entry in lorebook.entries)


@each_file
def test_only_the_two_names_are_left_to_be_filled_in(file: str) -> None:
    data = tomllib.loads(FILES[file])
    for text in strings_in(data):
        bare = text.replace("{{user}}", "").replace("{{char}}", "")
        assert not re.search(r"[{}]|<\w+>|%s", bare), text
    # What is said aloud is filled in by nobody.
    assert not any("{{" in line for line in spoken(CAST[file]))


@pytest.mark.parametrize(
    "trait", ["name", "called", "age", "occupation", "home", "kind", "description", "scenario"]
)
def test_no_two_share(trait: str) -> None:
    values = [getattr(persona, trait) for persona in CAST.values()]
    assert len(set(values)) == len(values)


def test_no_two_look_alike() -> None:
    for part in ("face", "hair", "eyes", "build", "marks", "body"):
        values = [getattr(persona.appearance, part) for persona in CAST.values()]
        assert len(set(values)) == len(values), part
    pictures = [persona.picture for persona in CAST.values()]
    assert len({picture.palette for picture in pictures}) == len(pictures)
    assert len({picture.style for picture in pictures}) == len(pictures)


def test_no_two_talk_alike() -> None:
    for one, other in combinations(CAST.values(), 2):
        assert len(set(spoken(one)) & set(spoken(other))) <= 3, (one.slug, other.slug)


def test_the_cast_spans_a_life() -> None:
    ages = [persona.age for persona in CAST.values() if persona.age is not None]
    assert min(ages) <= 25
    assert max(ages) >= 65
