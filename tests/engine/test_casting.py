"""A persona is written: valid, under a slug of its own, and never more grown-up than the operator said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from engine.casting import Casting
from engine.errors import BadRequest, Unsuitable
from engine.language import LanguageModel, PersonaWanted, Wanted
from engine.language.understudy import Understudy
from engine.language.writers import Writers
from engine.settings import SafetySettings, Settings
from engine.store import personas
from engine.store.database import Database
from engine.testing import FakeLanguage, ManualClock
from personas.persona import Persona, Rating


class Says(FakeLanguage):
    """Writes these words, whatever is wanted."""

    def _text(self, wanted: Wanted) -> str:
        return self.reply


def casting(database: Database, *models: LanguageModel, blocked: Sequence[str] = ()) -> Casting:
    settings = Settings(safety=SafetySettings(blocked_words=tuple(blocked)))
    return Casting(database, Writers([*models, Understudy()]), settings, ManualClock())


async def test_somebody_new_joins_the_cast(database: Database) -> None:
    record = await casting(database).write(kind="fitness", name="Zoë Field", seed=3)
    async with database.read() as tx:
        assert await personas.find(tx, "zoe-field") == record
    assert (record.persona.name, record.origin, record.revision) == ("Zoë Field", "made", 1)
    assert record.persona.rating is Rating.ALL_AGES


async def test_the_same_seed_writes_the_same_person_under_another_slug(database: Database) -> None:
    office = casting(database)
    first = await office.write(name="Zoë Field", seed=3)
    second = await office.write(name="Zoë Field", seed=3)
    assert (first.persona.slug, second.persona.slug) == ("zoe-field", "zoe-field-2")


async def test_a_model_is_told_what_is_wanted_and_who_is_there(database: Database) -> None:
    model = FakeLanguage()
    office = casting(database, model)
    await office.write(kind="tech", name="Ada Quill")
    await office.write(kind="tech", name="Ben Ash")
    wanted = model.asked[-1]
    assert isinstance(wanted, PersonaWanted)
    assert (wanted.kind, wanted.name, wanted.taken) == ("tech", "Ben Ash", ("ada-quill",))


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "not json",
        "[]",
        "null",
        '"text"',
        "5",
        "{}",
        '{"slug": "x", "name": ""}',
        '{"slug": "../x", "name": "X"}',
        '{"slug": "x", "name": "X", "colour": "red"}',
        '{"slug": "x", "name": "X", "age": "old"}',
        "[" * 5_000,
    ],
)
async def test_what_is_no_persona_is_written_anew_by_the_understudy(
    database: Database, nonsense: str
) -> None:
    record = await casting(database, Says(nonsense)).write(name="Zoë Field", seed=3)
    assert record.persona.name == "Zoë Field"


async def test_a_model_does_not_decide_how_grown_up_somebody_is(database: Database) -> None:
    bold = json.dumps({"slug": "x", "name": "X", "age": 30, "rating": "adult"})
    assert (await casting(database, Says(bold)).write()).persona.rating is Rating.ALL_AGES


@pytest.mark.parametrize(
    ("kind", "name"), [("x" * 81, ""), ("", "x" * 81), ("", "\u200b\u200b"), ("\x00\x01", "")]
)
async def test_what_cannot_be_read_is_refused(database: Database, kind: str, name: str) -> None:
    with pytest.raises(BadRequest):
        await casting(database).write(kind=kind, name=name)


async def test_words_that_are_not_wanted_are_refused(database: Database) -> None:
    with pytest.raises(Unsuitable):
        await casting(database, blocked=["gherkin"]).write(name="Gherkin Smith")


async def test_somebody_imported_keeps_everything_but_a_taken_slug(database: Database) -> None:
    office = casting(database)
    whole = Persona(slug="ada", name="Ada Quill", rating=Rating.MATURE, age=40, card={"x": 1})
    first = await office.keep(whole, origin="imported")
    second = await office.keep(whole, origin="imported")
    assert (first.persona, first.origin) == (whole, "imported")
    assert second.persona == whole.model_copy(update={"slug": "ada-2"})


async def test_many_of_one_name_at_once_all_find_a_slug(database: Database) -> None:
    office = casting(database)
    made = await asyncio.gather(*(office.write(name="Zoë Field", seed=seed) for seed in range(5)))
    assert len({record.persona.slug for record in made}) == 5
