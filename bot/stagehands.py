"""What has to be cleared away before something is shown, and what begins once it is: between the outbox, which shows
things for good, and those who draw on the same messages before.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from bot.desk import Desk
from bot.progress import Easels
from engine import forgetting
from engine.engine import Engine
from engine.store.records import Delivery, DeliveryKind


class Stagehands:
    def __init__(self, engine: Engine, desk: Desk, easels: Easels) -> None:
        self._desk = desk
        self._easels = easels
        self._to_sweep = asyncio.Event()
        self._sweep = forgetting.Sweep(engine.database, engine.thumbs, engine.queue, engine.clock)

    async def before(self, row: Delivery) -> None:
        """What a delivery takes the place of is no longer written or drawn on."""
        if row.job_id is not None:
            await self._easels.let_go(row.job_id)
        under = row.manner.drafted_under or row.answers_id
        if row.kind is DeliveryKind.REPLY and under is not None:
            await self._desk.pen_down(row.chat, under)

    def after(self, row: Delivery) -> None:
        """It is there: the message of a job says from here on how the job stands."""
        if row.job_id is not None and row.kind is DeliveryKind.NOTICE:
            self._easels.take_up(row.job_id)
        if row.answers_id is not None and row.person_id is None:
            # Whoever it was told to has been forgotten, and knows it now.
            self._to_sweep.set()

    async def sweep(self) -> None:
        """Remove what is left of those who were forgotten: at the start, and whenever one of them was told so."""
        while True:
            self._to_sweep.clear()
            more_in = await self._sweep.make()
            with suppress(TimeoutError):
                async with asyncio.timeout(more_in):
                    await self._to_sweep.wait()
