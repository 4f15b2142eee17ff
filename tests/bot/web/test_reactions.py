"""What people think of a persona's words, as every tab sees it; and what the house asks back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from bot.house import House
from engine.store.records import Scope
from engine.store.tables import reactions
from tests.bot.web.tabs import Tab, Visitor, answered, buttons, program_of, told

LIKED = {"emoji": "👍", "by": ["home"]}


@pytest.fixture
async def tab(page: Visitor) -> AsyncIterator[Tab]:
    async with page.tab() as opened:
        yield opened


async def test_a_reaction_is_seen_in_every_tab_and_kept_where_those_of_all_fronts_are(
    house: House, page: Visitor, tab: Tab
) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    reply = await answered(tab, await page.says("Good evening, Glenys."))
    assert reply["reactions"] == []
    async with page.tab() as other:
        await other.watch(after=reply["revision"])
        put = {"message": reply["id"], "emoji": "👍"}
        now = told(await page.http.post("/talks/home/react", json=put), 200)
        assert now["reactions"] == [LIKED]
        for one in (tab, other):
            seen = await one.message(lambda told: told["id"] == reply["id"] and bool(told["reactions"]))
            assert seen == now
    # Told twice it is kept once.
    told(await page.http.post("/talks/home/react", json=put), 200)
    async with house.engine.database.read() as tx:
        found = select(reactions.c.emoji).where(reactions.c.turn_id == reply["turn"])
        assert list((await tx.execute(found)).scalars()) == ["👍"]
    told(await page.http.post("/talks/home/react", json=put | {"emoji": "❤"}), 200)
    taken = told(await page.http.post("/talks/home/react", json=put | {"added": False}), 200)
    assert taken["reactions"] == [{"emoji": "❤", "by": ["home"]}]
    [stands] = [one for one in (await page.stands())["items"] if one["id"] == reply["id"]]
    assert stands == taken
    await tab.message(lambda one: one["id"] == reply["id"] and one["revision"] == taken["revision"])


async def test_a_greeting_is_liked_by_somebody_who_has_not_said_anything_yet(page: Visitor) -> None:
    await page.enter("glenys-prosser")
    [greeting] = (await page.stands())["items"]
    put = {"message": greeting["id"], "emoji": "❤"}
    now = told(await page.http.post("/talks/home/react", json=put), 200)
    assert now["reactions"] == [{"emoji": "❤", "by": ["home"]}]


async def test_only_what_a_persona_said_is_reacted_to_and_only_in_one_s_own_chats(
    house: House, page: Visitor, tab: Tab
) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    heard = await page.says("Good evening.")
    reply = await answered(tab, heard)

    async def put(asker: Visitor, message: int, emoji: str, status: int) -> None:
        told(await asker.http.post("/talks/home/react", json={"message": message, "emoji": emoji}), status)

    await put(page, heard["message"]["id"], "👍", 400)
    await put(page, reply["id"] + 1_000, "👍", 404)
    await put(page, reply["id"], "<b>", 422)
    async with program_of(house, Scope.CHAT) as (program, number):
        await put(program, reply["id"], "👍", 404)
        await program.enter("glenys-prosser")
        [greeting] = (await program.stands())["items"]
        own = told(
            await program.http.post("/talks/home/react", json={"message": greeting["id"], "emoji": "👎"}), 200
        )
        assert own["reactions"] == [{"emoji": "👎", "by": [f"key:{number}"]}]
    async with program_of(house, Scope.READ) as (reader, _):
        await put(reader, reply["id"], "👍", 403)
    assert (await page.stands())["items"][-1]["reactions"] == []


async def test_a_question_brings_what_is_to_be_changed_and_a_prompt_can_be_copied(
    page: Visitor, tab: Tab
) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    await page.says("/imagine on the roof at dusk")
    picture = await tab.message(lambda one: bool(one["pictures"]))
    assert (picture["question"], picture["code"]) == (None, [])
    edit = next(order for order in buttons(picture) if order.startswith("reprompt"))
    start = len(tab.told)
    await page.presses(picture, edit)
    asked = await tab.message(lambda one: one["question"] is not None, start=start)
    prompt = asked["question"]["prefill"]
    assert len(prompt.split()) >= 100
    assert [one["question"] for one in (await page.stands())["items"]][-1] == asked["question"]

    start = len(tab.told)
    await page.says(f"{prompt}, a red kite")
    await tab.message(lambda one: bool(one["pictures"]), start=start)
    start = len(tab.told)
    await page.says("/prompt make a lantern in the rain")
    written = await tab.message(lambda one: bool(one["code"]), start=start)
    assert all(f"\n{one}\n" in f"\n{written['text']}\n" for one in written["code"])
