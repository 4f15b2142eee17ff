"""Who goes before whom: pure arithmetic on tags, and why nobody waits for ever.

Start-time fair queuing in one virtual time. A flow is an owner in a lane. A job that is asked for gets a *fair
tag*: the virtual time, or where the last job of its flow ends if that is later. It ends its cost further on.
The virtual time is the highest tag that was ever started. So a person's tenth job stands nine costs behind
their first, and somebody who asks for the first time starts where the machine is now. Lanes are head starts in
that same time: the line is sorted by *rank*, the tag plus the head start of its lane, lowest first, then by
the job's id. A rank never changes, so every queue that can sort by a number keeps the same order.

What this promises:

- Who comes anew to the lane that goes first stands behind at most one job of each other owner in it, however
  many each of them asked for. In a lower lane they also stand behind what that lane is owed, because it let
  others go first: for each owner in it at most the difference of the head starts.
- Nothing starves. A job of tag T in lane L, asked for at virtual time V, can be overtaken by later jobs of one
  other flow, in lane K, only by less than

      (T - V) + HEAD_START[L] - HEAD_START[K] + the cost of that flow's largest job,

  and not at all if the first three come to nothing. T - V is what the job's own flow had in line before it.
  For the tags of a flow grow by the cost of each job, start at V or later, and must stay below the rank of the
  job that they overtake. With finitely many owners the sum over their flows is finite too.
"""

from __future__ import annotations

from types import MappingProxyType

from engine.store.records import Job, Lane

#: In units of cost, for each owner. A person who asks without a pause comes before an event a hundred times,
#: which no ordinary talk reaches, and before a backfill for about a day of a busy machine.
HEAD_START = MappingProxyType(
    {Lane.INTERACTIVE: 0, Lane.EVENTS: 100, Lane.SCHEDULED: 1_000, Lane.BACKFILL: 10_000}
)

#: Queues keep ranks, and their negatives, in signed 32-bit integers.
LAST_RANK = 2**31 - 1


def fair_tag(virtual_time: int, last_finish: int) -> int:
    """Where a new job starts. The store says the same in SQL, in one statement; a test compares them."""
    return max(virtual_time, last_finish)


def finish(tag: int, cost: int) -> int:
    """Where the next job of the same flow starts at the earliest."""
    return tag + cost


def rank(lane: Lane, tag: int) -> int:
    return min(tag + HEAD_START[lane], LAST_RANK)


def rank_of(job: Job) -> int:
    """What the line is sorted by, lowest first."""
    return rank(job.lane, job.fair_tag)
