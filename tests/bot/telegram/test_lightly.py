"""aiogram is imported without its weight, and is then all that it ever is."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
from bot.telegram.lightly import import_aiogram
import_aiogram()
import aiogram.methods, aiogram.types
from aiogram.methods.base import Response, TelegramMethod
from aiogram.types import Message, Update

kinds = [getattr(home, name) for home in (aiogram.types, aiogram.methods) for name in home.__all__]
kinds = [one for one in kinds if hasattr(one, "model_rebuild") and one not in (Response, TelegramMethod)]
put_off = [one for one in kinds if not one.__pydantic_complete__]
assert len(put_off) > 300, len(put_off)

private = {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "text": "x"}
assert isinstance(Update.model_validate({"update_id": 1, "message": private}).message, Message)
assert Response[Message].model_validate({"ok": True, "result": private}).result.text == "x"
assert aiogram.methods.SendMessage(chat_id=1, text="x").model_dump(exclude_none=True)["text"] == "x"
for one in kinds:
    one.model_rebuild()
    assert one.__pydantic_complete__, one
"""


def test_what_was_put_off_is_made_when_it_is_needed() -> None:
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", LOOK], check=True)
