"""Hooks: who has the secret is heard, once for each event; everybody else learns nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bot.house import House
from bot.web.hooks import MOST_BYTES, MOST_KNOCKS
from engine.newsroom import key_for_signatures
from engine.settings import SafetySettings, Settings
from engine.store import chats, personas
from engine.store.records import ChatRef, Post


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"safety": SafetySettings(blocked_words=("turnip",))})


@dataclass(frozen=True)
class Hook:
    house: House
    http: httpx.AsyncClient
    id: int
    secret: str

    async def told(self, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        shown = headers or {"X-Greenroom-Secret": self.secret}
        named = {name.replace("_", "-"): value for name, value in shown.items()}
        return await self.http.post(f"/hooks/{self.id}", content=content, headers=named)

    async def posts(self) -> list[Post]:
        return await self.house.engine.posting.posts(most=100)


@pytest.fixture
async def hook(house: House) -> AsyncIterator[Hook]:
    engine = house.engine
    async with engine.database.write() as tx:
        who = await personas.find(tx, "glenys")
        place = await chats.add_place(
            tx, ChatRef("stage", "one", "room"), persona_id=who.id, now=engine.clock.now()
        )
    feed, secret = await engine.newsroom.add_hook(
        place=place, persona=who, person=None, options={"picture": False}
    )
    async with httpx.AsyncClient(base_url=house.address.url, trust_env=False, timeout=30) as http:
        yield Hook(house, http, feed.id, secret)


async def test_an_event_becomes_a_post(hook: Hook) -> None:
    answer = await hook.told(
        {
            "title": "The <b>kettle</b> boils",
            "text": "At last.",
            "link": "https://example.org/tea",
            "id": "k1",
        }
    )
    assert answer.status_code == 202, answer.text
    (post,) = await hook.posts()
    assert answer.json() == {"post": post.id}
    assert (post.theme, post.options["item"]["link"]) == ("The kettle boils", "https://example.org/tea")


async def test_an_event_that_is_told_again_is_known_and_posts_nothing(hook: Hook) -> None:
    for body in ({"title": "Tea", "id": "k1"}, {"id": "k1", "title": " Tea ", "text": ""}):
        answer = await hook.told(body)
    assert (answer.status_code, answer.json()) == (200, {"post": None, "known": True})
    for _ in range(2):
        answer = await hook.told({"title": "No name of its own"})
    assert answer.status_code == 200
    assert len(await hook.posts()) == 2


async def test_an_event_that_says_something_else_under_a_known_id_is_refused_and_the_first_stands(
    hook: Hook,
) -> None:
    said = {"title": "Tea", "text": "It is hot.", "link": "https://example.org/tea", "id": "k1"}
    assert (await hook.told(said)).status_code == 202
    for other in ({"title": "Coffee"}, {"text": "It is cold."}, {"link": "https://example.org/cup"}):
        answer = await hook.told(said | other)
        assert answer.status_code == 409, answer.text
        assert answer.json()["detail"].startswith("An event of this id was told before")
    answer = await hook.told(said)
    assert (answer.status_code, answer.json()) == (200, {"post": None, "known": True})
    assert [post.theme for post in await hook.posts()] == ["Tea"]


async def test_who_signs_the_body_need_not_show_the_secret(hook: Hook) -> None:
    body = json.dumps({"title": "Signed"}).encode()
    key = key_for_signatures(hook.secret).encode()
    right = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
    assert (await hook.told(body, X_Greenroom_Signature=right)).status_code == 202
    other = await hook.told(body.replace(b"Signed", b"Forged"), X_Greenroom_Signature=right)
    assert other.status_code == 401
    assert len(await hook.posts()) == 1


async def test_what_is_wrong_about_a_knock_is_not_told(hook: Hook) -> None:
    answers = [
        await hook.told({"title": "x"}, X_Greenroom_Secret="guess"),
        await hook.told({"title": "x"}, X_Greenroom_Secret=""),
        await hook.http.post(
            f"/hooks/{hook.id}", json={"title": "x"}, headers={b"X-Greenroom-Secret": "é".encode()}
        ),
        await hook.http.post(
            f"/hooks/{hook.id}", json={"title": "x"}, headers={b"X-Greenroom-Signature": b"sha256=\xff"}
        ),
        await hook.told({"title": "x"}, X_Greenroom_Signature="sha256=00"),
        await hook.told({"nonsense": 1}, X_Greenroom_Secret="guess"),
        await hook.http.post("/hooks/9999", json={"title": "x"}, headers={"X-Greenroom-Secret": hook.secret}),
        await hook.http.post("/hooks/99999999999999999999", json={"title": "x"}),
    ]
    assert {one.status_code for one in answers} == {401}
    assert len({one.text for one in answers}) == 1
    assert await hook.posts() == []


NOT_UNDERSTOOD: list[tuple[Any, str]] = [
    ({}, "title"),
    ({"title": ""}, "title"),
    ({"title": "x" * 301}, "title"),
    ({"title": 5}, "title"),
    ({"title": "<script>alert(1)</script>"}, "no words"),
    ({"title": "x", "link": "javascript:alert(1)"}, "link: Write it as https"),
    ({"title": "x", "image": "file:///etc/passwd"}, "image: Write it as https"),
    ({"title": "x", "persona": "y"}, "persona"),
    ({"title": "x", "id": "x" * 201}, "id"),
    ([], "object"),
    (b"", "JSON"),
    (b"{", "JSON"),
    (b"\xff\xfe", "JSON"),
    (b"[" * 20_000, "JSON"),
]


async def test_what_is_not_understood_is_told_in_a_sentence(hook: Hook) -> None:
    for body, told in NOT_UNDERSTOOD:
        answer = await hook.told(body)
        assert answer.status_code == 422, answer.text
        assert told in answer.json()["detail"]
    assert await hook.posts() == []


async def test_an_event_that_is_too_large_is_not_read(hook: Hook) -> None:
    body = json.dumps({"title": "x", "text": "y" * MOST_BYTES}).encode()
    assert (await hook.told(body)).status_code == 413

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 20_000

    shown = {"X-Greenroom-Secret": hook.secret}
    unannounced = await hook.http.post(f"/hooks/{hook.id}", content=parts(), headers=shown)
    assert unannounced.status_code == 413


async def test_a_flood_is_slowed_down_and_takes_no_place_of_those_who_are_right(hook: Hook) -> None:
    # Time goes on meanwhile, and lets some more in.
    guesses: list[int] = []
    while 429 not in guesses:
        flood = await hook.told({"title": "x"}, X_Greenroom_Secret="guess")
        guesses.append(flood.status_code)
    assert guesses == [401] * (len(guesses) - 1) + [429]
    assert len(guesses) > MOST_KNOCKS
    assert 1 <= int(flood.headers["Retry-After"]) <= 61
    answers: list[int] = []
    while 429 not in answers:
        event = {"title": "Same", "id": "s"}
        if len(answers) >= MOST_KNOCKS:
            event = {"title": "Other", "id": f"o{len(answers)}"}
        answers.append((await hook.told(event)).status_code)
    assert answers[:MOST_KNOCKS] == [202] + [200] * (MOST_KNOCKS - 1)
    assert len(await hook.posts()) == answers.count(202), "what came too often is not posted"


async def test_a_program_that_speaks_german_is_refused_in_german(hook: Hook) -> None:
    right = {"X-Greenroom-Secret": hook.secret, "Accept-Language": "de"}
    for body, status, said in (
        ({}, 422, "title: Das fehlt."),
        ({"title": "x", "link": "javascript:alert(1)"}, 422, "link: Schreib es als https://host/pfad."),
        ({"title": "<b></b>"}, 422, "Darin stehen keine Worte."),
        (b"{", 422, "Das ist kein JSON."),
        (b" " * (MOST_BYTES + 1), 413, "Ein Ereignis darf höchstens 64 KB haben."),
        (
            {"title": "A turnip"},
            403,
            "Darin stehen Worte, die hier nicht erwünscht sind. Gepostet wird es nicht.",
        ),
    ):
        answer = await hook.told(body, **right)
        assert (answer.status_code, answer.json()["detail"]) == (status, said)
    assert (await hook.told({}, **right)).json()["errors"] == [{"pointer": "/title", "detail": "Das fehlt."}]
    wrong = {"X-Greenroom-Secret": "guess", "Accept-Language": "de"}
    answer = await hook.told({"title": "x"}, **wrong)
    assert answer.json()["detail"] == "Diesen Webhook gibt es nicht, oder das ist nicht sein Geheimnis."
    for _ in range(MOST_KNOCKS):
        answer = await hook.told({"title": "x"}, **wrong)
    assert answer.status_code == 429
    assert answer.json()["detail"].startswith("Das war zu oft: Gehört werden 30 pro Minute. Komm in ")


async def test_words_that_are_not_wanted_are_refused(hook: Hook) -> None:
    answer = await hook.told({"title": "A TURNIP"})
    assert answer.status_code == 403
    assert "turnip" not in answer.text.lower()
    assert await hook.posts() == []


async def test_a_paused_hook_says_so_to_who_has_its_secret(hook: Hook) -> None:
    await hook.house.engine.newsroom.pause(hook.id)
    answer = await hook.told({"title": "x"})
    assert answer.status_code == 403
    assert "paused" in answer.json()["detail"]
    assert (await hook.told({"title": "x"}, X_Greenroom_Secret="guess")).status_code == 401


async def test_a_hook_is_known_by_the_name_of_the_proxy_and_nothing_else_is(hook: Hook) -> None:
    named = {"Host": "greenroom.example", "X-Greenroom-Secret": hook.secret}
    there = await hook.http.post(f"/hooks/{hook.id}", json={"title": "By proxy"}, headers=named)
    assert there.status_code == 202
    assert (await hook.http.get("/api/v1/health", headers=named)).status_code == 421
