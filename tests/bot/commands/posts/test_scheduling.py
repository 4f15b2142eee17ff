"""/schedule: shown before it is kept, kept once, and changed in part."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from bot import orders
from bot.commands import COMMANDS
from bot.front import Option
from engine.engine import Engine
from engine.errors import BadRequest, NotFound, Refused, Unsuitable
from engine.ordering import Order
from engine.store import personas, tables
from engine.store.records import Account, ScheduleState
from engine.timewords import read
from tests.bot.commands.guest import HALL, Guest, everybody, orders_in
from tests.bot.commands.posts.planned import NINE, only, place_of, post_of, schedules


class TestASchedule:
    async def test_is_shown_with_its_next_times_and_kept_when_somebody_says_so(
        self, engine: Engine, ben: Guest
    ) -> None:
        [asks] = await ben.gets(NINE)
        assert "will post here: daily at 09:00 (Europe/Berlin), about “morning coffee”." in asks.text
        times = "The next times: Sun 1 Mar 09:00; Mon 2 Mar 09:00; Tue 3 Mar 09:00; Wed 4 Mar 09:00; "
        assert f"{times}Thu 5 Mar 09:00." in asks.text
        assert asks.text.endswith("Save it? Press the button, or say the same again with --yes.")
        assert await schedules(engine) == []

        [order] = orders_in(asks)
        assert order.startswith("schedule new save ")
        assert len(order) <= 60, "no platform takes longer ones"
        assert "Schedule #1 is saved." in await ben.does(f"/{order}")
        schedule = await only(engine)
        assert (schedule.spec, schedule.zone, schedule.theme) == (
            "daily 09:00",
            "Europe/Berlin",
            "morning coffee",
        )
        assert schedule.person_id == (await ben.person()).id
        assert schedule.next_due_at == datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

    async def test_is_kept_once_however_often_its_button_is_pressed(self, engine: Engine, ben: Guest) -> None:
        [asks] = await ben.gets(NINE)
        for _ in range(3):
            assert "#1" in await ben.does(f"/{orders_in(asks)[0]}")
        assert len(await schedules(engine)) == 1

    async def test_is_about_whom_was_shown_whoever_came_meanwhile(self, engine: Engine, ben: Guest) -> None:
        [asks] = await ben.gets(NINE)
        before = await engine.presence.host(await place_of(ben))
        async with engine.database.read() as tx:
            other = next(entry for entry in await personas.listing(tx) if entry.id != before.id)
        await ben.gets(f"/persona use {other.slug}")
        await ben.gets(f"/{orders_in(asks)[0]}")
        assert (await only(engine)).persona_id == before.id

    async def test_is_kept_at_once_where_one_says_yes(self, engine: Engine, ben: Guest) -> None:
        assert "is saved" in await ben.does('/schedule daily 09:00 --yes "morning coffee"')
        assert (await only(engine)).theme == "morning coffee"

    async def test_of_somebody_else_is_not_kept_by_their_button(
        self, engine: Engine, ben_in_hall: Guest
    ) -> None:
        ben_in_hall.in_charge = everybody
        [asks] = await ben_in_hall.gets(NINE)
        cem = Guest(engine, Account("stage", "cem", "Cem"), HALL, shared=True, in_charge=everybody)
        with pytest.raises(Refused, match="whoever asked"):
            await cem.does(f"/{orders_in(asks)[0]}")
        assert await schedules(engine) == []

    async def test_is_asked_for_where_nothing_was_said(self, engine: Engine, ben: Guest) -> None:
        [asks] = await ben.gets("/schedule new --text-only --style noir")
        assert asks.manner.question is not None
        assert asks.manner.question.order == 'schedule new --text-only "yes" --style "noir"'
        shown = await ben.does("weekly mon,thu 20:00 stars")
        assert "Words only, no picture." in shown
        assert "In the style noir." in shown
        assert "about “stars”" in shown

    async def test_that_is_over_or_not_understood_is_told_and_not_kept(
        self, engine: Engine, ben: Guest
    ) -> None:
        for wrong in (
            "once 2020-01-01 09:00",
            "daily 25:61",
            "cron * * * * *",
            "soonish",
            "daily 09:00 --zone Mars/Olympus",
            "daily 09:00 --ahead never",
            "daily 09:00 --ahead 3d",
            "daily 09:00 --approval perhaps",
            "daily 09:00 --text-only --picture-only",
            "daily 09:00 --colour red",
            'daily 09:00 "' + "x" * 501 + '"',
        ):
            with pytest.raises(BadRequest):
                await ben.does(f"/schedule {wrong} --yes")
        for missing in ("--persona nobody-at-all", "--style nonsense"):
            with pytest.raises(NotFound):
                await ben.does(f"/schedule daily 09:00 {missing} --yes")
        with pytest.raises(Unsuitable):
            await ben.does('/schedule daily 09:00 "Turnip soup" --yes')
        for number in ("99999", "999999999"):
            with pytest.raises(NotFound, match="no longer there"):
                await ben.does(f"/schedule new save {number} 1")
        assert await schedules(engine) == []

    async def test_keeps_a_theme_as_plain_text_and_several_in_turn(self, engine: Engine, ben: Guest) -> None:
        await ben.gets('/schedule daily 09:00 "a\x00 {walk}\u202e  <b>" --yes')
        assert (await only(engine)).theme == "a {walk} <b>"
        assert "about “a {walk} <b>”" in await ben.does("/schedule")
        await ben.gets('/schedule edit 1 "coffee | a walk | the sea"')
        schedule = await only(engine)
        assert (schedule.theme, schedule.options["themes"]) == ("", ["coffee", "a walk", "the sea"])
        assert "about “coffee”, “a walk”, and “the sea” in turn" in await ben.does("/schedule")
        await ben.gets('/schedule edit 1 "rain"')
        schedule = await only(engine)
        assert (schedule.theme, schedule.options["themes"]) == ("rain", [])

    async def test_is_all_that_its_flags_say(self, engine: Engine, ben: Guest) -> None:
        async with engine.database.read() as tx:
            who = (await personas.listing(tx))[-1]
        told = (
            f"--persona {who.slug} --zone asia/tokyo --style Noir --picture-only --approval skip --ahead 2h"
        )
        await ben.gets(f"/schedule daily 09:00 {told} --yes")
        schedule = await only(engine)
        assert (schedule.persona_id, schedule.zone) == (who.id, "Asia/Tokyo")
        kept = {name: value for name, value in schedule.options.items() if name != "seed"}
        assert kept == {"text": False, "picture": True, "style": "noir", "approval": "skip", "ahead": 7200}

    async def test_is_told_in_the_language_of_whoever_asks(self, ben: Guest) -> None:
        await ben.gets("/settings language de")
        told = await ben.does('/schedule täglich 09:00 "Kaffee"')
        assert "postet hier: täglich um 09:00 (Europe/Berlin), über „Kaffee“." in told
        assert "Die nächsten Male: So. 1. März 09:00; " in told

    async def test_says_the_same_from_a_form(self) -> None:
        part = COMMANDS["schedule"].part("new")
        assert part is not None
        told = {"when": "daily 09:00", "theme": "until dawn", "text-only": "yes", "ahead": "2h"}
        line = orders.order_of(["schedule", "new"], part.options, told)
        order = orders.order_in(line)
        assert order is not None
        words, flags = orders.flagged(order.words, orders.switches_of(part.options))
        assert words == "new daily 09:00"
        assert flags == {"theme": "until dawn", "text-only": "yes", "ahead": "2h"}


class TestTheZone:
    async def test_is_the_place_s_own_where_it_has_one(self, engine: Engine, ben: Guest) -> None:
        assert "those of Europe/Berlin" in await ben.does("/settings zone")
        assert "those of America/New_York" in await ben.does("/settings zone america/new_york")
        assert (await place_of(ben)).settings == {"zone": "America/New_York"}
        assert "those of America/New_York" in await ben.does("/settings")
        await ben.gets(f"{NINE} --yes")
        assert (await only(engine)).zone == "America/New_York"
        with pytest.raises(BadRequest):
            await ben.does("/settings zone Mars/Olympus")

    async def test_is_chosen_by_those_in_charge(self, ben_in_hall: Guest) -> None:
        with pytest.raises(Refused, match="charge"):
            await ben_in_hall.does("/settings zone Asia/Tokyo")


class TestWhatIsScheduled:
    async def test_is_listed_with_buttons_that_hold_numbers(self, engine: Engine, ben: Guest) -> None:
        await ben.gets(f"{NINE} --yes")
        [listed] = await ben.gets("/schedule")
        assert listed.manner.quiet
        assert "#1 " in listed.text
        assert "daily at 09:00 (Europe/Berlin), about “morning coffee”. Next: Sun 1 Mar 09:00." in listed.text
        assert orders_in(listed) == ["schedule pause 1", "schedule skip 1", "schedule run 1"]
        await ben.gets("/schedule pause 1")
        [listed] = await ben.gets("/schedule list")
        assert "It is paused." in listed.text
        assert orders_in(listed) == ["schedule resume 1"]
        assert "goes on. Next: Sun 1 Mar 09:00." in await ben.does("/schedule resume #1")
        assert (await only(engine)).state is ScheduleState.ACTIVE

    async def test_of_pictures_is_told_as_what_it_orders(self, engine: Engine, ben: Guest) -> None:
        await ben.gets(f"{NINE} --yes")
        await engine.standing.add(
            place=await place_of(ben), timing=read("daily 03:00")[0], zone="Europe/Berlin", order=Order()
        )
        told = await ben.does("/schedule")
        assert "The pictures that are missing, as runs backfill-all: daily at 03:00 (Europe/Berlin)." in told
        with pytest.raises(BadRequest, match="orders pictures"):
            await ben.does("/schedule run 2")

    async def test_can_leave_out_its_next_time(self, ben: Guest) -> None:
        await ben.gets(f"{NINE} --yes")
        assert await ben.does("/schedule skip 1") == (
            "The next one of schedule #1 is left out. Next: Mon 2 Mar 09:00."
        )

    async def test_can_post_now(self, engine: Engine, ben: Guest) -> None:
        await ben.gets(f"{NINE} --yes")
        assert "Post #1 is being made" in await ben.does("/schedule run 1")
        assert (await post_of(engine, 1)).schedule_id == 1

    async def test_can_be_changed_in_part(self, engine: Engine, ben: Guest) -> None:
        await ben.gets(f"{NINE} --style noir --text-only --yes")
        assert "every Monday at 20:00" in await ben.does("/schedule edit 1 weekly mon 20:00")
        schedule = await only(engine)
        assert (schedule.spec, schedule.theme) == ("weekly mon 20:00", "morning coffee")
        assert schedule.options["style"] == "noir"
        await ben.gets("/schedule edit 1 --zone Asia/Tokyo --both --approval post")
        schedule = await only(engine)
        assert (schedule.zone, schedule.options["approval"]) == ("Asia/Tokyo", "post")
        assert (schedule.options["text"], schedule.options["picture"]) == (True, True)
        await ben.gets("/schedule edit 1 --approval no")
        assert (await only(engine)).options["approval"] == ""
        for wrong in ("1", "", "1 once 2020-01-01 09:00", "x"):
            with pytest.raises(BadRequest):
                await ben.does(f"/schedule edit {wrong}")

    async def test_can_be_taken_away(self, engine: Engine, ben: Guest) -> None:
        await ben.gets(f"{NINE} --yes")
        assert "is gone" in await ben.does("/schedule remove 1")
        assert await schedules(engine) == []
        with pytest.raises(NotFound):
            await ben.does("/schedule pause 1")


class TestAnEdit:
    async def test_says_options_without_a_time_and_leaves_the_time_alone(
        self, engine: Engine, ben: Guest
    ) -> None:
        await ben.gets("/schedule daily 09:00 quiet 22:00-07:00 grace 2h --yes")
        told = await ben.does('/schedule edit 1 "tea" until 2026-12-31 grace 1h')
        assert "about “tea”" in told
        assert "the last time on December 31, 2026" in told
        schedule = await only(engine)
        assert (schedule.spec, schedule.theme) == (
            "daily 09:00 quiet 22:00-07:00 until 2026-12-31",
            "tea",
        )
        await ben.gets("/schedule edit 1 quiet 23:00-06:00")
        assert (await only(engine)).spec == "daily 09:00 quiet 23:00-06:00 until 2026-12-31"
        for wrong in ("sometime", "until 2026-12-31 tea", '"tea" and more', "until 31.2.2026"):
            with pytest.raises(BadRequest):
                await ben.does(f"/schedule edit 1 {wrong}")
        assert (await only(engine)).theme == "tea"

    async def test_takes_back_a_style_and_a_time_before(self, engine: Engine, ben: Guest) -> None:
        await ben.gets(f"{NINE} --style noir --ahead 2h --yes")
        assert "In the style" not in await ben.does("/schedule edit 1 --style none")
        await ben.gets("/schedule edit 1 --ahead default")
        options = (await only(engine)).options
        assert options["style"] == ""
        assert "ahead" not in options
        await ben.gets(f"{NINE} --style default --ahead none --yes")
        assert "ahead" not in (await schedules(engine))[1].options

    async def test_calls_a_persona_as_the_preview_and_the_list_do(self, ben: Guest) -> None:
        for order in (NINE, f"{NINE} --yes", '/schedule edit 1 "tea"', "/schedule"):
            told = await ben.does(order)
            assert "Jide" in told
            assert "Babajide" not in told


class TestAScheduleThatNobodyCanRead:
    async def test_is_told_in_its_line_and_hides_no_other(self, engine: Engine, ben: Guest) -> None:
        await ben.gets(f"{NINE} --yes")
        await ben.gets('/schedule daily 10:00 "tea" --yes')
        async with engine.database.write() as tx:
            await tx.execute(
                update(tables.schedules).where(tables.schedules.c.id == 1).values(spec="fortnightly 09:00")
            )
        listed = await ben.does("/schedule")
        assert "#1 Jide: “fortnightly 09:00” cannot be read any more." in listed
        assert "#2 Jide: daily at 10:00" in listed
        assert "is changed" in await ben.does("/schedule edit 1 daily 09:00")
        assert "cannot be read" not in await ben.does("/schedule")


def every_option(name: str) -> list[Option]:
    return [option for part in COMMANDS[name].parts for option in part.options]


def test_what_stands_alone_is_told_by_standing_there() -> None:
    switches = orders.switches_of(every_option("schedule"))
    assert set(switches) == {"text-only", "picture-only", "backfill", "batch", "yes", "both"}
    cases: list[tuple[str, tuple[str, dict[str, Any]]]] = [
        ("a --yes b", ("a   b", {"yes": "yes"})),
        ("a —text-only", ("a", {"text-only": "yes"})),
        ('a --text-only "yes" b', ("a   b", {"text-only": "yes"})),
        ('a --yes "yes, we can"', ('a   "yes, we can"', {"yes": "yes"})),
        ("a --yesterday", ("a", {"yesterday": ""})),
    ]
    for words, expected in cases:
        assert orders.flagged(words, switches) == expected
