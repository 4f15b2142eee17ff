"""What is remembered of chats, people, personas, pictures and deliveries, on SQLite and on PostgreSQL.

Jobs have a suite of their own, in `tests/engine/test_jobs_store.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import BadRequest, NotFound
from engine.language import Source
from engine.store import chats, jobs, outbox, people, personas, pictures
from engine.store.database import Database
from engine.store.records import (
    Account,
    ChatRef,
    Delivery,
    DeliveryKind,
    Incoming,
    Lane,
    Person,
    PersonaRecord,
    PictureRequest,
    Place,
    Turn,
    TurnKind,
    TurnState,
)
from engine.store.tables import persona_revisions
from personas.persona import Interest, Persona, PictureTaste, Rating

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
KITCHEN = ChatRef("terminal", "home", "kitchen")
HALL = ChatRef("terminal", "home", "hall", "stairs")
ANA = Account("terminal", "ana", "Ana", "pt")
HERE = [("terminal", "home")]
ADA = Persona(slug="ada", name="Ada Quill", age=40)
BEN = Persona(slug="ben", name="Ben Ash", age=50)


@asynccontextmanager
async def settled(database: Database) -> AsyncIterator[tuple[AsyncConnection, Place, Person, PersonaRecord]]:
    """A write transaction in a store where Ana and Ada are in the kitchen."""
    async with database.write() as tx:
        record = await personas.add(tx, ADA, origin="made", now=NOON)
        place = await chats.add_place(tx, KITCHEN, persona_id=record.id, now=NOON)
        person = await people.add_person(tx, ANA, now=NOON)
        yield tx, place, person, record


async def said(
    tx: AsyncConnection, place: Place, person: Person, text: str, *, now: datetime = NOON, **more: Any
) -> Turn:
    return await chats.add_turn(tx, place.id, text, now=now, person_id=person.id, **more)


def heard(text: str = "Hello", *, key: str = "1", chat: ChatRef = KITCHEN, who: Account = ANA) -> Incoming:
    return Incoming(chat, who, text, key)


# Arrivals


async def test_a_stranger_in_a_new_chat_is_not_known(database: Database) -> None:
    async with database.read() as tx:
        found = await people.arrival(tx, heard(), since=NOON, now=NOON)
    assert (found.person, found.place, found.heard_before) == (None, None, None)
    assert (found.by_person, found.in_place) == (0, 0)


async def test_one_read_tells_who_speaks_where_and_how_much_they_said(database: Database) -> None:
    async with settled(database) as (tx, place, person, _):
        other = await people.add_person(tx, Account("terminal", "ben"), now=NOON)
        hall = await chats.add_place(tx, HALL, persona_id=None, now=NOON)
        for seconds in (-90, -30, -10):
            await said(tx, place, person, "words", now=NOON + timedelta(seconds=seconds))
        await said(tx, hall, person, "elsewhere", now=NOON)
        await said(tx, place, other, "somebody else", now=NOON)
        await chats.add_turn(tx, place.id, "a reply", now=NOON, persona_id=place.persona_id)
        found = await people.arrival(tx, heard(), since=NOON - timedelta(minutes=1), now=NOON)
    assert found.person == person
    assert found.account_name == "Ana"
    assert found.place is not None
    assert (found.place.id, found.place.ref, found.place.rating) == (place.id, KITCHEN, Rating.ALL_AGES)
    assert (found.by_person, found.in_place) == (3, 3)


async def test_an_update_is_known_by_its_key(database: Database) -> None:
    async with settled(database) as (tx, place, person, _):
        turn = await said(tx, place, person, "Hello", dedup_key=heard(key="7").dedup_key)
        again = await people.arrival(tx, heard("something else", key="7"), since=NOON, now=NOON)
        other = await people.arrival(tx, heard("Hello", key="8"), since=NOON, now=NOON)
    assert (again.heard_before, other.heard_before) == (turn.id, None)


async def test_one_account_on_two_fronts_is_two_people_until_they_are_linked(database: Database) -> None:
    async with settled(database) as (tx, _place, person, _):
        stranger = heard(chat=ChatRef("elsewhere", "home", "kitchen"), who=Account("elsewhere", "ana"))
        found = await people.arrival(tx, stranger, since=NOON, now=NOON)
        assert found.person is None
        await people.rename(tx, person.id, Account("terminal", "ana", "Ana Maria"), before=person.name)
        renamed = await people.arrival(tx, heard(), since=NOON, now=NOON)
    assert (renamed.person, renamed.account_name) == (replace(person, name="Ana Maria"), "Ana Maria")


async def test_threads_and_accounts_are_places_of_their_own(database: Database) -> None:
    refs = [KITCHEN, HALL, ChatRef("terminal", "home", "hall"), ChatRef("terminal", "second", "hall")]
    async with database.write() as tx:
        made = [await chats.add_place(tx, ref, persona_id=None, now=NOON) for ref in refs]
        found = [await chats.place(tx, ref) for ref in refs]
    assert found == made
    assert len({place.id for place in made}) == 4


async def test_a_place_made_by_many_at_once_is_one(database: Database) -> None:
    async def come() -> Place:
        async with database.write() as tx:
            return await chats.add_place(tx, KITCHEN, persona_id=None, now=NOON)

    assert len({place.id for place in await asyncio.gather(*(come() for _ in range(6)))}) == 1


# Talk


async def reply(tx: AsyncConnection, place: Place, to: Turn, text: str, persona_id: int) -> Turn:
    turn = await chats.add_turn(
        tx,
        place.id,
        text,
        now=NOON,
        state=TurnState.ANSWERED,
        parent_id=to.id,
        persona_id=persona_id,
        source=Source.MODEL,
    )
    await chats.move_head(tx, place.id, turn.id, of_persona=persona_id)
    return turn


async def test_a_talk_is_read_from_its_first_line_to_its_head(database: Database) -> None:
    async with settled(database) as (tx, place, person, ada):
        head = None
        for number in range(5):
            turn = await said(tx, place, person, f"question {number}")
            assert await chats.close_turn(tx, turn, parent_id=head)
            head = (await reply(tx, place, turn, f"answer {number}", ada.id)).id
        talk = await chats.talk(tx, place.id)
        recent = await chats.recent(tx, place.id, most=3)
    assert [line.text for line in talk.lines] == [
        f"{kind} {number}" for number in range(5) for kind in ("question", "answer")
    ]
    assert [line.by_persona for line in talk.lines] == [False, True] * 5
    assert (talk.persona_id, talk.revision, talk.head) == (ada.id, 1, head)
    assert [turn.text for turn in recent] == ["answer 3", "question 4", "answer 4"]
    assert recent[-1].source is Source.MODEL


async def test_a_branch_that_was_left_is_not_in_the_talk(database: Database) -> None:
    async with settled(database) as (tx, place, person, ada):
        turn = await said(tx, place, person, "Well?")
        await chats.close_turn(tx, turn)
        left = await reply(tx, place, turn, "the first try", ada.id)
        await reply(tx, place, turn, "the second try", ada.id)
        assert [line.text for line in (await chats.talk(tx, place.id)).lines] == ["Well?", "the second try"]
        await chats.move_head(tx, place.id, left.id, of_persona=ada.id)
        assert [line.text for line in (await chats.talk(tx, place.id)).lines] == ["Well?", "the first try"]


async def test_an_empty_talk_still_tells_who_is_there(database: Database) -> None:
    async with settled(database) as (tx, place, _person, ada):
        talk = await chats.talk(tx, place.id)
        assert await chats.recent(tx, place.id, most=5) == []
    assert (talk.persona_id, talk.revision, talk.head, talk.lines) == (ada.id, 1, None, ())


async def test_a_persona_that_left_is_not_told_to_be_there(database: Database) -> None:
    async with settled(database) as (tx, place, _person, ada):
        await personas.delete(tx, ada.id, now=NOON)
        assert (await chats.talk(tx, place.id)).revision is None


async def test_a_turn_is_closed_once(database: Database) -> None:
    async with settled(database) as (tx, place, person, _):
        turn = await said(tx, place, person, "Hello")
        assert await chats.close_turn(tx, turn)
        assert not await chats.close_turn(tx, turn)
        assert not await chats.close_turn(tx, turn, state=TurnState.FAILED)


async def test_closed_by_two_at_once_a_turn_is_closed_once(database: Database) -> None:
    async with settled(database) as (tx, place, person, _):
        turn = await said(tx, place, person, "Hello")

    async def close() -> bool:
        async with database.write() as tx:
            return await chats.close_turn(tx, turn)

    assert sorted(await asyncio.gather(*(close() for _ in range(4)))) == [False, False, False, True]


async def test_each_persona_comes_back_to_its_own_talk(database: Database) -> None:
    async with settled(database) as (tx, place, person, ada):
        ben = await personas.add(tx, BEN, origin="made", now=NOON)
        turn = await said(tx, place, person, "Ada?")
        await chats.close_turn(tx, turn)
        answer = await reply(tx, place, turn, "Here.", ada.id)
        assert await chats.set_persona(tx, place.id, ben.id) is None
        assert await chats.persona_here(tx, place.id) == ben.id
        assert (await chats.talk(tx, place.id)).lines == ()
        assert await chats.set_persona(tx, place.id, ada.id) == answer.id
        assert (await chats.talk(tx, place.id)).head == answer.id


async def test_the_head_of_a_talk_does_not_move_for_somebody_who_is_gone(database: Database) -> None:
    async with settled(database) as (tx, place, person, ada):
        ben = await personas.add(tx, BEN, origin="made", now=NOON)
        turn = await said(tx, place, person, "Ada?")
        await chats.set_persona(tx, place.id, ben.id)
        await reply(tx, place, turn, "Late.", ada.id)
        assert (await chats.talk(tx, place.id)).head is None


async def test_what_a_stop_left_open_is_found_in_order_with_all_that_is_needed(database: Database) -> None:
    async with settled(database) as (tx, place, person, _):
        first = await said(tx, place, person, "one")
        command = await said(tx, place, person, "/queue", kind=TurnKind.COMMAND)
        done = await said(tx, place, person, "done")
        await chats.close_turn(tx, done)
        hall = await chats.add_place(tx, HALL, persona_id=None, now=NOON)
        other = await said(tx, hall, person, "elsewhere")
        again, hopeless = await chats.reopen(tx, most_attempts=2)
    assert [one.turn.id for one in again] == [first.id, command.id, other.id]
    assert {one.turn.state for one in again} == {TurnState.ANSWERING}
    assert [one.turn.attempts for one in again] == [1, 0, 1]
    assert [one.place.ref for one in again] == [KITCHEN, KITCHEN, HALL]
    assert {one.person for one in again} == {person}
    assert hopeless == []


async def test_only_the_first_of_a_chat_is_tried_too_often(database: Database) -> None:
    async with settled(database) as (tx, place, person, _):
        poison = await said(tx, place, person, "poison")
        behind = await said(tx, place, person, "behind")
        for _ in range(2):
            again, hopeless = await chats.reopen(tx, most_attempts=2)
            assert (len(again), hopeless) == (2, [])
        again, hopeless = await chats.reopen(tx, most_attempts=2)
    assert [one.turn.id for one in hopeless] == [poison.id]
    assert [one.turn.id for one in again] == [behind.id]


# Personas


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
        stored = await personas.add(tx, whole, origin="imported", now=NOON)
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
        await personas.add(tx, ADA, origin="made", now=NOON)
        eva = await personas.add(tx, Persona(slug="eva-nagy", name="Éva Nagy"), origin="made", now=NOON)
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
        await personas.add(tx, ADA, origin="made", now=NOON)
        with pytest.raises(NotFound, match="ada") as error:
            await personas.find(tx, wanted)
    assert len(str(error.value)) < 200


async def test_of_two_with_one_name_the_slug_is_asked_back(database: Database) -> None:
    async with database.write() as tx:
        for slug in ("ada-quill", "ada-quill-2"):
            await personas.add(tx, Persona(slug=slug, name="Ada Quill"), origin="made", now=NOON)
        with pytest.raises(BadRequest, match="ada-quill and ada-quill-2"):
            await personas.find(tx, "ada quill")
        with pytest.raises(BadRequest, match="ada-quill and ada-quill-2"):
            await personas.find(tx, "Quill")
        assert (await personas.find(tx, "ada-quill")).persona.slug == "ada-quill"


async def test_two_of_one_slug_cannot_be(database: Database) -> None:
    async with database.write() as tx:
        await personas.add(tx, ADA, origin="made", now=NOON)
    with pytest.raises(BadRequest, match="already"):
        async with database.write() as tx:
            await personas.add(tx, ADA, origin="made", now=NOON)
    async with database.write() as tx:
        assert await personas.free_slug(tx, "ada") == "ada-2"
        taken_in = await personas.take_in(tx, ADA, origin="imported", now=NOON)
        assert taken_in.persona.slug == "ada-2"


async def test_the_slug_of_somebody_who_left_is_not_given_away(database: Database) -> None:
    async with database.write() as tx:
        ada = await personas.add(tx, ADA, origin="made", now=NOON)
        await personas.delete(tx, ada.id, now=NOON)
        assert await personas.free_slug(tx, "ada") == "ada-2"
        assert await personas.listing(tx) == []
        for lookup in (personas.get(tx, ada.id), personas.find(tx, "ada")):
            with pytest.raises(NotFound):
                await lookup


async def test_of_two_edits_of_one_revision_the_second_is_refused(database: Database) -> None:
    async with database.write() as tx:
        seen = await personas.add(tx, ADA, origin="made", now=NOON)
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


# The outbox


async def owing(
    tx: AsyncConnection, place: Place, *texts: str, kind: DeliveryKind = DeliveryKind.NOTICE
) -> list[int]:
    return [await outbox.owe(tx, place.id, kind, text=text, now=NOON) for text in texts]


async def taken(tx: AsyncConnection, *, now: datetime = NOON, **more: Any) -> list[Delivery]:
    return await outbox.take(tx, HERE, now=now, **more)


async def test_what_is_owed_goes_out_once_and_in_order(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        ids = await owing(tx, place, "one", "two", "three")
        rows = await taken(tx, most=2)
        assert [(row.id, row.text, row.attempts) for row in rows] == [(ids[0], "one", 1), (ids[1], "two", 1)]
        assert rows[0].chat == KITCHEN
        assert await taken(tx) == [], "nothing passes those that are on their way"
        for row in rows:
            await outbox.sent(tx, row.id, [f"message-{row.id}"], now=NOON)
        assert [row.text for row in await taken(tx)] == ["three"]
        assert await outbox.owed(tx) == 1


async def test_a_reply_goes_out_in_its_own_words_with_who_said_it(database: Database) -> None:
    async with settled(database) as (tx, place, person, ada):
        turn = await said(tx, place, person, "Well?")
        answer = await reply(tx, place, turn, "Well.", ada.id)
        await outbox.owe(tx, place.id, DeliveryKind.REPLY, turn_id=answer.id, now=NOON)
        [row] = await taken(tx)
    assert (row.text, row.source, row.turn_id) == ("Well.", Source.MODEL, answer.id)
    assert (row.persona_name, row.persona_slug) == ("Ada Quill", "ada")


async def test_one_chat_does_not_hold_up_another(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        hall = await chats.add_place(tx, HALL, persona_id=None, now=NOON)
        [first] = await owing(tx, place, "one")
        await taken(tx)
        await outbox.wait(tx, [first], until=NOON + timedelta(minutes=1))
        await owing(tx, place, "two")
        await owing(tx, hall, "elsewhere")
        assert [row.text for row in await taken(tx)] == ["elsewhere"]
        assert [row.text for row in await taken(tx, now=NOON + timedelta(minutes=1))] == ["one", "two"]


async def test_what_waits_goes_at_once_when_somebody_comes(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        [first] = await owing(tx, place, "one")
        await taken(tx)
        await outbox.wait(tx, [first], until=NOON + timedelta(minutes=1), counted=False)
        assert await taken(tx) == []
        await outbox.wake(tx, place.id)
        [row] = await taken(tx)
    assert row.attempts == 1, "that nobody was there was no attempt"


async def test_a_clock_set_back_makes_nothing_wait_longer_than_a_pause(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        [first] = await owing(tx, place, "one")
        await taken(tx)
        await outbox.wait(tx, [first], until=NOON + timedelta(minutes=1))
        assert [row.id for row in await taken(tx, now=NOON - timedelta(days=300))] == [first]


async def test_other_fronts_are_left_alone(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        elsewhere = await chats.add_place(tx, ChatRef("telegram", "bot", "1"), persona_id=None, now=NOON)
        await owing(tx, elsewhere, "not ours")
        await owing(tx, place, "ours")
        assert [row.text for row in await taken(tx)] == ["ours"]
        assert await outbox.take(tx, [], now=NOON) == []
        assert await outbox.owed(tx, chat_id=elsewhere.id) == 1


async def test_what_is_given_up_does_not_hold_up_the_rest(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        first, _second = await owing(tx, place, "never", "later")
        [row, _] = await taken(tx)
        await outbox.give_up(tx, first, error="the chat is gone")
        assert row.id == first
        assert await outbox.owed(tx) == 1


async def test_after_a_crash_what_was_on_its_way_goes_again(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        ids = await owing(tx, place, "one", "two")
        await taken(tx)
        assert await outbox.recover(tx, HERE, recognises_repeats=True) == (2, 0)
        again = await taken(tx)
    assert [(row.id, row.attempts) for row in again] == [(ids[0], 2), (ids[1], 2)]


async def test_after_a_crash_a_post_is_held_where_repeats_are_not_recognised(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        await owing(tx, place, "a post", kind=DeliveryKind.POST)
        await owing(tx, place, "a notice")
        await taken(tx)
        assert await outbox.recover(tx, HERE, recognises_repeats=False) == (1, 1)
        assert [row.text for row in await taken(tx)] == ["a notice"]


async def test_a_nonce_is_a_delivery_s_own_and_stays(database: Database) -> None:
    async with settled(database) as (tx, place, _person, _ada):
        await owing(tx, place, "one", "two")
        before = await taken(tx)
        await outbox.recover(tx, HERE, recognises_repeats=True)
        after = await taken(tx)
    assert [row.nonce for row in before] == [row.nonce for row in after]
    assert len({row.nonce for row in before}) == 2


# Pictures


async def test_pictures_come_back_by_job_and_by_number(database: Database) -> None:
    request = PictureRequest("on a pier", "a pier", "fog", "film", Source.UNDERSTUDY, 2, seed=2**32 - 1)
    made = {
        "persona_id": None,
        "scene": "on a pier",
        "prompt": "a pier",
        "negative": "fog",
        "style": "film",
        "source": "understudy",
        "word_count": 2,
        "seed": 2**32 - 1,
        "width": 64,
        "height": 32,
        "steps": 3,
        "guidance": 7.5,
        "rating": "all-ages",
        "model": "fake",
        "device": "cpu",
        "stand_in": True,
        "facts": {"lens": 50},
        "created_at": NOON,
    }
    async with database.write() as tx:
        added = await jobs.add(tx, request=request, lane=Lane.INTERACTIVE, fair_owner="ana", cost=2, now=NOON)
        rows = [
            made | {"job_id": added.job.id, "number": number, "file": f"{number}.png"} for number in (1, 2)
        ]
        ids = await pictures.add(tx, rows)
        found = await pictures.of_jobs(tx, [added.job.id, 10_000])
        first = await pictures.get(tx, ids[0])
    assert [picture.id for picture in found[added.job.id]] == ids
    assert found[added.job.id][0] == first
    assert (first.seed, first.source, first.rating, first.created_at) == (
        2**32 - 1,
        Source.UNDERSTUDY,
        Rating.ALL_AGES,
        NOON,
    )
    assert first.facts == {"lens": 50}


@pytest.mark.parametrize("picture_id", [0, -1, 7, 2**31, 2**70])
async def test_a_picture_that_is_not_there_is_named(database: Database, picture_id: int) -> None:
    async with database.read() as tx:
        with pytest.raises(NotFound, match=f"no picture {picture_id}"):
            await pictures.get(tx, picture_id)
