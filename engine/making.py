"""A planned post is made: its caption is written, and its picture put in line. What is made is in the rows at once.

Nothing is claimed before it is made: of two who make the same post at once, the rows take what the first one made.
When a post is due, and what is shown of it, is none of its business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.borrowing import Borrowing
from engine.captions import REMEMBERED, Captions, Occasion, Quoted, part_of_day, scene_about, scene_of
from engine.clock import Clock
from engine.errors import GreenroomError, NotFound, StoreError
from engine.estimating import Work
from engine.imagining import Imagining, Wish
from engine.language.writers import Written
from engine.lead import Lead, look
from engine.locales import Said, say
from engine.occurrences import zone_of
from engine.planning import (
    about_of,
    instead,
    is_to_borrow,
    lenders_first,
    lenders_instead,
    picture_until,
    state_made,
    take_of,
    targets_of,
    wants,
)
from engine.presence import Presence
from engine.reaching import Reached, reached, sentence_of
from engine.settings import Settings
from engine.store import chats, pictures, posts, promises
from engine.store.database import Database
from engine.store.posts import Under
from engine.store.records import (
    JobState,
    Lane,
    PersonaRecord,
    PictureRequest,
    Place,
    Post,
    PostState,
)
from engine.wishes import any_seed
from personas.appearance import Ledger

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Subject:
    """What a post is made from."""

    reached: Reached
    record: PersonaRecord
    occasion: Occasion
    #: There where it is still to be made.
    post: Post | None


class Overtaken(Exception):
    """Somebody else has made this, or nobody wants it any more: what was about to be stored is not."""


class Making:
    def __init__(
        self,
        database: Database,
        captions: Captions,
        imagining: Imagining,
        borrowing: Borrowing,
        presence: Presence,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._captions = captions
        self._imagining = imagining
        self._borrowing = borrowing
        self._presence = presence
        self._settings = settings
        self._clock = clock

    async def make(self, post: Post) -> bool:
        """Whatever a post still lacks. One that is not wanted just now is left as it is: False."""
        try:
            subject = await self._database.look(partial(self._subject, post_id=post.id))
        except NotFound:
            await self.fail(post, say("posting.reason.persona_gone"))
            return True
        if subject.post is None or not subject.reached.places:
            return False
        made: Post | None = subject.post
        if subject.post.state is PostState.PLANNED:
            made = await self._with_caption(subject.post, subject)
        if made is not None and made.state is PostState.MAKING and made.job_id is None:
            await self._pictured(made, subject)
        return True

    async def caption(self, post: Post, *, unlike: tuple[str, ...] = ()) -> Written:
        """Words for a post, which nobody has stored yet."""
        subject = await self._database.look(partial(self._subject, post_id=post.id))
        return await self._captions.write(subject.occasion, unlike=unlike)

    async def give_up(self, post: Post, why: Said) -> None:
        """It cannot be made. What has its words goes on without its picture."""
        if post.state is not PostState.MAKING:
            await self.fail(post, why)
        elif (left := await self._without_picture(post, why)) is not None:
            log.error("post_not_pictured", post=post.id, state=left.state.value, cause=str(left.error))

    async def _without_picture(self, post: Post, why: str) -> Post | None:
        return await self._database.change(partial(without_picture, post=post, why=why))

    async def fail(self, post: Post, why: object) -> None:
        failed = partial(
            posts.change, post_id=post.id, was=posts.OPEN, state=PostState.FAILED, error=sentence_of(why)
        )
        if await self._database.change(failed) is not None:
            log.error("post_failed", post=post.id, schedule=post.schedule_id, cause=str(why))

    async def _with_caption(self, post: Post, subject: Subject) -> Post | None:
        changes: dict[str, Any] = {}
        if wants(post, "text") and not post.caption:
            try:
                written = await self._captions.write(subject.occasion)
            except StoreError:
                raise
            except GreenroomError as error:
                await self.fail(post, error)
                return None
            changes = {"caption": written.text, "source": written.source}
            log.info("post_written", post=post.id, source=written.source.value, model=written.model)
        return await self._database.change(partial(_captioned, post=post, changes=changes))

    async def _pictured(self, post: Post, subject: Subject) -> None:
        """Its picture, in line or lent; none at all is no reason not to post."""
        rating = subject.reached.rating
        if is_to_borrow(post):
            if not await self._borrowing.lend(post, lenders_instead(post), allowed=rating):
                await self._database.change(partial(_as_it_is, post=post))
        elif not await self._borrowing.lend(post, lenders_first(post), allowed=rating):
            await self._order(post, subject)

    async def _order(self, post: Post, subject: Subject) -> None:
        """Its picture, in line; where that cannot even be asked for, perhaps somebody lends one."""
        occasion = subject.occasion
        theme, owner = post.theme, f"schedule:{post.schedule_id}" if post.schedule_id else "posts"
        about = about_of(post)
        if about is not None:
            theme, owner = scene_about(about.title), f"feed:{about.feed_id}"
        scene = scene_of(theme, post.caption, occasion.local)[: self._imagining.longest_scene]
        ledger = occasion.ledger
        if not ledger.time:
            ledger = replace(ledger, time=part_of_day(occasion.local))
        wish = Wish(scene, style=str(post.options.get("style", "")) or None, seed=any_seed())
        try:
            request = await self._imagining.compose(
                subject.record, wish, rating=subject.reached.rating, ledger=ledger
            )

            lane = Lane.EVENTS
            if about is None:
                lane = (await self.lead(request)).lane(post.due_at - self._clock.now())

            async def order(tx: AsyncConnection) -> int:
                accepted = await self._imagining.put_in_line(
                    tx,
                    request,
                    persona_id=subject.record.id,
                    person=None,
                    lane=lane,
                    dedup_key=f"post:{post.id}:{take_of(post)}",
                    fair_owner=owner,
                    deadline_at=picture_until(post, self._clock.now()),
                )
                if not await posts.order_picture(tx, post.id, accepted.job.id):
                    raise Overtaken
                return accepted.job.id

            job_id = await self._database.change(order)
        except Overtaken:
            return
        except StoreError:
            raise
        except GreenroomError as error:
            log.warning("post_without_picture", post=post.id, cause=str(error))
            why = say("posting.reason.no_picture", why=error)
            if not await self._borrowing.lend(post, lenders_instead(post), allowed=subject.reached.rating):
                await self._without_picture(post, why)
            return
        self._imagining.nudge()
        log.info("post_pictured", post=post.id, job=job_id)

    async def lend(self, post: Post) -> bool:
        """A picture in place of the one that is late; False where nobody lends one. Then that is waited for."""
        try:
            subject = await self._database.look(partial(self._subject, post_id=post.id))
        except NotFound:
            return False
        if subject.post is None or not subject.reached.places:
            return False
        return await self._borrowing.lend(post, lenders_instead(post), allowed=subject.reached.rating)

    async def lead(self, request: PictureRequest | None = None) -> Lead:
        """How long before its time this picture, or a usual one, is to be asked for."""
        usual = self._settings.pictures
        work = promises.work_of(request) if request else Work(usual.width, usual.height, usual.steps)
        return await self._database.look(partial(look, work=work, now=self._clock.now()))

    async def _subject(self, tx: AsyncConnection, post_id: int) -> Subject:
        post = await posts.get(tx, post_id)
        record = await self._presence.current(tx, post.persona_id)
        reached = await self.reached(tx, post, record)
        recent = await posts.recent_captions(tx, post.persona_id, most=REMEMBERED, but=post.id)
        place = reached.places[0] if reached.places else None
        last_words = ""
        # What was said in one chat is told in no other.
        if place is not None and len(targets_of(post)) == 1 and place.persona_id == post.persona_id:
            said = [
                turn
                for turn in await chats.recent(tx, place.id, most=4)
                if turn.persona_id is not None
                and not turn.text.startswith(tuple(recent))  # posts are told as posts
            ]
            last_words = said[-1].text if said else ""
        occasion = Occasion(
            record.persona,
            _local(post),
            post.theme,
            tuple(recent),
            _ledger(place, post.persona_id),
            last_words,
            None if (about := about_of(post)) is None else Quoted(about.title, about.text),
            seed=post.id,
        )
        open_still = post if post.state in (PostState.PLANNED, PostState.MAKING) else None
        return Subject(reached, record, occasion, open_still)

    async def reached(self, tx: AsyncConnection, post: Post, record: PersonaRecord | None = None) -> Reached:
        """Where a post goes as things stand now."""
        return await reached(tx, post, self._presence, operator=self._settings.safety.rating, record=record)


async def _captioned(tx: AsyncConnection, post: Post, changes: dict[str, Any]) -> Post | None:
    """It has its words. Whether somebody has to approve it is read again: they may have, meanwhile."""
    now = await posts.get(tx, post.id, alone=True)
    state = PostState.MAKING if wants(now, "picture") else state_made(now)
    if now.caption:  # somebody wrote it themselves meanwhile
        changes = {}
    return await posts.change(tx, post.id, was=(PostState.PLANNED,), state=state, **changes)


async def without_picture(
    tx: AsyncConnection, post: Post, why: str, *, of_job: int | None = None
) -> Post | None:
    """It goes on without one, or with the one before it; where a picture is all that was wanted, and there is none,
    nothing is left of it.
    """
    now = await posts.get(tx, post.id, alone=True)
    state = state_made(now) if wants(now, "text") or now.picture_id is not None else PostState.FAILED
    if now.picture_id is not None:
        why = say("posting.reason.picture_kept", why=why)
    return await posts.change(tx, post.id, was=(PostState.MAKING,), of_job=of_job, state=state, error=why)


async def _as_it_is(tx: AsyncConnection, post: Post) -> Post | None:
    """Nobody lends it a picture: it goes on with the stand-in that was drawn, or with what there is without one."""
    now = await posts.get(tx, post.id, alone=True)
    if now.picture_id is None:
        return await without_picture(tx, now, now.error)
    drawn = await pictures.get(tx, now.picture_id)
    return await posts.change(
        tx, post.id, was=(PostState.MAKING,), state=state_made(now), job_id=drawn.job_id
    )


async def gathered(tx: AsyncConnection, under: Under) -> Post | None:
    """A picture has come, or will not. Whether somebody has to approve the post is read again: they may have.

    Where there is only a stand-in, and somebody may lend a picture, that is tried next: it goes on being made.
    """
    post = under.post
    change = partial(posts.change, tx, post.id, was=(PostState.MAKING,), of_job=post.job_id)
    if under.job_state is not JobState.DONE or under.picture_id is None:
        why = say("posting.reason.picture_cancelled")
        if under.job_state is JobState.FAILED:
            why = say("posting.reason.no_picture", why=under.job_error)
            if lenders_instead(post):
                return await change(job_id=None, error=why, options=instead(post))
        return await without_picture(tx, post, why, of_job=post.job_id)
    now = await posts.get(tx, post.id, alone=True)
    if lenders_instead(now) and (await pictures.get(tx, under.picture_id)).stand_in:
        return await change(job_id=None, picture_id=under.picture_id, error="", options=instead(now))
    return await change(state=state_made(now), picture_id=under.picture_id, error="")


def _local(post: Post) -> datetime:
    return post.due_at.astimezone(zone_of(str(post.options.get("zone") or "UTC")))


def _ledger(place: Place | None, persona_id: int) -> Ledger:
    """How things stand for the persona, where it is the one that is there."""
    if place is None or place.persona_id != persona_id:
        return Ledger()
    known = Ledger().__dict__
    return Ledger(**{name: str(told) for name, told in place.ledger.items() if name in known})
