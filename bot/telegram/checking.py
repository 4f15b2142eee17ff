"""What is right and wrong with a bot's set-up, in sentences with what to do about it."""

from __future__ import annotations

from typing import Literal

from aiogram.exceptions import AiogramError
from aiogram.methods import GetMe, GetWebhookInfo
from aiogram.types import User, WebhookInfo

from bot.telegram.calling import Caller, knocking
from bot.telegram.unusable import account_of, is_token
from engine.errors import SettingsError, TryAgain
from engine.locales import Said, say
from engine.settings import Settings, TelegramSettings

State = Literal["ok", "note", "warning", "broken"]
#: How it is, what is so, and what to do about it.
Finding = tuple[State, Said | str, Said | str]
#: So many waiting news are more than a moment's.
MANY = 100


async def check(token: str, settings: Settings) -> list[Finding]:
    """Ask Telegram about a token. Nothing is changed by it."""
    account = account_of(token)
    if not is_token(token):
        return [("broken", say("telegram.token.malformed", bot=account), say("telegram.mend.token"))]
    caller = Caller(token, api=settings.telegram.api)
    async with caller.open():
        try:
            async with knocking(account):
                me = await caller.ask(GetMe(), seconds=10)
                hook = await caller.ask(GetWebhookInfo(), seconds=10)
        except SettingsError as error:
            return [("broken", _said(error), say("telegram.mend.token"))]
        except (TryAgain, AiogramError) as error:
            return [("broken", _said(error), say("telegram.mend.unreachable"))]
    return [*_about(me), *_news(hook, settings.telegram)]


def _about(me: User) -> list[Finding]:
    link = f"https://t.me/{me.username}"
    found: list[Finding] = [("ok", say("telegram.check.there", bot=me.username, link=link), "")]
    if not me.can_read_all_group_messages:
        found.append(("note", say("telegram.check.privacy"), say("telegram.mend.privacy")))
    if me.can_join_groups is False:
        found.append(("note", say("telegram.check.no_groups"), say("telegram.mend.no_groups")))
    else:
        found.append(("note", say("telegram.check.reactions"), say("telegram.mend.reactions")))
    if me.has_topics_enabled:
        found.append(("ok", say("telegram.check.topics"), ""))
    else:
        found.append(("note", say("telegram.check.no_topics"), say("telegram.mend.no_topics")))
    return found


def _news(hook: WebhookInfo, settings: TelegramSettings) -> list[Finding]:
    found: list[Finding] = []
    if hook.url and not settings.webhook:
        found.append(("warning", say("telegram.check.hooked"), say("telegram.mend.hooked")))
    if settings.webhook and hook.last_error_message:
        said = say("telegram.check.hook_failed", cause=hook.last_error_message)
        found.append(("warning", said, say("telegram.mend.hook_failed", listen=settings.listen)))
    if hook.pending_update_count:
        state: State = "warning" if hook.pending_update_count > MANY else "note"
        said = say("telegram.check.pending", n=hook.pending_update_count)
        found.append((state, said, say("telegram.mend.pending")))
    return found


def _said(error: Exception) -> Said | str:
    words = error.args[0] if error.args else ""
    return words if isinstance(words, str) else str(words)
