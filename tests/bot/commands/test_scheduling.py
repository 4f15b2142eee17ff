"""/schedule and /posts: shown before it is kept, kept once, for those in charge alone; and a word on each post."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot import orders
from bot.commands import COMMANDS
from bot.front import Option
from engine.engine import Engine
from engine.errors import BadRequest, NotFound, Refused, Unsuitable
from engine.language import Source
from engine.settings import PeopleSettings, PostSettings, SafetySettings, Settings
from engine.store import chats, messages, outbox, personas
from engine.store import posts as store
from engine.store.records import Account, DeliveryKind, Place, Post, PostState, Schedule, ScheduleState
from engine.testing import ManualClock
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
) -> Post:
    """A post of this place, as it stands in the store."""
    place = await place_of(guest)
    now = guest.engine.clock.now()
    async with guest.engine.database.write() as tx:
        who = (await personas.listing(tx))[0]
        post = await store.add(
            tx, key=key, due_at=now + timedelta(hours=2), chat_id=place.id, persona_id=who.id, now=now
        )
        assert post is not None
        told: dict[str, Any] = {"caption": caption, "source": Source.MODEL, "job_id": job_id}
        changed = await store.change(tx, post.id, was=[post.state], state=state, **told)
        assert changed is not None
        if state is PostState.PUBLISHED:
            delivery = await outbox.owe(
                tx, place.id, DeliveryKind.POST, text=caption, post_id=post.id, now=now
            )
            await outbox.sent(tx, delivery, ["m1", "m2"], now=now)
            await messages.shown(tx, place.id, delivery, ["m1", "m2"])
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
        assert first.endswith("waits for approval")
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
        with pytest.raises(BadRequest):
            await ben.does(f"/posts edit {post.id} " + "x" * 2_000)

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
