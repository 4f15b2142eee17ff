"""A post is part of the talk: whoever replies to it is understood, and one that is taken back was never said."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from engine.conversation import Draft
from engine.engine import Engine
from engine.errors import NotFound
from engine.language import ReplyWanted, Source
from engine.store import chats, messages, outbox, personas
from engine.store.chats import Said
from engine.store.records import (
    Account,
    ChatRef,
    DeliveryKind,
    Incoming,
    PersonaRecord,
    Place,
    Post,
    Turn,
    TurnKind,
)
from engine.store.tables import deliveries
from engine.testing import FakeLanguage
from engine.timewords import read
from tests.engine.posts_stage import NINE, only_post, until

ROOM = ChatRef("stage", "one", "room")


@pytest.fixture
def engine(stored_engine: Engine) -> Engine:
    return stored_engine


async def hears(
    engine: Engine, text: str, key: str, *, reply_to: str = "", shared: bool = False
) -> Said | None:
    incoming = Incoming(
        ROOM, Account("stage", "ana", "Ana"), text, key, shared=shared, reply_to=reply_to, stranger=False
    )
    return await engine.conversation.hear(incoming)


async def says(engine: Engine, text: str, key: str, **how: Any) -> Turn:
    said = await hears(engine, text, key, **how)
    assert said is not None
    answered = await engine.conversation.reply(said, Draft())
    assert answered is not None
    await arrive(engine)
    return answered.reply


async def arrive(engine: Engine) -> None:
    """All that is owed is shown, each in a message of its number."""
    async with engine.database.write() as tx:
        for row in await outbox.take(tx, [("stage", "one")], now=engine.clock.now()):
            shown = [f"m{row.id}"]
            await outbox.sent(tx, row.id, shown, now=engine.clock.now())
            await messages.shown(tx, row.chat_id, row.id, shown)


async def room(engine: Engine) -> Place:
    place = await engine.database.look(lambda tx: chats.place(tx, ROOM))
    assert place is not None
    return place


async def talk(engine: Engine) -> list[str]:
    place = await room(engine)
    return [line.text for line in (await engine.database.look(lambda tx: chats.talk(tx, place.id))).lines]


async def posted(engine: Engine, persona: PersonaRecord | None = None, **options: Any) -> tuple[Post, str]:
    """The post of nine o'clock, and the message in which it stands."""
    place = await room(engine)
    timing, _ = read("once 2026-03-01 09:00")
    await engine.posting.add(
        place=place,
        persona=persona or await engine.presence.host(place),
        person=None,
        timing=timing,
        zone="UTC",
        theme="plums",
        options={"picture": False, **options},
    )
    await until(engine, NINE)
    (owed,) = await of_posts(engine)
    assert owed.state == "pending", "it is shown as a post, once"
    await arrive(engine)
    return await only_post(engine), f"m{owed.id}"


async def of_posts(engine: Engine) -> list[Any]:
    async with engine.database.read() as tx:
        return list(await tx.execute(select(deliveries).where(deliveries.c.kind == DeliveryKind.POST.value)))


async def somebody_else(engine: Engine) -> PersonaRecord:
    """One of the cast that is not in the room."""
    return await engine.database.look(lambda tx: personas.find(tx, "everald"))


async def test_a_post_goes_on_from_what_was_said_and_is_answered_in_its_sense(
    engine: Engine, language: FakeLanguage
) -> None:
    answer = await says(engine, "Good night.", "1")
    post, message = await posted(engine)
    place = await room(engine)
    turn = await engine.database.look(lambda tx: chats.turn(tx, place.head_turn_id or 0))
    assert turn is not None
    assert (turn.text, turn.parent_id, turn.source) == (post.caption, answer.id, Source.MODEL)
    assert (turn.persona_id, turn.kind) == (post.persona_id, TurnKind.WORDS)
    assert await talk(engine) == ["Good night.", answer.text, post.caption]
    await says(engine, "Which plums?", "2", reply_to=message)
    asked = [one for one in language.asked if isinstance(one, ReplyWanted)][-1]
    assert [line.text for line in asked.lines][-2:] == [post.caption, "Which plums?"]


async def test_words_under_a_post_are_about_its_turn_and_are_shown_once(engine: Engine) -> None:
    await says(engine, "Good night.", "1")
    post, message = await posted(engine)
    place = await room(engine)
    about = await engine.database.look(lambda tx: messages.about(tx, place.id, message))
    assert about is not None
    assert about.turn_id == place.head_turn_id
    async with engine.database.read() as tx:
        rows = list(await tx.execute(select(deliveries)))
    assert [row.kind for row in rows if row.turn_id == place.head_turn_id] == ["post"]
    assert post.caption


async def test_a_post_that_is_taken_back_was_never_said_and_what_came_after_it_stays(engine: Engine) -> None:
    before = await says(engine, "Good night.", "1")
    post, message = await posted(engine)
    after = await says(engine, "Which plums?", "2", reply_to=message)
    assert await engine.posting.recall(post.id) == 1
    assert await talk(engine) == ["Good night.", before.text, "Which plums?", after.text]
    assert (await room(engine)).head_turn_id == after.id


async def test_a_post_taken_back_at_once_leaves_the_talk_where_it_stood(engine: Engine) -> None:
    before = await says(engine, "Good night.", "1")
    post, _message = await posted(engine)
    await engine.posting.recall(post.id)
    assert (await room(engine)).head_turn_id == before.id


async def test_to_take_back_one_s_own_words_leaves_the_post_that_came_after_them(engine: Engine) -> None:
    first = await says(engine, "Good evening.", "1")
    await says(engine, "Good night.", "2")
    post, message = await posted(engine)
    place = await room(engine)
    async with engine.database.write() as tx:
        undone, gone = await engine.second_thoughts.take_back(tx, place)
    assert undone.text == "Good night."
    assert message not in gone
    assert await talk(engine) == ["Good evening.", first.text, post.caption]


async def test_a_post_cannot_be_said_in_another_way_as_an_answer_can(engine: Engine) -> None:
    await says(engine, "Good night.", "1")
    await posted(engine)
    said = await engine.conversation.hear(
        Incoming(ROOM, Account("stage", "ana", "Ana"), "/regenerate", "2", stranger=False),
        kind=TurnKind.COMMAND,
    )
    assert said is not None
    with pytest.raises(NotFound, match="in another way"):
        await engine.second_thoughts.again(said, Draft())


async def test_of_a_persona_that_is_not_there_nothing_is_said_to_have_been_said(engine: Engine) -> None:
    answer = await says(engine, "Good night.", "1")
    await posted(engine, await somebody_else(engine))
    assert await talk(engine) == ["Good night.", answer.text]


@pytest.mark.parametrize("shared", [False, True])
async def test_a_reply_to_a_post_reaches_whoever_posted_it(engine: Engine, shared: bool) -> None:
    first = await hears(engine, "Good night.", "1")
    assert first is not None
    poster = await somebody_else(engine)
    _post, message = await posted(engine, poster)
    said = await hears(engine, "Which plums?", "2", reply_to=message, shared=shared)
    assert said is not None
    assert said.turn.wanted == (poster.id,)
    answered = await engine.conversation.reply(said, Draft())
    assert answered is not None
    assert answered.reply.persona_id == poster.id
    assert (await room(engine)).persona_id == first.place.persona_id, "the host stays who it is"
    following = await hears(engine, "And you?", "3", shared=shared)
    assert (following.turn.wanted if following else ()) == ()


async def test_a_reply_to_a_post_without_words_reaches_its_persona_too(engine: Engine) -> None:
    first = await hears(engine, "Good night.", "1")
    assert first is not None
    poster = await somebody_else(engine)
    _post, message = await posted(engine, poster)
    async with engine.database.write() as tx:
        await tx.execute(deliveries.update().values(text="", turn_id=None))
    said = await hears(engine, "What is that?", "2", reply_to=message)
    assert said is not None
    assert said.turn.wanted == (poster.id,)
