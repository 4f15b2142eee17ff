"""The gallery: pages of pictures, all that made one, its small copy, its family; and who sees how much of it."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import update

from engine.engine import Engine
from engine.settings import SafetySettings, Settings
from engine.store import chats, people
from engine.store.records import Account, ChatRef, Scope
from engine.store.tables import pictures
from engine.testing import FakeLanguage, FakeRenderer
from personas.persona import Rating
from tests.bot.web.orders import WHO, ended, ids, made
from tests.bot.web.visitors import SECRET, a_key, app_of, problem, with_key
from tests.working import working

pytestmark = pytest.mark.usefixtures("at_work")

OTHER = "irfan-naqvi"


async def about(asker: httpx.AsyncClient, picture: int) -> dict[str, Any]:
    answer = await asker.get(f"/api/v1/pictures/{picture}/about")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def rated(engine: Engine, picture: int, rating: Rating) -> None:
    async with engine.database.write() as tx:
        await tx.execute(update(pictures).where(pictures.c.id == picture).values(rating=rating.value))


async def test_all_pictures_come_page_by_page_the_newest_first(operator: httpx.AsyncClient) -> None:
    for number in range(3):
        await made(operator, count=2, seed=number)
    everything = await ids(operator)
    assert everything == sorted(everything, reverse=True)
    assert len(everything) == 6
    found: list[int] = []
    cursor: int | None = None
    for _ in range(3):
        asked = {"limit": 2} | ({"before": cursor} if cursor else {})
        told = (await operator.get("/api/v1/pictures", params=asked)).json()
        found += [one["id"] for one in told["items"]]
        cursor = told["next"]
    assert (found, cursor) == (everything, None)


async def test_pictures_are_found_by_who_is_on_them_by_style_and_by_rating(
    operator: httpx.AsyncClient,
) -> None:
    [first] = (await made(operator, style="noir"))["pictures"]
    [second] = (await made(operator, style="poster", persona=OTHER))["pictures"]
    assert await ids(operator, persona=WHO) == [first["id"]]
    assert await ids(operator, persona=OTHER, style="poster") == [second["id"]]
    assert await ids(operator, persona=OTHER, style="noir") == []
    assert await ids(operator, style="noir", rating="all-ages") == [first["id"]]
    assert await ids(operator, rating="mature") == []
    assert await ids(operator, run=1) == []
    problem(await operator.get("/api/v1/pictures", params={"persona": "nobody at all"}), 404)
    for asked in (
        {"before": 0},
        {"before": 2**31},
        {"limit": 0},
        {"limit": 201},
        {"run": -1},
        {"rating": "?"},
        {"style": "\x00"},
    ):
        problem(await operator.get("/api/v1/pictures", params=asked), 422)


async def test_a_picture_s_page_tells_all_that_made_it_and_its_family(operator: httpx.AsyncClient) -> None:
    [first] = (await made(operator, scene="a red coat", seed=7))["pictures"]
    changes = {"changes": {"steps": 5}, "key": "again"}
    answer = await operator.post(f"/api/v1/pictures/{first['id']}/again", json=changes)
    [second] = (await ended(operator, answer.json()))["pictures"]
    [third] = (
        await ended(
            operator,
            (await operator.post(f"/api/v1/pictures/{second['id']}/again", json={"key": "more"})).json(),
        )
    )["pictures"]
    told = await about(operator, second["id"])
    assert [one["id"] for one in told["parents"]] == [first["id"]]
    assert [one["id"] for one in told["variations"]] == [third["id"]]
    assert told["picture"] == second
    assert told["persona"] == {"id": second["persona_id"], "slug": WHO, "name": "Glenys Prosser"}
    assert [one["id"] for one in (await about(operator, third["id"]))["parents"]] == [
        second["id"],
        first["id"],
    ]


async def test_again_changes_what_is_told_and_nothing_else(operator: httpx.AsyncClient) -> None:
    [first] = (await made(operator, scene="a red coat", seed=7, negative="hats", style="noir"))["pictures"]
    before = (await about(operator, first["id"]))["request"]
    assert isinstance(before, dict)

    async def again(**changes: object) -> dict[str, Any]:
        body = {"changes": changes, "key": repr(changes)[:64]}
        answer = await operator.post(f"/api/v1/pictures/{first['id']}/again", json=body)
        assert answer.status_code == 202, answer.text
        request: dict[str, object] = answer.json()["request"]
        return {name: value for name, value in request.items() if before[name] != value}

    assert await again(steps=5) == {"steps": 5}
    assert await again(width=128, guidance=3.5, seed=8) == {"width": 128, "guidance": 3.5, "seed": 8}
    assert set(await again()) == {"seed"}
    restyled = await again(style="poster")
    assert restyled["style"] == "poster"
    assert "poster" in str(restyled["prompt"])
    assert "scene" not in restyled
    changed = await again(scene="a green coat")
    assert changed["scene"] == "a green coat"
    assert "green coat" in str(changed["prompt"])
    words = " ".join(["brushwork"] * 120)
    assert await again(prompt=words) == {"prompt": words, "source": "person", "word_count": 120}


async def test_again_under_one_key_is_asked_once_and_nonsense_is_told(operator: httpx.AsyncClient) -> None:
    [first] = (await made(operator))["pictures"]
    where = f"/api/v1/pictures/{first['id']}/again"
    asked = [(await operator.post(where, json={"key": "same"})).json()["id"] for _ in range(2)]
    assert asked[0] == asked[1]
    problem(await operator.post(where, json={"key": "a", "changes": {"seed": -1}}), 400)
    problem(await operator.post(where, json={"key": "b", "changes": {"seed": 2**70}}), 422)
    problem(await operator.post(where, json={"key": "c", "changes": {"stepz": 3}}), 422)
    problem(await operator.post(where, json={"key": "d", "changes": {"style": "none such"}}), 404)
    problem(await operator.post("/api/v1/pictures/99/again", json={"key": "e"}), 404)


async def test_a_small_copy_is_made_once_and_goes_with_its_picture(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    [big] = (await made(operator, width=1024, height=512))["pictures"]
    where = f"/api/v1/pictures/{big['id']}/thumb"
    first = await operator.get(where)
    assert first.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(first.content)) as small:
        assert (small.format, small.size) == ("WEBP", (384, 192))
    [kept] = engine.home.thumbs.rglob("*.webp")
    kept.write_bytes(b"as it was kept")
    assert (await operator.get(where)).content == b"as it was kept"
    known = await operator.get(where, headers={"If-None-Match": first.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert (await operator.delete(f"/api/v1/pictures/{big['id']}")).status_code == 204
    assert [*engine.home.thumbs.rglob("*.webp")] == []
    assert [key async for key in engine.files.keys("pictures")] == []
    for path in ("", "/thumb", "/about", "/link"):
        problem(await operator.get(f"/api/v1/pictures/{big['id']}{path}"), 404)
    problem(await operator.delete(f"/api/v1/pictures/{big['id']}"), 404)


async def test_one_of_several_is_deleted_and_the_others_stay(operator: httpx.AsyncClient) -> None:
    job = await made(operator, count=3)
    first, second, third = (one["id"] for one in job["pictures"])
    await operator.delete(f"/api/v1/pictures/{second}")
    assert await ids(operator) == [third, first]
    left = (await operator.get(f"/api/v1/jobs/{job['id']}")).json()["pictures"]
    assert [one["id"] for one in left] == [first, third]


async def test_a_picture_s_bytes_come_plain_or_as_json(operator: httpx.AsyncClient) -> None:
    [one] = (await made(operator))["pictures"]
    plain = await operator.get(one["image"])
    told = (await operator.get(one["image"], params={"as": "base64"})).json()
    assert plain.headers["content-type"] == told["type"] == "image/png"
    assert base64.b64decode(told["base64"]) == plain.content
    assert plain.headers["x-content-type-options"] == "nosniff"
    again = await operator.get(one["image"], headers={"If-None-Match": plain.headers["etag"]})
    assert again.status_code == 304
    problem(await operator.get(one["image"], params={"as": "text"}), 422)


async def test_a_file_that_is_gone_or_no_picture_is_told(engine: Engine, operator: httpx.AsyncClient) -> None:
    [first, second] = (await made(operator, count=2))["pictures"]
    await engine.files.put(first["file"], b"no picture")
    problem(await operator.get(first["thumb"]), 404)
    await engine.files.delete(second["file"])
    problem(await operator.get(second["thumb"]), 404)
    problem(await operator.get(second["image"]), 404)


async def test_a_key_sees_what_was_made_for_it_and_a_reader_all(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    app: FastAPI = app_of(engine)
    word, _ = await a_key(engine, Scope.MAKE)
    other, _ = await a_key(engine, Scope.MAKE)
    reading, _ = await a_key(engine, Scope.READ)
    [operators] = (await made(operator))["pictures"]
    async with (
        with_key(app, word) as program,
        with_key(app, other) as stranger,
        with_key(app, reading) as reader,
    ):
        assert await ids(program) == []
        [own] = (await made(program))["pictures"]
        assert await ids(program) == [own["id"]]
        assert await ids(stranger) == []
        assert await ids(reader) == [own["id"], operators["id"]]
        for path in ("", "/thumb", "/about", "/link"):
            assert (await program.get(f"/api/v1/pictures/{own['id']}{path}")).status_code == 200
            problem(await program.get(f"/api/v1/pictures/{operators['id']}{path}"), 404)
            problem(await stranger.get(f"/api/v1/pictures/{own['id']}{path}"), 404)
        problem(await stranger.post(f"/api/v1/pictures/{own['id']}/again", json={"key": "1"}), 404)
        problem(await program.delete(f"/api/v1/pictures/{own['id']}"), 403)
        problem(await reader.post(f"/api/v1/pictures/{own['id']}/again", json={"key": "1"}), 403)


async def test_what_is_too_grown_up_is_seen_by_nobody_until_the_operator_allows_it(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    [tame] = (await made(operator))["pictures"]
    [adult] = (await made(operator))["pictures"]
    await rated(engine, adult["id"], Rating.ADULT)
    assert await ids(operator) == [tame["id"]]
    for path in ("", "/thumb", "/about", "/link"):
        problem(await operator.get(f"/api/v1/pictures/{adult['id']}{path}"), 403)
    problem(await operator.post(f"/api/v1/pictures/{adult['id']}/again", json={"key": "x"}), 403)


async def test_where_the_operator_allows_it_a_key_s_own_place_still_has_to(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer
) -> None:
    grown = settings.model_copy(update={"safety": SafetySettings(rating=Rating.ADULT)})
    async with (
        Engine.open(grown, models=[language], renderer=renderer) as engine,
        working(engine),
        with_key(app_of(engine), SECRET) as operator,
    ):
        word, key = await a_key(engine, Scope.MAKE, Scope.READ)
        [one] = (await made(operator, rating="adult"))["pictures"]
        assert one["rating"] == "adult"
        async with with_key(app_of(engine), word) as program:
            await made(program)
            assert one["id"] not in await ids(program)
            problem(await program.get(one["image"]), 403)
            refused = await program.post(
                "/api/v1/jobs", json={"persona": WHO, "scene": "x", "key": "1", "rating": "adult"}
            )
            problem(refused, 403)
            async with engine.database.write() as tx:
                person = await people.known(tx, Account("web", f"key:{key.id}"))
                assert person is not None
                await people.confirm_adult(tx, person.id, engine.clock.now())
                ref = ChatRef("web", "home", f"key:{key.id}:home")
                place = await chats.add_place(tx, ref, persona_id=None, now=engine.clock.now())
                await chats.set_rating(tx, place.id, Rating.ADULT)
            assert one["id"] in await ids(program)
            assert (await program.get(one["image"])).status_code == 200
