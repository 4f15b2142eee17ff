"""The page for the contract suite of fronts: a chat whose messages are rows, and a tab that watches it."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from bot.web.pages import Pages
from engine.clock import SystemClock
from engine.store import chats, outbox
from engine.store.database import Database
from engine.store.records import DeliveryKind

#: The suite delivers what it makes up; here a message belongs to a row of the outbox.
OWED = 9


class OnAPage:
    """Rows stay, so it does not matter whether a tab is open."""

    notices_absence = False

    def __init__(self, database: Database, file: Path) -> None:
        self.front = Pages(database, SystemClock())
        self.chat = self.front.chat("home")
        self._file = file
        self._stack = ExitStack()

    async def come(self) -> None:
        watcher = self._stack.enter_context(self.front.watchers.joined())
        await self.front.join(watcher, self.chat, "home", 0)

    async def leave(self) -> None:
        self._stack.close()

    def seen(self) -> list[str]:
        """What whoever opens the page now is going to see."""
        rows = sqlite3.connect(self._file)
        try:
            return [text for (text,) in rows.execute("SELECT text FROM messages WHERE NOT gone ORDER BY id")]
        finally:
            rows.close()

    def listening(self) -> asyncio.Task[None] | None: ...


@asynccontextmanager
async def on_a_page() -> AsyncIterator[OnAPage]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "greenroom.db"
        database = await Database.open(f"sqlite:///{file}")
        try:
            place = OnAPage(database, file)
            now = datetime.now(UTC)
            async with database.write() as tx:
                there = await chats.add_place(tx, place.chat, persona_id=None, now=now)
                for _ in range(OWED):
                    await outbox.owe(tx, there.id, DeliveryKind.NOTICE, now=now)
            yield place
            await place.leave()
        finally:
            await database.close()
