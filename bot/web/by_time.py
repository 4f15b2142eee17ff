"""Lists that are ordered by time, and what else is asked for in lines and moments: within bounds of any store."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, Field

from engine.errors import BadRequest
from engine.locales import say
from engine.store.jobs import LAST_ID

Item = TypeVar("Item")

#: A line that somebody typed: nothing in it that no store keeps.
Line = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
#: A point in time, with its zone, in years in which every zone can be told.
Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), le=datetime(9000, 1, 1, tzinfo=UTC))
]
#: Where a page begins: what the page before said as `next`.
Cursor = Annotated[str, Field(max_length=100)]


class PageByTime(BaseModel, Generic[Item]):
    """So many of a list, and what to ask for as `before` to get the next page."""

    items: list[Item]
    next: str | None = None


def cursor(moment: datetime, row_id: int) -> str:
    """Where a page ends. Opaque to those who send it back."""
    told = f"{moment.astimezone(UTC).isoformat()} {row_id}"
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def behind(told: str) -> tuple[datetime, int] | None:
    """What `cursor` made; None for the first page."""
    if not told:
        return None
    try:
        words = base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)).decode("ascii")
        moment, _, number = words.partition(" ")
        found, row_id = datetime.fromisoformat(moment), int(number)
        known = found.tzinfo is not None and 0 < row_id <= LAST_ID and 1970 <= found.year <= 9000
    except (ValueError, binascii.Error):
        known = False
    if not known:
        raise BadRequest(say("web.before"))
    return found, row_id
