"""`greenroom jobs retry`: Ctrl-C ends it at once, at whatever moment, and it says how things stand then."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from bot import client
from bot.client import Client, GoneError
from engine.engine import Engine
from engine.imagining import Wish
from engine.settings import Settings
from engine.store import personas
from tests.bot.command_line import Greenroom, until

RETRY = ("jobs", "retry", "1")


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def state(greenroom: Greenroom) -> str:
    return str(greenroom.told("jobs", "show", "1")["state"])


@pytest.fixture
def greenroom(greenroom: Greenroom) -> Greenroom:
    """Its first job was cancelled before anybody began with it."""

    async def cancelled() -> None:
        async with Engine.open(Settings(home=greenroom.home)) as engine:
            record = await engine.database.look(partial(personas.find, wanted="irfan"))
            request = await engine.imagining.compose(record, Wish("on a pier", width=64, height=64))
            order = partial(engine.imagining.put_in_line, request=request, persona_id=record.id, person=None)
            accepted = await engine.database.change(order)
            await engine.imagining.cancel(accepted.job.id)

    assert greenroom("personas", "list").returncode == 0
    asyncio.run(cancelled())
    assert state(greenroom) == "cancelled"
    return greenroom


@pytest.fixture
def owner(greenroom: Greenroom) -> Iterator[subprocess.Popen[str]]:
    process = greenroom.starts("up")
    until(process, "Open.")
    yield process
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.communicate(timeout=30)


def test_an_owner_that_does_not_answer_is_not_waited_for(
    greenroom: Greenroom, owner: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Client.post

    async def pressed(self: Client, asked: str, **body: Any) -> Any:
        asyncio.get_running_loop().call_later(0.3, press)
        return await post(self, asked, **body)

    monkeypatch.setattr(Client, "post", pressed)
    owner.send_signal(signal.SIGSTOP)
    # Whoever waits for the answer all the same gets it then, and this test fails.
    wakes = threading.Timer(30, owner.send_signal, [signal.SIGCONT])
    wakes.start()
    ended = greenroom(*RETRY)
    wakes.cancel()
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.strip() == "Job 1 may be in line again: `greenroom jobs show 1` tells."


def test_before_there_is_an_owner_nothing_was_asked_for(
    greenroom: Greenroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def opening(*_: object) -> Any:
        press()
        await asyncio.sleep(20)
        yield

    monkeypatch.setattr(client, "reach", opening)
    ended = greenroom(*RETRY)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.strip() == "Nothing was asked for: job 1 is as it was."
    monkeypatch.undo()
    assert state(greenroom) == "cancelled"


def test_what_only_this_process_would_work_on_is_taken_back(
    greenroom: Greenroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Client.post

    async def pressed(self: Client, asked: str, **body: Any) -> Any:
        if asked.endswith("/retry"):
            press()
            await asyncio.sleep(0)  # it is heard before anything is sent
        return await post(self, asked, **body)

    monkeypatch.setattr(Client, "post", pressed)
    ended = greenroom(*RETRY)
    assert ended.returncode == 130, ended
    assert ended.stderr.strip() == "Job 1 is cancelled."
    monkeypatch.undo()
    assert state(greenroom) == "cancelled"


def test_an_answer_that_is_lost_is_looked_for_and_nothing_is_asked_for_twice(
    greenroom: Greenroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, sent = Client.post, []

    async def lost(self: Client, asked: str, **body: Any) -> Any:
        answer = await post(self, asked, **body)
        sent.append(asked)
        if len(sent) == 1:
            raise GoneError("Greenroom has stopped.")
        return answer

    monkeypatch.setattr(Client, "post", lost)
    assert greenroom.told(*RETRY)["state"] == "done"
    assert sent == ["/jobs/1/retry"]


def test_beside_a_house_it_is_put_in_line_there(greenroom: Greenroom, owner: subprocess.Popen[str]) -> None:
    ended = greenroom(*RETRY)
    assert (ended.returncode, ended.stdout.strip()) == (0, "Job 1 is in line again.")
    assert owner.poll() is None
