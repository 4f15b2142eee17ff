"""The emojis of an application, as routes for the loopback server: listed, added, taken away."""

from __future__ import annotations

import base64
import re
from typing import Any

from tests.servers.discord.calls import Answer, Call, Route
from tests.servers.discord.rules import Refusal, bad_form, image_size

#: What Discord takes.
MOST, LARGEST = 2_000, 256 * 1024


def emoji_routes(kept: dict[str, dict[str, Any]]) -> tuple[Route, ...]:
    def listed(_call: Call) -> Answer:
        return {"items": list(kept.values())}

    def added(call: Call) -> Answer:
        name = str(call.form.get("name"))
        if not re.fullmatch(r"\w{2,32}", name):
            raise bad_form("name", "Must be 2–32 letters, digits and underscores.", "emoji name not allowed")
        data = base64.b64decode(str(call.form.get("image")).partition("base64,")[2])
        if len(data) > LARGEST or image_size(data) is None:
            raise bad_form("image", "File cannot be larger than 256 kb.", "emoji picture not allowed")
        if len(kept) >= MOST:
            raise Refusal(400, 30008, "Maximum number of emojis reached", "too many emojis")
        number = str(call.world.snowflakes.next())
        kept[number] = {"id": number, "name": name, "animated": False, "available": True, "managed": False}
        kept[number] |= {"require_colons": True, "roles": [], "user": call.bot.payload}
        return kept[number]

    def removed(call: Call) -> Answer:
        if kept.pop(call.params["emoji"], None) is None:
            raise Refusal(404, 10014, "Unknown Emoji")
        return None

    return (
        Route("GET /applications/{application}/emojis", listed),
        Route("POST /applications/{application}/emojis", added),
        Route("DELETE /applications/{application}/emojis/{emoji}", removed),
    )
