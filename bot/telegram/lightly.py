"""Imports aiogram without the weight it has when it comes by itself.

aiogram makes a validator for each of its four hundred types at import: a hundred megabytes and seconds of them,
though it says of each that it can wait. Here they wait: what is needed is made then, with all the names that
aiogram would have told it. Where aiogram does not do so any more, it is imported as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

Names = dict[str, Any]
#: What makes a type's validator.
REBUILD = "model_rebuild"


def import_aiogram() -> None:
    """Before anything else imports it, or it does nothing."""
    if "aiogram" in sys.modules:
        return
    names: Names = {}
    rebuild = vars(BaseModel)[REBUILD]
    setattr(BaseModel, REBUILD, classmethod(_put_off(rebuild.__func__, names)))
    try:
        from aiogram.methods.base import Response, TelegramMethod
        from aiogram.types.base import TelegramObject
    finally:
        setattr(BaseModel, REBUILD, rebuild)
    if names:
        for root in (TelegramObject, TelegramMethod, Response):
            setattr(root, REBUILD, classmethod(_with(rebuild.__func__, names)))


def _put_off(rebuild: Callable[..., bool | None], names: Names) -> Callable[..., bool | None]:
    """While aiogram is imported: what it wants made at once is only written down."""

    def put_off(cls: type[BaseModel], **how: Any) -> bool | None:
        told = how.get("_types_namespace")
        if told is None or not cls.model_config.get("defer_build"):
            return rebuild(cls, **how)
        names.update(told)
        return None

    return put_off


def _with(rebuild: Callable[..., bool | None], names: Names) -> Callable[..., bool | None]:
    """From then on: whoever is made knows the names."""

    def with_names(cls: type[BaseModel], **how: Any) -> bool | None:
        return rebuild(cls, **{"_types_namespace": names, **how})

    return with_names
