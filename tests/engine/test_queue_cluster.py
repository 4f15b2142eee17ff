"""What only the queue for many machines can be asked."""

from __future__ import annotations

import asyncio

from sqlalchemy import text

from engine.clock import SystemClock
from engine.pictures.cluster import ClusterQueue
from engine.store.database import Database
from tests.engine.queue_bench import (  # noqa: F401 - fixtures
    QUICK,
    Bench,
    Hands,
    a_cluster_queue,
    soon,
    working,
)


async def test_two_machines_that_start_at_once_make_one_schema(postgres_url: str) -> None:
    database = await Database.open(postgres_url)
    queues = await asyncio.gather(
        *(ClusterQueue.open(database, postgres_url, SystemClock(), pace=QUICK) for _ in range(2))
    )
    for queue in queues:
        await queue.close()
    await database.close()


async def test_lost_connections_are_made_again(cluster: Bench) -> None:
    hands = Hands()
    async with working(cluster.queue, hands) as shift:
        [first] = await cluster.ask(0)
        await soon(lambda: hands.ids == [first])
        async with cluster.database.write() as tx:
            await tx.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid()"
                )
            )
        [second] = await cluster.ask(0)
        await soon(lambda: hands.ids == [first, second])
        assert not shift.done()
