"""One field of somebody becomes other words: what is shown can be sent back, and what is said is never half heard."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands import editing
from bot.commands.calling import Call
from bot.commands.editing import FIELDS
from engine import styles
from engine.engine import Engine
from engine.errors import BadRequest
from engine.settings import PeopleSettings, Settings
from engine.store import personas
from engine.store.records import PersonaRecord
from engine.styles import LONGEST_POSE
from engine.testing import FakeLanguage
from personas.persona import Appearance, Outfit, Persona, PictureTaste, Pose
from tests.bot.commands.guest import Guest
from tests.engine.test_loras_asked import lora, model

STYLES = styles.load_styles()
#: Of a call, only the styles of its house are asked for.
CALL = cast("Call", SimpleNamespace(engine=SimpleNamespace(imagining=SimpleNamespace(styles=STYLES))))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Ana runs this house."""
    return settings.model_copy(update={"people": PeopleSettings(operators=("stage:ana",))})


def edited(persona: Persona, field: str, words: str) -> Persona:
    """As it goes when somebody sends `words`: they come behind a name and a field."""
    name, found, words = editing._edit(f"{persona.slug} {field} {words}")
    assert (name, found) == (persona.slug, field)
    record = cast("PersonaRecord", SimpleNamespace(persona=persona))
    return editing._changed(CALL, record, field, words)


def shown(persona: Persona, field: str) -> str:
    return editing._value(persona, field)


WORDS = st.text(
    st.sampled_from("ab é;:-•*<>.,\n\t\u2028\u200b\u202e0") | st.characters(codec="utf-8"), max_size=30
)
OUTFITS = st.lists(st.builds(Outfit, name=WORDS, description=WORDS), max_size=4).map(tuple)
POSES = st.lists(st.builds(Pose, name=WORDS, description=WORDS), max_size=4).map(tuple)
FILES = st.text("abB .-;é,", min_size=1, max_size=8).filter(lambda name: bool(name.strip()))
LORAS = st.dictionaries(FILES.map(str.strip), st.floats(-2, 2), max_size=6)
PERSONAS = st.builds(
    Persona,
    slug=st.just("ada"),
    name=WORDS.map(lambda name: f"{name}x"),
    kind=WORDS,
    description=WORDS,
    greetings=st.lists(WORDS, max_size=2).map(tuple),
    appearance=st.builds(Appearance, face=WORDS, marks=WORDS, wardrobe=OUTFITS, poses=POSES),
    picture=st.builds(PictureTaste, style=st.sampled_from(["noir", "gone"]), direction=WORDS, loras=LORAS),
)


@given(PERSONAS, st.sampled_from(sorted(FIELDS)))
def test_what_is_shown_of_anybody_can_be_sent_back(persona: Persona, field: str) -> None:
    if words := shown(persona, field):
        assert edited(persona, field, words) == persona


@given(PERSONAS, st.sampled_from(["outfits", "poses"]))
def test_what_stays_on_its_line_stays_as_it_is_beside_something_new(persona: Persona, field: str) -> None:
    had = editing._found(persona, field)
    there = [styles.called("zz top", [Pose(**one)]) for one in had]
    if any(there):
        return
    words = f"{shown(persona, field)}\nzz top: standing".strip()
    assert editing._found(edited(persona, field, words), field) == [
        *had,
        {"name": "zz top", "description": "standing"},
    ]


async def test_what_is_shown_of_the_cast_can_be_sent_back(engine: Engine, ana: Guest) -> None:
    async with engine.database.read() as tx:
        cast_ = [await personas.get(tx, entry.id) for entry in await personas.listing(tx)]
    assert len(cast_) > 9
    for record in cast_:
        for field in FIELDS:
            if words := shown(record.persona, field):
                assert edited(record.persona, field, words) == record.persona
    await ana.gets("/persona edit wiebe outfits coat: a wax coat; hat: of felt")
    await ana.gets("/persona edit wiebe outfits")
    await ana.gets("- coat: a wax coat; belt: red")
    async with engine.database.read() as tx:
        persona = (await personas.find(tx, "wiebe")).persona
    assert [(one.name, one.description) for one in persona.appearance.wardrobe] == [
        ("coat", "a wax coat; belt: red")
    ]
    assert shown(persona, "outfits") == "- coat: a wax coat; belt: red"


CARD = Persona(
    slug="ada",
    name="Ada",
    greetings=("One.", "Two."),
    description="Somebody.",
    appearance=Appearance(
        face="round",
        poses=(Pose(name="a: b", description="c"), Pose(name="long", description="y" * 300)),
        wardrobe=(Outfit(name="work", description="a coat; belt: red"),),
    ),
    picture=PictureTaste(style="noir", direction="fog", loras={"x": 0.8333, "y": 1e-5}),
)


def test_what_a_card_has_at_length_keeps_nobody_from_changing_the_rest() -> None:
    first, long = shown(CARD, "poses").split("\n")
    poses = edited(CARD, "poses", f"{long}\nwaving: one arm high").appearance.poses
    assert poses == (CARD.appearance.poses[1], Pose(name="waving", description="one arm high"))
    with pytest.raises(BadRequest, match=f"{LONGEST_POSE} is the most"):
        edited(CARD, "poses", f"{first}\n{long}y")
    loras = edited(CARD, "loras", "x: 0.8334\ny: 1e-05").picture.loras
    assert loras == {"x": 0.8334, "y": 1e-5}
    outfits = edited(CARD, "outfits", "- work: a coat; belt: blue").appearance.wardrobe
    assert outfits == (Outfit(name="work", description="a coat; belt: blue"),)


@pytest.mark.parametrize(("field", "other"), [("poses", "LONG: other"), ("loras", "X: 1")])
def test_a_second_one_of_the_same_name_is_told(field: str, other: str) -> None:
    for words in (f"{other}\n{shown(CARD, field)}", f"{shown(CARD, field)}\n{other}"):
        with pytest.raises(BadRequest, match="there twice"):
            edited(CARD, field, words)


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"name"}))
@pytest.mark.parametrize("nothing", ["-", "–"])
def test_a_dash_empties_every_field_but_the_name(field: str, nothing: str) -> None:
    empty = Persona(slug="ada", name="Ada")
    assert shown(edited(CARD, field, nothing), field) == shown(empty, field)


@pytest.mark.parametrize("name", ["-", "\u200b", "a\nb", "a\u2028b", "***"])
def test_a_name_has_a_letter_or_a_digit_and_one_line(name: str) -> None:
    with pytest.raises(BadRequest, match="letter or a digit"):
        edited(CARD, "name", name)
    assert edited(CARD, "name", "画 7").name == "画 7"


@pytest.mark.parametrize(
    "words",
    ["foo <lora:x:1> and more", "<lora:x:1> more", "<lora:x:1>, <lora:z:1> so", "y: 1\nnot <lora:x:1>"],
)
def test_words_beside_a_lora_are_told_and_not_dropped(words: str) -> None:
    with pytest.raises(BadRequest, match="Nothing is known of"):
        edited(CARD, "loras", words)
    assert edited(CARD, "loras", "<lora:z:1>, <lora:q:0.5>").picture.loras == {"z": 1, "q": 0.5}


async def test_a_lora_that_is_gone_keeps_nobody_from_sending_back_what_is_there(
    settings: Settings, language: FakeLanguage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Engine.open(settings, models=[language]) as engine:
        ana = Guest(engine)
        await ana.gets("/persona edit glenys loras grain: 0.6")
        model(settings.home)
        lora(settings.home / "models" / "lora", "ink")
        with pytest.raises(BadRequest, match="no LoRA “grain”"):
            await ana.does("/persona edit glenys loras grain: 0.7")
        assert "is changed" in await ana.does("/persona edit glenys loras grain: 0.6\nink: 1")


@pytest.mark.parametrize("gap", [" ", "\n", "\u3000"])
def test_a_name_and_its_field_are_found_however_far_apart(gap: str) -> None:
    """Tried from each of its places, so long a gap would hold up the house for hours."""
    assert editing._edit(f"Ada{gap}Quill{gap * 200_000}Hair{gap * 200_000}red  hair") == (
        f"Ada{gap}Quill",
        "hair",
        "red  hair",
    )
    assert editing._edit("name name name") == ("name", "name", "name")
    for words in (f"a{gap * 200_000}x", "hair", ""):
        with pytest.raises(BadRequest, match="/persona edit NAME FIELD"):
            editing._edit(words)
