"""Character cards: what is in one comes out again, in every format, edited or not."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personas.cardfields import named_in
from personas.cards import CardError, CardFormat, load, read_card, save, write_card
from personas.persona import Persona, Rating
from personas.pngchunks import chunks
from tests.personas.cards_made import (
    LOSSLESS,
    as_bytes,
    b64,
    born,
    card_in,
    charx,
    chunk,
    png,
    v2_card,
    values,
)

names = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda text: Persona(slug="a", name="x" + text).name == "x" + text and bool(text.strip())
)
unknown = st.dictionaries(
    st.sampled_from(["x_one", "fav", "talkativeness", "Zwei", "a b"]), values, max_size=3
)
words = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)
entries = st.fixed_dictionaries(
    {
        "keys": st.lists(words, max_size=3),
        "content": words,
        "extensions": unknown,
        "enabled": st.booleans(),
        "insertion_order": st.integers(-5, 200),
    },
    optional={
        "priority": st.integers(0, 9),
        "comment": words,
        "position": st.sampled_from(["before_char", "after_char", 4, None]),
        "x_unknown": values,
        "case_sensitive": st.none() | st.booleans(),
    },
)
books = st.none() | st.fixed_dictionaries(
    {"entries": st.lists(entries, max_size=3)},
    optional={
        "extensions": unknown,
        "name": words,
        "scan_depth": st.integers(0, 9) | st.none(),
        "x_more": values,
    },
)
wild_cards = st.builds(
    lambda known, more, outside, spec: (
        {"spec": f"chara_card_v{spec}", "spec_version": f"{spec}.0", "data": more | known} | outside
    ),
    st.fixed_dictionaries(
        {"name": names, "description": words, "first_mes": words, "extensions": unknown},
        optional={
            "personality": words,
            "mes_example": words,
            "alternate_greetings": st.lists(words, max_size=3) | words | st.none(),
            "tags": st.lists(words, max_size=3) | words,
            "character_book": books,
            "creator": words | st.integers(),
            "character_version": st.floats(0, 5) | words,
            "group_only_greetings": st.lists(words, max_size=2),
            "nickname": words,
            "creatorNotes": words,
            "creation_date": st.integers(0, 10**9),
        },
    ),
    unknown,
    unknown,
    st.sampled_from([2, 3]),
)


def test_a_card_without_changes_comes_out_as_it_went_in() -> None:
    for spec in ("2", "3"):
        card = v2_card(x_unknown=[1, None]) | {
            "spec": f"chara_card_v{spec}",
            "spec_version": f"{spec}.0",
            "outside": {"a": 1},
        }
        if spec == "3":
            card["data"]["group_only_greetings"] = []
        read = read_card(as_bytes(card), "iris.json")
        assert card_in(write_card(read.persona, read.format).data) == card


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(wild_cards)
def test_unknown_fields_survive_every_format_and_the_persona_stays_the_same(card: dict[str, Any]) -> None:
    first = read_card(as_bytes(card), "iris.json").persona
    for file_format in LOSSLESS:
        written = write_card(first, file_format, png() if file_format is CardFormat.PNG else None)
        again = read_card(written.data, "iris" + written.suffix).persona
        assert again.model_copy(update={"card": {}}) == first.model_copy(update={"card": {}})
        whole = again.card["json"]
        mended = {"first_mes"} if not isinstance(card["data"].get("alternate_greetings", []), list) else set()
        if not named_in(card["data"]):
            mended |= {"name"}  # nobody can see it, and the next file may be called otherwise
        for key, value in card["data"].items():
            if key in mended:
                continue
            if key not in {"alternate_greetings", "tags", "creator", "character_version", "character_book"}:
                assert whole["data"][key] == value
        assert {key: whole[key] for key in card if key not in {"spec", "spec_version", "data"}} == {
            key: value for key, value in card.items() if key not in {"spec", "spec_version", "data"}
        }
        if card["data"].get("character_book"):
            assert whole["data"]["character_book"] == card["data"]["character_book"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(wild_cards, words, st.integers(18, 99))
def test_an_edited_persona_comes_back_as_it_was_edited(card: dict[str, Any], text: str, age: int) -> None:
    persona = read_card(as_bytes(card), "iris.json").persona
    fresh = Persona.model_validate(
        persona.model_dump(exclude={"lorebook"})
        | {
            "lorebook": persona.lorebook,
            "description": text,
            "age": age,
            "greetings": (text, "Hello."),
            "scenario": text,
        }
    )
    for file_format in LOSSLESS:
        written = write_card(fresh, file_format, png() if file_format is CardFormat.PNG else None)
        again = read_card(written.data, "iris" + written.suffix).persona
        assert again.model_copy(update={"card": {}}) == fresh.model_copy(update={"card": {}})


@pytest.mark.parametrize("file_format", LOSSLESS)
def test_a_persona_born_here_comes_back_exactly(file_format: CardFormat) -> None:
    written = write_card(born(), file_format, png() if file_format is CardFormat.PNG else None)
    assert read_card(written.data, "x" + written.suffix).persona == born()


def test_a_persona_born_here_can_be_read_by_others() -> None:
    data = card_in(write_card(born(), CardFormat.JSON).data)["data"]
    assert "34 years old" in data["description"]
    assert "grey braid" in data["description"]
    assert "patient" in data["personality"]
    assert data["first_mes"] == "You again."
    assert data["alternate_greetings"] == ["Mind the step."]
    assert data["mes_example"].startswith("<START>")
    assert data["character_book"]["entries"][0]["enabled"] is True
    assert data["extensions"]["greenroom"]["persona"]["age"] == 34


def test_what_another_program_changed_in_our_card_is_taken_over() -> None:
    card = card_in(write_card(born(), CardFormat.V3).data)
    card["data"]["scenario"] = "On the pier."
    card["data"]["extensions"]["other"] = {"kept": True}
    persona = read_card(as_bytes(card), "iris.json").persona
    assert (persona.scenario, persona.age, persona.appearance) == ("On the pier.", 34, born().appearance)
    assert card_in(write_card(persona, CardFormat.V3).data) == card


def test_only_the_fields_that_were_changed_are_written_anew() -> None:
    persona = read_card(as_bytes(v2_card()), "iris.json").persona
    edited = persona.model_copy(update={"scenario": "On the pier."})
    expected = v2_card()
    expected["data"]["scenario"] = "On the pier."
    assert card_in(write_card(edited, CardFormat.JSON).data) == expected


def test_a_changed_field_changes_in_its_old_copies_and_spellings_too() -> None:
    card = v2_card()
    card["description"] = card["data"]["description"]
    card["data"]["firstMes"] = card["data"].pop("first_mes")
    persona = read_card(as_bytes(card), "iris.json").persona
    assert persona.greetings == ("You again.", "Oh.")
    edited = persona.model_copy(update={"description": "New.", "greetings": ("Hello.", "Oh.")})
    written = card_in(write_card(edited, CardFormat.JSON).data)
    assert written["description"] == written["data"]["description"] == "New."
    assert written["data"]["firstMes"] == written["data"]["first_mes"] == "Hello."


def test_a_lorebook_can_be_taken_away() -> None:
    card = v2_card(character_book={"entries": [{"keys": ["a"], "content": "b"}]})
    persona = read_card(as_bytes(card), "iris.json").persona
    assert persona.lorebook is not None
    written = write_card(persona.model_copy(update={"lorebook": None}), CardFormat.JSON)
    assert read_card(written.data, "iris.json").persona.lorebook is None


def test_cards_that_stray_from_the_specification_are_understood_and_noted() -> None:
    card = v2_card(character_book=None, tags="sea, salt", creator=7, system_prompt=None, scenario=["a", "b"])
    read = read_card(as_bytes(card), "iris.json")
    assert read.persona.lorebook is None
    assert read.persona.tags == ("sea", "salt")
    assert read.persona.creator == "7"
    assert read.persona.scenario == "a\nb"
    assert len(read.notes) == 3


def test_a_book_in_camel_case_and_without_extensions_is_understood() -> None:
    book = {
        "scanDepth": "3",
        "entries": {"0": {"key": "lamp, light", "content": "x", "order": 4, "disable": True}},
    }
    card = {"name": "Iris", "firstMes": "Hi.", "characterBook": book, "alternateGreetings": "Oh."}
    persona = read_card(as_bytes(card), "iris.json").persona
    assert persona.lorebook is not None
    (one,) = persona.lorebook.entries
    assert (persona.lorebook.scan_depth, one.keys, one.insertion_order, one.enabled) == (
        3,
        ("lamp", "light"),
        4,
        False,
    )
    assert persona.greetings == ("Hi.", "Oh.")


def test_a_flat_card_is_read_and_can_leave_as_a_newer_one() -> None:
    card = {
        "name": "Iris",
        "description": "d",
        "personality": "",
        "scenario": "",
        "first_mes": "Hi.",
        "mes_example": "",
        "chat": "x",
    }
    read = read_card(as_bytes(card), "iris.json")
    assert read.format is CardFormat.V1
    assert card_in(write_card(read.persona, CardFormat.V1).data) == card
    newer = card_in(write_card(read.persona, CardFormat.V3).data)
    assert (newer["spec"], newer["data"]["first_mes"], newer["chat"]) == ("chara_card_v3", "Hi.", "x")
    assert newer["data"]["group_only_greetings"] == []


def test_a_card_without_a_name_is_called_after_its_file() -> None:
    read = read_card(as_bytes(v2_card(name="")), "../../Old Tom.json")
    assert (read.persona.name, read.persona.slug) == ("Old Tom", "old-tom")
    assert "no name" in read.notes[0]
    assert read_card(as_bytes(v2_card(name="\x00\u200b")), "\x07.json").persona.name == "Nameless"


@pytest.mark.parametrize("file_format", [CardFormat.JSON, CardFormat.V1, CardFormat.V3])
def test_a_name_that_nobody_can_see_is_written_as_the_one_it_was_read_as(file_format: CardFormat) -> None:
    read = read_card(as_bytes(v2_card(name="\x00\u200b")), "Old Tom.json")
    again = read_card(write_card(read.persona, file_format).data, "elsewhere.json")
    assert again.persona.name == "Old Tom"


def test_a_newer_version_is_imported_with_a_warning() -> None:
    card = v2_card() | {"spec": "chara_card_v3", "spec_version": "3.7"}
    read = read_card(as_bytes(card), "iris.json")
    assert "3.7" in read.notes[0]
    assert card_in(write_card(read.persona, CardFormat.V3).data)["spec_version"] == "3.7"


def test_a_card_for_adults_stays_suitable_for_all_ages_until_somebody_says_otherwise() -> None:
    read = read_card(as_bytes(v2_card(tags=["NSFW"])), "iris.json")
    assert read.persona.rating is Rating.ALL_AGES
    assert any("tagged for adults" in note for note in read.notes)


def test_what_a_format_cannot_carry_is_told() -> None:
    lost = " ".join(write_card(born(), CardFormat.V1, png()).lost)
    for thing in ("lorebook", "tags", "greetings but the first", "nickname", "looks", "picture"):
        assert thing in lost
    assert write_card(born(), CardFormat.V3).lost == ()
    assert any("nickname" in what for what in write_card(born(), CardFormat.JSON).lost)
    imported = read_card(as_bytes(v2_card(x_new=1)), "iris.json").persona
    told = " ".join(write_card(imported, CardFormat.V1).lost)
    assert "x_new" in told
    assert "extensions" in told


def test_a_picture_carries_both_cards_and_the_newer_one_is_preferred() -> None:
    written = write_card(
        born(), CardFormat.PNG, png(chunk(b"tEXt", b"chara\0old"), chunk(b"tEXt", b"Software\0x"))
    )
    assert [one.keyword for one in chunks(written.data) if one.keyword] == ["chara", "ccv3", "software"]
    both = png(
        chunk(b"tEXt", b"chara\0" + b64(v2_card(name="Old"))),
        chunk(b"tEXt", b"ccv3\0" + b64(v2_card(name="New"))),
    )
    read = read_card(both, "x.png")
    assert (read.persona.name, read.picture) == ("New", both)


@pytest.mark.parametrize(
    "part",
    [
        chunk(b"tEXt", b"chara\0" + b64(v2_card())),
        chunk(b"tEXt", b"Chara\0" + b64(v2_card()).rstrip(b"=") + b"\n"),
        chunk(b"tEXt", b"chara\0" + as_bytes(v2_card())),
        chunk(b"zTXt", b"chara\0\0" + zlib.compress(b64(v2_card()))),
        chunk(b"iTXt", b"chara\0\0\0en\0Karte\0" + b64(v2_card())),
        chunk(b"iTXt", b"chara\0\1\0\0\0" + zlib.compress(b64(v2_card()))),
        chunk(b"tEXt", b"chara\0" + b64(v2_card()), checksum=1),
    ],
)
def test_cards_are_found_wherever_programs_put_them_in_a_picture(part: bytes) -> None:
    assert read_card(png(part), "x.png").persona.name == "Iris"
    assert read_card(png(late=part, behind=b"more bytes"), "x.png").persona.name == "Iris"


def test_an_archive_gives_its_card_and_icon_and_says_what_else_it_held() -> None:
    assets = [
        {"type": "icon", "uri": "embeded://assets/face", "name": "main", "ext": "png"},
        {"type": "emotion", "uri": "embeded://assets/joy", "name": "joy", "ext": "png"},
    ]
    card = v2_card(assets=assets) | {"spec": "chara_card_v3", "spec_version": "3.0"}
    read = read_card(charx(card, assets__face=b"FACE", assets__joy=b"JOY"), "iris.charx")
    assert (read.picture, read.format) == (b"FACE", CardFormat.CHARX)
    assert any("joy" in note for note in read.notes)
    written = write_card(read.persona, CardFormat.CHARX, b"NEW FACE")
    assert any("joy" in what for what in written.lost)
    assert read_card(written.data, "iris.charx").picture == b"NEW FACE"


def test_a_persona_file_is_one_that_a_person_can_read() -> None:
    text = write_card(born(), CardFormat.TOML).data.decode()
    assert 'name = "Íris Vale"' in text
    assert "[appearance]" in text
    assert read_card(b'name = "Tom Hollis"\nage = "41"', "tom.toml").persona.slug == "tom-hollis"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "iris.json"
    save(path, write_card(born(), CardFormat.JSON))
    assert load(path).persona == born()
    assert [one.name for one in tmp_path.iterdir()] == ["iris.json"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(CardError, match="cannot be written"):
        save(tmp_path / "folder", write_card(born(), CardFormat.JSON))
    with pytest.raises(CardError, match=r"none\.json: it cannot be read"):
        load(tmp_path / "none.json")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "iris.json"]
