"""/posts held: what may have arrived and may not, for operators."""

from __future__ import annotations

import pytest

from engine.engine import Engine
from engine.errors import BadRequest, NotFound, Refused
from engine.store import outbox
from engine.store.records import DeliveryKind, PostState
from tests.bot.commands.guest import Guest, everybody, orders_in
from tests.bot.commands.posts.planned import made, place_in, place_of


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
