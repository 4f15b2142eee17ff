from __future__ import annotations

import base64
import contextlib
import copy
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personas.cardfields import named_in
from personas.cards import CardError, CardFormat, load, read_card, save, write_card
from personas.lorebook import Entry, Lorebook
from personas.persona import Appearance, Interest, Outfit, Persona, Personality, Rating, Voice
from personas.pngchunks import SIGNATURE, chunks

JSON_FORMATS = (CardFormat.JSON, CardFormat.V3)
LOSSLESS = (CardFormat.JSON, CardFormat.V3, CardFormat.PNG, CardFormat.CHARX, CardFormat.TOML)


def chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    crc = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def png(*early: bytes, late: bytes = b"", behind: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return SIGNATURE + header + b"".join(early) + pixels + late + chunk(b"IEND", b"") + behind


def b64(card: Any) -> bytes:
    return base64.b64encode(json.dumps(card).encode())


def v2_card(**data: Any) -> dict[str, Any]:
    fields = {
        "name": "Iris",
        "description": "Keeps the lighthouse.  ",
        "personality": "dry",
        "scenario": "",
        "first_mes": "You again.\r\n",
        "mes_example": "<START>\n{{user}}: hi\n{{char}}: hello",
        "creator_notes": "",
        "system_prompt": "",
        "post_history_instructions": "",
        "alternate_greetings": ["Oh.", ""],
        "tags": ["sea"],
        "creator": "someone",
        "character_version": "1",
        "extensions": {"agnai/voice": {"pitch": 1.5}, "empty": None},
    }
    return {"spec": "chara_card_v2", "spec_version": "2.0", "data": fields | data}


def as_bytes(card: Any) -> bytes:
    return json.dumps(card).encode()


def card_in(written: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written)
    return found


def born() -> Persona:
    """A persona that no card describes, with something in every part."""
    return Persona(
        slug="iris-2",
        name="Íris Vale",
        nickname="Ris",
        age=34,
        rating=Rating.MATURE,
        occupation="lighthouse keeper",
        tags=("sea", "dry humour"),
        personality=Personality(summary="Dry.", traits=("patient",), quirks=("counts waves",)),
        interests=(Interest(name="tides", words=("tide",), remarks=("It turns.",)),),
        voice=Voice(manner="Short sentences.", openers=("Well.",)),
        appearance=Appearance(hair="grey braid", wardrobe=(Outfit(name="work", description="oilskins"),)),
        greetings=("You again.", "Mind the step."),
        group_greetings=("All of you?",),
        examples=("{{user}}: hi\n{{char}}: hello",),
        lorebook=Lorebook(entries=(Entry(keys=("lamp",), content="It turns\r\nonce.\n", insertion_order=3),)),
        creator="someone",
    )


names = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda text: Persona(slug="a", name="x" + text).name == "x" + text and bool(text.strip())
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
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


def test_where_the_newer_card_is_damaged_the_older_one_is_read() -> None:
    damaged = png(chunk(b"tEXt", b"ccv3\0!!!"), chunk(b"tEXt", b"chara\0" + b64(v2_card())))
    read = read_card(damaged, "x.png")
    assert read.persona.name == "Iris"
    assert any("older one" in note for note in read.notes)


def test_a_png_card_needs_a_sound_picture() -> None:
    with pytest.raises(CardError, match="needs a picture"):
        write_card(born(), CardFormat.PNG)
    for picture in (b"GIF89a", SIGNATURE, png()[:-20], SIGNATURE + chunk(b"IEND", b"")):
        with pytest.raises(CardError, match="picture"):
            write_card(born(), CardFormat.PNG, picture)


def test_text_that_unpacks_to_more_than_a_card_can_be_is_refused() -> None:
    bomb = zlib.compress(b" " * (40 * 1024 * 1024))
    with pytest.raises(CardError, match=r"x\.png"):
        read_card(png(chunk(b"zTXt", b"chara\0\0" + bomb)), "x.png")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("card.json", b" " * (40 * 1024 * 1024))
    with pytest.raises(CardError, match="larger than"):
        read_card(archive.getvalue(), "x.charx")


def charx(card: Any, **files: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("card.json", as_bytes(card))
        for name, data in files.items():
            file.writestr(name.replace("__", "/"), data)
    return archive.getvalue()


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


def test_names_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    assets = [{"type": "icon", "uri": "embeded://../../etc/passwd", "name": "main", "ext": "png"}]
    read = read_card(charx(v2_card(assets=assets)), "iris.charx")
    assert read.picture is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "filename", "message"),
    [
        (b"", "a.json", "a.json: it is empty"),
        (b"[]", "a.json", "no character"),
        (b"{}", "a.json", "no character"),
        (b'{"a":\n 1,,}', "a.json", "line 2"),
        (b"\xff\xfeab\xff", "a.json", "line 1"),
        (b"caf\xe9", "a.toml", "UTF-8"),
        (b"[" * 100_000, "a.json", "nested|larger"),
        (b'{"name": "x", "description": ' + b"[" * 200 + b"]" * 200 + b"}", "a.json", "nested"),
        (b'{"name": ' + b"9" * 10_000 + b"}", "a.json", "number"),
        (b'{"spec": "lorebook_v3", "data": {"entries": []}}', "a.json", "lorebook"),
        (b"\xff\xd8\xff\xe0", "a.jpg", "JPEG"),
        (png(), "a.png", "no character card"),
        (b"PK\x03\x04nonsense", "a.charx", "damaged"),
        (charx({})[:-30], "a.charx", "damaged"),
        (b'name = "x', "a.toml", "line 1"),
        (b'name = "x"\nage = = 3', "a.toml", "line 2"),
        (b"age = 30", "a.toml", "'name' is missing"),
        (b'name = ""', "a.toml", "'name' must not be empty"),
        (b'name = "x"\nocupation = "y"', "a.toml", "did you mean 'occupation'"),
        (b'name = "x"\n[appearance]\nhiar = "y"', "a.toml", "'appearance.hiar'.*did you mean 'hair'"),
        (
            b'name = "x"\n[[interests]]\nname = "a"\n[[interests]]\nnam = "b"',
            "a.toml",
            "'interests 2.name' is missing",
        ),
        (b'name = "x"\nage = "old"', "a.toml", "'age' must be a whole number, not the text “old”"),
        (b'name = "x"\nage = -1', "a.toml", "at least 0"),
        (b'name = "x"\nage = 17\nrating = "adult"', "a.toml", "age of 18 or more"),
        (b'name = "x"\nrating = "wild"', "a.toml", "must be one of"),
        (b'name = "x"\ngreetings = "hi"', "a.toml", "'greetings' must be a list"),
        (b'name = "x"\nappearance = 3', "a.toml", "'appearance' must be a table, not a number"),
        (b'name = "x"\ndescription = ["a"]', "a.toml", "'description' must be text, not a list"),
        (b'name = "x"\n[picture]\npalette = ["red"]', "a.toml", "a colour such as"),
        (b'name = "x"\nslug = "Not A Slug"', "a.toml", "small letters"),
        (b'name = "x"\nhome = "' + b"y" * 3_000 + b'"', "a.toml", "'home' is longer than 2,000"),
        (b'name = "' + b"x" * 100 + b'"', "a.toml", "'name' is longer than 80"),
        (b"name = " + b"[" * 5_000, "a.toml", "nested|line"),
        (b"a" + b".a" * 100_000 + b" = 1", "a.toml", "parts"),
        (b"x" * (17 * 1024 * 1024), "a.toml", "larger than 16 MiB"),
    ],
    # An archive holds the hour at which it was made: as a name it would be another one in each process.
    ids=lambda told: "file" if isinstance(told, bytes) else None,
)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(data: bytes, filename: str, message: str) -> None:
    with pytest.raises(CardError, match=message) as caught:
        read_card(data, filename)
    said = str(caught.value)
    assert said.startswith(f"{filename}: ")
    assert "\n" not in said
    assert "pydantic" not in said
    assert len(said) < 600


def test_half_characters_and_endless_numbers_are_mended() -> None:
    text = '{"name": "Iris \\ud800", "description": "d", "extensions": {"a": 1e999, "b": NaN}, "data": null}'
    read = read_card(text.encode(), "x.json")
    assert read.persona.name == "Iris \ufffd"
    assert read.persona.card["json"]["extensions"] == {"a": None, "b": None}
    assert len(read.notes) == 2
    read.persona.model_dump_json().encode()


def test_values_too_long_for_a_persona_are_kept_in_the_card() -> None:
    card = v2_card(name="N" * 200, description="d" * 300_000)
    read = read_card(as_bytes(card), "x.json")
    assert (len(read.persona.name), len(read.persona.description)) == (80, 200_000)
    assert card_in(write_card(read.persona, CardFormat.JSON).data) == card


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


def damaged(sound: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with some of them changed, cut out or doubled."""
    place = st.integers(0, len(sound))
    change = st.tuples(place, place, st.binary(max_size=6))

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        data = sound
        for start, end, put in changes:
            data = data[: min(start, end)] + put + data[min(max(start, end), min(start, end) + 40) :]
        return data

    return st.lists(change, min_size=1, max_size=4).map(apply)


SOUND = {
    "x.png": png(
        chunk(b"zTXt", b"ccv3\0\0" + zlib.compress(b64(v2_card()))),
        late=chunk(b"iTXt", b"chara\0\0\0\0\0e30="),
    ),
    "x.charx": charx(v2_card(assets=[{"type": "icon", "uri": "embeded://a", "name": "main"}]), a=b"A"),
    "x.json": as_bytes(v2_card(character_book={"entries": [{"keys": ["a"], "content": "b", "priority": 1}]})),
    "x.toml": write_card(born(), CardFormat.TOML).data,
    "y.json": write_card(born(), CardFormat.V3).data,
}


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(SOUND)).flatmap(lambda name: st.tuples(st.just(name), damaged(SOUND[name]))))
def test_damaged_files_are_read_or_refused_and_nothing_else(file: tuple[str, bytes]) -> None:
    name, data = file
    try:
        persona = read_card(data, name).persona
    except CardError:
        return
    for file_format in (CardFormat.V1, CardFormat.JSON, CardFormat.V3, CardFormat.CHARX):
        read_card(write_card(persona, file_format).data, "again" + write_card(persona, file_format).suffix)


@settings(max_examples=120, deadline=None)
@given(
    values,
    st.sampled_from(
        [
            "name",
            "description",
            "tags",
            "alternate_greetings",
            "character_book",
            "extensions",
            "assets",
            "first_mes",
            "nickname",
        ]
    ),
    st.booleans(),
)
def test_any_value_in_any_field_is_read_or_refused(value: Any, field: str, deeper: bool) -> None:
    card = copy.deepcopy(v2_card(character_book={"entries": [{"keys": ["a"], "content": "b"}]}))
    if deeper:
        card["data"]["character_book"]["entries"][0] = value
        card["data"]["character_book"][field] = value
    else:
        card["data"][field] = value
    try:
        persona = read_card(as_bytes(card), "x.json").persona
    except CardError:
        return
    assert card_in(write_card(persona, CardFormat.JSON).data)["data"].keys() >= card["data"].keys()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["a.png", "a.charx", "a.json", "a.toml", "a"]))
def test_any_bytes_are_read_or_refused(data: bytes, name: str) -> None:
    for start in (b"", SIGNATURE, b"PK\x03\x04", b"{"):
        with contextlib.suppress(CardError):
            read_card(start + data, name)
