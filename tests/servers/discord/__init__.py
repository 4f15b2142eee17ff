"""Discord's REST API and gateway on loopback, strict enough to prove a bot by. See DISCORD.md beside this folder."""

from __future__ import annotations

from tests.servers.discord.channels import Channel, Happening, NotOffered
from tests.servers.discord.faults import Fault, Faults, Hold
from tests.servers.discord.interactions import Interaction
from tests.servers.discord.ledger import Breach, Ledger
from tests.servers.discord.messages import Attachment, Button, Face, Message, Select, Webhook
from tests.servers.discord.server import DiscordServer, pointed_at
from tests.servers.discord.world import Bot, Guild, Person, Role, User

__all__ = [
    "Attachment",
    "Bot",
    "Breach",
    "Button",
    "Channel",
    "DiscordServer",
    "Face",
    "Fault",
    "Faults",
    "Guild",
    "Happening",
    "Hold",
    "Interaction",
    "Ledger",
    "Message",
    "NotOffered",
    "Person",
    "Role",
    "Select",
    "User",
    "Webhook",
    "pointed_at",
]
