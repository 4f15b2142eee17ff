"""Character cards as other programs write them, and pictures that carry them: pieces to make them of."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
import zlib
from typing import Any

from hypothesis import strategies as st

from personas.cards import CardFormat
from personas.lorebook import Entry, Lorebook
from personas.persona import Appearance, Interest, Outfit, Persona, Personality, Rating, Voice
from personas.pngchunks import SIGNATURE

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


def charx(card: Any, **files: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("card.json", as_bytes(card))
        for name, data in files.items():
            file.writestr(name.replace("__", "/"), data)
    return archive.getvalue()
