"""Orders as programs give them by the API, and the wait until a picture is there."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import httpx

WHO = "glenys-prosser"
_numbers = count(1)


async def ordered(asker: httpx.AsyncClient, **told: Any) -> dict[str, Any]:
    """A job, just taken."""
    body = {"persona": WHO, "scene": "at the harbour", "key": f"order {next(_numbers)}"} | told
    answer = await asker.post("/api/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def ended(asker: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while job["state"] in ("queued", "running"):
            await asyncio.sleep(0.01)
            job = (await asker.get(f"/api/v1/jobs/{job['id']}")).json()
    return job


async def made(asker: httpx.AsyncClient, **told: Any) -> dict[str, Any]:
    """A job whose pictures are there."""
    job = await ended(asker, await ordered(asker, **told))
    assert job["state"] == "done", job
    return job


async def ids(asker: httpx.AsyncClient, **asked: Any) -> list[int]:
    answer = await asker.get("/api/v1/pictures", params=asked)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]
