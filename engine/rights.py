"""Who may: pure decisions from what the operator wrote under `[people]`.

Ratings are in `safety.py`, quotas in `limits.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import Refused
from engine.locales import say
from engine.settings import PeopleSettings
from engine.store.records import Incoming

#: Whoever has the home's own terminal runs the house.
HOUSE = "terminal"
#: The page, whose operator has signed in; other programs come in by keys that the operator made.
PAGE, OPERATOR = "web", "home"


def check_heard(people: PeopleSettings, incoming: Incoming) -> None:
    """Refuse to hear whom the operator does not want to be answered, and where."""
    if incoming.chat.front in (HOUSE, PAGE) and not incoming.stranger:
        return
    names = {f"{incoming.account.front}:{incoming.account.platform_id}", *incoming.roles}
    if names & set(people.operators):
        return
    if names & set(people.blocked):
        raise Refused(say("rights.blocked"))
    if people.allowed and not names & set(people.allowed):
        raise Refused(say("rights.not_allowed"))
    places = {f"{incoming.chat.front}:{incoming.chat.chat}", *incoming.places}
    elsewhere = incoming.shared and people.allowed_places and not places & set(people.allowed_places)
    if elsewhere or places & set(people.blocked_places):
        raise Refused(say("rights.not_here"))


def is_operator(people: PeopleSettings, front: str, platform_ids: Iterable[str]) -> bool:
    """Whether somebody runs this house."""
    known = set(platform_ids)
    if front == HOUSE or (front == PAGE and OPERATOR in known):
        return True
    return any(f"{front}:{one}" in people.operators for one in known)
