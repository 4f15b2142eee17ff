"""What is asked for twice under one key is done once; something else under it is refused, and the first stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from engine.engine import Engine
from engine.settings import FeedSettings, Settings
from engine.store import schedules
from engine.store.records import ChatRef, Place, Scope
from engine.store.tables import feeds
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.bot.web.orders import WHO, made, ordered
from tests.bot.web.tabs import Visitor, buttons
from tests.bot.web.visitors import SECRET, a_key, app_of, problem, with_key
from tests.engine.posts_stage import stored_in
from tests.holding import Hold
from tests.servers.feeds import Entry, newspaper

TAKEN = "Under the key of this order something else was asked for before"
DAILY = {"words": "daily 09:00", "chat": "telegram:bot:-100815", "persona": WHO, "theme": "tea", "key": "one"}


async def place_in(engine: Engine, chat: str = "-100815") -> Place:
    async with engine.database.write() as tx:
        return await engine.presence.new_place(tx, ChatRef("telegram", "bot", chat), shared=True)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The newspaper stands on this machine."""
    return settings.model_copy(update={"feeds": FeedSettings(private=True)})


@pytest.fixture
async def place(engine: Engine) -> Place:
    return await place_in(engine)


def refused(answer: httpx.Response) -> None:
    assert problem(answer, 409).startswith(TAKEN)


async def listed(asker: httpx.AsyncClient, what: str) -> list[dict[str, Any]]:
    answer = await asker.get(f"/api/v1/{what}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


# Schedules


@pytest.mark.parametrize(
    "said",
    [{}, {"persona": "", "pictures": "backfill", "run_key": "nightly"}],
    ids=["of posts", "of pictures"],
)
@pytest.mark.usefixtures("place")
async def test_a_schedule_is_kept_once_under_its_key(
    operator: httpx.AsyncClient, said: dict[str, Any]
) -> None:
    first = await operator.post("/api/v1/schedules", json=DAILY | said)
    again = await operator.post("/api/v1/schedules", json=DAILY | said | {"limit": None})
    assert (first.status_code, again.status_code) == (201, 201), again.text
    assert first.json() == again.json()
    for other in ({"words": "daily 10:00"}, {"theme": "rain"}, {"limit": 2}, {"zone": "Europe/Berlin"}):
        refused(await operator.post("/api/v1/schedules", json=DAILY | said | other))
    assert len(await listed(operator, "schedules")) == 1
    for key in ({"key": "another"}, {"key": None}, {"key": None}):
        answer = await operator.post("/api/v1/schedules", json=DAILY | said | key)
        assert answer.status_code == 201, answer.text
    assert len(await listed(operator, "schedules")) == 4
    problem(await operator.post("/api/v1/schedules", json=DAILY | {"key": ""}), 422)


@pytest.mark.usefixtures("place")
async def test_who_asks_again_is_told_of_the_schedule_as_it_is_by_now(operator: httpx.AsyncClient) -> None:
    first = (await operator.post("/api/v1/schedules", json=DAILY)).json()
    address = f"/api/v1/schedules/{first['id']}"
    await operator.patch(address, json={"words": "daily 10:00"})
    paused = (await operator.post(f"{address}/pause")).json()
    assert (await operator.post("/api/v1/schedules", json=DAILY)).json() == paused
    assert (await operator.delete(address)).status_code == 204
    assert (await operator.post("/api/v1/schedules", json=DAILY)).json()["id"] != first["id"]


@pytest.mark.usefixtures("place")
async def test_a_look_at_what_would_be_kept_takes_no_key(operator: httpx.AsyncClient) -> None:
    for words in ("daily 09:00", "daily 10:00"):
        dry = await operator.post("/api/v1/schedules", json=DAILY | {"words": words, "dry": True})
        assert (dry.status_code, dry.json()["id"] or None) == (200, None)
    assert (await operator.post("/api/v1/schedules", json=DAILY)).status_code == 201


async def test_a_schedule_that_is_over_when_it_is_asked_for_again_is_the_same(
    settings: Settings, language: FakeLanguage
) -> None:
    clock = ManualClock()
    async with Engine.open(settings, models=[language], clock=clock) as engine:
        await place_in(engine)
        soon = (clock.now().date()).replace(year=clock.now().year + 1)
        once = DAILY | {"words": f"once {soon} 18:00"}
        async with with_key(app_of(engine), SECRET) as operator:
            first = await operator.post("/api/v1/schedules", json=once)
            assert first.status_code == 201, first.text
            await clock.advance(3 * 366 * 86_400)
            again = await operator.post("/api/v1/schedules", json=once)
            assert (again.status_code, again.json()["id"]) == (201, first.json()["id"]), again.text
            problem(await operator.post("/api/v1/schedules", json=once | {"key": "new"}), 400)


@pytest.mark.usefixtures("place")
async def test_two_programs_may_call_two_schedules_the_same(
    engine: Engine, app: FastAPI, operator: httpx.AsyncClient
) -> None:
    word, _ = await a_key(engine, Scope.MANAGE)
    async with with_key(app, word) as other:
        answers = [await one.post("/api/v1/schedules", json=DAILY) for one in (operator, other)]
        assert [one.status_code for one in answers] == [201, 201]
    assert len(await listed(operator, "schedules")) == 2


@pytest.fixture
async def stored(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer, postgres_url_with_tables: str
) -> AsyncIterator[Engine]:
    """A house on PostgreSQL, where two transactions run at the same time."""
    kept = stored_in(settings, postgres_url_with_tables)
    async with Engine.open(kept, models=[language], renderer=renderer) as opened:
        yield opened


@pytest.mark.parametrize("other", [{}, {"theme": "rain"}], ids=["the same", "something else"])
async def test_two_schedules_that_are_asked_for_in_the_same_instant_are_one(
    stored: Engine, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    await place_in(stored)
    hold = Hold(schedules.add)
    monkeypatch.setattr(schedules, "add", hold)
    async with with_key(app_of(stored), SECRET) as operator:
        ask = partial(operator.post, "/api/v1/schedules")
        first, second = await hold.meanwhile(ask(json=DAILY), partial(ask, json=DAILY | other))
        assert len(await listed(operator, "schedules")) == 1
        if other:
            assert sorted([first.status_code, second.status_code]) == [201, 409]
            refused(first if first.status_code == 409 else second)
        else:
            assert (first.status_code, second.status_code) == (201, 201), second.text
            assert first.json() == second.json()


@pytest.mark.usefixtures("place")
async def test_of_many_that_ask_for_one_schedule_at_once_all_are_told_of_the_same(
    operator: httpx.AsyncClient,
) -> None:
    """On SQLite, where one transaction comes after the other."""
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(operator.post("/api/v1/schedules", json=DAILY)) for _ in range(8)]
    answers = [one.result() for one in asking]
    assert {one.status_code for one in answers} == {201}, answers[0].text
    assert len({one.json()["id"] for one in answers}) == len(await listed(operator, "schedules")) == 1


# Feeds and hooks


async def test_a_feed_is_added_once_under_its_key_and_what_else_is_ordered_under_it_is_refused(
    engine: Engine, operator: httpx.AsyncClient, place: Place
) -> None:
    hall = await place_in(engine, "-100816")
    async with newspaper() as paper:
        paper.entries = [Entry("Thaw", "1", hours=2)]
        said = {"address": paper.at("feed"), "chat": str(place.id), "key": "news"}
        first = await operator.post("/api/v1/feeds", json=said)
        assert first.status_code == 201, first.text
        for other in ({"address": paper.at("atom")}, {"chat": str(hall.id)}, {"only": "snow"}):
            refused(await operator.post("/api/v1/feeds", json=said | other))
        refused(
            await operator.post("/api/v1/feeds", json={"kind": "hook", "chat": str(place.id), "key": "news"})
        )
        moved = await operator.patch(f"/api/v1/feeds/{first.json()['id']}", json={"chat": str(hall.id)})
        assert moved.status_code == 200, moved.text
    # Nothing is fetched anew: the newspaper is closed, and the feed has moved.
    again = await operator.post("/api/v1/feeds", json=said)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"]), again.text
    assert (again.json()["place"], len(await listed(operator, "feeds"))) == (hall.id, 1)


async def test_a_hook_that_is_something_else_under_a_known_key_is_refused_and_the_secret_stays(
    engine: Engine, operator: httpx.AsyncClient, place: Place
) -> None:
    said = {"kind": "hook", "chat": str(place.id), "key": "once"}
    first = (await operator.post("/api/v1/feeds", json=said)).json()
    refused(await operator.post("/api/v1/feeds", json=said | {"only": "snow"}))
    assert await engine.newsroom.knocked(first["id"], secret=first["secret"]) is not None
    assert len(await listed(operator, "feeds")) == 1


async def test_a_key_from_before_digests_stands_for_its_own_place_only(
    engine: Engine, operator: httpx.AsyncClient, place: Place
) -> None:
    hall = await place_in(engine, "-100816")
    said = {"kind": "hook", "chat": str(place.id), "key": "once"}
    first = (await operator.post("/api/v1/feeds", json=said)).json()
    async with engine.database.write() as tx:
        await tx.execute(update(feeds).values(told=None))
    refused(await operator.post("/api/v1/feeds", json=said | {"chat": str(hall.id)}))
    assert await engine.newsroom.knocked(first["id"], secret=first["secret"]) is not None
    assert (await operator.post("/api/v1/feeds", json=said)).json()["id"] == first["id"]


# Pictures


@pytest.mark.parametrize(
    "other",
    [{"scene": "a green coat"}, {"seed": 5}, {"persona": "irfan-naqvi"}, {"count": 2}, {"prompt": "a coat"}],
)
async def test_a_job_that_is_something_else_under_a_known_key_is_refused(
    operator: httpx.AsyncClient, language: FakeLanguage, other: dict[str, Any]
) -> None:
    first = await ordered(operator, key="same", scene="a red coat")
    said = {"persona": WHO, "scene": "a red coat", "key": "same"}
    refused(await operator.post("/api/v1/jobs", json=said | other))
    assert len(language.asked) == 1, "nothing was written for it"
    assert (await ordered(operator, **said))["id"] == first["id"]
    assert len(await listed(operator, "jobs")) == 1


async def test_of_many_that_one_is_named_whose_key_stands_for_something_else_and_none_is_taken(
    operator: httpx.AsyncClient,
) -> None:
    await ordered(operator, key="known", scene="a red coat")
    items = [{"persona": WHO, "scene": "a pier", "key": key} for key in ("new", "known")]
    answer = await operator.post("/api/v1/jobs/batch", json={"items": items})
    assert problem(answer, 409).startswith("items.1: ")
    twice = [{"persona": WHO, "scene": scene, "key": "twin"} for scene in ("a pier", "a boat")]
    assert problem(await operator.post("/api/v1/jobs/batch", json={"items": twice}), 409)
    assert len(await listed(operator, "jobs")) == 1


@pytest.mark.usefixtures("at_work")
async def test_pictures_made_again_are_told_apart_by_what_they_are_made_of(
    operator: httpx.AsyncClient,
) -> None:
    job = await made(operator, count=2, key="both")
    one, two = (picture["id"] for picture in job["pictures"])
    for what in ("again", "replay"):
        address = "/api/v1/pictures/{}/" + what
        told = {"key": f"once more by {what}"}
        first = await operator.post(address.format(one), json=told)
        assert first.status_code == 202, first.text
        assert (await operator.post(address.format(one), json=told)).json()["id"] == first.json()["id"]
        refused(await operator.post(address.format(two), json=told))
        refused(await operator.post(address.format(one), json={"key": "both"}))
    refused(await operator.post(f"/api/v1/pictures/{one}/replay", json={"key": "once more by again"}))
    changed = {"key": "once more by again", "changes": {"seed": 9}}
    refused(await operator.post(f"/api/v1/pictures/{one}/again", json=changed))


async def test_two_programs_may_call_two_replays_the_same(
    engine: Engine, app: FastAPI, operator: httpx.AsyncClient, at_work: None
) -> None:
    job = await made(operator)
    address = f"/api/v1/pictures/{job['pictures'][0]['id']}/replay"
    word, _ = await a_key(engine, Scope.MANAGE)
    async with with_key(app, word) as other:
        mine, theirs = [await one.post(address, json={"key": "k"}) for one in (operator, other)]
    assert mine.json()["id"] != theirs.json()["id"]


# Words


async def test_something_else_that_is_said_under_a_known_key_is_refused(page: Visitor) -> None:
    await page.enter(WHO)
    first = await page.says("Once.", key="same")
    assert first["message"]["text"] == "Once."
    refused(await page.http.post("/talks/home/messages", json={"text": "Twice.", "key": "same"}))
    assert (await page.says("Once.", key="same"))["message"] == first["message"]
    texts = [one["text"] for one in (await page.stands())["items"]]
    assert (texts.count("Once."), texts.count("Twice.")) == (1, 0)


async def test_another_button_that_is_pressed_under_a_known_key_is_refused(page: Visitor) -> None:
    await page.enter(WHO)
    async with page.tab() as tab:
        await tab.watch()
        await page.says("/imagine a lighthouse")
        shown = await tab.message(lambda one: bool(one["pictures"]))
        delete, *others = sorted(buttons(shown), key=lambda one: not one.startswith("delete"))
        press = partial(page.http.post, "/talks/home/press")
        told = {"message": shown["id"], "button": others[0], "key": "pressed"}
        for _ in range(2):
            assert (await press(json=told)).status_code == 202
        refused(await press(json=told | {"button": others[1]}))
        refused(await press(json=told | {"words": "at night"}))
        refused(await page.http.post("/talks/home/messages", json={"text": "Words.", "key": "pressed"}))
        assert (await press(json=told | {"button": delete, "key": "gone"})).status_code == 202
        await tab.until("gone", lambda one: one["id"] == shown["id"])
        assert (await press(json=told)).status_code == 202, "it was heard, though it is not there any more"
        refused(await press(json=told | {"button": "nothing of the kind"}))


async def test_something_else_that_is_told_under_a_known_key_is_refused(page: Visitor) -> None:
    await page.enter(WHO)
    await page.enter("irfan-naqvi", "elsewhere")
    said = {"front": "web", "account": "home", "chat": "home", "text": "Supper is ready.", "key": "supper"}
    first = await page.http.post("/messages", json=said)
    assert first.status_code == 202, first.text
    assert (await page.http.post("/messages", json=said | {"persona": WHO})).json() == first.json()
    for other in ({"text": "Tea is ready."}, {"chat": "elsewhere"}, {"persona": "irfan-naqvi"}):
        refused(await page.http.post("/messages", json=said | other))
    texts = [one["text"] for chat in ("home", "elsewhere") for one in (await page.stands(chat))["items"]]
    assert texts.count("Supper is ready.") == 1
    assert "Tea is ready." not in texts


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("messages", {"front": "web", "account": "home", "chat": "home", "text": "Supper is ready."}),
        ("talks/home/messages", {"text": "Hello."}),
        ("talks/home/press", {"message": 1, "button": "more 1"}),
        ("schedules", DAILY),
    ],
)
async def test_a_key_with_what_no_database_keeps_is_refused(
    operator: httpx.AsyncClient, path: str, said: dict[str, Any]
) -> None:
    answer = await operator.post(f"/api/v1/{path}", json=said | {"key": "a\0b"})
    assert problem(answer, 422).startswith("key: ")


@pytest.mark.usefixtures("place")
async def test_a_german_program_is_refused_in_german(operator: httpx.AsyncClient) -> None:
    await operator.post("/api/v1/schedules", json=DAILY)
    answer = await operator.post(
        "/api/v1/schedules", json=DAILY | {"theme": "rain"}, headers={"Accept-Language": "de"}
    )
    assert problem(answer, 409).startswith("Unter dem Schlüssel dieses Auftrags")
