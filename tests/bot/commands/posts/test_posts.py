"""/posts, /recall, /pause and /resume: what is to come and what was, and a word on each."""

from __future__ import annotations

import re

import pytest

from engine.captions import LONGEST
from engine.engine import Engine
from engine.errors import BadRequest, NotFound, Refused, Unsuitable
from engine.store.records import DeliveryKind, PostState
from tests.bot.commands.guest import HALL, Guest, everybody, orders_in
from tests.bot.commands.posts.planned import NINE, made, only, post_of, schedules


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
