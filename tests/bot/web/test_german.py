"""Whoever asks in German is answered in German, wherever they ask: no corner of the house speaks English only."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import bot.web
from bot.house import House, open_house
from bot.web.live import MOST_CHATS, MOST_LETTERS
from bot.web.problems import MOST_TOLD, PROBLEMS
from engine.engine import Engine
from engine.errors import ModelUnavailable, RenderFailed, StoreError
from engine.events import Events
from engine.language import Source
from engine.locales import locale_of, say
from engine.pictures import PictureWanted, Progress, Rendered
from engine.settings import Settings
from engine.store import feeds, jobs, schedules
from engine.store.records import ChatRef, FeedKind, Job, JobState, Lane, PictureRequest, Place
from engine.testing import FakeLanguage, FakeRenderer
from tests.bot.web.tabs import Visitor, page_of, program_of
from tests.bot.web.visitors import SECRET, a_key, app_of, problem, served, visitor, with_key

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
WHO = "glenys-prosser"
HELLO = [{"role": "user", "content": "Hi"}]


def de(key: str, /, **facts: object) -> str:
    return locale_of("de").say(key, **facts)


async def a_place(engine: Engine) -> Place:
    async with engine.database.write() as tx:
        return await engine.presence.new_place(tx, ChatRef("telegram", "bot", "-100815"), shared=True)


async def a_failed_job(engine: Engine, why: str) -> Job:
    request = PictureRequest("on a pier", "a woman on a pier", "", "noir", Source.UNDERSTUDY, 5, 7)
    async with engine.database.write() as tx:
        now = engine.clock.now()
        added = await jobs.add(
            tx, request=request, lane=Lane.BACKFILL, fair_owner="house", cost=1, now=now, persona_id=1
        )
        await jobs.end(tx, added.job.id, JobState.FAILED, now, why)
        return await jobs.get(tx, added.job.id)


# All that the document says may go wrong


async def test_each_problem_that_the_document_knows_is_told_in_german(engine: Engine, app: FastAPI) -> None:
    await a_place(engine)

    async def silent() -> None:
        raise ModelUnavailable(say("talk.nobody_writes"))

    async def full() -> None:
        raise StoreError(say("store.full", where="greenroom.db"))

    for path, fails in (("/api/v1/silent", silent), ("/api/v1/full", full)):
        app.add_api_route(path, fails)
    word, _key = await a_key(engine, name="tablet", rate=1)
    async with (
        with_key(app, SECRET) as operator,
        with_key(app, word) as tablet,
        visitor(app, address="192.0.2.7") as stranger,
    ):
        persona = (await operator.get(f"/api/v1/personas/{WHO}/page")).json()["persona"]
        wanted = {"words": "daily 25:00", "chat": "telegram:bot:-100815"}
        scope = await tablet.get("/api/v1/jobs", headers=GERMAN)
        answers = {
            400: await operator.post("/api/v1/schedules", json=wanted, headers=GERMAN),
            401: await stranger.get("/api/v1/jobs", headers=GERMAN),
            403: scope,
            404: await operator.get("/api/v1/jobs/4711", headers=GERMAN),
            409: await operator.put(
                f"/api/v1/personas/{WHO}", json={"persona": persona, "revision": 999}, headers=GERMAN
            ),
            413: await operator.post("/api/v1/talks", headers=GERMAN | {"Content-Length": str(10**9)}),
            421: await operator.get("/api/v1/jobs", headers=GERMAN | {"Host": "elsewhere.example"}),
            422: await operator.post("/api/v1/jobs", json={}, headers=GERMAN),
            429: await tablet.get("/api/v1/jobs", headers=GERMAN),
            503: await operator.get("/api/v1/silent", headers=GERMAN),
            507: await operator.get("/api/v1/full", headers=GERMAN),
        }
    assert set(answers) == set(PROBLEMS), "the document knows others"
    said = {status: problem(answer, status) for status, answer in answers.items()}
    assert {answer.headers["content-language"] for answer in answers.values()} == {"de"}
    beginnings = {
        400: "„25:00“ ist keine Uhrzeit.",
        401: "Dafür braucht es das Geheimnis",
        403: "Dafür braucht es die Berechtigung",
        404: "Einen Auftrag 4711 gibt es nicht.",
        409: "Jemand anders hat Glenys Prosser inzwischen bearbeitet.",
        413: "Das ist mehr, als auf einmal",
        421: "Diese Adresse ist nicht meine.",
        422: "persona: Das fehlt.",
        429: "tablet darf 1-mal in der Minute fragen.",
        503: "Das konnte niemand schreiben.",
        507: "greenroom.db kann nicht wachsen",
    }
    wrong = {status: one for status, one in said.items() if not one.startswith(beginnings[status])}
    assert wrong == {}


#: What does not fit in the place of any number, name, list or switch.
JUNK: tuple[Any, ...] = (None, [[[]]], {}, True, "", "x\x00", "x" * 100_001, -1, 10**30, 1.5)
IN_QUERIES = ("x\x00", "-1", "", "9" * 30, "x" * 3_000)


def junk_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation, asked as it is not meant to be: for what is not there, with what does not fit."""
    for template, operations in document["paths"].items():
        path = re.sub(r"{(\w+)[^}]*}", lambda found: "4711" if _is_number(found[1]) else "nobody", template)
        for method, operation in operations.items():
            if method not in ("get", "put", "post", "patch", "delete"):
                continue
            body: dict[str, Any] = {"json": {}} if "requestBody" in operation else {}
            yield method, path, body
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query":
                    for value in IN_QUERIES:
                        yield method, path, body | {"params": {parameter["name"]: value}}
            if "requestBody" in operation:
                for content in (b"", b"{", b"[]", b"\xff"):
                    yield method, path, {"content": content, "headers": {"Content-Type": "application/json"}}
                for name in _fields(operation, document):
                    for value in JUNK:
                        yield method, path, {"json": {name: value}}


def _is_number(name: str) -> bool:
    return name.endswith("_id") or name == "number"


def _fields(operation: dict[str, Any], document: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for content in operation["requestBody"]["content"].values():
        schema = content.get("schema", {})
        for one in (schema, *schema.get("anyOf", ())):
            if "$ref" in one:
                name = one["$ref"].rpartition("/")[2]
                found |= set(document["components"]["schemas"][name].get("properties", {}))
    return found


def sentences_in(answer: httpx.Response) -> list[str]:
    told = answer.json()
    if "error" in told:
        return [told["error"]["message"]]
    return [told["detail"], *(one["detail"] for one in told.get("errors", ()))]


@pytest.mark.usefixtures("at_work")
async def test_whatever_is_asked_amiss_is_refused_in_the_asker_s_language(
    app: FastAPI, operator: httpx.AsyncClient
) -> None:
    """The document is asked for all of it. A sentence that reads alike in both languages is in one of them only."""
    document = (await operator.get("/api/v1/openapi.json")).json()
    asked, statuses, alike, others = 0, set(), set(), set()
    async with visitor(app, address="192.0.2.7") as stranger:
        for method, path, how in junk_of(document):
            headers = how.pop("headers", {})
            for who in (
                (operator, stranger) if not how.get("params") and "content" not in how else (operator,)
            ):
                if who is stranger and how.get("json"):
                    continue  # nobody reads what they send
                async with asyncio.timeout(20):
                    english = await who.request(method, path, headers=headers, **how)
                    german = await who.request(method, path, headers=headers | GERMAN, **how)
                asked += 1
                if not english.status_code == german.status_code >= 400:
                    continue
                statuses.add(german.status_code)
                if german.headers["content-type"] == "application/json" and not path.startswith("/v1/"):
                    others.add(path)  # it says in words for programs how the house is
                    continue
                assert german.headers["content-language"] == "de", (method, path, german.text)
                for one, other in zip(sentences_in(english), sentences_in(german), strict=True):
                    if one == other or "Input" in other or "should" in other:
                        alike.add(f"{method} {path}: {other[:200]}")
    assert asked > 1_000
    assert {400, 401, 404, 422} <= statuses
    assert sorted(alike) == []
    assert others <= {"/readyz"}


def test_no_refusal_of_the_web_is_said_in_english_only() -> None:
    """What somebody who asks is told is a sentence of `data/locales`, wherever it is raised."""
    kinds = {"Mistake", "HTTPException", "BadRequest", "Conflict", "NotFound", "NotReachable", "Refused"}
    kinds |= {"OverLimit", "Unsuitable", "ModelUnavailable", "RenderFailed", "TryAgain", "StoreError"}
    raised, plain = 0, []
    for file in sorted(Path(bot.web.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in kinds:
                raised += 1
                said = [one for one in node.args[:2] if not isinstance(one, ast.Constant | ast.JoinedStr)]
                status = [one for one in node.args[:2] if isinstance(getattr(one, "value", ""), int)]
                if len(said) + len(status) < len(node.args[:2]):
                    plain.append(f"{file.name}, line {node.lineno}")
    assert raised > 60
    assert plain == []


# Fields


async def test_what_is_wrong_with_fields_is_told_beside_each_of_them(operator: httpx.AsyncClient) -> None:
    body = {"persona": 7, "scene": "x", "count": 0, "colour": "red"}
    told = (await operator.post("/api/v1/jobs", json=body, headers=GERMAN)).json()
    assert {"pointer": "/persona", "detail": "Hier muss Text stehen."} in told["errors"]
    assert {"pointer": "/colour", "detail": "Ein Feld mit diesem Namen gibt es nicht."} in told["errors"]
    assert "persona: Hier muss Text stehen." in told["detail"]
    limit = await operator.get("/api/v1/jobs", params={"limit": 1_000}, headers=GERMAN)
    assert problem(limit, 422) == "limit: Das darf höchstens 500 sein."


async def test_of_very_many_wrong_fields_the_first_are_told(operator: httpx.AsyncClient) -> None:
    answer = await operator.post("/api/v1/jobs", json={f"field-{n}": n for n in range(2_000)}, headers=GERMAN)
    assert problem(answer, 422).count("Ein Feld mit diesem Namen gibt es nicht.") <= MOST_TOLD
    assert len(answer.json()["errors"]) == MOST_TOLD


# Times


async def test_what_is_wrong_with_a_time_is_told_in_german(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    await a_place(engine)
    for said, told in (
        ({"words": "sometimes"}, "Sag zuerst, wann"),
        ({"words": "weekly someday 09:00"}, "„someday“ ist kein Wochentag."),
        ({"words": "every 1 minutes"}, "Zwischen zwei Zeiten müssen mindestens 5 Minuten liegen."),
        ({"words": "cron 99 9 * * *"}, "„99“ geht in einem Cron nicht als Minute."),
        ({"words": "window 09:00-09:00"}, "09:00-09:00 fängt an, wenn es aufhört."),
        ({"words": "daily 09:00", "zone": "Berlin/Europe"}, "Eine Zeitzone „Berlin/Europe“ gibt es nicht."),
    ):
        body = {"chat": "telegram:bot:-100815"} | said
        answer = await operator.post("/api/v1/schedules", json=body, headers=GERMAN)
        assert problem(answer, 400).startswith(told)
    answer = await operator.get("/api/v1/posts", params={"before": "yesterday"}, headers=GERMAN)
    assert problem(answer, 400) == "`before` ist das, was die Seite davor als `next` genannt hat."


async def test_a_schedule_that_cannot_be_read_says_so_in_german(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    await a_place(engine)
    made = await operator.post(
        "/api/v1/schedules", json={"words": "daily 09:00", "chat": "telegram:bot:-100815"}
    )
    number = made.json()["id"]
    async with engine.database.write() as tx:
        await schedules.change(tx, await schedules.get(tx, number), spec="hourly, on Mars")
    [listed] = (await operator.get("/api/v1/schedules", headers=GERMAN)).json()["items"]
    alone = (await operator.get(f"/api/v1/schedules/{number}", headers=GERMAN)).json()
    assert listed["error"] == alone["error"] == de("schedules.how_at_all")


# What is kept, and told later


async def test_the_trouble_with_a_feed_is_told_in_german_long_after(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    place = await a_place(engine)
    async with engine.database.write() as tx:
        feed = await feeds.add(
            tx,
            chat_id=place.id,
            persona_id=1,
            person_id=None,
            kind=FeedKind.FEED,
            now=engine.clock.now(),
            address="http://127.0.0.1:1/feed",
        )
    await engine.newsroom.look(feed)
    why = "127.0.0.1 liegt in einem privaten Netz oder auf diesem Rechner selbst."
    [listed] = (await operator.get("/api/v1/feeds", headers=GERMAN)).json()["items"]
    alone = (await operator.get(f"/api/v1/feeds/{feed.id}", headers=GERMAN)).json()
    assert listed["error"].startswith(why)
    assert alone["error"].startswith(why)
    english = (await operator.get(f"/api/v1/feeds/{feed.id}")).json()
    assert english["error"].startswith("127.0.0.1 is inside a private network")


async def test_why_a_picture_failed_is_told_in_german_long_after(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    why = say("pictures.parent_unreadable")
    job = await a_failed_job(engine, why)
    assert (job.error, locale_of("de").says(job.error)) == (str(why), de("pictures.parent_unreadable"))
    [listed] = (await operator.get("/api/v1/jobs", headers=GERMAN)).json()["items"]
    alone = (await operator.get(f"/api/v1/jobs/{job.id}", headers=GERMAN)).json()
    assert listed["error"] == alone["error"] == de("pictures.parent_unreadable")
    assert (await operator.get(f"/api/v1/jobs/{job.id}")).json()["error"] == str(why)


async def test_what_was_kept_before_sentences_were_stays_as_it_is(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    job = await a_failed_job(engine, "It was too dark.")
    told = (await operator.get(f"/api/v1/jobs/{job.id}", headers=GERMAN)).json()
    assert told["error"] == "It was too dark."


# The page's socket


async def test_the_socket_refuses_in_german(house: House) -> None:
    amiss = {
        "nonsense": "Das ist kein JSON.",
        "[]": "Hier muss ein Objekt stehen.",
        "{}": de("web.live.what"),
        '{"watch":"nothing"}': de("web.live.nothing"),
        '{"watch":"chat","chat":7}': de("web.live.chat"),
        '{"watch":"chat","chat":"home","after":-1}': de("web.live.after"),
        "x" * (MOST_LETTERS + 1): "Nichts ist hier länger als 4.096 Zeichen.",
    }
    async with page_of(house) as page:
        german = Visitor(page.url, page.http, page._headers | GERMAN)
        async with german.tab() as tab:
            for number, (said, told) in enumerate(amiss.items()):
                await tab.socket.send(said)
                assert (await tab.until("problem", start=number))["detail"] == told
            await tab.socket.send(b"\x00")
            await tab.until("problem", lambda one: one["detail"] == "Hier wird nur Text verstanden.")
            for number in range(MOST_CHATS):
                await tab.watch(f"c{number}")
            await tab.say(watch="chat", chat="one-more")
            await tab.until(
                "problem", lambda one: one["detail"].startswith("Eine Verbindung sieht höchstens 32")
            )


async def test_the_socket_tells_what_a_scope_is_needed_for_in_german(house: House) -> None:
    async with program_of(house) as (nobody, _):
        german = Visitor(nobody.url, nobody.http, nobody._headers | GERMAN)
        async with german.tab() as tab:
            await tab.say(watch="jobs")
            problem = await tab.until("problem")
    assert problem["detail"] == "Um jobs zuzusehen, braucht es die Berechtigung make."


async def test_each_watcher_is_told_why_in_a_language_of_its_own(house: House) -> None:
    why = say("pictures.parent_unreadable")
    async with page_of(house) as page:
        german = Visitor(page.url, page.http, page._headers | GERMAN)
        async with page.tab() as one, german.tab() as other:
            for tab in (one, other):
                await tab.say(watch="jobs")
                await tab.watch()  # what was said before is heard by then
            job = await a_failed_job(house.engine, why)
            events: Events = house.engine.events
            events.publish("job.ended", job=job.id, chat_id=None, state="failed", error=str(why))
            told = [(await tab.until("job"))["job"]["error"] for tab in (one, other)]
    assert told == [str(why), de("pictures.parent_unreadable")]


# Programs made for OpenAI's API


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("chat/completions", {"messages": []}, "messages: Davon braucht es mindestens eins."),
        ("chat/completions", {"temperature": 9}, "temperature: Das darf höchstens 5 sein."),
        ("chat/completions", {"n": 2}, "Jede Persona gibt nur eine Antwort auf einmal"),
        ("chat/completions", {"store": True}, "Was hier gesagt wird, wird nicht aufbewahrt"),
        ("chat/completions", {"tool_choice": "required"}, "Personas benutzen keine Werkzeuge"),
        ("chat/completions", {"model": "nobody"}, "„nobody“"),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]},
            "Das ist kein Teil einer Nachricht",
        ),
        ("images/generations", {"n": 99}, "n darf 1 bis"),
        ("images/generations", {"size": "huge"}, "size ist BREITExHÖHE"),
        ("images/generations", {"quality": "best"}, "quality darf eines davon sein: auto, low"),
        ("images/generations", {"style": "none-such"}, "style darf eines davon sein: "),
        ("images/generations", {"stream": True}, "Bilder kommen hier am Stück"),
        ("embeddings", {"model": "nobody", "input": "x"}, ""),
    ],
)
async def test_a_program_of_openai_s_is_refused_in_german(
    operator: httpx.AsyncClient, path: str, body: dict[str, Any], told: str
) -> None:
    usual = {"model": WHO, "messages": HELLO} if path.startswith("chat") else {"prompt": "a pier"}
    answer = await operator.post(f"/v1/{path}", json=usual | body, headers=GERMAN)
    english = await operator.post(f"/v1/{path}", json=usual | body)
    assert answer.status_code == english.status_code >= 400
    said = answer.json()["error"]["message"]
    assert told in said
    assert said != english.json()["error"]["message"]


class BreaksOff(FakeLanguage):
    async def write(self, wanted: Any) -> Any:
        for word in ("It ", "was ", "a "):
            await asyncio.sleep(0.02)
            yield word
        raise RuntimeError("the model is gone")


async def test_a_stream_that_breaks_off_says_so_in_german(settings: Settings) -> None:
    async with Engine.open(settings, models=[BreaksOff()]) as engine, served(app_of(engine)) as port:
        asked = {"model": WHO, "messages": HELLO, "stream": True}
        shown = {"Authorization": f"Bearer {SECRET}"} | GERMAN
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30
        ) as program:
            answer = await program.post("/v1/chat/completions", json=asked, headers=shown)
    assert "Das Modell hat mitten in dieser Antwort abgebrochen." in answer.text
    assert "broke off" not in answer.text


class Spoilt(FakeRenderer):
    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        raise RenderFailed(say("pictures.parent_unreadable"))


async def test_a_picture_that_fails_is_told_of_in_german(settings: Settings) -> None:
    async with (
        open_house(settings, models=[FakeLanguage()], renderer=Spoilt()) as house,
        page_of(house) as page,
    ):
        asked = {"model": WHO, "prompt": "a pier"}
        answer = await page.http.post(f"{page.url}/v1/images/generations", json=asked, headers=GERMAN)
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == de("pictures.parent_unreadable")


# Personas


async def test_what_a_persona_cannot_become_is_told_in_german(operator: httpx.AsyncClient) -> None:
    persona = (await operator.get(f"/api/v1/personas/{WHO}/page")).json()["persona"]
    body = {"persona": persona | {"slug": "somebody-else"}, "revision": 1}
    answer = await operator.put(f"/api/v1/personas/{WHO}", json=body, headers=GERMAN)
    assert problem(answer, 400) == f"Das Kürzel bleibt „{WHO}“: Links und Knöpfe da draußen tragen es."
    assert answer.json()["errors"][0]["pointer"] == "/persona/slug"
    answer = await operator.post("/api/v1/personas/import", content=b"nobody", headers=GERMAN)
    assert problem(answer, 400).startswith("Aus dieser Datei lässt sich niemand aufnehmen: ")
