"""Brings updates to where a bot wants them: in order within a chat, side by side across chats, again until a 2xx."""

from __future__ import annotations

import asyncio
from collections import deque

import aiohttp

from tests.servers.telegram.mailbox import Pending, Webhook
from tests.servers.telegram.world import Bot, World

LONGEST_PAUSE = 32.0


class Postman:
    """One round per bot that has a webhook; all of them end with the server."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rounds: dict[int, asyncio.Task[None]] = {}

    async def follow(self, bot: Bot) -> None:
        """The webhook of a bot was set or taken away: end its old round, begin a new one."""
        await self._end(self._rounds.pop(bot.id, None))
        if bot.mailbox.webhook is not None:
            self._rounds[bot.id] = asyncio.create_task(self._round(bot, bot.mailbox.webhook))

    async def close(self) -> None:
        rounds, self._rounds = self._rounds, {}
        for task in rounds.values():
            await self._end(task)

    @staticmethod
    async def _end(task: asyncio.Task[None] | None) -> None:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _round(self, bot: Bot, hook: Webhook) -> None:
        box = bot.mailbox
        lanes: dict[object, deque[Pending]] = {}
        taken: set[int] = set()
        hands = asyncio.Semaphore(hook.max_connections)
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            while True:
                for pending in [one for one in box.pending if id(one) not in taken]:
                    taken.add(id(pending))
                    lane = lanes.setdefault(pending.lane, deque())
                    lane.append(pending)
                    if len(lane) == 1:
                        group.create_task(self._lane(bot, hook, lane, taken, hands, session))
                await box.bell.wait()

    async def _lane(
        self,
        bot: Bot,
        hook: Webhook,
        lane: deque[Pending],
        taken: set[int],
        hands: asyncio.Semaphore,
        session: aiohttp.ClientSession,
    ) -> None:
        while lane:
            pending, pause = lane[0], 1.0
            while pending in bot.mailbox.pending:
                async with hands:
                    fine = await self._bring(hook, pending, session)
                if fine:
                    bot.mailbox.pending.remove(pending)
                    break
                await asyncio.sleep(pause * self._world.scale)
                pause = min(pause * 2, LONGEST_PAUSE)
            taken.discard(id(pending))
            lane.popleft()
            self._world.bell.ring()

    async def _bring(self, hook: Webhook, pending: Pending, session: aiohttp.ClientSession) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook.secret} if hook.secret else {}
        timeout = aiohttp.ClientTimeout(total=60)
        try:
            async with session.post(
                hook.url, json=pending.update, headers=headers, timeout=timeout
            ) as answer:
                await answer.read()
                if 200 <= answer.status < 300:
                    return True
                hook.last_error = f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            hook.last_error = f"Connection failed: {error}"
        hook.last_error_date = self._world.date()
        return False
