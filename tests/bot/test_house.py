"""The house from outside: its API, its fronts, and how it closes. Everything in it is real but the model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot import house as house_module
from bot.client import Client, GoneError
from bot.house import House, kept_running, open_house
from bot.testing import FakeFront
from engine.engine import Engine
from engine.errors import BadRequest, HomeInUse, NotFound
from engine.home import Home
from engine.settings import Settings
from engine.store import jobs
from engine.testing import FakeLanguage, FakeRenderer, ManualClock

Message = dict[str, Any]
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def client(house: House) -> AsyncIterator[Client]:
    opened = Client(house.address)
    yield opened
    await opened.close()


@pytest.fixture
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """For what no client of ours would send."""
    headers = {"Authorization": f"Bearer {house.address.secret}"}
    async with httpx.AsyncClient(
        base_url=f"{house.address.url}/api/v1", headers=headers, trust_env=False
    ) as opened:
        yield opened


@asynccontextmanager
async def line(
    client: Client, chat: str, *, confirming: bool = True
) -> AsyncIterator[asyncio.Queue[Message]]:
    """Somebody listens to a chat, and says of everything that it was shown."""
    heard: asyncio.Queue[Message] = asyncio.Queue()
    stands = asyncio.Event()

    async def listen() -> None:
        with suppress(GoneError):
            async for message in client.live(f"/chats/{chat}/live"):
                stands.set()
                if confirming and message["is"] == "delivery":
                    await client.post(f"/chats/{chat}/shown/{message['id']}")
                heard.put_nowait(message)

    listening = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(30):
            await stands.wait()
        yield heard
    finally:
        listening.cancel()
        await asyncio.wait([listening])


async def next_of(heard: asyncio.Queue[Message], kind: str) -> Message:
    async with asyncio.timeout(30):
        while (message := await heard.get())["is"] != kind:
            pass
    return message


def problem(answer: httpx.Response, status: int) -> str:
    """The sentence of a refusal, in the form that all of them have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert "Traceback" not in told["detail"]
    return str(told["detail"])


# The door


async def test_whoever_knows_the_secret_comes_in(http: httpx.AsyncClient, settings: Settings) -> None:
    answer = await http.get("/health")
    assert answer.json() == {"greenroom": "up", "home": str(settings.home)}


async def test_whoever_does_not_stays_outside(http: httpx.AsyncClient) -> None:
    for shown in (b"", b"Bearer", b"Bearer wrong", "Basic ü".encode("latin-1")):
        for path in ("/health", "/jobs", "/chats/home/live", "/pictures/1"):
            answer = await http.get(path, headers={b"Authorization": shown})
            assert "secret" in problem(answer, 401)


async def test_another_name_for_this_machine_is_not_answered(http: httpx.AsyncClient) -> None:
    for host in ("evil.example", "evil.example:8321", "127.0.0.1.evil.example", ""):
        problem(await http.get("/health", headers={"Host": host}), 421)


async def test_all_names_of_loopback_are_ours(http: httpx.AsyncClient) -> None:
    for host in ("localhost", "localhost:1", "127.0.0.1:80", "[::1]:8321"):
        assert (await http.get("/health", headers={"Host": host})).status_code == 200


async def test_what_is_not_there_is_a_problem_with_a_sentence(http: httpx.AsyncClient) -> None:
    problem(await http.get("/nothing"), 404)
    assert "no job 7" in problem(await http.get("/jobs/7"), 404)
    problem(await http.get("/jobs/7/live"), 404)
    problem(await http.post("/jobs/7/cancel"), 404)
    problem(await http.get("/pictures/7"), 404)
    problem(await http.get("/chats/nowhere/live"), 404)
    for most in (f"/jobs/{2**31 - 1}", f"/pictures/{2**31 - 1}"):
        problem(await http.get(most), 404)
    for no_number in (f"/jobs/{2**70}", f"/pictures/{2**70}"):
        problem(await http.get(no_number), 422)


NOT_UNDERSTOOD = (
    ("/chats/home/turns", "not json"),
    ("/chats/home/turns", "[]"),
    ("/chats/home/turns", "{}"),
    ("/chats/home/turns", '{"text": 5, "key": "1"}'),
    ("/chats/home/turns", '{"text": "hello", "key": ""}'),
    ("/chats/home/turns", json.dumps({"text": "hello", "key": "k" * 65})),
    ("/chats/a b/turns", '{"text": "hello", "key": "1"}'),
    ("/chats/" + "a" * 65 + "/turns", '{"text": "hello", "key": "1"}'),
    ("/jobs", '{"persona": "", "scene": "x", "key": "1"}'),
    ("/jobs", '{"persona": "a", "scene": "x", "seed": "many", "key": "1"}'),
    ("/jobs/x/cancel", ""),
    ("/chats/home/enter", "{" * 10_000),
)


async def test_what_is_not_understood_is_said_so(http: httpx.AsyncClient) -> None:
    for path, body in NOT_UNDERSTOOD:
        answer = await http.post(path, content=body, headers={"Content-Type": "application/json"})
        assert problem(answer, 422), (path, body)


async def test_a_page_that_cannot_be_is_not_understood(http: httpx.AsyncClient) -> None:
    for query in ("limit=0", "limit=1000000", "before=-1", "state=lost", "before=x"):
        problem(await http.get(f"/jobs?{query}"), 422)


async def test_a_page_beyond_all_jobs_is_the_whole_list(http: httpx.AsyncClient) -> None:
    assert (await http.get(f"/jobs?before={2**31 - 1}")).json() == {"items": [], "next": None}
    problem(await http.get(f"/jobs?before={2**70}"), 422)


async def test_a_wish_that_cannot_be_granted_is_refused(http: httpx.AsyncClient) -> None:
    def asked(**other: Any) -> dict[str, Any]:
        return {"persona": "glenys-prosser", "scene": "by the sea", "key": "1"} | other

    problem(await http.post("/jobs", json=asked(persona="nobody")), 404)
    problem(await http.post("/jobs", json=asked(persona="\x00")), 404)
    problem(await http.post("/jobs", json=asked(style="no-such")), 404)
    problem(await http.post("/jobs", json=asked(seed=2**40)), 400)
    problem(await http.post("/jobs", json=asked(count=99)), 400)
    problem(await http.post("/jobs", json=asked(width=100_000)), 400)
    problem(await http.post("/jobs", json=asked(scene="x" * 100_000)), 422)
    problem(await http.post("/jobs", json=asked(scene=" \x00 ")), 400)


# Talk


async def test_somebody_comes_in_and_is_greeted_and_answered(client: Client, language: FakeLanguage) -> None:
    language.pause = 0.1  # drafts are let go when they come too fast to be shown
    entered = await client.enter("home", "glenys")
    assert entered["persona"]["slug"] == "glenys-prosser"
    assert len(entered["lines"]) == 1
    async with line(client, "home") as heard:
        await client.post("/chats/home/turns", text="Hello!", key="1", name="Ana")
        assert (await next_of(heard, "draft"))["text"] == ""
        shown = await next_of(heard, "delivery")
    assert (shown["kind"], shown["text"], shown["source"]) == ("reply", "Quite so.", "model")
    assert shown["by"]["slug"] == "glenys-prosser"
    again = await client.enter("home")
    assert [told["text"] for told in again["lines"]][1:] == ["Hello!", "Quite so."]


async def test_the_same_key_is_heard_once(client: Client, language: FakeLanguage) -> None:
    await client.enter("home")
    async with line(client, "home") as heard:
        for _ in range(3):
            await client.post("/chats/home/turns", text="Hello!", key="1")
        await client.post("/chats/hall/turns", text="Hello, hall!", key="1")
        await next_of(heard, "delivery")
        await client.post("/chats/home/turns", text="And?", key="2")
        await next_of(heard, "delivery")
    assert len(language.asked) == 3


async def test_names_that_share_a_sign_with_their_keys_are_told_apart(
    client: Client, language: FakeLanguage
) -> None:
    for chat, key in (("home", "a:b"), ("home:a", "b")):
        await client.enter(chat)
        async with line(client, chat) as heard:
            await client.post(f"/chats/{chat}/turns", text=f"In {chat}.", key=key)
            assert (await next_of(heard, "delivery"))["kind"] == "reply"
    assert len(language.asked) == 2


async def test_what_is_refused_is_told_at_once(client: Client) -> None:
    await client.enter("home")
    async with line(client, "home") as heard:
        await asyncio.sleep(0.05)
        await client.post("/chats/home/turns", text="   ", key="1")
        assert "nothing to read" in (await next_of(heard, "told"))["text"]


async def test_a_reply_waits_for_somebody_to_come(client: Client) -> None:
    await client.enter("home")
    await client.post("/chats/home/turns", text="Hello!", key="1")
    async with asyncio.timeout(30):
        while (await client.get("/chats/home/open"))["answering"]:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.01)
    async with line(client, "home") as heard:
        assert (await next_of(heard, "delivery"))["text"] == "Quite so."


async def test_what_nobody_said_was_shown_is_shown_to_the_next_who_comes(client: Client) -> None:
    await client.enter("home")
    async with line(client, "home", confirming=False) as heard:
        await client.post("/chats/home/turns", text="Hello!", key="1")
        first = await next_of(heard, "delivery")
    async with line(client, "home") as heard:
        again = await next_of(heard, "delivery")
        assert again["id"] == first["id"]
        await client.post("/chats/home/turns", text="And?", key="2")
        assert (await next_of(heard, "delivery"))["id"] != first["id"]


async def test_a_reply_can_be_stopped(client: Client, language: FakeLanguage) -> None:
    language.reply, language.pause = "one two three four five six seven", 0.05
    await client.enter("home")
    async with line(client, "home") as heard:
        assert await client.post("/chats/home/stop") == {"stopped": False}
        await client.post("/chats/home/turns", text="Count!", key="1")
        while "two" not in (await next_of(heard, "draft"))["text"]:
            pass
        assert await client.post("/chats/home/stop") == {"stopped": True}
        told = (await next_of(heard, "delivery"))["text"]
    assert told.startswith("one two")
    assert "seven" not in told


async def test_a_line_that_is_left_is_closed(client: Client, house: House) -> None:
    await client.enter("home")
    async with line(client, "home") as heard:
        await client.post("/chats/home/turns", text="Hello!", key="1")
        await next_of(heard, "delivery")
    lines: Any = house.desk._fronts["terminal", "home"]
    async with asyncio.timeout(30):
        while lines._open:  # noqa: ASYNC110 - nothing tells that a connection was closed
            await asyncio.sleep(0.01)


# Pictures


async def test_an_order_is_made_and_can_be_fetched(client: Client) -> None:
    order = {"persona": "glenys-prosser", "scene": "by the sea", "count": 2, "key": "1"}
    job = await client.post("/jobs", **order)
    assert (await client.post("/jobs", **order))["id"] == job["id"]
    async with asyncio.timeout(30):
        told = [message async for message in client.live(f"/jobs/{job['id']}/live")]
    done = told[-1]
    assert (done["is"], done["state"], len(done["pictures"])) == ("job", "done", 2)
    assert 100 <= done["request"]["word_count"] <= 200
    assert (await client.picture(done["pictures"][0]["id"])).startswith(b"\x89PNG")
    with pytest.raises(BadRequest, match="ended already"):
        await client.post(f"/jobs/{job['id']}/cancel")
    with pytest.raises(BadRequest, match="has not failed"):
        await client.post(f"/jobs/{job['id']}/retry")


async def test_an_order_s_key_is_not_mistaken_for_a_turn_s(client: Client) -> None:
    await client.post("/jobs", persona="glenys-prosser", scene="by the sea", key="turn:1")
    await client.enter("home", "ghada")
    async with line(client, "home") as heard:
        await client.post("/chats/home/turns", text="/imagine a roof", key="1")
        await client.post("/chats/home/turns", text="/imagine a cellar", key="2")
        pictures = [(await next_of(heard, "delivery"))["text"] for _ in range(2)]
    assert any("#2" in text for text in pictures)


async def test_a_failed_order_says_why_and_can_be_tried_again(client: Client, renderer: FakeRenderer) -> None:
    renderer.fails = 1
    job = await client.post("/jobs", persona="glenys", scene="by the sea", key="1")
    failed = [message async for message in client.live(f"/jobs/{job['id']}/live")][-1]
    assert (failed["state"], failed["error"]) == ("failed", "the fake was told to fail")
    await client.post(f"/jobs/{job['id']}/retry")
    done = [message async for message in client.live(f"/jobs/{job['id']}/live")][-1]
    assert done["state"] == "done"


async def test_somebody_new_is_cast(client: Client) -> None:
    made = await client.post("/personas", kind="fitness", name="Zoë Field")
    assert made["persona"]["name"] == "Zoë Field"
    with pytest.raises(BadRequest):
        await client.post("/personas", name="x" * 10_000)
    with pytest.raises(NotFound):
        await client.enter("home", "nobody at all")


# Fronts


async def test_a_front_that_dies_is_started_again_and_the_others_never_notice(
    settings: Settings, language: FakeLanguage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house_module, "FIRST_PAUSE", 0.02)
    frail, well = FakeFront(name="frail", dies=2), FakeFront(name="well")
    async with open_house(settings, [frail, well], models=[language]):
        await well.say("Hello", "1")
        assert await asyncio.wait_for(well.arrived.get(), 30) == "Quite so."
        await frail.say("Hello", "1")
        assert await asyncio.wait_for(frail.arrived.get(), 30) == "Quite so."
    assert (frail.runs, well.runs) == (3, 1)


async def test_the_pauses_between_starts_grow_until_it_was_well_for_a_while() -> None:
    clock = ManualClock()
    began: list[float] = []

    async def run() -> None:
        began.append(clock.monotonic())
        if len(began) == 10:
            await clock.sleep(200)
        raise ConnectionError("away")

    running = asyncio.create_task(kept_running("frail", run, clock))
    for _ in range(600):
        await asyncio.sleep(0)
        await clock.advance(1)
    running.cancel()
    pauses = [round(later - earlier) for earlier, later in pairwise(began)]
    assert pauses[:9] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert pauses[9:12] == [201, 2, 4]


async def test_a_cancellation_from_inside_does_not_end_a_front_for_good() -> None:
    clock = ManualClock()
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        raise asyncio.CancelledError

    running = asyncio.create_task(kept_running("odd", run, clock))
    for _ in range(10):
        await asyncio.sleep(0)
        await clock.advance(1)
    assert runs > 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# Closing


async def test_a_reply_under_way_is_finished_and_shown_when_the_house_closes(
    settings: Settings, language: FakeLanguage
) -> None:
    language.pause = 0.1
    stage = FakeFront()
    async with open_house(settings, [stage], models=[language]):
        await stage.say("Hello", "1")
        assert stage.arrived.empty()
    assert stage.arrived.get_nowait() == "Quite so."


async def test_what_takes_too_long_is_left_and_goes_on_at_the_next_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house_module, "REPLY_SECONDS", 0.2)
    monkeypatch.setattr(house_module, "DRAIN_SECONDS", 3.7)
    settings = settings.model_copy(update={"pictures": settings.pictures.model_copy(update={"steps": 150})})
    stage = FakeFront()
    async with open_house(
        settings,
        [stage],
        models=[FakeLanguage("never " * 1_000, pause=0.01)],
        renderer=FakeRenderer(pause=0.1),
    ) as house:
        await stage.say("Hello", "1")
        client = Client(house.address)
        await client.enter("home")
        async with line(client, "home", confirming=False) as heard:
            await client.post("/chats/home/turns", text="/help", key="1")
            shown = await next_of(heard, "delivery")
            job = await client.post("/jobs", persona="glenys", scene="by the sea", key="1")
            await asyncio.sleep(0.3)
        await client.close()
    assert stage.arrived.empty(), "the reply was not waited for"
    async with Engine.open(settings) as rows:
        left = await rows.database.look(partial(jobs.get, job_id=job["id"]))
    assert not left.state.ended, "nor was the picture"

    settings = settings.model_copy(update={"pictures": settings.pictures.model_copy(update={"steps": 2})})
    stage = FakeFront()
    async with open_house(settings, [stage], models=[FakeLanguage()], renderer=FakeRenderer()) as house:
        assert await asyncio.wait_for(stage.arrived.get(), 30) == "Quite so."
        client = Client(house.address)
        async with line(client, "home") as heard:
            assert (await next_of(heard, "delivery"))["id"] == shown["id"]
        async with asyncio.timeout(30):
            told = [message async for message in client.live(f"/jobs/{job['id']}/live")]
        assert told[-1]["state"] == "done"
        await client.close()


async def test_a_house_with_nothing_to_do_closes_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for grace in ("REPLY_SECONDS", "SHOW_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(house_module, grace, 600)
    monkeypatch.setattr(house_module, "DRAIN_SECONDS", 2_400)
    async with asyncio.timeout(60):  # which none of them needs
        async with open_house(settings) as house:
            client = Client(house.address)
            await client.enter("home")
            async with line(client, "home"):
                await client.get("/health")
            await client.close()


async def test_the_caller_s_own_mistake_leaves_as_it_came(settings: Settings) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_house(settings):
            raise ZeroDivisionError
    assert Home(settings.home).owner() is None


async def test_a_second_owner_is_refused_with_the_first_one_s_address(
    house: House, settings: Settings
) -> None:
    with pytest.raises(HomeInUse, match=house.address.url) as refused:
        async with open_house(settings):
            pass
    assert (refused.value.address, refused.value.pid) == (house.address.url, os.getpid())
    async with Engine.open(settings):
        pass  # what only reads and changes rows works beside it


async def test_a_taken_port_is_no_reason_to_stay_shut(house: House, tmp_path: Path) -> None:
    taken = int(house.address.url.rsplit(":", 1)[1])
    other = Settings(home=tmp_path / "other", web={"port": taken})  # type: ignore[arg-type]  # as read from a file
    async with open_house(other) as second:
        client = Client(second.address)
        assert (await client.get("/health"))["home"] == str(tmp_path / "other")
        await client.close()


# Signals


PROGRAM = """
import asyncio, sys
from bot.house import open_house, stopped_by_signals
from engine.settings_file import read_settings
from engine.testing import FakeLanguage

async def main():
    stop = asyncio.Event()
    with stopped_by_signals(stop):
        async with open_house(read_settings(), models=[FakeLanguage(sys.argv[1], pause=0.05)]):
            print("open", flush=True)
            await stop.wait()
            print("closing", flush=True)

asyncio.run(main())
"""


@asynccontextmanager
async def running(home: Path, reply: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        reply,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"GREENROOM_HOME": str(home), "GREENROOM_WEB__PORT": "0", "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def told(process: asyncio.subprocess.Process, word: str) -> None:
    assert process.stdout
    async with asyncio.timeout(30):
        while word not in (line := (await process.stdout.readline()).decode()):
            assert line, f"it ended before it said {word!r}"


async def said_to(home: Path) -> Client:
    owner = Home(home).owner()
    assert owner is not None
    client = Client(owner)
    await client.enter("home")
    await client.post("/chats/home/turns", text="Hello", key="1")
    return client


async def test_sigterm_in_mid_reply_finishes_it_and_ends_well(settings: Settings) -> None:
    async with running(settings.home, "one two three four five six") as process:
        await told(process, "open")
        client = await said_to(settings.home)
        async with line(client, "home") as heard:
            await next_of(heard, "draft")
            process.send_signal(signal.SIGTERM)
            assert (await next_of(heard, "delivery"))["text"] == "one two three four five six"
        await client.close()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    assert Home(settings.home).owner() is None


async def test_a_second_signal_ends_it_at_once_and_nothing_is_lost(settings: Settings) -> None:
    async with running(settings.home, "word " * 1_000) as process:
        await told(process, "open")
        client = await said_to(settings.home)
        process.send_signal(signal.SIGINT)
        await told(process, "closing")
        await asyncio.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 30) == 130, "it did not drain"
        await client.close()
    async with open_house(settings, models=[FakeLanguage()]) as house:
        client = Client(house.address)
        async with line(client, "home") as heard:
            assert (await next_of(heard, "delivery"))["text"] == "Quite so."
        await client.close()
