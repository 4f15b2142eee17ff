"""Prompts before anything is painted: what would be sent, how it is read, and the styles that there are."""

from __future__ import annotations

from typing import Any

import httpx

from engine.engine import Engine
from engine.settings import SafetySettings, Settings
from engine.store.records import Scope
from engine.testing import FakeLanguage
from tests.bot.web.orders import WHO, ordered
from tests.bot.web.visitors import SECRET, a_key, app_of, problem, with_key


async def built(asker: httpx.AsyncClient, **told: object) -> dict[str, Any]:
    answer = await asker.post("/api/v1/prompts", json={"persona": WHO, "scene": "a storm at sea"} | told)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_prompt_is_written_and_counted_and_nothing_is_asked_for(operator: httpx.AsyncClient) -> None:
    told = await built(operator, style="noir", negative="hats", seed=5, steps=9)
    assert 100 <= told["words"] <= 200
    assert "a storm at sea" in told["positive"]
    assert (told["style"], told["seed"], told["steps"], told["source"]) == ("noir", 5, 9, "model")
    assert "hats" in told["negative"]
    assert told["tokens"]["encoders"][0] > 100
    assert (told["tokens"]["chunks"] >= 2, told["tokens"]["estimated"]) == (True, True)
    assert told["looked"]["of_length"]
    assert (await operator.get("/api/v1/jobs")).json()["items"] == []


async def test_what_weighs_more_is_told_and_what_only_looks_so_too(operator: httpx.AsyncClient) -> None:
    told = await built(operator, scene="a (thundering:1.4) storm at sea")
    assert told["weights"] == [{"text": "thundering", "weight": 1.4}]
    assert "(thundering:1.4)" in told["positive"]
    odd = await built(operator, prompt="a storm --ar 16:9 at sea, sea, sea")
    assert (odd["source"], odd["positive"]) == ("person", "a storm --ar 16:9 at sea, sea, sea")
    assert odd["looked"]["plain_text"] == ["--ar 16:9"]
    assert odd["looked"]["repeated"] == [{"word": "sea", "times": 3}]
    assert not odd["looked"]["of_length"]


async def test_what_was_built_is_what_is_then_painted(operator: httpx.AsyncClient) -> None:
    told = await built(operator, seed=6, style="poster")
    job = await ordered(operator, scene="a storm at sea", prompt=told["positive"], seed=6, style="poster")
    same = ("negative", "style", "seed", "width", "height", "steps", "guidance", "scheduler", "loras")
    assert job["request"]["prompt"] == told["positive"]
    assert {name: job["request"][name] for name in same} == {name: told[name] for name in same}


async def test_what_cannot_be_is_told_in_a_sentence(operator: httpx.AsyncClient) -> None:
    for wrong, status in (
        ({"scene": " "}, 400),
        ({"style": "none such"}, 404),
        ({"persona": "nobody at all"}, 404),
        ({"outfit": "an armour"}, 404),
        ({"steps": 1_000}, 400),
        ({"seed": 2**64}, 422),
        ({"rating": "adult"}, 403),
        ({"prompt": "x" * 20_001}, 422),
    ):
        body = {"persona": WHO, "scene": "x"} | wrong
        problem(await operator.post("/api/v1/prompts", json=body), status)


async def test_blocked_words_are_refused_by_hand_too(settings: Settings, language: FakeLanguage) -> None:
    strict = settings.model_copy(update={"safety": SafetySettings(blocked_words=("kraken",))})
    async with Engine.open(strict, models=[language]) as engine, with_key(app_of(engine), SECRET) as operator:
        for wrong in ({"scene": "a kraken"}, {"prompt": "a (Kráken:1.2) at sea"}):
            body = {"persona": WHO, "scene": "x"} | wrong
            problem(await operator.post("/api/v1/prompts", json=body), 403)
            problem(await operator.post("/api/v1/jobs", json=body | {"key": "1"}), 403)


async def test_the_styles_are_there_for_whoever_makes_or_reads(engine: Engine) -> None:
    for scope in (Scope.MAKE, Scope.READ):
        word, _ = await a_key(engine, scope)
        async with with_key(app_of(engine), word) as program:
            items = (await program.get("/api/v1/styles")).json()["items"]
        assert {one["slug"] for one in items} == set(engine.imagining.styles)
        assert all(one["words"] for one in items)
    word, _ = await a_key(engine, Scope.CHAT)
    async with with_key(app_of(engine), word) as program:
        problem(await program.get("/api/v1/styles"), 403)
        problem(await program.post("/api/v1/prompts", json={"persona": WHO, "scene": "x"}), 403)
