"""/schedule --backfill: pictures that are ordered by the clock from a chat, by those who run the house."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.engine import Engine
from engine.errors import BadRequest, NotFound, Refused
from engine.settings import PeopleSettings, PostSettings, Settings
from engine.store.records import Schedule, ScheduleState
from engine.store.runs import listing
from engine.testing import ManualClock
from tests.bot.commands.guest import Guest, orders_in

NIGHT = "/schedule daily 03:00 --backfill"
THREE = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    people, posts = PeopleSettings(operators=("stage:ana",)), PostSettings(zone="UTC")
    return settings.model_copy(update={"people": people, "posts": posts})


async def only(engine: Engine) -> Schedule:
    [schedule] = await engine.posting.listing()
    return schedule


async def test_it_is_shown_with_its_next_times_and_kept_once_by_its_button(
    engine: Engine, ana: Guest
) -> None:
    [asks] = await ana.gets(f"{NIGHT} --limit 2")
    assert "daily at 03:00 (UTC)" in asks.text
    assert "The next times: Mon 2 Mar 03:00; " in asks.text
    assert await engine.posting.listing() == []
    [button] = orders_in(asks)
    for _press in range(2):
        assert "Schedule #1 is saved." in await ana.does(f"/{button}")
    schedule = await only(engine)
    assert (schedule.persona_id, schedule.person_id, schedule.spec) == (0, None, "daily 03:00")
    order = schedule.options["order"]
    assert (order["kind"], order["missing_only"], order["limit"]) == ("backfill", True, 2)


async def test_its_time_begins_a_run_and_no_post(engine: Engine, ana: Guest) -> None:
    assert "is saved" in await ana.does(f"{NIGHT} --limit 2 --style noir --yes")
    assert isinstance(engine.clock, ManualClock)
    engine.clock.jump(THREE - engine.clock.now())
    await engine.standing.round()
    await engine.posting.publishing.round()
    [run] = await engine.database.look(listing)
    assert (run.kind, run.style, run.options["total"]) == ("backfill", "noir", 2)
    assert await engine.posting.posts() == []


async def test_a_batch_is_of_those_with_a_tag_in_the_scene_that_was_named(engine: Engine, ana: Guest) -> None:
    tag = next(iter((await engine.presence.host((await ana.orders("/help")).place)).persona.tags))
    await ana.does(f'/schedule weekly mon 04:00 --batch --tag "{tag}" --yes "on a pier"')
    order = (await only(engine)).options["order"]
    assert (order["kind"], order["tags"], order["scene"]) == ("batch", [tag], "on a pier")
    assert order["missing_only"] is False


async def test_it_is_listed_as_what_it_is_and_has_no_button_that_posts(engine: Engine, ana: Guest) -> None:
    await ana.does(f"{NIGHT} --yes")
    [told] = await ana.gets("/schedule")
    assert "#1 " in told.text
    assert "daily at 03:00 (UTC). Next: Mon 2 Mar 03:00." in told.text
    assert "–:" not in told.text, "nobody posts"
    assert orders_in(told) == ["schedule pause 1", "schedule skip 1"]


async def test_it_can_be_skipped_paused_edited_and_removed_like_any_other(engine: Engine, ana: Guest) -> None:
    await ana.does(f"{NIGHT} --yes")
    await ana.does("/schedule skip 1")
    assert (await only(engine)).next_due_at == THREE + timedelta(days=1)
    assert await engine.posting.posts() == []
    await ana.does("/schedule pause 1")
    assert (await only(engine)).state is ScheduleState.PAUSED
    await ana.does("/schedule resume 1")
    await ana.does("/schedule edit 1 daily 04:00")
    assert (await only(engine)).spec == "daily 04:00"
    with pytest.raises(BadRequest, match="orders pictures"):
        await ana.does("/schedule edit 1 --text-only")
    with pytest.raises(BadRequest, match="orders pictures"):
        await ana.does("/schedule run 1")
    await ana.does("/schedule remove 1")
    assert await engine.posting.listing() == []


async def test_only_whoever_runs_the_house_orders_pictures_of_everybody(engine: Engine, ben: Guest) -> None:
    for words in (NIGHT, f"{NIGHT} --yes"):
        with pytest.raises(Refused, match="runs this house"):
            await ben.does(words)
    assert await engine.posting.listing() == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("--backfill --batch", "two things"),
        ("--backfill --text-only", "--text-only is said of posts"),
        ("--backfill --ahead 2h", "--ahead is said of posts"),
        ("--tag fitness", "--tag is said of"),
        ("--limit 3", "--limit is said of"),
        ("--backfill --limit 0", "makes no picture"),
        ("--backfill --limit many", "makes no picture"),
    ],
)
async def test_what_does_not_go_together_is_told(engine: Engine, ana: Guest, said: str, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        await ana.does(f"/schedule daily 03:00 {said} --yes")
    assert await engine.posting.listing() == []


async def test_whom_nobody_knows_is_told_before_it_is_kept(engine: Engine, ana: Guest) -> None:
    for nobody in ("--tag no-such-tag", "--persona nobody-at-all", "--style nonsense"):
        with pytest.raises(NotFound):
            await ana.does(f"{NIGHT} {nobody} --yes")
    assert await engine.posting.listing() == []
