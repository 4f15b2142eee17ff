"""Cards that are damaged, hostile or nonsense: read as far as they can be, or refused in a sentence."""

from __future__ import annotations

import contextlib
import copy
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personas.cards import CardError, CardFormat, read_card, write_card
from personas.pngchunks import SIGNATURE
from tests.personas.cards_made import as_bytes, b64, born, card_in, charx, chunk, png, v2_card, values


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
