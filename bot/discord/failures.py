"""What Discord refuses, told in the house's terms: nothing to be done, or try again.

It knows Discord's numbers; what is done about a failure, its callers know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import discord

from engine.errors import DeliveryFailed, GreenroomError, TryAgain
from engine.locales import say

UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK = 10003, 10008, 10015
NO_ACCESS, EDITED_ANOTHERS, NOT_TO_THEM, NOT_ALLOWED = 50001, 50005, 50007, 50013
TOKEN_IS_DEAD, TOO_LARGE, ARCHIVED = 50027, 40005, 50083
#: Too often has a message been changed that is older than an hour.
TOO_OFTEN = 30046
#: Something in what was sent is not as Discord wants it.
BAD_FORM = 50035
#: A message that was to be changed cannot be: what was to stand there has to stand in a new one.
UNCHANGEABLE = (UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK, EDITED_ANOTHERS, TOO_OFTEN)
#: Where nothing can be shown any more until somebody speaks to us again.
SHUT = (UNKNOWN_CHANNEL, NO_ACCESS, NOT_TO_THEM)

#: Nothing arrived, or nobody knows whether it did: the way to Discord, or Discord itself, is in trouble.
BROKEN_WAY = (aiohttp.ClientError, OSError, asyncio.TimeoutError, RuntimeError)


class NameRefused(TryAgain):
    """Discord does not let a webhook have this name: it has to be said in another way."""


def code_of(error: BaseException) -> int:
    return error.code if isinstance(error, discord.HTTPException) else 0


def worded(error: Exception, *, missing: Sequence[str] = (), hurry: float = 1.0) -> GreenroomError:
    """An error of ours for one of Discord's; `missing` names the permissions that are known to be wanting."""
    if isinstance(error, discord.RateLimited):
        return TryAgain(say("discord.trouble.busy"), after_s=error.retry_after)
    if isinstance(error, discord.HTTPException):
        return _refused(error, missing, hurry)
    return TryAgain(say("discord.trouble.way", cause=type(error).__name__), after_s=2.0 * hurry)


def _refused(error: discord.HTTPException, missing: Sequence[str], hurry: float) -> GreenroomError:
    if error.status == 429 or error.status >= 500:
        return TryAgain(say("discord.trouble.busy"), after_s=5.0 * hurry)
    if error.code == UNKNOWN_CHANNEL:
        return DeliveryFailed(say("discord.trouble.gone"))
    if error.code == NOT_TO_THEM:
        return DeliveryFailed(say("discord.trouble.blocked"))
    if error.code in (NO_ACCESS, NOT_ALLOWED):
        wanted = [str(say(f"discord.permission.{name}")) for name in missing]
        if wanted:
            return DeliveryFailed(say("discord.trouble.missing", permissions=wanted))
        return DeliveryFailed(say("discord.trouble.not_allowed"))
    if error.code == ARCHIVED:
        return DeliveryFailed(say("discord.trouble.archived"))
    if error.code == TOO_LARGE or error.status == 413:
        return DeliveryFailed(say("discord.trouble.too_large"))
    # Discord's own words: they name the field, and hold nothing of the message.
    return DeliveryFailed(say("discord.trouble.refused", code=str(error.code), words=error.text[:200]))
