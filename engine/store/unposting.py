"""What posts keep of somebody who is forgotten: their themes, and what was written and painted of those.

The row of a post that was published stays, empty, with the messages in which it stands: it can still be taken back.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.locales import say
from engine.store import posts as store
from engine.store import sentences
from engine.store.records import DeliveryKind, DeliveryState, PostState
from engine.store.tables import deliveries, jobs, posts, schedules

#: Databases take only so many values in one statement.
AT_ONCE = 500


async def skip(tx: AsyncConnection, person_id: int) -> None:
    """What is still to come of theirs does not come, and nothing more is made of it."""
    coming = update(posts).where(_theirs(person_id), posts.c.state.in_([one.value for one in store.OPEN]))
    why = sentences.kept(say("posting.reason.schedule_gone"))
    await tx.execute(coming.values(state=PostState.SKIPPED.value, error=why))


async def jobs_of(tx: AsyncConnection, person_id: int) -> set[int]:
    """The jobs that painted their posts: each take, and those of runs that gave posts a picture afterwards."""
    known = select(posts.c.id, posts.c.options).where(_theirs(person_id))
    rows = (await tx.execute(known)).all()
    if not rows:
        return set()
    found: set[int] = set()
    keys = [f"post:{row.id}:{take}" for row in rows for take in range(1, int(row.options.get("take", 1)) + 1)]
    for start in range(0, len(keys), AT_ONCE):
        named = select(jobs.c.id).where(jobs.c.dedup_key.in_(keys[start : start + AT_ONCE]))
        found |= set((await tx.execute(named)).scalars())
    theirs = {str(row.id) for row in rows}
    later = select(jobs.c.id, jobs.c.dedup_key).where(
        jobs.c.run_id.is_not(None), jobs.c.dedup_key.like("run:%:post:%")
    )
    return found | {row.id for row in await tx.execute(later) if row.dedup_key.rpartition(":")[2] in theirs}


async def turns_of(tx: AsyncConnection, person_id: int) -> set[int]:
    """Where talks remember their posts."""
    found = select(deliveries.c.turn_id).where(_of(person_id), deliveries.c.turn_id.is_not(None))
    return set((await tx.execute(found)).scalars())


async def clear(tx: AsyncConnection, person_id: int) -> None:
    """Their posts say nothing any more, and belong to nobody. To be called while their schedules are there."""
    await skip(tx, person_id)
    arrived = deliveries.c.state == DeliveryState.SENT.value
    await tx.execute(delete(deliveries).where(_of(person_id), ~arrived))
    shown = update(deliveries).where(_of(person_id))
    await tx.execute(shown.values(text="", turn_id=None, job_id=None))
    rows = (await tx.execute(select(posts.c.id, posts.c.options).where(_theirs(person_id)))).all()
    for row in rows:
        left = {name: told for name, told in row.options.items() if name != "person"}
        emptied = update(posts).where(posts.c.id == row.id)
        await tx.execute(emptied.values(theme="", caption="", source=None, options=left))


def _theirs(person_id: int) -> ColumnElement[bool]:
    """Also of schedules that are gone: a post keeps whose it is."""
    own = select(schedules.c.id).where(schedules.c.person_id == person_id)
    return or_(posts.c.options["person"].as_integer() == person_id, posts.c.schedule_id.in_(own))


def _of(person_id: int) -> ColumnElement[bool]:
    return (deliveries.c.kind == DeliveryKind.POST.value) & deliveries.c.post_id.in_(
        select(posts.c.id).where(_theirs(person_id))
    )
