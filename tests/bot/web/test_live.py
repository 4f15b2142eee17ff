"""The page's socket: several tabs are one chat, who was away is told what came, nobody holds up anybody."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bot.house import House, open_house
from bot.web import live
from engine.engine import Engine
from engine.imagining import Wish
from engine.settings import Settings
from engine.store import chats, keys, outbox, personas
from engine.store.records import ChatRef, DeliveryKind, Lane, Scope
from engine.testing import FakeLanguage, FakeRenderer
from tests.bot.web.tabs import Tab, Visitor, answered, page_of, program_of, told
from tests.bot.web.visitors import revoked


async def test_whoever_says_something_all_tabs_see_it(page: Visitor) -> None:
    await page.enter("glenys-prosser")
    async with page.tab() as one, page.tab() as other:
        await one.watch()
        await other.watch()
        heard = await page.says("Can you hear me?")
        for tab in (one, other):
            assert await tab.message(lambda told: told["by"] == "person") == heard["message"]
            await answered(tab, heard)
        assert one.messages == other.messages


async def test_a_tab_that_comes_back_is_told_what_it_missed_and_no_more(page: Visitor) -> None:
    await page.enter("glenys-prosser")
    async with page.tab() as before:
        await before.watch()
        await answered(before, await page.says("First."))
        known = before.revision
    async with page.tab() as there:
        await there.watch()
        await answered(there, await page.says("While you were away."))
        async with page.tab() as back:
            await back.watch(after=known)
            assert back.texts == there.texts[-2:]
            assert back.revision == there.revision


async def test_what_went_while_a_tab_was_away_is_gone_when_it_is_back(page: Visitor) -> None:
    await page.enter("glenys-prosser")
    async with page.tab() as tab:
        await tab.watch()
        heard = await page.says("Oh dear.")
        await answered(tab, heard)
        known = tab.revision
    await page.says("/undo")
    async with page.tab() as there:
        await there.watch()
        await there.message(lambda one: "/undo" in one["text"])
        async with page.tab() as back:
            await back.watch(after=known)
            await back.until("gone", lambda one: one["id"] == heard["message"]["id"])


async def test_whoever_was_away_for_very_long_is_told_to_load_the_chat_again(
    page: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.web.pages.MOST_MISSED", 3)
    await page.enter("glenys-prosser")
    async with page.tab() as tab:
        await tab.watch()
        known = tab.revision
        for number in range(4):
            await answered(tab, await page.says(f"number {number}"))
        assert len(tab.messages) == 9, "those who are there miss nothing by that"
        async with page.tab() as back:
            await back.watch(after=known)
            assert back.told[0]["is"] == "missed"


async def test_a_reply_in_the_making_is_seen_at_once_by_whoever_comes(settings: Settings) -> None:
    slow = FakeLanguage("word " * 400, pause=0.02)
    async with open_house(settings, models=[slow]) as house, page_of(house) as page:
        await page.enter("glenys-prosser")
        async with page.tab() as first:
            await first.watch()
            await page.says("Go on.")
            draft = await first.until("draft", lambda one: len(one["text"]) > 50)
        async with page.tab() as back:
            await back.watch(after=first.revision)
            at = back.told.index(next(one for one in back.told if one["is"] == "caught_up"))
            seen = next(one for one in back.told[:at] if one["is"] == "draft")
            assert seen["turn"] == draft["turn"]
            assert seen["text"].startswith(draft["text"])
            told(await page.http.post("/talks/home/stop"), 200)
            await back.until("draft_over", lambda one: one["turn"] == draft["turn"])


async def test_drafts_come_ten_times_a_second_at_most(settings: Settings) -> None:
    quick = FakeLanguage("word " * 300, pause=0.002)
    async with open_house(settings, models=[quick]) as house, page_of(house) as page, page.tab() as tab:
        await page.enter("glenys-prosser")
        await tab.watch()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await answered(tab, await page.says("Quick."))
        drafts = [one for one in tab.told if one["is"] == "draft"]
        assert 1 <= len(drafts) <= (loop.time() - began) * 10 + 2
        assert [len(one["text"]) for one in drafts] == sorted(len(one["text"]) for one in drafts)


async def test_a_house_that_starts_again_in_mid_reply_goes_on_where_the_tab_left_off(
    settings: Settings,
) -> None:
    slow = FakeLanguage("word " * 2_000, pause=0.05)
    async with open_house(settings, models=[slow]) as house, page_of(house) as page:
        await page.enter("glenys-prosser")
        async with page.tab() as tab:
            await tab.watch()
            heard = await page.says("Before the storm.")
            await tab.until("draft", lambda one: one["text"] != "")
            known, stood = tab.revision, tab.texts
    async with (
        open_house(settings, models=[FakeLanguage("After the storm.")]) as again,
        page_of(again) as page,
        page.tab() as tab,
    ):
        await tab.watch(after=known)
        reply = await tab.message(lambda one: one["text"] == "After the storm.")
        assert reply["id"] > heard["message"]["id"]
        assert [one["text"] for one in (await page.stands())["items"]] == [*stood, "After the storm."]


async def test_a_house_that_closes_says_so_and_closes_the_sockets(settings: Settings) -> None:
    async with open_house(settings) as house:
        page = await page_of(house).__aenter__()
        socket = page.tab()
        tab = await socket.__aenter__()
        await tab.watch()
    await tab.until("closing")
    assert await tab.ends() == live.GOING
    await page.http.aclose()


async def test_a_socket_that_nobody_reads_costs_nobody_else_anything_and_hears_what_it_missed(
    page: Visitor, house: House
) -> None:
    await page.enter("glenys-prosser")
    async with page.tab(max_queue=1) as deaf, page.tab() as tab:
        await deaf.watch()
        deaf.looks_away()
        await tab.watch()
        # More than all that the kernel keeps between the two.
        for number in range(80):
            await owe(house, f"{number} " + "x" * 200_000)
            await begins_with(tab, f"{number} ")
        deaf.looks_again()
        await deaf.until("missed")
        await owe(house, "the end")
        await deaf.message(lambda one: one["text"] == "the end")
        assert [one for one in tab.told if one["is"] == "missed"] == []
        assert len(deaf.messages) < len(tab.messages)


async def test_leaving_a_chat_is_hearing_of_it_no_more(page: Visitor) -> None:
    await page.enter("glenys-prosser")
    await page.enter("glenys-prosser", "hall")
    async with page.tab() as tab, page.tab() as other:
        for one in (tab, other):
            await one.watch()
        await tab.watch("hall")
        await tab.say(leave="chat", chat="home")
        await tab.say(leave="chat", chat="never watched")
        await tab.until("problem")  # by then the first was heard
        heard = await page.says("Nobody here?")
        await answered(other, heard)
        assert heard["message"]["id"] not in tab.messages
        in_hall = await page.says("And here?", chat="hall")
        await answered(tab, in_hall)


async def begins_with(tab: Tab, words: str) -> None:
    await tab.message(lambda one: one["text"].startswith(words))


async def job_in(tab: Tab, state: str) -> dict[str, Any]:
    return await tab.until("job", lambda one: one["job"]["state"] == state)


async def owe(house: House, text: str) -> None:
    engine = house.engine
    home = ChatRef("web", "home", "home")
    async with engine.database.write() as tx:
        place = await chats.place(tx, home)
        assert place is not None
        await outbox.owe(tx, place.id, DeliveryKind.NOTICE, text=text, now=engine.clock.now())
    engine.events.publish("notice.stored", chat=home)


# Jobs, runs


async def test_a_run_is_told_when_it_begins_and_when_it_is_over(page: Visitor) -> None:
    async with page.tab() as tab:
        await tab.say(watch="runs")
        await tab.watch("elsewhere")
        ordered = {"personas": ["glenys-prosser", "wiebe-terpstra"], "wish": {"style": "noir"}}
        run = told(await page.http.post("/runs", json=ordered), 202)["run"]
        await tab.until("run", lambda one: one["run"]["id"] == run["id"])
        over = await tab.until("run", lambda one: one["run"]["state"] == "done")
        assert (over["run"]["id"], over["run"]["made"]) == (run["id"], 2)


async def wish(engine: Engine, scene: str) -> int:
    """A job of nobody's."""
    async with engine.database.read() as tx:
        record = await personas.find(tx, "glenys")
    request = await engine.imagining.compose(record, Wish(scene=scene))
    async with engine.database.write() as tx:
        accepted = await engine.imagining.put_in_line(
            tx, request, persona_id=record.id, person=None, lane=Lane.INTERACTIVE, dedup_key=scene
        )
    engine.imagining.nudge()
    return accepted.job.id


async def test_jobs_are_told_from_the_wish_to_the_picture(page: Visitor, house: House) -> None:
    async with page.tab() as tab:
        await tab.say(watch="jobs")
        await tab.watch("elsewhere")
        job_id = await wish(house.engine, "a lighthouse")
        found = await job_in(tab, "done")
        told = [one["job"] for one in tab.told if one["is"] == "job"]
        assert {one["id"] for one in told} == {job_id}
        # As its row stands when it is looked at: a picture may be quicker than a look.
        states = [one["state"] for one in told]
        assert states == sorted(states, key=("queued", "running", "done").index)
        steps = [one for one in tab.told if one["is"] == "step"]
        assert steps[-1]["step"] == steps[-1]["of"]
        assert len(found["job"]["pictures"]) == 1


async def test_a_step_comes_with_a_look_at_the_picture(settings: Settings) -> None:
    class Patient(FakeRenderer):
        """Takes its time, so that somebody can look."""

        def render(self, wanted: Any, progress: Any) -> Any:
            def slowly(step: int, steps: int, preview: Any = None) -> None:
                progress(step, steps, preview)
                time.sleep(0.15)

            return super().render(wanted, slowly)

    async with (
        open_house(settings, models=[FakeLanguage()], renderer=Patient()) as house,
        page_of(house) as page,
        page.tab() as tab,
    ):
        await page.enter("glenys-prosser")
        await tab.watch()
        await page.says("/imagine a lighthouse --steps 12")
        looked = await tab.until("step", lambda one: one["preview"] is not None)
        assert looked["preview"].startswith("data:image/jpeg;base64,")
        assert looked["left"] is None or looked["left"] >= 0
        card = tab.messages[max(tab.messages)]
        before = card["revision"]
        await tab.until("step", lambda one: one["step"] >= 10)
        assert tab.messages[card["id"]]["revision"] <= before + 1, "steps do not touch the row"
        await tab.message(lambda one: bool(one["pictures"]))


async def test_a_program_hears_of_its_own_jobs_and_of_no_others(house: House, page: Visitor) -> None:
    async with (
        program_of(house, Scope.CHAT, Scope.MAKE) as (ada, _one),
        program_of(house, Scope.CHAT, Scope.MAKE) as (bert, _other),
        ada.tab() as hers,
        bert.tab() as his,
        page.tab() as all_of_them,
    ):
        for tab in (hers, his, all_of_them):
            await tab.say(watch="jobs")
        await ada.enter("glenys-prosser")
        await wish(house.engine, "nobody's")
        await ada.says("/imagine a lighthouse --style noir")
        done = await hers.until("job", lambda one: one["job"]["state"] == "done")
        await all_of_them.until("job", lambda one: one["job"]["id"] == done["job"]["id"])
        await all_of_them.until("job", lambda one: one["job"]["id"] != done["job"]["id"])
        assert {one["job"]["id"] for one in hers.told if one["is"] == "job"} == {done["job"]["id"]}
        assert [one for one in his.told if one["is"] in ("job", "step")] == []


# Who may, and what is said


async def test_who_may_not_watch_is_told_why(house: House) -> None:
    async with program_of(house, Scope.CHAT) as (talker, _one), talker.tab() as tab:
        for number, name in enumerate(("jobs", "runs", "posts", "health", "models")):
            await tab.say(watch=name)
            assert "scope" in (await tab.until("problem", start=number))["detail"]
    async with program_of(house, Scope.READ) as (reader, _one), reader.tab() as tab:
        await tab.say(watch="chat", chat="home")
        assert "chat" in (await tab.until("problem"))["detail"]


async def test_a_socket_opens_to_nobody_else(page: Visitor) -> None:
    for shown in ({}, {"Cookie": "greenroom=x"}, {"Authorization": "Bearer grk_wrong"}):
        stranger = Visitor(page.url, page.http, shown)
        with pytest.raises(InvalidStatus) as refused:
            async with stranger.tab():
                raise AssertionError("let in")
        assert refused.value.response.status_code == 401
    elsewhere = Visitor(page.url, page.http, page._headers | {"Origin": "https://elsewhere.example"})
    with pytest.raises(InvalidStatus) as refused:
        async with elsewhere.tab():
            raise AssertionError("let in")
    assert refused.value.response.status_code == 403


async def test_a_key_that_is_revoked_ends_its_socket(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.web.insiders.LOOK_AGAIN", 0.05)
    async with program_of(house, Scope.CHAT) as (ada, number), ada.tab() as tab:
        await tab.watch()
        async with house.engine.database.read() as tx:
            [key] = [one for one in await keys.listing(tx) if one.id == number]
        await revoked(house.engine, key)
        assert await tab.ends() == 4401


HOSTILE: list[str | bytes] = [
    "",
    "null",
    "[]",
    "7",
    '"watch"',
    "{",
    "{}",
    "[" * 4_000,
    '{"watch":' * 500,
    '{"watch":null}',
    '{"watch":"chat"}',
    '{"watch":"chat","chat":7}',
    '{"watch":"chat","chat":"a b"}',
    '{"watch":"chat","chat":"\\ud800"}',
    '{"watch":"chat","chat":"home","after":-1}',
    '{"watch":"chat","chat":"home","after":1e999}',
    '{"watch":"chat","chat":"home","after":true}',
    '{"watch":"chat","chat":"home","after":' + "9" * 3_000 + "}",
    '{"watch":"nothing"}',
    '{"watch":["chat"]}',
    '{"leave":"chat"}',
    '{"leave":{"a":1}}',
    "x" * 5_000,
    b"\x00\xff",
]


async def test_what_is_not_understood_is_answered_with_a_sentence(page: Visitor) -> None:
    for said in HOSTILE:
        async with page.tab() as tab:
            await tab.socket.send(said)
            problem = await tab.until("problem")
            assert problem["detail"], said
            assert "Traceback" not in problem["detail"], said
            await tab.watch()  # it listens still


async def test_whoever_talks_nonsense_on_and_on_is_shown_the_door(page: Visitor) -> None:
    async with page.tab() as tab:
        for _ in range(live.MOST_PROBLEMS + 1):
            await tab.socket.send("nonsense")
        assert await tab.ends() == live.NONSENSE


async def test_a_message_too_large_for_the_house_ends_the_socket(page: Visitor) -> None:
    async with page.tab() as tab:
        with suppress(ConnectionClosed):  # it may be closed while it is still being sent
            await tab.socket.send("x" * 100_000)
        assert await tab.ends() in (1009, 1006)


async def test_one_socket_watches_so_many_chats_and_no_more(page: Visitor) -> None:
    async with page.tab() as tab:
        for number in range(live.MOST_CHATS):
            await tab.watch(f"c{number}")
        await tab.say(watch="chat", chat="one-more")
        assert str(live.MOST_CHATS) in (await tab.until("problem"))["detail"]
        await tab.say(leave="chat", chat="c0")
        await tab.watch("one-more")


async def test_a_tab_may_watch_a_chat_twice_and_leave_it_once(page: Visitor) -> None:
    await page.enter("glenys-prosser")
    async with page.tab() as tab:
        await tab.watch()
        before = len(tab.told)
        await tab.say(watch="chat", chat="home", after=tab.revision)
        await tab.until("caught_up", start=before)
        await tab.socket.send(json.dumps({"leave": "chat", "chat": "home"}))
        await answered_nowhere(page, tab)


async def answered_nowhere(page: Visitor, tab: Tab) -> None:
    async with page.tab() as other:
        await other.watch()
        before = len(tab.told)
        await answered(other, await page.says("Anybody?"))
        assert [one for one in tab.told[before:] if one["is"] == "message"] == []
