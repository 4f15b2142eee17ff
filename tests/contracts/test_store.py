"""What is remembered of chats, people, talks and pictures, on SQLite and on PostgreSQL.

Personas, the outbox and jobs have suites of their own.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.errors import NotFound
from engine.language import Source
from engine.store import chats, jobs, people, personas, pictures
from engine.store.database import Database
from engine.store.records import (
    Account,
    ChatRef,
    Lane,
    PictureRequest,
    Place,
    TurnKind,
    TurnState,
)
from personas.persona import Rating
from tests.contracts.store_stage import BEN, HALL, KITCHEN, NOON, heard, reply, said, settled


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
        ben = await personas.take_in(tx, BEN, origin="made", now=NOON)
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
        ben = await personas.take_in(tx, BEN, origin="made", now=NOON)
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
