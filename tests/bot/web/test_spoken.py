"""What the house itself says on a page, in the page's language: refusals, verdicts, models, why a post failed."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.web.problems import spoken
from engine.engine import Engine
from engine.errors import ModelUnavailable, NotFound
from engine.locales import locale_of, say
from engine.settings import LanguageSettings, PictureSettings, Settings
from engine.store import posts
from engine.store.records import ChatRef, PostState, Scope
from tests.bot.web.visitors import SECRET, a_key, app_of, problem, visitor, with_key

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("de", "de"),
        ("de-CH, fr;q=0.9", "de"),
        ("fr, de;q=0.8, en;q=0.5", "de"),
        ("en-GB, de", "en"),
        ("fr", "en"),
        ("", "en"),
        ("../de", "en"),
        (",;,=;q=", "en"),
        ("x" * 5_000, "en"),
    ],
)
def test_the_first_language_that_the_house_speaks_is_spoken(told: str, code: str) -> None:
    headers = [(b"accept-language", told.encode())] if told else []
    assert spoken(Request({"type": "http", "headers": headers})).code == code


async def test_a_refusal_is_told_as_whoever_asks_speaks(app: FastAPI, operator: httpx.AsyncClient) -> None:
    asked = "/api/v1/pictures/4711/about"
    assert problem(await operator.get(asked), 404) == "There is no picture 4711."
    answer = await operator.get(asked, headers=GERMAN)
    assert problem(answer, 404) == "Ein Bild 4711 gibt es nicht."
    assert answer.headers["content-language"] == "de"
    for path, status, key in (
        ("/api/v1/nothing-of-the-kind", 404, "web.nothing_here"),
        ("/api/v1/models/tiny:q4/stop", 404, "models.pull.not_coming"),
    ):
        method = "POST" if path.endswith("/stop") else "GET"
        detail = problem(await operator.request(method, path, headers=GERMAN), status)
        english = problem(await operator.request(method, path), status)
        assert detail != english, key
    async with visitor(app, address="192.0.2.7", **{"Accept-Language": "de"}) as stranger:
        assert "Geheimnis" in problem(await stranger.get(asked), 401)
        assert "nicht meine" in problem(await stranger.get(asked, headers={"Host": "elsewhere.example"}), 421)


async def test_what_is_wrong_with_an_order_is_told_so_too(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    async with engine.database.write() as tx:
        await engine.presence.new_place(tx, ChatRef("telegram", "bot", "-100815"), shared=True)
    who = "/api/v1/personas/glenys-prosser"
    persona = (await operator.get(f"{who}/page")).json()["persona"]
    changed = {"persona": persona | {"picture": {"style": "none-such"}}, "revision": 1}
    hook = {"kind": "hook", "chat": "telegram:bot:-100815", "address": "https://example.org/feed"}
    press = {"message": 4711, "button": "forget yes", "key": "one"}
    for method, path, body, status, said in (
        ("PUT", who, changed, 404, "Den Stil „none-such“ gibt es nicht."),
        ("POST", "/api/v1/feeds", hook, 400, "Ein Webhook hat keine Adresse, nach der zu sehen wäre"),
        ("POST", "/api/v1/talks/home/press", press, 404, "Diesen Knopf gibt es nicht mehr."),
    ):
        told = problem(await operator.request(method, path, json=body, headers=GERMAN), status)
        assert told.startswith(said)
        assert problem(await operator.request(method, path, json=body), status) != told


async def test_who_lacks_a_scope_and_who_sends_too_much_are_told_so_too(engine: Engine, app: FastAPI) -> None:
    word, _key = await a_key(engine, Scope.CHAT, name="tablet")
    async with with_key(app, word) as program:
        told = problem(await program.get("/api/v1/health/now", headers=GERMAN), 403)
        assert told == "Dafür braucht es die Berechtigung read, und tablet hat sie nicht."
        told = problem(await program.get("/api/v1/jobs", headers=GERMAN), 403)
        assert told == "Dafür braucht es die Berechtigung read / make, und tablet hat sie nicht."
        large = {"Content-Length": str(10**9)} | GERMAN
        told = problem(await program.post("/api/v1/talks", headers=large, content=b"{}"), 413)
        assert told == "Das ist mehr, als auf einmal angenommen wird: höchstens 32 MB."


async def test_a_program_of_openai_s_is_told_in_its_form_and_the_language_it_asks_for(
    operator: httpx.AsyncClient,
) -> None:
    asked = {"model": "nobody-here", "messages": [{"role": "user", "content": "Hi"}]}
    answer = await operator.post("/v1/chat/completions", json=asked | {"messages": []}, headers=GERMAN)
    assert answer.status_code == 400
    answer = await operator.get("/v1/nothing", headers=GERMAN)
    assert answer.json()["error"]["message"] == locale_of("de").say("web.nothing_here")


async def test_that_no_model_can_answer_is_passing_trouble_to_everybody(app: FastAPI) -> None:
    async def writes() -> None:
        raise ModelUnavailable(say("talk.nobody_writes"))

    for path in ("/api/v1/writes", "/v1/writes"):
        app.add_api_route(path, writes)
    async with with_key(app, SECRET) as operator:
        told = problem(await operator.get("/api/v1/writes", headers=GERMAN), 503)
        answer = await operator.get("/v1/writes", headers=GERMAN)
    assert told == locale_of("de").say("talk.nobody_writes")
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["message"]) == (503, "server_error", told)


async def test_what_nobody_expected_is_told_too(app: FastAPI) -> None:
    @app.get("/api/v1/breaks")
    async def breaks() -> None:
        raise ZeroDivisionError

    async with with_key(app, SECRET) as operator:
        told = problem(await operator.get("/api/v1/breaks", headers=GERMAN), 500)
    assert told == "Auf Greenrooms Seite ging etwas schief; im Protokoll steht, was."


async def test_an_error_without_a_sentence_of_the_house_s_stays_as_it_is(app: FastAPI) -> None:
    @app.get("/api/v1/plain")
    async def plain() -> None:
        raise NotFound("Nothing {of} that kind.")

    async with with_key(app, SECRET) as operator:
        assert problem(await operator.get("/api/v1/plain", headers=GERMAN), 404) == "Nothing {of} that kind."


async def test_the_verdict_on_the_house_and_what_mends_it_is_told_so(settings: Settings) -> None:
    wishes = settings.model_copy(update={"pictures": PictureSettings(model="painter-of-old")})
    async with Engine.open(wishes) as engine, with_key(app_of(engine), SECRET) as operator:
        english = (await operator.get("/api/v1/health/now")).json()
        german = (await operator.get("/api/v1/health/now", headers=GERMAN)).json()
    assert any(
        "Stand-ins are drawn instead of pictures. “painter-of-old” is not" in one
        for one in english["verdict"]
    )
    [told] = [
        one for one in german["verdict"] if one.startswith("Statt Bildern werden Platzhalter gezeichnet.")
    ]
    assert "„painter-of-old“ ist nicht da. Gesucht wurde es als Pfad und in models/picture/" in told
    assert told.endswith("Da ist keins.")
    [painter] = [one for one in german["providers"] if one["what"] == "pictures"]
    assert painter["why"].startswith("„painter-of-old“ ist nicht da.")
    assert bool(english["no_gpu"]) == bool(german["no_gpu"])
    if english["no_gpu"]:
        assert english["no_gpu"] != german["no_gpu"]


async def test_which_model_is_used_and_why_is_told_so(settings: Settings, tiny_model: Path) -> None:
    wishes = settings.model_copy(update={"language": LanguageSettings(model=str(tiny_model))})
    async with Engine.open(wishes) as engine, with_key(app_of(engine), SECRET) as operator:
        english = (await operator.get("/api/v1/models")).json()
        german = (await operator.get("/api/v1/models", headers=GERMAN)).json()
    assert english["reason"].endswith("is named in the settings. The settings name this path.")
    assert german["reason"].endswith("steht in den Einstellungen. Die Einstellungen nennen diesen Pfad.")
    assert [one["fits"] for one in english["items"]] == [one["fits"] for one in german["items"]], (
        "a word for programs"
    )


async def test_why_nothing_came_of_a_post_is_told_so_long_after_it_was_kept(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    why = say("posting.reason.not_delivered", why=say("talk.chat_gone"))

    async def kept(tx: AsyncConnection) -> int:
        place = await engine.presence.new_place(tx, ChatRef("telegram", "bot", "-100815"), shared=True)
        now = engine.clock.now()
        post = await posts.add(
            tx,
            key="once",
            due_at=now,
            chat_id=place.id,
            persona_id=1,
            now=now,
            state=PostState.FAILED,
            error=why,
        )
        assert post is not None
        return post.id

    post_id = await engine.database.change(kept)
    assert (await operator.get(f"/api/v1/posts/{post_id}")).json()["error"] == str(why)
    for path in (f"/api/v1/posts/{post_id}", "/api/v1/posts"):
        told = (await operator.get(path, headers=GERMAN)).json()
        error = told["items"][0]["error"] if "items" in told else told["error"]
        assert error == locale_of("de").says(why) != str(why)
