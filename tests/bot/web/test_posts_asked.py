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
from engine.imagining import Wish
from engine.ordering import Order
from engine.settings import FeedSettings, Settings
from engine.store import chats, jobs, personas, posts, runs
from engine.store.records import ChatRef, JobState, Lane, Place, Post, Scope
from engine.testing import FakeLanguage, FakeRenderer
from tests.bot.web.tabs import page_of
from tests.bot.web.visitors import a_key, problem, with_key
from tests.servers.feeds import Entry, Paper, newspaper


@pytest.fixture
async def place(engine: Engine) -> Place:
    ref = ChatRef("telegram", "bot", "-100815")
    async with engine.database.write() as tx:
        return await engine.presence.new_place(tx, ref, shared=True)


DAILY = {"words": "daily 09:00", "chat": "telegram:bot:-100815", "persona": "glenys-prosser"}


async def added(operator: httpx.AsyncClient, **said: Any) -> dict[str, Any]:
    answer = await operator.post("/api/v1/schedules", json=DAILY | said)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_schedule_is_looked_at_before_it_is_kept(operator: httpx.AsyncClient, place: Place) -> None:
    dry = await operator.post("/api/v1/schedules", json=DAILY | {"theme": "tea", "dry": True})
    assert dry.status_code == 200
    assert (dry.json()["id"] or None, len(dry.json()["next"])) == (None, 5)
    assert (await operator.get("/api/v1/schedules")).json()["items"] == []
    kept = await added(operator, theme="tea")
    assert kept["next"] == dry.json()["next"]
    assert (kept["theme"], kept["persona"], kept["place"]) == ("tea", "Glenys Prosser", place.id)
    assert (await operator.get(f"/api/v1/schedules/{kept['id']}")).json() == kept


@pytest.mark.usefixtures("place")
async def test_a_schedule_rests_goes_on_is_changed_and_goes(operator: httpx.AsyncClient) -> None:
    kept = await added(operator)
    address = f"/api/v1/schedules/{kept['id']}"
    assert (await operator.post(f"{address}/pause")).json()["state"] == "paused"
    assert (await operator.post(f"{address}/resume")).json()["state"] == "active"
    changed = (
        await operator.patch(address, json={"words": "daily 10:00", "approval": "skip", "posts": "text-only"})
    ).json()
    assert (changed["when"], changed["options"]["approval"]) == ("daily 10:00", "skip")
    assert changed["options"]["picture"] is False
    skipped = (await operator.post(f"{address}/skip")).json()
    assert skipped["next"] == [*changed["next"][1:], skipped["next"][-1]]
    assert (await operator.delete(address)).status_code == 204
    problem(await operator.get(address), 404)


@pytest.mark.usefixtures("place")
async def test_pictures_are_ordered_by_the_clock_too(operator: httpx.AsyncClient) -> None:
    told = DAILY | {"persona": "", "pictures": "backfill", "theme": "at home", "run_key": "nightly"}
    dry = await operator.post("/api/v1/schedules", json=told | {"dry": True})
    assert (dry.status_code, dry.json()["persona_id"]) == (200, None)
    kept = await operator.post("/api/v1/schedules", json=told)
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
    operator: httpx.AsyncClient, said: dict[str, Any]
) -> None:
    answer = await operator.post("/api/v1/schedules", json=DAILY | said)
    assert answer.status_code in (400, 404)
    assert len(problem(answer, answer.status_code)) > 10


@pytest.mark.usefixtures("place")
async def test_a_post_is_ordered_worded_and_skipped(operator: httpx.AsyncClient) -> None:
    kept = await added(operator, posts="text-only")
    ordered = await operator.post(f"/api/v1/schedules/{kept['id']}/run")
    assert (ordered.status_code, ordered.json()["state"]) == (202, "planned")
    assert ordered.json()["zone"] == "Etc/UTC"
    address = f"/api/v1/posts/{ordered.json()['id']}"
    worded = (await operator.patch(address, json={"caption": "Tea is <b>ready</b>."})).json()
    assert (worded["caption"], worded["source"]) == ("Tea is <b>ready</b>.", "person")
    written = (await operator.post(f"{address}/caption")).json()
    assert written["caption"] not in ("", worded["caption"])
    assert (await operator.post(f"{address}/approve")).status_code == 200
    problem(await operator.post(f"{address}/picture"), 400)
    assert (await operator.post(f"{address}/skip")).json()["state"] == "skipped"
    problem(await operator.post(f"{address}/approve"), 400)
    problem(await operator.post(f"{address}/recall"), 400)
    assert (await operator.get(address)).json()["state"] == "skipped"


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
    engine: Engine, operator: httpx.AsyncClient, place: Place, soonest: bool
) -> None:
    there = await some_posts(engine, place, 9)
    seen: list[int] = []
    asked: dict[str, Any] = {"limit": 2, "soonest": soonest}
    while True:
        page = (await operator.get("/api/v1/posts", params=asked)).json()
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        asked["before"] = page["next"]
    ids = [one.id for one in there]
    assert seen == (ids if soonest else ids[::-1])


async def test_posts_of_a_week_and_of_a_state_are_told_apart(
    engine: Engine, operator: httpx.AsyncClient, place: Place
) -> None:
    there = await some_posts(engine, place, 6)
    span: dict[str, Any] = {
        "from": there[2].due_at.isoformat(),
        "to": there[4].due_at.isoformat(),
        "soonest": True,
    }
    found = (await operator.get("/api/v1/posts", params=span)).json()["items"]
    assert [one["id"] for one in found] == [there[2].id, there[3].id]
    assert (await operator.get("/api/v1/posts", params={"state": "published"})).json()["items"] == []
    both = {"state": ["planned", "failed"], "chat": "telegram:bot:-100815"}
    assert len((await operator.get("/api/v1/posts", params=both)).json()["items"]) == 6
    problem(await operator.get("/api/v1/posts", params={"before": "rubbish"}), 400)
    problem(await operator.get("/api/v1/posts", params={"from": "0001-01-01T00:00:00+14:00"}), 422)


@pytest.mark.usefixtures("place")
async def test_a_hook_tells_its_secret_once_rests_and_goes(operator: httpx.AsyncClient) -> None:
    said = {"kind": "hook", "chat": "telegram:bot:-100815", "persona": "glenys-prosser", "only": "snow,ice"}
    made = (await operator.post("/api/v1/feeds", json=said)).json()
    assert made["secret"]
    assert made["key"]
    assert made["address"].endswith(f"/hooks/{made['id']}")
    (told,) = (await operator.get("/api/v1/feeds")).json()["items"]
    assert "secret" not in told
    assert (told["only"], told["state"]) == (["snow", "ice"], "active")
    address = f"/api/v1/feeds/{made['id']}"
    assert (await operator.post(f"{address}/pause")).json()["state"] == "paused"
    assert (await operator.post(f"{address}/resume")).json()["state"] == "active"
    problem(await operator.post(f"{address}/check"), 400)
    assert (await operator.delete(address)).status_code == 204
    problem(await operator.delete(address), 404)
    problem(await operator.post("/api/v1/feeds", json=said | {"address": "https://example.org/feed"}), 400)


@pytest.fixture
async def paper(engine: Engine) -> AsyncIterator[Paper]:
    async with newspaper() as opened:
        opened.entries = [Entry("Thaw", "1", hours=2), Entry("Snow", "2", hours=1)]
        yield opened


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The newspaper stands on this machine."""
    return settings.model_copy(update={"feeds": FeedSettings(private=True)})


async def test_a_feed_is_added_once_changed_and_what_is_left_out_stays(
    engine: Engine, operator: httpx.AsyncClient, place: Place, paper: Paper
) -> None:
    said = {
        "address": paper.at("feed"),
        "chat": str(place.id),
        "only": "thaw",
        "approval": "skip",
        "key": "f",
    }
    made = (await operator.post("/api/v1/feeds", json=said)).json()
    assert (await operator.post("/api/v1/feeds", json=said)).json()["id"] == made["id"], (
        "it is the same order"
    )
    address = f"/api/v1/feeds/{made['id']}"
    changed = await operator.patch(
        address, json={"without": "football", "every": "90m", "picture": "item", "persona": "glenys-prosser"}
    )
    assert changed.status_code == 200, changed.text
    told = changed.json()
    assert (told["only"], told["without"], told["every"]) == (["thaw"], ["football"], "90m")
    assert (told["picture"], told["approval"], told["persona"]) == ("item", "skip", "Glenys Prosser")
    assert (await operator.get(address)).json() == told
    back = {
        "only": "",
        "without": "",
        "every": "",
        "picture": "none",
        "approval": "no",
        "style": "",
        "to": [],
    }
    told = (await operator.patch(address, json=back)).json()
    assert (told["only"], told["without"], told["every"], told["picture"]) == ([], [], "", "")
    assert (told["approval"], told["to"], told["persona"]) == ("", [], "Glenys Prosser")
    moved = (await operator.patch(address, json={"address": paper.at("feed") + "?new"})).json()
    assert (moved["address"], moved["title"]) == (paper.at("feed") + "?new", "The Daily Test")
    assert len(await engine.posting.posts()) == 1
    problem(await operator.patch(address, json={}), 400)
    problem(await operator.patch(address, json={"every": "soon"}), 400)
    problem(await operator.patch(address, json={"persona": "nobody"}), 404)
    problem(await operator.patch(address, json={"colour": "red"}), 422)
    problem(await operator.patch("/api/v1/feeds/77", json={"only": "snow"}), 404)


async def test_a_hook_that_is_ordered_again_is_the_same_with_another_secret(
    operator: httpx.AsyncClient, place: Place
) -> None:
    said = {"kind": "hook", "chat": str(place.id), "key": "once"}
    first = (await operator.post("/api/v1/feeds", json=said)).json()
    again = (await operator.post("/api/v1/feeds", json=said)).json()
    assert (again["id"], len((await operator.get("/api/v1/feeds")).json()["items"])) == (first["id"], 1)
    assert again["secret"] not in ("", first["secret"])
    problem(await operator.patch(f"/api/v1/feeds/{first['id']}", json={"every": "2h"}), 400)
    changed = (await operator.patch(f"/api/v1/feeds/{first['id']}", json={"only": "snow"})).json()
    assert changed["only"] == ["snow"]
    assert "secret" not in changed


@pytest.mark.usefixtures("place")
async def test_a_change_of_a_schedule_is_looked_at_before_it_is_kept(operator: httpx.AsyncClient) -> None:
    kept = await added(operator, theme="tea", style="noir")
    address = f"/api/v1/schedules/{kept['id']}"
    said = {"words": "weekly mon,thu 20:00", "theme": "", "style": "", "zone": "Europe/Berlin"}
    dry = (await operator.patch(address, json=said | {"dry": True})).json()
    assert (dry["when"], dry["theme"], dry["options"]["style"], len(dry["next"])) == (
        "weekly mon,thu 20:00",
        "",
        "",
        5,
    )
    assert (await operator.get(address)).json() == kept
    problem(await operator.patch(address, json={"words": "every blue moon", "dry": True}), 400)
    assert (await operator.patch(address, json=said)).json() == dry
    assert (await operator.get(address)).json() == dry


@pytest.mark.usefixtures("place")
async def test_a_post_that_is_ordered_again_with_the_same_key_is_the_same(
    engine: Engine, app: FastAPI, operator: httpx.AsyncClient
) -> None:
    kept = await added(operator, posts="text-only")
    run = f"/api/v1/schedules/{kept['id']}/run"
    first = (await operator.post(run, json={"key": "now"})).json()
    assert (await operator.post(f"/api/v1/posts/{first['id']}/skip")).status_code == 200
    again = await operator.post(run, json={"key": "now"})
    assert (again.status_code, again.json()["id"], again.json()["state"]) == (202, first["id"], "skipped")
    word, _ = await a_key(engine, Scope.MANAGE)
    async with with_key(app, word) as other:
        ids = {first["id"], (await other.post(run, json={"key": "now"})).json()["id"]}
    ids |= {(await operator.post(run, json={"key": "later"})).json()["id"]}
    ids |= {(await operator.post(run)).json()["id"]}
    assert len(ids) == len(await engine.posting.posts()) == 4
    problem(await operator.post(run, json={"key": ""}), 422)


async def test_what_two_runs_made_of_somebody_stands_side_by_side(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    record = await engine.database.look(partial(personas.find, wanted="glenys-prosser"))
    request = await engine.imagining.compose(record, Wish("at home"))
    for key in ("first", "second"):
        await engine.runs.begin(Order(personas=("glenys-prosser",), key=key, scene="at home"))
    async with engine.database.write() as tx:
        run = await runs.find(tx, "first")
        added = await jobs.add(
            tx,
            request=request,
            lane=Lane.BACKFILL,
            fair_owner="run:1",
            cost=1,
            now=engine.clock.now(),
            persona_id=record.id,
            run_id=run.id,
        )
        await jobs.end(tx, added.job.id, JobState.FAILED, engine.clock.now())
    asked = {"one": "first", "other": "second"}
    both = (await operator.get("/api/v1/runs/compare", params=asked)).json()
    failed = {"pictures": 0, "failed": 1, "style": "", "seconds": 0.0, "cost": 0.0}
    assert both["personas"] == [
        {
            "persona_id": record.id,
            "slug": "glenys-prosser",
            "name": "Glenys Prosser",
            "one": failed,
            "other": None,
        }
    ]


async def test_runs_are_listed_and_laid_side_by_side(engine: Engine, operator: httpx.AsyncClient) -> None:
    for key in ("first", "second", "third"):
        await engine.runs.begin(Order(personas=("glenys-prosser",), key=key, scene="at home"))
    page = (await operator.get("/api/v1/runs", params={"limit": 2})).json()
    assert [one["key"] for one in page["items"]] == ["third", "second"]
    rest = (await operator.get("/api/v1/runs", params={"before": page["next"]})).json()
    assert ([one["key"] for one in rest["items"]], rest["next"]) == (["first"], None)
    run = page["items"][0]
    assert (run["total"], run["made"], run["state"]) == (1, 0, "open")
    asked = {"one": "first@1", "other": "second"}
    both = (await operator.get("/api/v1/runs/compare", params=asked)).json()
    assert (both["one"]["name"], both["other"]["name"]) == ("first@1", "second@1")
    assert both["personas"] == []
    problem(await operator.get("/api/v1/runs/compare", params={"one": "first", "other": "none"}), 404)
    assert (await operator.post(f"/api/v1/runs/{run['id']}/pause")).json()["state"] == "paused"
    assert (await operator.get("/api/v1/runs", params={"key": "third"})).json()["items"][0][
        "state"
    ] == "paused"
    assert (await operator.get("/api/v1/pictured")).json()["personas"]["total"] == 10


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
    engine: Engine, operator: httpx.AsyncClient, place: Place
) -> None:
    said = {
        "front": "telegram",
        "account": "bot",
        "chat": "-100815",
        "persona": "glenys-prosser",
        "text": "The doors open at eight.",
        "key": "doors",
    }
    first = await operator.post("/api/v1/messages", json=said)
    assert first.status_code == 202, first.text
    assert (await operator.post("/api/v1/messages", json=said)).json() == first.json()
    turns = await engine.database.look(partial(chats.recent, chat_id=place.id, most=10))
    assert [(turn.text, turn.source and turn.source.value) for turn in turns] == [
        ("The doors open at eight.", "person")
    ]
    problem(await operator.post("/api/v1/messages", json=said | {"chat": "nowhere"}), 404)
    problem(await operator.post("/api/v1/messages", json=said | {"text": "\u200b"}), 400)
