"""Telegram. Only this folder knows aiogram, which takes seconds to import: that happens when there is a token."""

from __future__ import annotations

from bot.front import Front
from engine.settings import Settings


def telegram_fronts(settings: Settings, *, hurry: float = 1.0) -> list[Front]:
    """One front per token. `hurry` is the one factor by which all their waits are shorter."""
    told = settings.telegram
    tokens = [token.get_secret_value().strip() for token in (told.token, *told.more_tokens)]
    if not any(tokens):
        return []
    from bot.telegram.lightly import import_aiogram

    import_aiogram()
    from bot.telegram.front import TelegramFront
    from bot.telegram.unusable import Unusable, account_of, is_token
    from bot.telegram.webhook import Door

    door = Door(told.listen)
    fronts: dict[str, Front] = {}
    for token in filter(None, tokens):
        account = account_of(token)
        if is_token(token):
            fronts.setdefault(account, TelegramFront(token, told, door=door, hurry=hurry))
        else:
            fronts.setdefault(account, Unusable(account))
    return list(fronts.values())
