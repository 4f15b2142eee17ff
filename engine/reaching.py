"""The chats that a post goes to as things stand now, and what may be shown in each; where there are none, why.

How a post is made, and when it is due, is none of its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from engine import safety
from engine.errors import GreenroomError
from engine.locales import say
from engine.planning import targets_of
from engine.presence import Presence
from engine.store import chats, people, posts, schedules
from engine.store.records import PersonaRecord, Place, Post, ScheduleState
from personas.persona import Rating


@dataclass(frozen=True)
class Reached:
    """The places that a post goes to as things stand now; where there are none, why."""

    places: tuple[Place, ...]
    #: Its picture is to be shown in all of them, and where posts are paused only for now.
    rating: Rating = Rating.ALL_AGES
    why: str = ""
    #: What may be shown in each place, by its id.
    allowed: Mapping[int, Rating] = field(default_factory=dict)

    def may_show(self, place: Place, rating: Rating) -> bool:
        return rating.level <= self.allowed[place.id].level


async def reached(
    tx: AsyncConnection,
    post: Post,
    presence: Presence,
    *,
    operator: Rating,
    record: PersonaRecord | None = None,
) -> Reached:
    """Where a post goes as things stand now: not where it is paused, where we are no longer, where it may not.

    `record` is its persona, where that is known already.
    """
    if post.schedule_id is None and post.occurrence_key.startswith("schedule:"):
        return Reached((), why=say("posting.reason.schedule_gone"))
    confirmed = True
    if post.schedule_id is not None:
        schedule = await schedules.get(tx, post.schedule_id)
        if schedule.state is ScheduleState.PAUSED and not post.options.get("by_hand"):
            return Reached((), why=say("posting.reason.schedule_paused"))
    if (person := post.options.get("person")) is not None:
        confirmed = await people.is_adult(tx, int(person))
    record = record or await presence.current(tx, post.persona_id)
    places: list[Place] = []
    why: str = say("posting.reason.place_gone")
    rating, ratings = Rating.ADULT, dict[int, Rating]()
    for chat_id in targets_of(post):
        place = await chats.place_of(tx, chat_id)
        if place is None or place.left_at is not None:
            continue
        allowed = safety.allowed_rating(
            operator=operator,
            place=place.rating,
            platform=place.allows_mature,
            confirmed_adult=confirmed,
        )
        try:
            safety.check_persona(record.persona, allowed)
        except GreenroomError as error:
            why = sentence_of(error)
            continue
        # Posts may go on there before this one is due.
        rating = min(rating, allowed, key=lambda one: one.level)
        if place.settings.get(posts.SETTING) == posts.PAUSED:
            why = say("posting.reason.place_paused")
            continue
        places.append(place)
        ratings[place.id] = allowed
    if not places:
        return Reached((), why=why)
    return Reached(tuple(places), rating, allowed=ratings)


def sentence_of(error: object) -> str:
    """What an error says, so that it can be said in other languages."""
    told = error.args[0] if isinstance(error, BaseException) and error.args else error
    return told if isinstance(told, str) else str(told)
