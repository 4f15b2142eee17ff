"""A Telegram Bot API server on loopback that enforces, injects faults and counts: see TELEGRAM.md beside it."""

from __future__ import annotations

from tests.servers.telegram.acting import Chat
from tests.servers.telegram.faults import Fault, Faults, Hold
from tests.servers.telegram.rules import Breach, Rate, Rates, Rule
from tests.servers.telegram.server import TelegramServer
from tests.servers.telegram.world import (
    Answer,
    Bot,
    Button,
    Draft,
    Event,
    Message,
    Person,
    Press,
    Topic,
    entity,
)

__all__ = [
    "Answer",
    "Bot",
    "Breach",
    "Button",
    "Chat",
    "Draft",
    "Event",
    "Fault",
    "Faults",
    "Hold",
    "Message",
    "Person",
    "Press",
    "Rate",
    "Rates",
    "Rule",
    "TelegramServer",
    "Topic",
    "entity",
]
