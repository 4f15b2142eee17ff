"""Schedules, posts, feeds and runs by the API: planned beforehand, kept, changed, and told page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from bot.house import open_house
from engine.engine import Engine
from engine.ordering import Order
from engine.settings import Settings
from engine.store import chats, posts
from engine.store.records import ChatRef, Place, Post, Scope
from engine.testing import FakeLanguage, FakeRenderer
from tests.bot.web.tabs import page_of
from tests.bot.web.visitors import SECRET, a_key, app_of, problem, with_key


@pytest.fixture
def app(engine: Engine) -> FastAPI:
    return app_of(engine)


@pytest.fixture
async def house(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with with_key(app, SECRET) as client:
        yield client


@pytest.fixture
async def place(engine: Engine) -> Place:
    ref = ChatRef("telegram", "bot", "-100815")
    async with engine.database.write() as tx:
        return await engine.presence.new_place(tx, ref, shared=True)


DAILY = {"words": "daily 09:00", "chat": "telegram:bot:-100815", "persona": "glenys-prosser"}


async def added(house: httpx.AsyncClient, **said: Any) -> dict[str, Any]:
    answer = await house.post("/api/v1/schedules", json=DAILY | said)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_schedule_is_looked_at_before_it_is_kept(house: httpx.AsyncClient, place: Place) -> None:
    dry = await house.post("/api/v1/schedules", json=DAILY | {"theme": "tea", "dry": True})
    assert dry.status_code == 200
    assert (dry.json()["id"] or None, len(dry.json()["next"])) == (None, 5)
    assert (await house.get("/api/v1/schedules")).json()["items"] == []
    kept = await added(house, theme="tea")
    assert kept["next"] == dry.json()["next"]
    assert (kept["theme"], kept["persona"], kept["place"]) == ("tea", "Glenys Prosser", place.id)
    assert (await house.get(f"/api/v1/schedules/{kept['id']}")).json() == kept


@pytest.mark.usefixtures("place")
async def test_a_schedule_rests_goes_on_is_changed_and_goes(house: httpx.AsyncClient) -> None:
    kept = await added(house)
    address = f"/api/v1/schedules/{kept['id']}"
    assert (await house.post(f"{address}/pause")).json()["state"] == "paused"
    assert (await house.post(f"{address}/resume")).json()["state"] == "active"
    changed = (
        await house.patch(address, json={"words": "daily 10:00", "approval": "skip", "posts": "text-only"})
    ).json()
    assert (changed["when"], changed["options"]["approval"]) == ("daily 10:00", "skip")
    assert changed["options"]["picture"] is False
    skipped = (await house.post(f"{address}/skip")).json()
    assert skipped["next"] == [*changed["next"][1:], skipped["next"][-1]]
    assert (await house.delete(address)).status_code == 204
    problem(await house.get(address), 404)


@pytest.mark.usefixtures("place")
async def test_pictures_are_ordered_by_the_clock_too(house: httpx.AsyncClient) -> None:
    told = DAILY | {"persona": "", "pictures": "backfill", "theme": "at home", "run_key": "nightly"}
    dry = await house.post("/api/v1/schedules", json=told | {"dry": True})
    assert (dry.status_code, dry.json()["persona_id"]) == (200, None)
    kept = await house.post("/api/v1/schedules", json=told)
    assert (kept.status_code, kept.json()["options"]["name"]) == (201, "nightly")


@pytest.mark.parametrize(
    "said",
    [
        {"words": "every blue moon"},
        {"style": "no such style"},
        {"persona": "nobody"},
        {"chat": "telegram:bot:nowhere"},
        {"zone": "Mars/Olympus"},
        {"to": [2_000_000_000]},
        {"ahead": "soon"},
    ],
)
@pytest.mark.usefixtures("place")
async def test_what_cannot_be_planned_is_refused_with_a_sentence(
    house: httpx.AsyncClient, said: dict[str, Any]
) -> None:
    answer = await house.post("/api/v1/schedules", json=DAILY | said)
    assert answer.status_code in (400, 404)
    assert len(problem(answer, answer.status_code)) > 10


@pytest.mark.usefixtures("place")
async def test_a_post_is_ordered_worded_and_skipped(house: httpx.AsyncClient) -> None:
    kept = await added(house, posts="text-only")
    ordered = await house.post(f"/api/v1/schedules/{kept['id']}/run")
    assert (ordered.status_code, ordered.json()["state"]) == (202, "planned")
    assert ordered.json()["zone"] == "Etc/UTC"
    address = f"/api/v1/posts/{ordered.json()['id']}"
    worded = (await house.patch(address, json={"caption": "Tea is <b>ready</b>."})).json()
    assert (worded["caption"], worded["source"]) == ("Tea is <b>ready</b>.", "person")
    written = (await house.post(f"{address}/caption")).json()
    assert written["caption"] not in ("", worded["caption"])
    assert (await house.post(f"{address}/approve")).status_code == 200
    problem(await house.post(f"{address}/picture"), 400)
    assert (await house.post(f"{address}/skip")).json()["state"] == "skipped"
    problem(await house.post(f"{address}/approve"), 400)
    problem(await house.post(f"{address}/recall"), 400)
    assert (await house.get(address)).json()["state"] == "skipped"


async def test_a_published_post_is_shown_with_its_picture_and_taken_back(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer
) -> None:
    async with open_house(settings, models=[language], renderer=renderer) as opened, page_of(opened) as page:
        await page.enter("glenys-prosser")
        async with page.tab() as tab:
            await tab.say(watch="posts")
            await tab.watch()
            said = {"words": "daily 09:00", "chat": "web:home:home", "theme": "tea"}
            kept = (await page.http.post("/schedules", json=said)).json()
            post = (await page.http.post(f"/schedules/{kept['id']}/run")).json()
            told = await tab.until("post", lambda one: one["post"]["state"] == "published")
            assert told["post"]["picture"]
            seen = await tab.message(lambda one: one["pictures"] and one["text"] == told["post"]["caption"])
            assert (await page.http.post(f"/posts/{post['id']}/recall")).json()["messages"] == 1
            await tab.until("gone", lambda one: one["id"] == seen["id"])
            await tab.until("post", lambda one: one["post"]["state"] == "recalled")


async def some_posts(engine: Engine, place: Place, count: int) -> list[Post]:
    now = engine.clock.now()
    found = []
    for number in range(count):
        adding = partial(
            posts.add,
            key=f"some:{number}",
            # Pairs share a moment: a page may end between two of them.
            due_at=now + timedelta(hours=number // 2),
            chat_id=place.id,
            persona_id=1,
            now=now,
        )
        post = await engine.database.change(adding)
        assert post is not None
        found.append(post)
    return found


@pytest.mark.parametrize("soonest", [True, False])
async def test_posts_come_by_time_page_by_page_each_once(
    engine: Engine, house: httpx.AsyncClient, place: Place, soonest: bool
) -> None:
    there = await some_posts(engine, place, 9)
    seen: list[int] = []
    asked: dict[str, Any] = {"limit": 2, "soonest": soonest}
    while True:
        page = (await house.get("/api/v1/posts", params=asked)).json()
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        asked["before"] = page["next"]
    ids = [one.id for one in there]
    assert seen == (ids if soonest else ids[::-1])


async def test_posts_of_a_week_and_of_a_state_are_told_apart(
    engine: Engine, house: httpx.AsyncClient, place: Place
) -> None:
    there = await some_posts(engine, place, 6)
    span: dict[str, Any] = {
        "from": there[2].due_at.isoformat(),
        "to": there[4].due_at.isoformat(),
        "soonest": True,
    }
    found = (await house.get("/api/v1/posts", params=span)).json()["items"]
    assert [one["id"] for one in found] == [there[2].id, there[3].id]
    assert (await house.get("/api/v1/posts", params={"state": "published"})).json()["items"] == []
    both = {"state": ["planned", "failed"], "chat": "telegram:bot:-100815"}
    assert len((await house.get("/api/v1/posts", params=both)).json()["items"]) == 6
    problem(await house.get("/api/v1/posts", params={"before": "rubbish"}), 400)
    problem(await house.get("/api/v1/posts", params={"from": "0001-01-01T00:00:00+14:00"}), 422)


@pytest.mark.usefixtures("place")
async def test_a_hook_tells_its_secret_once_rests_and_goes(house: httpx.AsyncClient) -> None:
    said = {"kind": "hook", "chat": "telegram:bot:-100815", "persona": "glenys-prosser", "only": "snow,ice"}
    made = (await house.post("/api/v1/feeds", json=said)).json()
    assert made["secret"]
    assert made["key"]
    assert made["address"].endswith(f"/hooks/{made['id']}")
    (told,) = (await house.get("/api/v1/feeds")).json()["items"]
    assert "secret" not in told
    assert (told["only"], told["state"]) == (["snow", "ice"], "active")
    address = f"/api/v1/feeds/{made['id']}"
    assert (await house.post(f"{address}/pause")).json()["state"] == "paused"
    assert (await house.post(f"{address}/resume")).json()["state"] == "active"
    problem(await house.post(f"{address}/check"), 400)
    assert (await house.delete(address)).status_code == 204
    problem(await house.delete(address), 404)
    problem(await house.post("/api/v1/feeds", json=said | {"address": "https://example.org/feed"}), 400)


async def test_runs_are_listed_and_laid_side_by_side(engine: Engine, house: httpx.AsyncClient) -> None:
    for key in ("first", "second", "third"):
        await engine.runs.begin(Order(personas=("glenys-prosser",), key=key, scene="at home"))
    page = (await house.get("/api/v1/runs", params={"limit": 2})).json()
    assert [one["key"] for one in page["items"]] == ["third", "second"]
    rest = (await house.get("/api/v1/runs", params={"before": page["next"]})).json()
    assert ([one["key"] for one in rest["items"]], rest["next"]) == (["first"], None)
    run = page["items"][0]
    assert (run["total"], run["made"], run["state"]) == (1, 0, "open")
    asked = {"one": "first@1", "other": "second"}
    both = (await house.get("/api/v1/runs/compare", params=asked)).json()
    assert (both["one"]["name"], both["other"]["name"]) == ("first@1", "second@1")
    problem(await house.get("/api/v1/runs/compare", params={"one": "first", "other": "none"}), 404)
    assert (await house.post(f"/api/v1/runs/{run['id']}/pause")).json()["state"] == "paused"
    assert (await house.get("/api/v1/runs", params={"key": "third"})).json()["items"][0]["state"] == "paused"
    assert (await house.get("/api/v1/pictured")).json()["personas"]["total"] == 10


async def test_who_may_only_look_changes_nothing(engine: Engine, app: FastAPI, place: Place) -> None:
    word, _key = await a_key(engine, Scope.READ)
    async with with_key(app, word) as reader:
        for path in ("schedules", "posts", "feeds", "runs", "models", "health/now", "health/samples"):
            assert (await reader.get(f"/api/v1/{path}")).status_code == 200
        problem(await reader.post("/api/v1/schedules", json=DAILY), 403)
        problem(await reader.delete("/api/v1/schedules/1"), 403)
        problem(await reader.get("/api/v1/health/log"), 403)
        problem(await reader.post("/api/v1/models/some/pull"), 403)
        problem(await reader.post("/api/v1/messages", json={}), 403)


async def test_something_is_told_in_a_persona_s_name_once(
    engine: Engine, house: httpx.AsyncClient, place: Place
) -> None:
    said = {
        "front": "telegram",
        "account": "bot",
        "chat": "-100815",
        "persona": "glenys-prosser",
        "text": "The doors open at eight.",
        "key": "doors",
    }
    first = await house.post("/api/v1/messages", json=said)
    assert first.status_code == 202, first.text
    assert (await house.post("/api/v1/messages", json=said)).json() == first.json()
    turns = await engine.database.look(partial(chats.recent, chat_id=place.id, most=10))
    assert [(turn.text, turn.source and turn.source.value) for turn in turns] == [
        ("The doors open at eight.", "person")
    ]
    problem(await house.post("/api/v1/messages", json=said | {"chat": "nowhere"}), 404)
    problem(await house.post("/api/v1/messages", json=said | {"text": "\u200b"}), 400)
