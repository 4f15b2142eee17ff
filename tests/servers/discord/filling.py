"""What the app lets a person fill in: the options of a command, the inputs of a form. Pure but for uploads.

Whatever the app would not let through raises `NotOffered`, so a test cannot send what no person could.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.servers.discord import rules
from tests.servers.discord.channels import Channel, NotOffered
from tests.servers.discord.messages import Attachment
from tests.servers.discord.world import Role, User

Json = dict[str, Any]
STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, FILE = range(3, 12)


def fill_options(
    channel: Channel,
    command: Json,
    path: Sequence[str],
    given: Mapping[str, object],
    resolved: Json,
) -> list[Json]:
    inner, steps = inner_of(command, path)
    left = dict(given)
    options: list[Json] = []
    for option in inner.get("options") or ():
        if option["name"] in left:
            value = _value(channel, option, left.pop(option["name"]), resolved)
            options.append({"name": option["name"], "type": option["type"], "value": value})
        elif option.get("required"):
            raise NotOffered(f"{option['name']} is required")
    if left:
        raise NotOffered(f"/{command['name']} has no option {sorted(left)}")
    for kind, part in reversed(steps):
        options = [{"name": part, "type": kind, "options": options}]
    return options


def _value(channel: Channel, option: Json, value: object, resolved: Json) -> object:
    kind = option["type"]
    fits = {STRING: (str,), INTEGER: (int,), BOOLEAN: (bool,), NUMBER: (int, float), USER: (User,)}
    if not isinstance(value, fits.get(kind, (object,))) or (isinstance(value, bool) and kind != BOOLEAN):
        raise NotOffered(f"{option['name']} cannot be {value!r}")
    if option.get("choices"):
        by_name = {one["name"]: one["value"] for one in option["choices"]}
        if value not in by_name and value not in by_name.values():
            raise NotOffered(f"{option['name']} is one of {sorted(by_name)}")
        return by_name.get(value, value) if isinstance(value, str) else value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        least, most = option.get("min_value"), option.get("max_value")
        if (least is not None and value < least) or (most is not None and value > most):
            raise NotOffered(f"{option['name']} lies between {least} and {most}")
    if isinstance(value, str):
        if not option.get("min_length", 0) <= len(value) <= option.get("max_length", 6000):
            raise NotOffered(f"{option['name']} is too short or too long")
        return value
    if kind == FILE and isinstance(value, tuple):
        value = channel.attach(*value)
    return resolve(channel, value, resolved)


def resolve(channel: Channel, value: object, resolved: Json) -> object:
    if isinstance(value, User):
        resolved.setdefault("users", {})[str(value.id)] = value.payload
        if channel.guild and value.id in channel.guild.members:
            member = channel.guild.members[value.id].payload(user=False)
            rights = str(channel.permissions_of(value))
            resolved.setdefault("members", {})[str(value.id)] = {**member, "permissions": rights}
    elif isinstance(value, Role):
        resolved.setdefault("roles", {})[str(value.id)] = value.payload
    elif isinstance(value, Channel):
        resolved.setdefault("channels", {})[str(value.id)] = {**value.payload(), "permissions": "0"}
    elif isinstance(value, Attachment):
        resolved.setdefault("attachments", {})[str(value.id)] = value.payload
    else:
        return value
    return str(value.id)


def inner_of(command: Json, path: Sequence[str]) -> tuple[Json, list[tuple[int, str]]]:
    """The subcommand that a path names, and the steps to it."""
    inner, steps = command, []
    for part in path:
        inner = next((one for one in inner.get("options") or () if one["name"] == part), {})
        if inner.get("type") not in rules.SUBCOMMANDS:
            raise NotOffered(f"/{command['name']} has no {part!r}")
        steps.append((int(inner["type"]), part))
    if any(one["type"] in rules.SUBCOMMANDS for one in inner.get("options") or ()):
        raise NotOffered(f"/{command['name']} alone does nothing")
    return inner, steps


def fill_input(part: Json, label: object, value: object) -> Json:
    """One input of a form, filled in as the app would let a person."""
    kind, custom_id = part["type"], part["custom_id"]
    if kind != rules.TEXT_INPUT:
        chosen = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        if kind == 23:
            return {"type": kind, "custom_id": custom_id, "value": bool(value)}
        if kind == 21:
            return {"type": kind, "custom_id": custom_id, "value": value}
        return {"type": kind, "custom_id": custom_id, "values": [str(one) for one in chosen]}
    text = str(part.get("value") or "" if value is None else value)
    if not text and part.get("required", True):
        raise NotOffered(f"{label!r} must be filled in")
    if text and not int(part.get("min_length") or 0) <= len(text) <= int(part.get("max_length") or 4000):
        raise NotOffered(f"{label!r} is too short or too long")
    return {"type": kind, "custom_id": custom_id, "value": text}
