"""/schedule and /posts are for those in charge; what is seen in several places, for operators."""

from __future__ import annotations

import pytest

from engine.engine import Engine
from engine.errors import BadRequest, NotFound, Refused
from engine.store import outbox
from engine.store.records import Account, ChatRef, DeliveryKind, PostState
from engine.testing import ManualClock
from tests.bot.commands.guest import Guest, everybody, orders_in
from tests.bot.commands.posts.planned import NINE, made, only, place_of, post_of


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
