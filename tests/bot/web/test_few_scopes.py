"""What a key with few scopes sees of the cast and of pictures: whom it talks with, and what was made for it."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from engine.engine import Engine
from engine.settings import SafetySettings, Settings
from engine.store import personas
from engine.store.records import Scope
from personas.persona import Rating
from tests.bot.web.orders import WHO, made
from tests.bot.web.visitors import a_key, problem, with_key

pytestmark = pytest.mark.usefixtures("at_work")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"safety": SafetySettings(rating=Rating.ADULT)})


async def found(asker: httpx.AsyncClient) -> list[str]:
    answer = await asker.get("/api/v1/personas")
    assert answer.status_code == 200, answer.text
    return [one["slug"] for one in answer.json()["items"]]


async def grown_up(engine: Engine) -> None:
    async with engine.database.write() as tx:
        record = await personas.find(tx, WHO)
        persona = record.persona.model_copy(update={"rating": Rating.MATURE, "age": 60})
        await personas.revise(tx, record, persona, note="", now=engine.clock.now())


async def test_who_may_only_talk_sees_whom_they_can_talk_with(
    engine: Engine, app: FastAPI, operator: httpx.AsyncClient
) -> None:
    word, _ = await a_key(engine, Scope.CHAT)
    async with with_key(app, word) as talker:
        everybody = await found(talker)
        assert everybody == await found(operator)
        face = await talker.get(f"/api/v1/personas/{WHO}/face")
        assert face.headers["content-type"] == "image/png"
        await grown_up(engine)
        assert WHO in await found(operator)
        assert await found(talker) == [one for one in everybody if one != WHO]
        problem(await talker.get(f"/api/v1/personas/{WHO}/face"), 403)
        assert (await operator.get(f"/api/v1/personas/{WHO}/face")).status_code == 200
        for path in (f"/personas/{WHO}", f"/personas/{WHO}/page", "/pictures", "/loras", "/vocabulary"):
            assert "scope" in problem(await talker.get(f"/api/v1{path}"), 403)


async def test_who_may_only_talk_sees_no_picture_that_was_made_for_others(
    engine: Engine, app: FastAPI, operator: httpx.AsyncClient
) -> None:
    [picture] = (await made(operator))["pictures"]
    word, _ = await a_key(engine, Scope.CHAT)
    reading, _ = await a_key(engine, Scope.READ)
    async with with_key(app, word) as talker, with_key(app, reading) as reader:
        for path in (f"/pictures/{picture['id']}", f"/pictures/{picture['id']}/thumb"):
            problem(await talker.get(f"/api/v1{path}"), 404)
            assert (await reader.get(f"/api/v1{path}")).status_code == 200
        problem(await talker.get(f"/api/v1/pictures/{picture['id']}/about"), 403)


async def test_who_may_only_make_pictures_has_the_words_for_it(engine: Engine, app: FastAPI) -> None:
    word, _ = await a_key(engine, Scope.MAKE)
    async with with_key(app, word) as maker:
        told = (await maker.get("/api/v1/vocabulary")).json()
        assert {"slug": "noir", "name": "Film noir"}.keys() <= told["styles"][0].keys()
        assert WHO in [one["slug"] for one in told["personas"]]
        await grown_up(engine)
        told = (await maker.get("/api/v1/vocabulary")).json()
        others = await found(maker)
        assert WHO not in others
        assert sorted(one["slug"] for one in told["personas"]) == sorted(others)
