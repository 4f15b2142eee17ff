"""The updates of one bot: made once, kept until they are confirmed, in order. It knows nothing of what is in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.servers.telegram.bell import Bell
from tests.servers.telegram.rules import JSON

#: Sent only to those who ask for them by name.
ON_REQUEST = frozenset({"chat_member", "message_reaction", "message_reaction_count"})


@dataclass
class Pending:
    """An update that waits to be confirmed. One told again goes out once, whatever the offset says."""

    update: JSON
    lane: object
    again: bool = False

    @property
    def id(self) -> int:
        number: int = self.update["update_id"]
        return number


@dataclass
class Webhook:
    """Where a bot wants its updates, and how that went."""

    url: str
    secret: str | None = None
    max_connections: int = 40
    last_error: str | None = None
    last_error_date: int | None = None


@dataclass
class Mailbox:
    """What one bot has not confirmed yet."""

    last_id: int
    pending: deque[Pending] = field(default_factory=deque)
    log: list[JSON] = field(default_factory=list)
    allowed: frozenset[str] | None = None
    webhook: Webhook | None = None
    bell: Bell = field(default_factory=Bell)

    def wants(self, kind: str) -> bool:
        return kind in self.allowed if self.allowed else kind not in ON_REQUEST

    def allow(self, kinds: Iterable[str] | None) -> None:
        """As the real one does: nothing said changes nothing, an empty list is the default again."""
        if kinds is not None:
            self.allowed = frozenset(kinds) or None

    def put(self, kind: str, payload: JSON, lane: object) -> JSON | None:
        """Make the next update; None if the bot does not want its kind."""
        if not self.wants(kind):
            return None
        update = {"update_id": self._next_id(), kind: payload}
        self.log.append(update)
        self.pending.append(Pending(update, lane))
        self.bell.ring()
        return update

    def put_raw(self, fields: JSON, *, once: bool) -> JSON:
        """Any update at all, valid or not. Its id is ours unless it brings one."""
        update = {"update_id": self._next_id(), **fields}
        self.log.append(update)
        self.pending.append(Pending(update, None, again=once))
        self.bell.ring()
        return update

    def put_again(self, update: JSON, lane: object = None) -> None:
        """Before all others, so that the last id of an answer is still the highest."""
        self.pending.appendleft(Pending(update, lane, again=True))
        self.bell.ring()

    def _next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def confirm(self, offset: int) -> None:
        """All below the offset are done with; a negative one keeps only the last few."""
        if offset < 0:
            while len(self.pending) > -offset:
                self.pending.popleft()
        elif offset:
            self.pending = deque(one for one in self.pending if one.again or one.id >= offset)

    def batch(self, limit: int) -> list[JSON]:
        """What a poll is answered with. What is told again is thereby done with."""
        chosen = [self.pending[at] for at in range(min(limit, len(self.pending)))]
        for one in chosen:
            if one.again:
                self.pending.remove(one)
        return [one.update for one in chosen]
