"""Jobs by the API: once under a key, many at once or none, seen and cancelled by whoever asked; and the line."""

from __future__ import annotations

import asyncio

import httpx
from fastapi import FastAPI

from engine.callbacks import secret_of, signature
from engine.engine import Engine
from engine.settings import LimitSettings, Settings, WebSettings
from engine.store.records import Scope
from engine.testing import FakeLanguage, FakeRenderer
from tests.bot.web.orders import WHO, ended, made, ordered
from tests.bot.web.visitors import SECRET, a_key, app_of, problem, with_key
from tests.servers.listeners import listening
from tests.working import meanwhile, working


async def listed(asker: httpx.AsyncClient, **asked: object) -> list[int]:
    answer = await asker.get("/api/v1/jobs", params={name: str(value) for name, value in asked.items()})
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


async def test_asked_twice_under_one_key_it_is_one_job_and_written_once(
    operator: httpx.AsyncClient, language: FakeLanguage
) -> None:
    first = await ordered(operator, key="same", scene="a red coat")
    again = await ordered(operator, key="same", scene="a red coat", count=1)
    assert first == again
    assert len(language.asked) == 1


async def test_two_keys_have_orders_of_their_own_under_the_same_name(engine: Engine, app: FastAPI) -> None:
    one, _ = await a_key(engine, Scope.MAKE)
    other, _ = await a_key(engine, Scope.MAKE)
    async with with_key(app, one) as first, with_key(app, other) as second:
        mine = await ordered(first, key="same")
        theirs = await ordered(second, key="same")
    assert mine["id"] != theirs["id"]


async def test_a_prompt_that_is_there_already_is_taken_as_it_is(
    operator: httpx.AsyncClient, language: FakeLanguage
) -> None:
    words = "a lighthouse, " + " ".join(["brushwork"] * 120)
    job = await ordered(operator, prompt=words, seed=3)
    request = job["request"]
    assert (request["prompt"], request["source"], request["seed"]) == (words, "person", 3)
    assert language.asked == []


async def test_many_are_taken_at_once_or_none(operator: httpx.AsyncClient) -> None:
    items = [{"persona": WHO, "scene": f"scene {number}", "key": f"of many {number}"} for number in range(12)]
    answer = await operator.post("/api/v1/jobs/batch", json={"items": items})
    assert answer.status_code == 202, answer.text
    taken = [one["id"] for one in answer.json()["items"]]
    assert [one["request"]["scene"] for one in answer.json()["items"]] == [one["scene"] for one in items]
    again = await operator.post("/api/v1/jobs/batch", json={"items": items})
    assert [one["id"] for one in again.json()["items"]] == taken
    wrong = [
        {"persona": WHO, "scene": "y", "key": "new"},
        {"persona": WHO, "scene": "x", "key": "k", "seed": -1},
    ]
    assert problem(await operator.post("/api/v1/jobs/batch", json={"items": wrong}), 400).startswith(
        "items.1: "
    )
    assert len(await listed(operator, limit=500)) == 12
    problem(await operator.post("/api/v1/jobs/batch", json={"items": []}), 422)
    problem(await operator.post("/api/v1/jobs/batch", json={"items": items * 9}), 422)


async def test_the_same_order_twice_in_a_batch_is_one_job(operator: httpx.AsyncClient) -> None:
    item = {"persona": WHO, "scene": "x", "key": "twin"}
    answer = await operator.post("/api/v1/jobs/batch", json={"items": [item, item]})
    assert len({one["id"] for one in answer.json()["items"]}) == 1


async def test_a_key_has_a_person_s_quota_and_a_batch_counts_as_many(
    settings: Settings, language: FakeLanguage
) -> None:
    few = settings.model_copy(update={"limits": LimitSettings(pictures_per_day=3)})
    async with Engine.open(few, models=[language], renderer=FakeRenderer()) as engine:
        word, _ = await a_key(engine, Scope.MAKE)
        items = [{"persona": WHO, "scene": "x", "key": str(number)} for number in range(4)]
        async with with_key(app_of(engine), word) as program:
            refused = await program.post("/api/v1/jobs/batch", json={"items": items})
            assert problem(refused, 429)
            assert int(refused.headers["retry-after"]) > 0
            assert await listed(program) == []
            assert (await program.post("/api/v1/jobs/batch", json={"items": items[:3]})).status_code == 202


async def test_a_key_sees_and_cancels_its_own_jobs_and_no_others(
    engine: Engine, app: FastAPI, operator: httpx.AsyncClient
) -> None:
    making, _ = await a_key(engine, Scope.MAKE)
    other, _ = await a_key(engine, Scope.MAKE, Scope.READ)
    managing, _ = await a_key(engine, Scope.MANAGE)
    async with (
        with_key(app, making) as program,
        with_key(app, other) as stranger,
        with_key(app, managing) as boss,
    ):
        operators, own, theirs = await ordered(operator), await ordered(program), await ordered(stranger)
        everything = [theirs["id"], own["id"], operators["id"]]
        assert await listed(program) == [own["id"]]
        assert await listed(stranger) == await listed(boss) == await listed(operator) == everything
        assert await listed(stranger, own=True) == [theirs["id"]]
        assert await listed(boss, own=True) == []
        where = "/api/v1/jobs/{}".format
        assert (await program.get(where(own["id"]))).json()["id"] == own["id"]
        for path in ("", "/live"):
            problem(await program.get(where(operators["id"]) + path), 404)
        for order in ("cancel", "retry"):
            problem(await program.post(f"{where(operators['id'])}/{order}"), 404)
            problem(await stranger.post(f"{where(operators['id'])}/{order}"), 403)
        assert (await program.post(f"{where(own['id'])}/cancel")).json()["state"] == "cancelled"
        assert (await program.post(f"{where(own['id'])}/retry")).json()["state"] == "queued"
        assert (await boss.post(f"{where(theirs['id'])}/cancel")).json()["state"] == "cancelled"


async def test_the_list_comes_page_by_page_and_by_state(operator: httpx.AsyncClient) -> None:
    taken = [(await ordered(operator))["id"] for _ in range(5)]
    await operator.post(f"/api/v1/jobs/{taken[2]}/cancel")
    found: list[int] = []
    cursor: int | None = None
    for _ in range(3):
        asked = {"limit": 2} | ({"before": cursor} if cursor else {})
        told = (await operator.get("/api/v1/jobs", params=asked)).json()
        found += [one["id"] for one in told["items"]]
        cursor = told["next"]
    assert (found, cursor) == (taken[::-1], None)
    assert await listed(operator, state="cancelled") == [taken[2]]
    for asked_for in ({"limit": 0}, {"before": -1}, {"before": 2**31}, {"state": "lost"}):
        problem(await operator.get("/api/v1/jobs", params=asked_for), 422)
    problem(await operator.get(f"/api/v1/jobs/{2**31}"), 422)
    problem(await operator.get(f"/api/v1/jobs/{2**31 - 1}"), 404)


async def test_the_line_says_who_waits_in_which_lane_and_in_which_order(
    engine: Engine, app: FastAPI, operator: httpx.AsyncClient
) -> None:
    word, key = await a_key(engine, Scope.MAKE)
    async with with_key(app, word) as program:
        operators = [(await ordered(operator))["id"] for _ in range(2)]
        own = (await ordered(program))["id"]
        answer = await operator.get("/api/v1/line")
        assert answer.status_code == 200, answer.text
        told = answer.json()
        waiting = told["lanes"]["interactive"]
        assert [one["id"] for one in waiting] == [operators[0], own, operators[1]], "everybody in turn"
        assert [one["ahead"] for one in waiting] == [0, 1, 2]
        assert {(one["persona"], one["persona_name"]) for one in waiting} == {(WHO, "Glenys Prosser")}
        assert [one["person"] for one in waiting] == ["", key.name, ""]
        assert [one["owner"].partition(":")[0] for one in waiting] == ["house", "person", "house"]
        assert told["counts"] == {"interactive": 3, "events": 0, "scheduled": 0, "backfill": 0}
        assert (told["running"], told["estimate"]) == ([], None), "nobody knows yet how long a picture takes"
        seen = (await program.get("/api/v1/line")).json()
        assert [one["id"] for one in seen["lanes"]["interactive"]] == [own]
        assert seen["counts"]["interactive"] == 1


async def test_the_line_tells_when_its_last_may_be_ready_once_that_is_known(settings: Settings) -> None:
    async with Engine.open(settings) as engine, with_key(app_of(engine), SECRET) as operator:
        async with working(engine):
            for _ in range(8):
                await made(operator)
        assert (await operator.get("/api/v1/line")).json()["estimate"] is None, "nothing waits"
        await ordered(operator)
        estimate = (await operator.get("/api/v1/line")).json()["estimate"]
        assert 0 < estimate["likely"] <= estimate["at_most"]


async def test_hostile_numbers_and_names_are_refused_and_nothing_breaks(operator: httpx.AsyncClient) -> None:
    good = {"persona": WHO, "scene": "x", "key": "k"}
    for wrong, status in (
        ({"seed": 2**80}, 422),
        ({"seed": -1}, 400),
        ({"width": 10**9}, 400),
        ({"count": 99}, 400),
        ({"steps": 0}, 400),
        ({"key": ""}, 422),
        ({"key": "a\x00b"}, 422),
        ({"callback": "https://a.example/\x00"}, 422),
        ({"callback": "https://a .example/"}, 422),
        ({"key": "x" * 65}, 422),
        ({"scene": ""}, 400),
        ({"scene": "x" * 20_001}, 422),
        ({"scene": "x" * 5_000}, 400),
        ({"style": "none such"}, 404),
        ({"persona": "\x00"}, 404),
        ({"colour": "red"}, 422),
        ({"rating": "adult"}, 403),
        ({"callback": "ftp://a.example/x"}, 400),
        ({"callback": "http://127.0.0.1:9/x"}, 403),
        ({"callback": "http://me:key@a.example/"}, 400),
    ):
        problem(await operator.post("/api/v1/jobs", json=good | wrong), status)
    body = b'{"persona":"glenys-prosser","scene":"x","key":"k","guidance":NaN}'
    headers = {"Content-Type": "application/json"}
    problem(await operator.post("/api/v1/jobs", content=body, headers=headers), 422)
    assert await listed(operator) == []


async def test_a_callback_is_written_with_the_job_and_told_when_it_has_ended(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer
) -> None:
    from bot.shown import ended_shown

    private = settings.model_copy(update={"web": WebSettings(port=0, private_callbacks=True)})
    async with (
        Engine.open(private, models=[language], renderer=renderer) as engine,
        meanwhile(engine.callbacks.run(ended_shown)),
        listening() as listener,
    ):
        word, key = await a_key(engine, Scope.MAKE)
        async with with_key(app_of(engine), word) as program, with_key(app_of(engine), SECRET) as operator:
            job = await ordered(program, key="called", callback=listener.at())
            said = {"persona": WHO, "scene": "at the harbour", "key": "called", "callback": listener.at()}
            assert await ordered(program, **said) == job
            twice = said | {"callback": listener.at("twice")}
            problem(await program.post("/api/v1/jobs", json=twice), 409)
            async with working(engine):
                job = await ended(program, job)
                await listener.until(1)
                [picture] = job["pictures"]
                again = {"key": "again", "callback": listener.at("again")}
                await program.post(f"/api/v1/pictures/{picture['id']}/again", json=again)
                await listener.until(2)
            secret = (await program.get("/api/v1/callbacks/secret")).json()["secret"]
            async with asyncio.timeout(20):
                while True:
                    own = (await program.get("/api/v1/callbacks")).json()["items"]
                    if {one["state"] for one in own} == {"sent"}:
                        break
                    await asyncio.sleep(0.01)
            assert [one["address"] for one in own] == [listener.at("again"), listener.at()]
            assert (await operator.get("/api/v1/callbacks")).json()["items"] == own
            paged = (await operator.get("/api/v1/callbacks", params={"limit": 1})).json()
            assert paged == {"items": own[:1], "next": own[0]["id"]}
        stranger, _ = await a_key(engine, Scope.MAKE)
        async with with_key(app_of(engine), stranger) as other:
            assert (await other.get("/api/v1/callbacks")).json() == {"items": [], "next": None}
            assert (await other.get("/api/v1/callbacks/secret")).json()["secret"] != secret
        first, second = listener.heard
        assert [first.path, second.path] == ["/done", "/again"]
        assert first.told["job"] == job
        assert secret == secret_of(engine.home.link_key(), key.id)
        assert first.headers["x-greenroom-signature"] == signature(secret, first.body)
