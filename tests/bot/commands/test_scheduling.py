"""/schedule and /posts: shown before it is kept, kept once, for those in charge alone; and a word on each post."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot import orders
from bot.commands import COMMANDS
from bot.commands.calling import Answer, Call
from bot.front import Option
from engine.captions import LONGEST
from engine.engine import Engine
from engine.errors import BadRequest, GreenroomError, NotFound, Refused, Unsuitable
from engine.language import Source
from engine.ordering import Order
from engine.settings import PeopleSettings, PostSettings, SafetySettings, Settings
from engine.store import chats, messages, outbox, personas, tables
from engine.store import posts as store
from engine.store.records import (
    Account,
    ChatRef,
    DeliveryKind,
    Place,
    Post,
    PostState,
    Schedule,
    ScheduleState,
)
from engine.testing import ManualClock
from engine.timewords import read
from tests.bot.commands.guest import HALL, Guest, everybody, orders_in

#: The manual clock begins on Sunday, 1 March 2026, at six in the morning, UTC.
NINE = '/schedule daily 09:00 "morning coffee"'


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Ana runs this house; it stands in Berlin, and has words that it does not want."""
    return settings.model_copy(
        update={
            "people": PeopleSettings(operators=("stage:ana",)),
            "posts": PostSettings(zone="Europe/Berlin"),
            "safety": SafetySettings(blocked_words=("turnip",)),
        }
    )


@pytest.fixture
def clock(engine: Engine) -> ManualClock:
    assert isinstance(engine.clock, ManualClock)
    return engine.clock


async def place_of(guest: Guest) -> Place:
    async with guest.engine.database.read() as tx:
        place = await chats.place(tx, guest.chat)
    assert place is not None
    return place


async def place_in(tx: AsyncConnection, guest: Guest) -> Place:
    place = await chats.place(tx, guest.chat)
    assert place is not None
    return place


async def schedules(engine: Engine) -> list[Schedule]:
    return await engine.posting.listing()


async def only(engine: Engine) -> Schedule:
    [schedule] = await schedules(engine)
    return schedule


async def made(
    guest: Guest,
    state: PostState,
    *,
    caption: str = "Good morning.",
    key: str = "k",
    job_id: int | None = None,
    also_in: Sequence[Place] = (),
) -> Post:
    """A post of this place, as it stands in the store."""
    place = await place_of(guest)
    options = {"targets": [there.id for there in also_in]} if also_in else {}
    now = guest.engine.clock.now()
    async with guest.engine.database.write() as tx:
        who = (await personas.listing(tx))[0]
        post = await store.add(
            tx,
            key=key,
            due_at=now + timedelta(hours=2),
            chat_id=place.id,
            persona_id=who.id,
            options=options,
            now=now,
        )
        assert post is not None
        told: dict[str, Any] = {"caption": caption, "source": Source.MODEL, "job_id": job_id}
        changed = await store.change(tx, post.id, was=[post.state], state=state, **told)
        assert changed is not None
        if state is PostState.PUBLISHED:
            for there, shown in ((place, ["m1", "m2"]), *((there, [f"m{there.id}0"]) for there in also_in)):
                delivery = await outbox.owe(
                    tx, there.id, DeliveryKind.POST, text=caption, post_id=post.id, now=now
                )
                await outbox.sent(tx, delivery, shown, now=now)
                await messages.shown(tx, there.id, delivery, shown)
    return changed


async def post_of(engine: Engine, post_id: int) -> Post:
    async with engine.database.read() as tx:
        return await store.get(tx, post_id)


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


class TestWhoMay:
    async def test_in_a_place_of_many_only_those_in_charge(self, engine: Engine, ben_in_hall: Guest) -> None:
        for order in (NINE, "/schedule", "/posts", "/pause", "/resume", "/schedule run 1", "/recall 1"):
            with pytest.raises(Refused, match="charge of this chat"):
                await ben_in_hall.does(order)
        ben_in_hall.in_charge = everybody
        assert "is saved" in await ben_in_hall.does(f"{NINE} --yes")

    async def test_what_is_of_another_place_is_there_for_operators_alone(
        self, engine: Engine, ana: Guest, ben: Guest, ben_in_hall: Guest
    ) -> None:
        ben_in_hall.in_charge = everybody
        await ben_in_hall.gets(f"{NINE} --yes")
        post = await made(ben_in_hall, PostState.WAITING)
        await ben.gets("/help")
        assert "Nothing is scheduled here." in await ben.does("/schedule")
        for part in ("pause", "resume", "run", "skip", "remove"):
            with pytest.raises(NotFound):
                await ben.does(f"/schedule {part} 1")
        for part in ("show", "approve", "skip", "recall", "picture", "caption"):
            with pytest.raises(NotFound):
                await ben.does(f"/posts {part} {post.id}")
        with pytest.raises(Refused, match="runs this house"):
            await ben.does("/posts all")
        assert "paused" in await ana.does("/schedule pause 1")
        assert f"place {(await place_of(ben_in_hall)).id}" in await ana.does("/posts all")
        assert "approved" in await ana.does(f"/posts approve {post.id}")

    async def test_only_operators_send_posts_elsewhere(
        self, engine: Engine, ana: Guest, ana_in_hall: Guest, ben: Guest
    ) -> None:
        told = await ana_in_hall.does("/schedule")
        hall = await place_of(ana_in_hall)
        assert f"This place has the number {hall.id}" in told
        assert "This place has the number" not in await ben.does("/schedule")
        with pytest.raises(Refused, match="runs this house"):
            await ben.does(f"{NINE} --to {hall.id}")
        with pytest.raises(NotFound, match="no place 77"):
            await ana.does(f"{NINE} --to 77")
        assert f"Also in #{hall.id}." in await ana.does(f"{NINE} --to {hall.id},#{hall.id} --yes")
        assert (await only(engine)).options["targets"] == [hall.id]

    async def test_nobody_fills_a_place_without_end(
        self, engine: Engine, clock: ManualClock, ben: Guest
    ) -> None:
        for _ in range(20):
            await ben.gets(f"{NINE} --yes")
        await clock.advance(120)
        with pytest.raises(Refused, match="20 schedules are the most"):
            await ben.does(f"{NINE} --yes")
        await ben.gets("/schedule remove 1")
        assert "is saved" in await ben.does(f"{NINE} --yes")


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


class TestPosts:
    async def test_are_listed_those_that_wait_first_with_buttons_for_each(self, ben: Guest) -> None:
        await ben.gets("/help")
        assert "nothing is planned" in await ben.does("/posts")
        published = await made(ben, PostState.PUBLISHED, key="a", caption="An hour ago.")
        waiting = await made(ben, PostState.WAITING, key="b", caption="Soon, " + "and again " * 40)
        [listed] = await ben.gets("/posts")
        assert listed.manner.quiet
        first, words, second, *_ = listed.text.splitlines()
        assert first.startswith(f"#{waiting.id} Sun 1 Mar 09:00 · ")
        assert first.endswith("waiting for approval")
        assert words.endswith("…”")
        assert second.endswith("published")
        assert orders_in(listed) == [
            *(f"posts {what} {waiting.id}" for what in ("approve", "picture", "caption", "skip")),
            f"posts recall {published.id}",
        ]
        assert all(len(row) <= 5 for row in listed.manner.buttons)

    async def test_can_be_looked_at_whole(self, ben: Guest) -> None:
        await ben.gets("/help")
        words = "Good morning. " * 30
        post = await made(ben, PostState.WAITING, caption=words)
        [shown] = await ben.gets(f"/posts show {post.id}")
        assert words.strip() in shown.text
        assert f"posts edit {post.id}" in orders_in(shown)

    async def test_show_their_picture_to_whoever_is_alone_with_the_house(
        self, engine: Engine, ben: Guest, ben_in_hall: Guest
    ) -> None:
        ben_in_hall.in_charge = everybody
        for guest, kinds in (
            (ben, [DeliveryKind.PICTURE, DeliveryKind.NOTICE]),
            (ben_in_hall, [DeliveryKind.NOTICE]),
        ):
            await guest.gets("/imagine the sea at dawn")
            job = (await guest.jobs())[-1]
            post = await made(guest, PostState.WAITING, key=guest.chat.chat, job_id=job.id)
            assert [row.kind for row in await guest.gets(f"/posts show {post.id}")] == [DeliveryKind.NOTICE]
            await guest.sees(job.id)
            await guest.owed()
            assert [row.kind for row in await guest.gets(f"/posts show {post.id}")] == kinds

    async def test_that_wait_are_approved_or_skipped(self, engine: Engine, ben: Guest) -> None:
        await ben.gets("/help")
        one, other = [await made(ben, PostState.WAITING, key=key) for key in "ab"]
        assert "is approved: Sun 1 Mar 09:00" in await ben.does(f"/posts approve {one.id}")
        assert "is skipped" in await ben.does(f"/posts skip #{other.id}")
        states = [(await post_of(engine, post.id)).state for post in (one, other)]
        assert states == [PostState.READY, PostState.SKIPPED]

    async def test_get_the_words_that_somebody_writes(self, engine: Engine, ben: Guest) -> None:
        await ben.gets("/help")
        post = await made(ben, PostState.WAITING)
        [asks] = await ben.gets(f"/posts edit {post.id}")
        assert asks.manner.question is not None
        assert asks.manner.question.prefill == "Good morning."
        [told] = await ben.gets("Good evening, all.")
        assert told.text.endswith("Good evening, all.")
        assert (await post_of(engine, post.id)).caption == "Good evening, all."
        with pytest.raises(Unsuitable):
            await ben.does(f"/posts edit {post.id} Turnips and a turnip.")
        longest = "x" * LONGEST
        assert longest in await ben.does(f"/posts edit {post.id} {longest}")
        with pytest.raises(BadRequest):
            await ben.does(f"/posts edit {post.id} {longest}x")

    async def test_get_other_words_from_whoever_writes_them(self, engine: Engine, ben: Guest) -> None:
        await ben.gets("/help")
        post = await made(ben, PostState.WAITING)
        await ben.gets(f"/posts caption {post.id}")
        assert (await post_of(engine, post.id)).caption != "Good morning."

    @pytest.mark.parametrize("order", ["/recall", "/posts recall"])
    async def test_are_taken_back_wherever_they_were_shown(
        self, engine: Engine, ben: Guest, order: str
    ) -> None:
        await ben.gets("/help")
        post = await made(ben, PostState.PUBLISHED)
        owed = await ben.gets(f"{order} {post.id}")
        removed = [row.manner.removes for row in owed if row.kind is DeliveryKind.REMOVAL]
        assert removed == [("m1", "m2")]
        assert "is taken back: 2 messages." in owed[-1].text or "is taken back: 2 messages." in owed[0].text
        assert (await post_of(engine, post.id)).state is PostState.RECALLED

    async def test_are_asked_for_by_number(self, ben: Guest) -> None:
        for wrong in ("/posts approve", "/posts show x", "/recall", "/posts approve 9999999999"):
            with pytest.raises(BadRequest, match="Which post"):
                await ben.does(wrong)

    async def test_of_a_place_rest_until_they_may_go_on(self, engine: Engine, ben: Guest) -> None:
        await ben.gets(f"{NINE} --yes")
        assert "until somebody says /resume" in await ben.does("/pause")
        assert "as planned" in await ben.does("/resume")

    async def test_of_one_persona_rest_and_go_on_without_the_others(self, engine: Engine, ben: Guest) -> None:
        await ben.gets(f"{NINE} --persona glenys --yes")
        await ben.gets('/schedule daily 10:00 "tea" --persona glenys --yes')
        await ben.gets('/schedule daily 11:00 "lunch" --persona everald --yes')
        await ben.gets("/schedule pause 2")
        told = await ben.does("/pause Glenys")
        assert told == "Glenys Prosser posts nothing here until somebody says /resume: one schedule rests."
        states = [one.state.value for one in await schedules(engine)]
        assert states == ["paused", "paused", "active"]
        listed = await ben.does("/schedule")
        assert "#1 Glenys Prosser" in listed
        assert listed.count("It is paused with all that its persona posts") == 1
        with pytest.raises(NotFound, match="nothing scheduled that could be paused"):
            await ben.does("/pause Glenys")
        assert "posts here again: one schedule goes on." in await ben.does("/resume glenys")
        states = [one.state.value for one in await schedules(engine)]
        assert states == ["active", "paused", "active"], "what was paused by itself still rests"
        with pytest.raises(NotFound, match="rests in this way"):
            await ben.does("/resume glenys")

    async def test_of_one_persona_rest_everywhere_when_an_operator_says_so(
        self, engine: Engine, ana: Guest, ben: Guest, ben_in_hall: Guest
    ) -> None:
        await ben.gets(f"{NINE} --persona glenys --yes")
        with pytest.raises(Refused, match="charge"):
            await ben_in_hall.does("/pause glenys")
        with pytest.raises(Refused, match="whoever runs"):
            await ben.does("/pause glenys --everywhere")
        with pytest.raises(BadRequest, match="Whose posts"):
            await ana.does("/pause --everywhere")
        await Guest(engine, ana.who, HALL, shared=True).gets(f"{NINE} --persona glenys --yes")
        assert "posts nothing everywhere" in await ana.does("/pause glenys --everywhere")
        assert [one.state.value for one in await schedules(engine)] == ["paused", "paused"]
        assert "posts here again: one" in await ben.does("/resume glenys")
        assert [one.state.value for one in await schedules(engine)] == ["active", "paused"]

    async def test_that_rest_with_their_persona_can_go_on_alone(self, engine: Engine, ben: Guest) -> None:
        await ben.gets(f"{NINE} --persona glenys --yes")
        await ben.gets("/pause glenys")
        await ben.gets("/schedule resume 1")
        assert (await only(engine)).options.get("with_persona") is None
        await ben.gets("/pause glenys")
        await ben.gets("/schedule pause 1")
        with pytest.raises(NotFound):
            await ben.does("/resume glenys")


def every_option(name: str) -> list[Option]:
    return [option for part in COMMANDS[name].parts for option in part.options]


def test_what_stands_alone_is_told_by_standing_there() -> None:
    switches = orders.switches_of(every_option("schedule"))
    assert set(switches) == {"text-only", "picture-only", "yes", "both"}
    cases: list[tuple[str, tuple[str, dict[str, Any]]]] = [
        ("a --yes b", ("a   b", {"yes": "yes"})),
        ("a —text-only", ("a", {"text-only": "yes"})),
        ('a --text-only "yes" b', ("a   b", {"text-only": "yes"})),
        ('a --yes "yes, we can"', ('a   "yes, we can"', {"yes": "yes"})),
        ("a --yesterday", ("a", {"yesterday": ""})),
    ]
    for words, expected in cases:
        assert orders.flagged(words, switches) == expected


class TestHeldPosts:
    """What was being shown when the house stopped, where a repeat would be seen."""

    async def held(self, guest: Guest, caption: str = "Good morning.") -> int:
        await guest.gets("/help")
        post = await made(guest, PostState.READY, caption=caption, key=caption)
        now = guest.engine.clock.now()
        async with guest.engine.database.write() as tx:
            place = await place_in(tx, guest)
            delivery = await outbox.owe(
                tx, place.id, DeliveryKind.POST, text=caption, post_id=post.id, now=now
            )
            await outbox.take(tx, [("stage", "one")], now=now)
            assert await outbox.recover(tx, [("stage", "one")], recognises_repeats=False) == (0, 1)
        return delivery

    async def test_are_shown_to_operators_with_two_buttons_each(self, ana: Guest, ben_in_hall: Guest) -> None:
        first, second = await self.held(ben_in_hall), await self.held(ben_in_hall, "Good evening.")
        [listed] = await ana.gets("/posts held")
        assert orders_in(listed) == [
            f"posts {what} {number}" for number in (first, second) for what in ("again", "arrived")
        ]
        assert f"place {(await place_of(ben_in_hall)).id} (stage hall)" in listed.text
        assert "“Good evening.”" in listed.text
        ben_in_hall.in_charge = everybody
        for order in ("/posts held", f"/posts again {first}", f"/posts arrived {first}"):
            with pytest.raises(Refused, match="runs this house"):
                await ben_in_hall.does(order)

    async def test_are_sent_again_or_left_as_they_are_and_asked_about_once(
        self, engine: Engine, ana: Guest, ben_in_hall: Guest
    ) -> None:
        first, second = await self.held(ben_in_hall), await self.held(ben_in_hall, "Good evening.")
        sent = await ana.gets(f"/posts again {first}")
        assert {row.id: row.text for row in sent}[first] == "Good morning."
        assert sent[-1].text == f"{first} is sent again."
        [told] = await ana.gets(f"/posts arrived #{second}")
        assert told.text == f"{second} has arrived; it is not sent again."
        assert await ana.does("/posts held") == "Nothing is held: all that was sent has arrived."
        with pytest.raises(NotFound, match=f"no held delivery {first}"):
            await ana.does(f"/posts again {first}")
        with pytest.raises(BadRequest, match="Which one"):
            await ana.does("/posts arrived yesterday's")

    async def test_beyond_a_screenful_are_counted(self, ana: Guest, ben_in_hall: Guest) -> None:
        for number in range(17):
            await self.held(ben_in_hall, f"Number {number}.")
        [listed] = await ana.gets("/posts held")
        assert listed.text.endswith("… and 2 more.")
        assert len(listed.manner.buttons) == 4

    async def test_are_spoken_of_in_german_too(self, ana: Guest, ben_in_hall: Guest) -> None:
        number = await self.held(ben_in_hall)
        await ana.gets("/settings language de")
        assert "Sieh nach, ob sie dastehen" in await ana.does("/posts held")
        assert f"{number} ist angekommen" in await ana.does(f"/posts arrived {number}")


class TestWhatAppearsInSeveralPlaces:
    """Ben has charge of the hall, where it is from; Cem of the yard, to which it also goes; Ana runs the house."""

    @pytest.fixture
    def ben(self, ben_in_hall: Guest) -> Guest:
        ben_in_hall.in_charge = everybody
        return ben_in_hall

    @pytest.fixture
    async def cem(self, engine: Engine) -> Guest:
        cem = Guest(
            engine,
            Account("stage", "cem", "Cem"),
            ChatRef("stage", "one", "yard"),
            shared=True,
            in_charge=everybody,
        )
        await cem.gets("/help")
        return cem

    async def test_is_scheduled_changed_and_posted_by_operators_alone(
        self, engine: Engine, ana_in_hall: Guest, ben: Guest, cem: Guest
    ) -> None:
        yard = await place_of(cem)
        await ana_in_hall.gets(f"{NINE} --to {yard.id} --yes")
        for order in ('edit 1 "buy at ben.example"', "edit 1 --picture-only", "run 1"):
            with pytest.raises(Refused, match="also posts in other places"):
                await ben.does(f"/schedule {order}")
        assert (await only(engine)).theme == "morning coffee"
        assert await engine.posting.posts() == []
        for order, told in (("pause 1", "paused"), ("resume 1", "goes on"), ("skip 1", "left out")):
            assert told in await ben.does(f"/schedule {order}")
        assert "is changed" in await ana_in_hall.does('/schedule edit 1 "tea"')
        assert "is being made" in await ana_in_hall.does("/schedule run 1")

    async def test_is_changed_where_it_is_from_by_those_in_charge_when_it_is_seen_there_alone(
        self, engine: Engine, ana_in_hall: Guest, ben: Guest
    ) -> None:
        await ben.gets("/help")
        await ana_in_hall.gets(f"{NINE} --to {(await place_of(ben)).id} --yes")
        assert "is changed" in await ben.does('/schedule edit 1 "tea"')

    async def test_says_nothing_that_those_in_charge_of_one_of_them_wrote(
        self, engine: Engine, ana_in_hall: Guest, ben: Guest, cem: Guest
    ) -> None:
        await ben.gets("/help")
        post = await made(ben, PostState.WAITING, also_in=[await place_of(cem)])
        for guest in (ben, cem):
            for order in ("approve", "picture", "caption", "edit"):
                with pytest.raises(Refused, match="goes to several places"):
                    await guest.does(f"/posts {order} {post.id} Buy at ben.example")
        with pytest.raises(Refused, match="goes to several places"):
            await cem.does(f"/posts skip {post.id}")
        assert (await post_of(engine, post.id)).caption == "Good morning."
        [listed] = await ben.gets("/posts")
        assert orders_in(listed) == [f"posts skip {post.id}"]
        [shown] = await ana_in_hall.gets(f"/posts show {post.id}")
        assert f"posts edit {post.id}" in orders_in(shown)
        assert "is skipped" in await ben.does(f"/posts skip {post.id}")

    async def test_is_listed_wherever_it_is_to_appear_or_did(
        self, engine: Engine, ben: Guest, cem: Guest
    ) -> None:
        await ben.gets("/help")
        hall, yard = await place_of(ben), await place_of(cem)
        await made(ben, PostState.WAITING, key="home", caption="At home.")
        coming = await made(ben, PostState.READY, key="coming", caption="Soon.", also_in=[yard])
        past = await made(ben, PostState.PUBLISHED, key="past", caption="Before.", also_in=[yard])
        [listed] = await cem.gets("/posts")
        assert [line for line in listed.text.splitlines() if line.startswith("#")] == [
            f"#{coming.id} Sun 1 Mar 09:00 · Jide · ready · place {hall.id}",
            f"#{past.id} Sun 1 Mar 09:00 · Jide · published · place {hall.id}",
        ]
        assert orders_in(listed) == [f"posts recall {past.id}"]
        assert "Before." in await cem.does(f"/posts show {past.id}")

    async def test_is_taken_back_in_one_of_them_by_those_in_charge_there(
        self, engine: Engine, ana: Guest, ben: Guest, cem: Guest
    ) -> None:
        await ben.gets("/help")
        post = await made(ben, PostState.PUBLISHED, also_in=[await place_of(cem)])
        yard = (await place_of(cem)).id
        owed = await cem.gets(f"/recall {post.id}")
        assert [(row.chat_id, row.manner.removes) for row in owed if row.manner.removes] == [
            (yard, (f"m{yard}0",))
        ]
        assert owed[-1].text == f"Post #{post.id} is taken back: one message. In other places it stays."
        assert (await post_of(engine, post.id)).state is PostState.PUBLISHED
        with pytest.raises(BadRequest, match="recalled"):
            await cem.does(f"/recall {post.id}")
        owed = await ana.gets(f"/recall {post.id}")
        assert [row.manner.removes for row in owed if row.manner.removes] == [("m1", "m2")]
        assert (await post_of(engine, post.id)).state is PostState.RECALLED

    async def test_is_taken_back_everywhere_by_those_in_charge_of_where_it_is_from(
        self, engine: Engine, ben: Guest, cem: Guest
    ) -> None:
        await ben.gets("/help")
        post = await made(ben, PostState.PUBLISHED, also_in=[await place_of(cem)])
        assert "taken back: 3 messages." in await ben.does(f"/recall {post.id}")
        assert (await post_of(engine, post.id)).state is PostState.RECALLED

    async def test_that_is_on_its_way_to_one_of_them_is_not_said_to_be_taken_back_there(
        self, engine: Engine, ben: Guest, cem: Guest
    ) -> None:
        await ben.gets("/help")
        yard = await place_of(cem)
        post = await made(ben, PostState.PUBLISHED, also_in=[yard])
        async with engine.database.write() as tx:
            now = engine.clock.now()
            late = await outbox.owe(tx, yard.id, DeliveryKind.POST, text="x", post_id=post.id, now=now)
            assert [row.id for row in await outbox.take(tx, [("stage", "one")], now=now)] == [late]
        said = await cem.orders(f"/recall {post.id}")
        with pytest.raises(BadRequest, match="on its way"):
            await cem.run(said)


class HouseDiedError(Exception):
    """Where a house is killed, nothing of this is ever caught."""


class TestAnOrder:
    """What it changes and what is told of it are one transaction: after a crash it happened once, or not at all."""

    @pytest.mark.parametrize(
        "order",
        [
            '/schedule daily 10:00 "tea" --yes',
            "/schedule run 1",
            "/schedule skip 1",
            "/schedule pause 1",
            "/schedule resume 2",
            "/schedule remove 1",
            '/schedule edit 1 "tea"',
            "/posts approve 1",
            "/posts skip 1",
            "/posts picture 1",
            "/posts edit 1 Good evening.",
            "/recall 2",
            "/pause",
            "/pause babajide-ogunleye",
        ],
    )
    async def test_that_a_crash_interrupts_is_carried_out_once(
        self, engine: Engine, clock: ManualClock, ben: Guest, monkeypatch: pytest.MonkeyPatch, order: str
    ) -> None:
        for _ in range(2):
            await ben.gets(f"{NINE} --yes")
        await ben.gets("/schedule pause 2")
        await made(ben, PostState.WAITING, key="a")
        await made(ben, PostState.PUBLISHED, key="b")
        before = await self.rows(engine)
        said = await ben.orders(order)
        await ben.owed()

        async def dies(_call: Call, _answer: Answer) -> None:
            raise HouseDiedError

        with monkeypatch.context() as killed:
            killed.setattr(Call, "_owe", dies)
            with pytest.raises(HouseDiedError):
                await ben.run(said)
        assert await self.rows(engine) == before
        assert await ben.owed() == []
        clock.jump(timedelta(seconds=3))
        await ben.run(said)
        once = await self.rows(engine)
        assert once != before
        assert await ben.owed()
        with suppress(GreenroomError):  # what it names may be gone by now
            await ben.run(said)
        assert await self.rows(engine) == once
        assert await ben.owed() == []

    async def rows(self, engine: Engine) -> list[Any]:
        async with engine.database.read() as tx:
            settings = [row.settings for row in await tx.execute(tables.chats.select())]
        return [await schedules(engine), await engine.posting.posts(), settings]

    async def test_to_save_that_is_given_twice_at_once_saves_once(self, engine: Engine, ben: Guest) -> None:
        [asks] = await ben.gets(NINE)
        pressed = [await ben.orders(f"/{orders_in(asks)[0]}") for _ in range(2)]
        await asyncio.gather(*map(ben.run, pressed))
        assert len(await schedules(engine)) == 1

    async def test_to_post_now_counts_once_whenever_it_is_carried_out(
        self, engine: Engine, ben: Guest
    ) -> None:
        await ben.gets(f"{NINE} --yes")
        said = await ben.orders("/schedule run 1")
        await ben.run(said)
        assert (await post_of(engine, 1)).occurrence_key == f"schedule:1:now:turn:{said.turn.id}"


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


async def test_german_has_one_word_for_each_thing_that_is_posted(ben: Guest) -> None:
    await ben.gets("/settings language de")
    told = [
        await ben.does(order)
        for order in (
            f"{NINE} --yes",
            "/schedule run 1",
            "/posts skip 1",
            "/posts show 1",
            "/schedule skip 1",
            "/schedule remove 1",
        )
    ]
    assert "Zeitplan #1 gilt." in told[0]
    assert told[1].startswith("Beitrag #1 entsteht")
    assert told[2] == "Beitrag #1 wird übersprungen."
    assert "Jide · übersprungen" in told[3]
    assert "Jemand hat ihn übersprungen." in told[3]
    for words in told:
        assert not re.search(r"\b(Post|Posts|Plan|Pläne)\b", words)
