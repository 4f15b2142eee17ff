"""The websocket side: sessions that identify, are kept alive, miss events and resume, and what each may hear.

It does not know what events mean; it looks only at who may have them, and hides what an intent would show.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from tests.servers.discord.faults import Faults
from tests.servers.discord.messages import redacted
from tests.servers.discord.permissions import GUILD_MEMBERS, INTENTS, MESSAGE_CONTENT, PRESENCES
from tests.servers.discord.world import Bot, World

Json = dict[str, Any]

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE, RESUME, RECONNECT = 0, 1, 2, 3, 4, 6, 7
REQUEST_MEMBERS, INVALID_SESSION, HELLO, HEARTBEAT_ACK, SOUNDBOARD = 8, 9, 10, 11, 31
#: Events that a session may have missed and still catch up with.
REMEMBERED = 5000
#: A bot hears of changes to itself without the members intent.
OWN = "GUILD_MEMBER_UPDATE"


@dataclass(eq=False)
class Connection:
    """One websocket: what is to go out, in order."""

    socket: web.WebSocketResponse
    compressor: Any
    monotonic: Callable[[], float]
    outgoing: asyncio.Queue[Json | int] = field(default_factory=asyncio.Queue)
    session: Session | None = None
    closed_at: float | None = None
    beat_at: float = 0.0
    received: deque[float] = field(default_factory=deque)

    def send(self, op: int, data: object = None, **more: object) -> None:
        if self.closed_at is None:
            self.outgoing.put_nowait({"op": op, "d": data, "s": None, "t": None, **more})

    def close(self, code: int) -> None:
        if self.closed_at is None:
            self.closed_at = self.monotonic()
            self.outgoing.put_nowait(code)

    async def write(self) -> None:
        """Send what is to go out until something closes."""
        try:
            while True:
                item = await self.outgoing.get()
                if isinstance(item, int):
                    await self.socket.close(code=item)
                    return
                text = json.dumps(item, separators=(",", ":"))
                if self.compressor is None:
                    await self.socket.send_str(text)
                else:
                    packed = self.compressor.compress(text.encode())
                    await self.socket.send_bytes(packed + self.compressor.flush(zlib.Z_SYNC_FLUSH))
        except ConnectionError:
            # The other side is gone; the reader finds that out too.
            return


@dataclass(eq=False)
class Session:
    id: str
    bot: Bot
    shard: int
    shards: int
    intents: int
    connection: Connection | None
    sequence: int = 0
    lost_at: float | None = None
    remembered: deque[tuple[int, str, Json]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def has(self, guild_id: int | None) -> bool:
        return self.shard == ((guild_id >> 22) % self.shards if guild_id else 0)

    def may_hear(self, event: str, data: Json, guild_id: int | None) -> bool:
        inside, outside = INTENTS.get(event, (-1, -1))
        if event == OWN and data["user"]["id"] == str(self.bot.id):
            return True
        return bool(self.intents & (inside if guild_id else outside))

    def put(self, event: str, data: Json) -> Connection | None:
        if event.startswith("MESSAGE_") and "author" in data and not self.intents & MESSAGE_CONTENT:
            data = redacted(data, self.bot.id)
        self.sequence += 1
        self.remembered.append((self.sequence, event, data))
        if self.connection is not None:
            self.connection.send(DISPATCH, data, s=self.sequence, t=event)
        return self.connection


class Gateway:
    def __init__(self, world: World, *, faults: Callable[[], Faults], max_concurrency: int) -> None:
        self._world = world
        self._faults = faults
        self._max_concurrency = max_concurrency
        self._sessions: dict[str, Session] = {}
        self._connections: set[Connection] = set()
        self._identified: dict[tuple[int, int], float] = {}
        self.url = ""
        #: Seconds between heartbeats. Shorter than half a second would be noise.
        self.heartbeat = max(0.5, 41.25 * world.scale)
        #: How long a lost session can be resumed; a client's own back-off is not scaled, so it has a floor.
        self.resumable_for = max(30.0, 180.0 * world.scale)

    # For the rest of the server.

    def dispatch(self, bot: Bot, event: str, data: Json, guild_id: int | None) -> list[Connection]:
        reached = []
        for session in self._of(bot):
            if session.has(guild_id) and session.may_hear(event, data, guild_id):
                connection = session.put(event, data)
                if connection is not None:
                    reached.append(connection)
                    if self._faults().disconnects():
                        self._lose(connection, 4000)
        return reached

    def sessions(self, bot: Bot) -> list[Session]:
        return self._of(bot)

    def connected(self, bot: Bot) -> bool:
        return any(session.connection is not None for session in self._of(bot))

    def disconnect(self, bot: Bot, *, resumable: bool, code: int = 4000) -> None:
        for session in self._of(bot):
            if not resumable:
                del self._sessions[session.id]
            if session.connection is not None:
                self._lose(session.connection, code)

    def ask_reconnect(self, bot: Bot) -> None:
        for session in self._of(bot):
            if session.connection is not None:
                session.connection.send(RECONNECT)

    async def close(self) -> None:
        for connection in list(self._connections):
            connection.close(WSCloseCode.GOING_AWAY)

    def _of(self, bot: Bot) -> list[Session]:
        return [session for session in self._sessions.values() if session.bot is bot]

    def _lose(self, connection: Connection, code: int) -> None:
        session = connection.session
        connection.close(code)
        if session is not None and session.connection is connection:
            session.connection = None
            session.lost_at = self._world.monotonic()

    # One connection.

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        wanted = request.query.get("compress")
        socket = web.WebSocketResponse(max_msg_size=1 << 20, compress=False)
        await socket.prepare(request)
        packer = zlib.compressobj() if wanted == "zlib-stream" else None
        connection = Connection(socket, packer, self._world.monotonic, beat_at=self._world.monotonic())
        if wanted not in (None, "zlib-stream") or request.query.get("encoding", "json") != "json":
            # zstd-stream is asked for only where its library is; see DISCORD.md.
            await socket.close(code=4000)
            return socket
        self._connections.add(connection)
        connection.send(HELLO, {"heartbeat_interval": int(self.heartbeat * 1000)})
        writer = asyncio.create_task(connection.write())
        watch = asyncio.create_task(self._watch(connection))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._hear(connection, message.data)
        finally:
            self._lost(connection, socket.close_code)
            for task in (watch, writer):
                task.cancel()
            await asyncio.gather(watch, writer, return_exceptions=True)
        return socket

    def _lost(self, connection: Connection, code: int | None) -> None:
        self._connections.discard(connection)
        if connection.closed_at is None:
            connection.closed_at = self._world.monotonic()
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
            session.lost_at = self._world.monotonic()
            if code in (1000, 1001):
                self._sessions.pop(session.id, None)

    async def _watch(self, connection: Connection) -> None:
        while connection.closed_at is None:
            await asyncio.sleep(self.heartbeat)
            silent = self._world.monotonic() - connection.beat_at
            if connection.closed_at is None and silent > max(3.0, 2.5 * self.heartbeat):
                self._world.ledger.breach("heartbeat missed", f"{silent:.1f} s of silence")
                self._lose(connection, 4009)

    def _hear(self, connection: Connection, text: str) -> None:
        if not self._within_pace(connection):
            return
        try:
            heard = json.loads(text)
            op, data = heard["op"], heard.get("d")
        except (ValueError, KeyError, TypeError):
            self._world.ledger.breach("not JSON on the gateway", text[:80])
            self._lose(connection, 4002)
            return
        if op == HEARTBEAT:
            connection.beat_at = self._world.monotonic()
            connection.send(HEARTBEAT_ACK)
        elif op == IDENTIFY:
            self._identify(connection, data)
        elif op == RESUME:
            self._resume(connection, data)
        elif connection.session is None:
            self._lose(connection, 4003)
        elif op == REQUEST_MEMBERS:
            self._members(connection.session, data)
        elif op not in (PRESENCE, VOICE, SOUNDBOARD):
            self._world.ledger.breach("unknown gateway opcode", str(op))
            self._lose(connection, 4001)

    def _within_pace(self, connection: Connection) -> bool:
        now = self._world.monotonic()
        connection.received.append(now)
        while connection.received[0] < now - 60.0 * self._world.scale:
            connection.received.popleft()
        if len(connection.received) > 120 and connection.closed_at is None:
            self._world.ledger.breach("more than 120 gateway sends a minute")
            self._lose(connection, 4008)
        return connection.closed_at is None

    def _identify(self, connection: Connection, data: Json) -> None:
        bot = self._world.bots.get(str(data.get("token", "")).removeprefix("Bot "))
        if bot is None:
            return self._lose(connection, 4004)
        if connection.session is not None:
            self._world.ledger.breach("identified twice on one connection")
            return self._lose(connection, 4005)
        shard, shards = data.get("shard") or (0, 1)
        if not 0 <= shard < shards:
            return self._lose(connection, 4010)
        intents = int(data["intents"])
        if intents & (MESSAGE_CONTENT | GUILD_MEMBERS | PRESENCES) & ~bot.privileged:
            return self._lose(connection, 4014)
        now = self._world.monotonic()
        turn = (bot.id, shard % self._max_concurrency)
        if now - self._identified.get(turn, float("-inf")) < 5.0 * self._world.scale:
            self._world.ledger.breach("identified more than once in 5 s", f"{bot.name}, shard {shard}")
            connection.send(INVALID_SESSION, False)
            return None
        self._identified[turn] = now
        for old in [one for one in self._of(bot) if one.connection is None and one.shard == shard]:
            # A process that died never comes back for it.
            del self._sessions[old.id]
        session = Session(secrets.token_hex(16), bot, shard, shards, intents, connection)
        self._sessions[session.id] = session
        connection.session = session
        guilds = [one for one in self._world.guilds.values() if bot.id in one.members and session.has(one.id)]
        ready = {
            "v": 10,
            "user": {**bot.payload, "verified": True, "mfa_enabled": True, "email": None, "flags": 0},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "shard": [shard, shards],
            "application": {"id": str(bot.id), "flags": bot.flags},
        }
        session.put("READY", ready)
        for guild in guilds:
            event = guild.create_event(bot, members=bool(intents & GUILD_MEMBERS))
            if session.may_hear("GUILD_CREATE", event, guild.id):
                session.put("GUILD_CREATE", event)
        return None

    def _resume(self, connection: Connection, data: Json) -> None:
        session = self._sessions.get(str(data.get("session_id")))
        bot = self._world.bots.get(str(data.get("token", "")).removeprefix("Bot "))
        if bot is None:
            return self._lose(connection, 4004)
        sequence = int(data.get("seq") or 0)
        lost_at = session.lost_at if session else None
        too_late = lost_at is not None and self._world.monotonic() - lost_at > self.resumable_for
        gap = session is not None and session.remembered and session.remembered[0][0] > sequence + 1
        if session is None or session.bot is not bot or too_late or gap:
            connection.send(INVALID_SESSION, False)
            return None
        if sequence > session.sequence:
            self._world.ledger.breach("resumed with a sequence of the future")
            return self._lose(connection, 4007)
        if session.connection is not None:
            self._lose(session.connection, 4000)
        session.connection, session.lost_at, connection.session = connection, None, session
        for number, event, missed in session.remembered:
            if number > sequence:
                connection.send(DISPATCH, missed, s=number, t=event)
        session.put("RESUMED", {})
        return None

    def _members(self, session: Session, data: Json) -> None:
        guild = self._world.guilds.get(int(data["guild_id"]))
        if guild is None or session.bot.id not in guild.members:
            return
        if data.get("query") == "" and not data.get("limit") and not session.intents & GUILD_MEMBERS:
            self._world.ledger.breach("asked for every member without the intent")
            return
        ids = data.get("user_ids")
        wanted = {int(one) for one in (ids if isinstance(ids, list) else [ids])} if ids else None
        query = str(data.get("query") or "").lower()
        found = [
            member.payload()
            for member in guild.members.values()
            if (
                member.user.id in wanted if wanted is not None else member.user.name.lower().startswith(query)
            )
        ]
        session.put(
            "GUILD_MEMBERS_CHUNK",
            {
                "guild_id": str(guild.id),
                "members": found,
                "chunk_index": 0,
                "chunk_count": 1,
                "not_found": [],
                **({"nonce": data["nonce"]} if data.get("nonce") else {}),
            },
        )
