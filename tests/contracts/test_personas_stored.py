"""What is remembered of personas: who they are, by which name they are found, and every edit; on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from engine.errors import BadRequest, NotFound
from engine.store import personas
from engine.store.database import Database
from engine.store.tables import persona_revisions
from personas.persona import Interest, Persona, PictureTaste, Rating
from tests.contracts.store_stage import ADA, BEN, NOON


async def test_a_persona_comes_back_as_it_was_stored(database: Database) -> None:
    whole = Persona(
        slug="iris",
        name="Íris “the\u00a0Lens” 👁",
        age=33,
        rating=Rating.MATURE,
        tags=("a", "b"),
        interests=(Interest(name="optics", words=("lens",)),),
        picture=PictureTaste(style="film"),
        greetings=("Hi {{user}}, {{random:a,b}} %s {0}",),
        card={"spec": "chara_card_v3", "data": {"unknown": [1, None, "ü"]}},
    )
    async with database.write() as tx:
        stored = await personas.take_in(tx, whole, origin="imported", now=NOON)
    async with database.read() as tx:
        assert await personas.get(tx, stored.id) == stored
        [entry] = await personas.listing(tx)
    assert stored.persona == whole
    assert (entry.slug, entry.name, entry.tags, entry.origin) == ("iris", whole.name, ("a", "b"), "imported")


@pytest.mark.parametrize(
    "wanted",
    ["eva-nagy", "EVA-NAGY", "Éva Nagy", "éva nagy", "ÉVA NAGY", " Éva \n Nagy ", "Eva", "nagy", "Éva\x00"],
)
async def test_a_persona_is_found_by_slug_name_and_first_name(database: Database, wanted: str) -> None:
    async with database.write() as tx:
        await personas.take_in(tx, ADA, origin="made", now=NOON)
        eva = await personas.take_in(tx, Persona(slug="eva-nagy", name="Éva Nagy"), origin="made", now=NOON)
        assert await personas.find(tx, wanted) == eva
        assert await personas.find(tx, str(eva.id)) == eva


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        " ",
        "nobody",
        "'; DROP TABLE personas; --",
        "%",
        "_",
        "9" * 30,
        "x" * 9_000,
        "\x00",
        "\ud800",
        "-1",
    ],
)
async def test_nobody_is_found_where_nobody_is_meant(database: Database, wanted: str) -> None:
    async with database.write() as tx:
        await personas.take_in(tx, ADA, origin="made", now=NOON)
        with pytest.raises(NotFound, match="ada") as error:
            await personas.find(tx, wanted)
    assert len(str(error.value)) < 200


async def test_of_two_with_one_name_the_slug_is_asked_back(database: Database) -> None:
    async with database.write() as tx:
        for slug in ("ada-quill", "ada-quill-2"):
            await personas.take_in(tx, Persona(slug=slug, name="Ada Quill"), origin="made", now=NOON)
        with pytest.raises(BadRequest, match="ada-quill and ada-quill-2"):
            await personas.find(tx, "ada quill")
        with pytest.raises(BadRequest, match="ada-quill and ada-quill-2"):
            await personas.find(tx, "Quill")
        assert (await personas.find(tx, "ada-quill")).persona.slug == "ada-quill"


async def test_two_of_one_slug_cannot_be(database: Database) -> None:
    async with database.write() as tx:
        await personas.take_in(tx, ADA, origin="made", now=NOON)
        assert await personas.free_slug(tx, "ada") == "ada-2"
        taken_in = await personas.take_in(tx, ADA, origin="imported", now=NOON)
        assert taken_in.persona.slug == "ada-2"


async def test_the_slug_of_somebody_who_left_is_not_given_away(database: Database) -> None:
    async with database.write() as tx:
        ada = await personas.take_in(tx, ADA, origin="made", now=NOON)
        await personas.delete(tx, ada.id, now=NOON)
        assert await personas.free_slug(tx, "ada") == "ada-2"
        assert await personas.listing(tx) == []
        for lookup in (personas.get(tx, ada.id), personas.find(tx, "ada")):
            with pytest.raises(NotFound):
                await lookup


async def test_of_two_edits_of_one_revision_the_second_is_refused(database: Database) -> None:
    async with database.write() as tx:
        seen = await personas.take_in(tx, ADA, origin="made", now=NOON)
        edited = ADA.model_copy(update={"occupation": "locksmith", "name": "Ada Q."})
        after = await personas.revise(tx, seen, edited, note="a job", now=NOON)
        assert (after.revision, after.origin) == (2, "edited")
        with pytest.raises(BadRequest, match="meanwhile"):
            await personas.revise(tx, seen, ADA, note="", now=NOON)
        found = await personas.get(tx, seen.id)
        kept = (await tx.execute(select(func.count()).select_from(persona_revisions))).scalar_one()
        assert [entry.name for entry in await personas.listing(tx)] == ["Ada Q."]
    assert found == after
    assert kept == 2


async def test_the_shipped_cast_comes_once(database: Database) -> None:
    async with database.write() as tx:
        assert await personas.seed(tx, [ADA, BEN], now=NOON) == ["ada", "ben"]
        assert await personas.seed(tx, [ADA, BEN], now=NOON) == []
        assert [entry.revision for entry in await personas.listing(tx)] == [1, 1]


async def test_a_better_file_reaches_only_who_was_not_edited(database: Database) -> None:
    better = [persona.model_copy(update={"home": "Lisbon"}) for persona in (ADA, BEN)]
    async with database.write() as tx:
        await personas.seed(tx, [ADA, BEN], now=NOON)
        ada = await personas.find(tx, "ada")
        mine = ADA.model_copy(update={"home": "mine"})
        await personas.revise(tx, ada, mine, note="", now=NOON)
        assert await personas.seed(tx, better, now=NOON) == ["ben"]
        assert (await personas.find(tx, "ada")).persona.home == "mine"
        ben = await personas.find(tx, "ben")
    assert (ben.persona.home, ben.revision, ben.origin) == ("Lisbon", 2, "cast")


async def test_who_was_sent_away_does_not_come_back_with_the_next_version(database: Database) -> None:
    async with database.write() as tx:
        await personas.seed(tx, [ADA], now=NOON)
        await personas.delete(tx, (await personas.find(tx, "ada")).id, now=NOON)
        better = ADA.model_copy(update={"home": "Lisbon"})
        assert await personas.seed(tx, [better], now=NOON) == []
        assert await personas.listing(tx) == []
