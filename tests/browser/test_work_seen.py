"""The line, runs, posts and schedules, as they are seen and moved by hand on the page."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from bot.house import House
from bot.web import happenings
from engine.store import posts
from engine.store.records import PostState
from engine.testing import FakeLanguage, FakeRenderer
from tests.browser.held import Held
from tests.browser.tabs import Visitor, ask, begin, stands, visit

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def beat(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """How often a house that is opened behind this says that it is there."""
    monkeypatch.setattr(happenings, "BEAT_SECONDS", request.param)


async def test_the_line_moves_before_ones_eyes_and_a_job_is_cancelled(
    held_house: House, visitor: Visitor, held: Held
) -> None:
    page = await visitor.tab(f"{held_house.address.url}/#/queue")
    await expect(page.get_by_text("Nobody waits for a picture.")).to_be_visible()
    who = (await ask(page, "GET", "/personas"))["items"][0]
    # The picture thread is handed a few beforehand: the last one waits.
    scenes = ("on the <b>roof</b>", "in the rain", "at night", "in spring", "in the hall", "by the sea")
    first, *_, second = [
        await ask(page, "POST", "/jobs", {"persona": who["slug"], "scene": scene, "key": scene})
        for scene in scenes
    ]
    drawn = page.locator(f"[data-job='{first['id']}']")
    waiting = page.locator(f"[data-job='{second['id']}']")
    await expect(drawn).to_contain_text("on the <b>roof</b>")
    await expect(drawn).to_contain_text(who["name"])
    await expect(drawn.get_by_role("progressbar")).to_be_visible()
    await page.reload()
    await expect(drawn).to_contain_text("Step 1 of 3")
    await expect(page.get_by_role("heading", name="For people")).to_be_visible()
    await expect(waiting).to_contain_text("waits")
    await waiting.get_by_role("button", name="Cancel").click()
    await expect(waiting).to_have_count(0)
    assert (await ask(page, "GET", f"/jobs/{second['id']}"))["state"] == "cancelled"
    held.may.set()
    await expect(page.get_by_text("Nobody waits for a picture.")).to_be_visible()
    assert (await ask(page, "GET", f"/jobs/{first['id']}"))["state"] == "done"


async def test_what_failed_stands_there_with_its_reason_and_is_tried_again(
    house: House, visitor: Visitor, renderer: FakeRenderer
) -> None:
    renderer.fails = 100
    page = await visitor.tab(f"{house.address.url}/#/queue")
    await expect(page.get_by_text("Nobody waits for a picture.")).to_be_visible()
    who = (await ask(page, "GET", "/personas"))["items"][0]
    job = await ask(page, "POST", "/jobs", {"persona": who["slug"], "scene": "by the sea", "key": "sea"})
    row = page.locator(f"[data-job='{job['id']}']")
    await expect(page.get_by_role("heading", name="Failed of late (1)")).to_be_visible(timeout=60_000)
    await expect(row.locator(".row-error")).not_to_be_empty()
    renderer.fails = 0
    await row.get_by_role("button", name="Try again").click()
    await expect(row).to_have_count(0)
    assert (await ask(page, "GET", f"/jobs/{job['id']}"))["state"] in ("queued", "running", "done")


async def test_a_backfill_is_planned_and_done(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(f"{house.address.url}/#/backfill")
    everybody = (await ask(page, "GET", "/pictured"))["personas"]["total"]
    await expect(page.get_by_text(f"0 of {everybody} have a picture")).to_be_visible()
    await page.get_by_label("At most").fill("3")
    await page.get_by_role("button", name="Plan").click()
    await expect(page.locator(".plan")).to_contain_text("3 pictures")
    assert (await ask(page, "GET", "/runs"))["items"] == []
    await page.get_by_role("button", name="Start: 3 pictures").click()
    run = page.locator("[data-run]")
    await expect(run).to_contain_text("3 of 3 done")
    await expect(run.locator(".mark")).to_have_text("done")
    await expect(page.get_by_text(f"3 of {everybody} have a picture")).to_be_visible()
    await run.get_by_role("link", name="Pictures").click()
    await expect(page.locator(".thumbs img")).to_have_count(3)


async def test_a_run_is_paused_and_two_are_compared(held_house: House, visitor: Visitor, held: Held) -> None:
    page = await visitor.tab(f"{held_house.address.url}/#/backfill")
    await ask(page, "POST", "/runs", {"limit": 2, "key": "first"})
    run = page.locator("[data-run]").first
    await expect(run.locator(".mark")).to_have_text("under way")
    await run.get_by_role("button", name="Pause").click()
    await expect(run.locator(".mark")).to_have_text("paused")
    held.may.set()
    await ask(page, "POST", "/runs", {"limit": 1, "key": "second"})
    await expect(page.locator("[data-run]")).to_have_count(2)
    await run.get_by_role("button", name="Compare").click()
    await expect(page.get_by_role("dialog").get_by_role("row")).not_to_have_count(0)


async def test_a_schedule_is_looked_at_before_it_is_kept(house: House, visitor: Visitor) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    await visit(page, "posts")
    await expect(page.get_by_text("Nobody posts by a schedule yet.")).to_be_visible()
    await page.get_by_role("button", name="New schedule").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    await dialog.get_by_label("When").fill("every blue moon")
    await dialog.get_by_role("button", name="Show the next times").click()
    await expect(dialog.get_by_role("alert")).not_to_be_empty()
    visitor.faults.clear()  # nobody understands that
    await dialog.get_by_label("When").fill("weekly mon,thu 20:00")
    await dialog.get_by_label("Time zone").fill("America/New_York")
    await dialog.get_by_label("Theme").fill("the <i>sea</i>")
    await dialog.get_by_role("button", name="Show the next times").click()
    times = dialog.locator(".times li")
    await expect(times).to_have_count(5)
    for told in await times.all_inner_texts():
        assert "8:00" in told, "a time is told as it is in the place"
    assert (await ask(page, "GET", "/schedules"))["items"] == []
    await dialog.get_by_role("button", name="Save").click()
    row = page.locator("[data-schedule]")
    await expect(row).to_contain_text("weekly mon,thu 20:00")
    await expect(row).to_contain_text("the <i>sea</i>")
    await page.get_by_role("button", name="The week after").click()
    await expect(page.locator(".week .entry")).to_have_count(2)
    await row.get_by_role("button", name="Pause").click()
    await expect(row.locator(".mark")).to_have_text("paused")
    await row.get_by_role("button", name="Resume").click()
    await expect(row.locator(".mark")).to_have_count(0)
    await row.get_by_role("button", name="Remove").click()
    await dialog.get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("Nobody posts by a schedule yet.")).to_be_visible()


async def test_a_post_is_worded_anew_and_approved(
    house: House, visitor: Visitor, language: FakeLanguage
) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    soon = datetime.now(UTC) + timedelta(minutes=10)
    wanted = {"words": f"daily {soon:%H:%M}", "chat": "web:home:home", "approval": "skip", "zone": "UTC"}
    await ask(page, "POST", "/schedules", wanted)
    await visit(page, "posts")
    await page.get_by_role("heading", name="Waiting for your word (1)").wait_for()
    post = page.locator("[data-post]")
    await expect(post.locator(".post-picture img")).to_be_visible()
    await post.get_by_role("button", name="Edit").click()
    await post.get_by_label("Caption").fill("Tea at <b>five</b>, as ever.")
    await post.get_by_role("button", name="Save").click()
    await expect(post.locator(".caption")).to_have_text("Tea at <b>five</b>, as ever.")
    await post.get_by_role("button", name="Approve").click()
    await expect(page.get_by_text("No post waits for anybody.")).to_be_visible()
    await expect(page.locator(".entry-ready")).to_contain_text("Tea at <b>five</b>, as ever.")
    [kept] = (await ask(page, "GET", "/posts?state=ready"))["items"]
    assert kept["caption"] == "Tea at <b>five</b>, as ever."


async def test_what_failed_is_not_asked_for_again_for_every_job_that_comes(
    held_house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(f"{held_house.address.url}/#/queue")
    await expect(page.get_by_text("Nobody waits for a picture.")).to_be_visible()
    asked: list[str] = []

    async def made(scene: str, there: int) -> None:
        await ask(page, "POST", "/jobs", {"persona": "glenys-prosser", "scene": scene, "key": scene})
        await expect(page.locator("[data-job]")).to_have_count(there)

    await made("on the pier", 1)  # by now the page hears of jobs, and has asked for all that it begins with
    page.on("request", lambda request: asked.append(request.url))
    await made("in the rain", 2)
    assert [one for one in asked if one.endswith("/line")] != []
    assert [one for one in asked if "state=failed" in one] == []


async def some_post(
    house: House,
    schedule: dict[str, Any],
    theme: str = "",
    *,
    state: PostState = PostState.SKIPPED,
    due_at: datetime | None = None,
) -> int:
    """A post that nobody works on, told of by nobody."""
    now = datetime.now(UTC)
    adding = partial(
        posts.add,
        key=f"{theme} {due_at}",
        due_at=due_at or now,
        chat_id=schedule["place"],
        persona_id=schedule["persona_id"],
        theme=theme,
        state=state,
        now=now,
    )
    made = await house.engine.database.change(adding)
    assert made is not None
    return made.id


@pytest.mark.parametrize("beat", [3600.0], indirect=True)
async def test_of_what_happens_to_posts_only_what_it_concerns_is_asked_for_again_and_not_each_time(
    beat: None, house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    when = f"once {datetime.now(UTC) + timedelta(days=90):%Y-%m-%d} 09:00"
    schedule = await ask(page, "POST", "/schedules", {"words": when, "chat": "web:home:home"})
    now = await some_post(house, schedule, "before")
    far = await some_post(house, schedule, due_at=datetime.now(UTC) - timedelta(days=90))
    heard = asyncio.Event()
    page.on("websocket", lambda socket: socket.on("framereceived", lambda _text: heard.set()))
    await page.reload()
    # Whoever looks before the line stands asks once more when it does.
    await asyncio.wait_for(heard.wait(), 60)
    await visit(page, "posts")
    await expect(page.locator(".entry-skipped")).to_contain_text("before")
    await expect(page.locator("[data-schedule]")).to_have_count(1)
    await stands(page)  # what is still on its way is asked for again, whatever is told

    async def tell(post: int, times: int) -> None:
        """Until the page has heard all of it: a line takes only so much at once."""
        for _ in range(times):
            heard.clear()
            while not heard.is_set():  # it may not listen yet
                house.engine.events.publish("post.changed", post=post)
                with suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), 2)

    asked: list[str] = []
    sent, may = asyncio.Event(), asyncio.Event()

    async def slowly(route: Any) -> None:
        asked.append(route.request.url.partition("/api/v1")[2])
        answer = await route.fetch()
        sent.set()
        await may.wait()
        await route.fulfill(response=answer)

    await page.route("**/api/v1/**", slowly)
    await tell(far, 20)
    await tell(now, 100)
    await sent.wait()
    await tell(now, 100)
    change = partial(posts.change, post_id=now, was=(PostState.SKIPPED,), caption="and after", error="")
    await house.engine.database.change(change)
    await tell(now, 1)
    may.set()
    await expect(page.locator(".entry-skipped")).to_contain_text("and after")
    # Once for the first of them, and once for all that came while that was on its way.
    assert len(asked) == 2
    assert {one.partition("?")[0] for one in asked} == {"/posts"}
    assert all("from=" in one for one in asked), "the inbox was not asked for"


@pytest.mark.parametrize("beat", [0.2], indirect=True)
async def test_what_nobody_tells_of_shows_all_the_same_after_a_while(
    beat: None, house: House, visitor: Visitor
) -> None:
    page = await visitor.tab(house.address.url)
    await begin(page)
    schedule = await ask(page, "POST", "/schedules", {"words": "daily 09:00", "chat": "web:home:home"})
    post = await some_post(house, schedule, state=PostState.WAITING)
    await visit(page, "posts")
    await page.get_by_role("heading", name="Waiting for your word (1)").wait_for()
    # As by somebody in a chat, or because its time has passed.
    await house.engine.posting.pause(schedule["id"])
    await expect(page.locator("[data-schedule] .mark")).to_have_text("paused")
    change = partial(posts.change, post_id=post, was=(PostState.WAITING,), state=PostState.SKIPPED)
    await house.engine.database.change(change)
    await expect(page.get_by_text("No post waits for anybody.")).to_be_visible()
    await expect(page.locator(".entry-skipped")).to_have_count(1)
