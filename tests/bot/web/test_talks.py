"""The page's chats, from outside: what is said and shown there, its buttons, and what is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.house import House, open_house
from engine.settings import Settings
from engine.store.records import Scope
from engine.testing import FakeLanguage
from tests.bot.web.tabs import Happening, Tab, Visitor, answered, buttons, page_of, program_of, told

OPEN = ("queued", "running")


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    """With the understudy and the placeholder: what there is without any model."""
    async with open_house(settings) as opened:
        yield opened


@pytest.fixture
async def tab(page: Visitor) -> AsyncIterator[Tab]:
    async with page.tab() as opened:
        yield opened


async def ended(tab: Tab, text: str = "") -> Happening:
    """The message of a picture that is there."""
    return await tab.message(lambda one: bool(one["pictures"]) and text in one["text"])


async def test_a_new_talk_begins_with_a_greeting_and_what_is_said_is_answered(
    page: Visitor, tab: Tab
) -> None:
    entered = await page.enter("glenys-prosser")
    assert entered["persona"]["slug"] == "glenys-prosser"
    await tab.watch()
    greeting = await tab.message(lambda one: one["by"] == "persona")
    heard = await page.says("Good evening, Glenys.")
    mine = await tab.message(lambda one: one["by"] == "person")
    reply = await tab.message(lambda one: one["by"] == "persona" and one["id"] > mine["id"])
    assert heard["message"]["id"] == mine["id"]
    assert mine["text"] == "Good evening, Glenys."
    assert reply["slug"] == greeting["slug"] == "glenys-prosser"
    assert reply["source"] == "understudy", "who stands in says so"
    assert await page.stands() == {"items": list(tab.messages.values()), "next": None}


async def test_what_is_said_twice_under_one_key_is_heard_once(page: Visitor, tab: Tab) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    first = await page.says("Once.", key="same")
    again = await page.says("Once.", key="same")
    assert first["message"] == again["message"]
    await tab.message(lambda one: one["by"] == "persona" and one["id"] > first["message"]["id"])
    assert tab.texts.count("Once.") == 1


async def test_what_is_refused_is_told_and_stands_nowhere(page: Visitor, tab: Tab, house: House) -> None:
    await page.enter()
    await tab.watch()
    heard = await page.says("x" * (house.engine.settings.limits.message_length + 1))
    assert heard["message"] is None
    assert heard["told"]
    assert (await tab.until("told"))["text"] == heard["told"]
    assert [one["by"] for one in tab.messages.values()] == ["persona"]


async def test_hostile_words_come_back_as_they_were_said(page: Visitor, tab: Tab) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    for words in ("<script>alert(1)</script>", "{{char}} %s \\ud800", "שלום 👩‍👩‍👧", "```\n</textarea>"):
        heard = await page.says(words)
        assert heard["message"]["text"] == words


async def test_an_unknown_command_and_help_are_answered_by_the_house(page: Visitor, tab: Tab) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    await page.says("/help")
    helped = await tab.message(lambda one: one["by"] == "house")
    assert "/imagine" in helped["text"]
    assert (helped["name"], helped["slug"], helped["source"]) == ("", "", None)


async def test_the_talks_are_listed_the_last_used_first_and_page_by_page(page: Visitor) -> None:
    for number in range(5):
        chat = f"test-{number}"
        await page.enter("glenys-prosser", chat)
        await page.says("hello", chat=chat)
    await page.says("hello again", chat="test-1")
    found, after = [], None
    while True:
        some = told(
            await page.http.get("/talks", params={"limit": 2} | ({"before": after} if after else {})), 200
        )
        found += [one["chat"] for one in some["items"]]
        if (after := some["next"]) is None:
            break
    assert sorted(found) == [f"test-{number}" for number in range(5)]
    assert all(
        one["persona"] == {"slug": "glenys-prosser", "name": one["persona"]["name"]} for one in some["items"]
    )


async def test_older_messages_are_read_page_by_page(page: Visitor, tab: Tab) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    for number in range(5):
        await answered(tab, await page.says(f"number {number}"))
    whole = (await page.stands())["items"]
    found: list[Happening] = []
    before = None
    while True:
        some = await page.stands(limit=3, **({"before": before} if before else {}))
        assert len(some["items"]) <= 3
        found = some["items"] + found
        if (before := some["next"]) is None:
            break
    assert found == whole
    assert len(whole) == 11


async def test_a_chat_that_nobody_has_come_into_is_empty(page: Visitor) -> None:
    assert told(await page.http.get("/talks/nowhere"), 200) == {
        "chat": "nowhere",
        "persona": None,
        "revision": 0,
        "answering": False,
    }
    assert await page.stands("nowhere") == {"items": [], "next": None}
    assert told(await page.http.post("/talks/nowhere/stop"), 200) == {"stopped": False}


# Pictures, and buttons


async def test_a_wish_shows_its_steps_and_becomes_the_picture_in_the_same_message(
    page: Visitor, tab: Tab
) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    await page.says("/imagine reading by the window --style noir")
    card = await tab.message(lambda one: one["job"] is not None)
    assert card["by"] == "house"
    assert [*buttons(card)] == [f"cancel {card['job']}"]
    step = await tab.until("step")
    assert step["job"] == card["job"]
    assert 1 <= step["step"] <= step["of"]
    made = await ended(tab)
    assert made["id"] == card["id"], "it takes the place of the card"
    [shown] = made["pictures"]
    assert (shown["persona"], shown["style"], shown["stand_in"]) == ("glenys-prosser", "noir", True)
    image = await page.http.get(f"{page.url}{shown['image']}")
    assert image.content.startswith(b"\x89PNG")
    assert (await tab.until("job", lambda one: one["job"]["state"] == "done"))["job"]["id"] == card["job"]


async def test_every_button_under_a_picture_does_something(page: Visitor, tab: Tab) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    await page.says("/imagine reading by the window --style noir")
    made = await ended(tab)
    # In an order in which none of them takes away what the next one needs.
    ids = sorted(buttons(made), key=lambda one: one.startswith("delete"))
    assert len(ids) >= 8
    for number, one in enumerate(ids):
        before = len(tab.told)
        await page.presses(made, one)
        if one.startswith("delete"):
            await tab.until("gone", lambda gone: gone["id"] == made["id"], start=before)
            continue
        answer = await tab.message(lambda told: told["by"] == "house", start=before)
        assert answer["id"] > made["id"], one
        if one.startswith(("same", "reprompt")):  # it asks, and the next words answer
            heard = await page.says(f"in a red coat {number}")
            answer = await tab.message(lambda told: told["job"] is not None, start=len(tab.told) - 1)
            assert heard["message"]["text"] == f"in a red coat {number}"
    await idle(page)


async def test_a_question_is_answered_by_the_next_words_or_by_words_that_come_with_the_press(
    page: Visitor, tab: Tab
) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    await page.says("/imagine")
    asked = await tab.message(lambda one: one["by"] == "house")
    await page.says("standing on a bridge")
    made = await ended(tab, "standing on a bridge")
    assert made["id"] > asked["id"]
    same = next(one for one in buttons(made) if one.startswith("same"))
    before = len(tab.told)
    await page.presses(made, same, words="in the snow")
    again = await tab.message(lambda one: one["job"] not in (None, made["job"]), start=before)
    assert "in the snow" in again["text"]
    await idle(page)


async def test_a_button_that_is_not_there_presses_nothing(page: Visitor, tab: Tab) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    greeting = await tab.message(lambda one: one["by"] == "persona")
    await page.presses(greeting, "forget yes", status=404)
    await page.presses({"id": 2**40}, "forget yes", status=404)
    assert [one["by"] for one in tab.messages.values()] == ["persona"]


async def test_a_press_that_is_told_again_after_the_button_went_is_no_mistake(
    page: Visitor, tab: Tab
) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    await page.says("/imagine reading --style noir")
    made = await ended(tab)
    delete = next(one for one in buttons(made) if one.startswith("delete"))
    pressed = {"message": made["id"], "button": delete, "key": "again"}
    told(await page.http.post("/talks/home/press", json=pressed), 202)
    await tab.until("gone")
    told(await page.http.post("/talks/home/press", json=pressed), 202)


# What is taken away


async def test_undo_takes_the_last_words_and_their_answer_away(page: Visitor, tab: Tab) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    mine = (await page.says("I should not have said that."))["message"]
    reply = await tab.message(lambda one: one["by"] == "persona" and one["id"] > mine["id"])
    await page.says("/undo")
    await tab.until("gone", lambda one: one["id"] == mine["id"])
    await tab.until("gone", lambda one: one["id"] == reply["id"])
    left = [(one["by"], one["text"]) for one in (await page.stands())["items"]]
    assert ("person", "I should not have said that.") not in left
    assert [by for by, _text in left].count("persona") == 1, "the greeting"


async def test_another_answer_takes_the_place_of_the_first(page: Visitor, tab: Tab) -> None:
    await page.enter("glenys-prosser")
    await tab.watch()
    mine = (await page.says("Tell me of your garden."))["message"]
    first = await tab.message(lambda one: one["by"] == "persona" and one["id"] > mine["id"])
    before = len(tab.told)
    await page.says("/regenerate")
    again = await tab.message(lambda one: one["id"] == first["id"], start=before)
    assert again["turn"] != first["turn"]
    assert again["revision"] > first["revision"]


async def test_who_is_forgotten_stands_nowhere_any_more(page: Visitor, tab: Tab, house: House) -> None:
    for chat in ("home", "test-ada"):
        await page.enter("glenys-prosser", chat)
        await tab.watch(chat)
        await answered(tab, await page.says("My secret is Rosebud.", chat=chat))
    await page.says("/imagine a sled named Rosebud --style noir")
    await ended(tab)
    before = len(tab.told)
    await page.says("/forget yes")
    gone = await tab.message(lambda one: one["by"] == "house", start=before)
    assert "Rosebud" not in str([one["text"] for one in tab.messages.values() if one["id"] == gone["id"]])
    await tab.until("missed", lambda one: one["chat"] == "test-ada", start=before)
    async with page.tab() as later:
        for chat in ("home", "test-ada"):
            await later.watch(chat)
        assert "Rosebud" not in str(later.told)
        # A talk that begins anew is told to whoever remembers the old one.
        async with asyncio.timeout(20):
            while (await page.stands())["items"]:  # noqa: ASYNC110 - what it waits for happens in the house
                await asyncio.sleep(0.05)
        before, known = len(tab.told), tab.revision
        await page.enter("glenys-prosser")
        await tab.message(lambda one: one["by"] == "persona", start=before)
        async with page.tab() as returned:
            await returned.watch(after=known)
            assert returned.told[0]["is"] == "missed"
            assert [one["by"] for one in returned.messages.values()] == ["persona"]
            assert returned.revision > known


# What may be meant


async def test_commands_parts_flags_and_names_are_suggested(page: Visitor) -> None:
    await page.enter("glenys-prosser")

    async def suggested(typed: str) -> list[str]:
        found = told(await page.http.get("/talks/home/suggest", params={"typed": typed}), 200)
        return [typed[: found["at"]] + one["value"] for one in found["items"]]

    assert "/imagine " in await suggested("/im")
    assert "/persona use " in await suggested("/persona u")
    assert "/persona use glenys-prosser " in await suggested("/persona use glen")
    assert "/imagine a coat --style " in await suggested("/imagine a coat --st")
    assert "/imagine a coat --style noir " in await suggested("/imagine a coat --style no")
    assert await suggested("Good evening") == []
    assert await suggested("/nothing ") == []


# Programs


async def test_a_program_has_chats_of_its_own_and_the_operator_sees_them(house: House, page: Visitor) -> None:
    async with (
        program_of(house, Scope.CHAT) as (ada, number),
        program_of(house, Scope.CHAT) as (bert, _other),
        ada.tab() as hers,
        bert.tab() as his,
    ):
        await ada.enter("glenys-prosser")
        await hers.watch()
        await his.watch()
        heard = await ada.says("Between us.")
        await hers.message(lambda one: one["by"] == "persona" and one["id"] > heard["message"]["id"])
        assert all(one["chat"] == "home" for one in hers.told if "chat" in one)
        assert his.messages == {}
        assert told(await bert.http.get("/talks"), 200)["items"] == []
        assert (await bert.stands())["items"] == []
        guessed = f"key:{number}:home"
        assert (await bert.stands(guessed))["items"] == []
        assert [one["chat"] for one in told(await ada.http.get("/talks"), 200)["items"]] == ["home"]
        assert told(await page.http.get("/talks"), 200)["items"] == []
        every = told(await page.http.get("/talks", params={"keys": True}), 200)["items"]
        assert [one["chat"] for one in every] == [guessed]
        assert "Between us." in str((await page.stands(guessed))["items"])


async def test_a_program_needs_the_scope_to_talk(house: House) -> None:
    async with program_of(house, Scope.READ) as (reader, _number):
        for answer in (
            await reader.http.get("/talks"),
            await reader.http.post("/talks", json={}),
            await reader.http.get("/talks/home/messages"),
            await reader.http.post("/talks/home/messages", json={"text": "hi", "key": "1"}),
        ):
            assert answer.status_code == 403


@pytest.mark.parametrize("chat", ["a b", "x" * 65, "ä/b", "%00"])
async def test_what_is_no_name_of_a_chat_is_refused(page: Visitor, chat: str) -> None:
    answer = await page.http.post(f"/talks/{chat}/messages", json={"text": "hi", "key": "1"})
    assert answer.status_code in (404, 405, 422)


async def test_stop_ends_the_reply_that_is_being_written(settings: Settings) -> None:
    slow = FakeLanguage("and so it goes on " * 200, pause=0.05)
    async with open_house(settings, models=[slow]) as house, page_of(house) as page, page.tab() as tab:
        await page.enter("glenys-prosser")
        await tab.watch()
        await tab.message(lambda one: one["by"] == "persona")  # the greeting, which may come late
        mine = (await page.says("Tell me everything."))["message"]
        await tab.until("draft", lambda one: len(one["text"]) > 40)
        assert told(await page.http.get("/talks/home"), 200)["answering"] is True
        assert told(await page.http.post("/talks/home/stop"), 200) == {"stopped": True}
        reply = await tab.message(lambda one: one["by"] == "persona" and one["id"] > mine["id"])
        assert reply["text"].startswith("and so it goes on")
        assert len(reply["text"]) < 2_000
        draft = next(one for one in tab.told if one["is"] == "draft" and one["text"])
        assert (draft["slug"], draft["name"]) == ("glenys-prosser", reply["name"])
        await tab.until("draft_over", lambda one: one["turn"] == draft["turn"])


async def idle(page: Visitor) -> None:
    """Wait until no picture is in the making: a test that ends before waits for them anyhow."""
    async with asyncio.timeout(20):
        while any(one["state"] in OPEN for one in (await page.http.get("/jobs")).json()["items"]):  # noqa: ASYNC110 - as a page looks
            await asyncio.sleep(0.05)
