"""How the house is, told to programs: samples, readiness, metrics, the log without its secrets; and models pulled."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from importlib import resources
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from bot.house import House, open_house
from bot.logs_read import STRUCK, last_lines
from engine.engine import Engine
from engine.history import EVERY, MOST
from engine.imagining import Wish
from engine.pulls import PullState
from engine.settings import LanguageSettings, Settings
from engine.store import personas, stats
from engine.store.records import ChatRef, Lane, Scope
from engine.testing import FakeLanguage, ManualClock
from tests.bot.command_line import Greenroom
from tests.bot.test_status import fill
from tests.bot.web.tabs import Visitor, answered, page_of
from tests.bot.web.visitors import SECRET, a_key, problem, visitor
from tests.servers.hub import Hub
from tests.servers.hub.tiny import tiny_hub

SIZE = 3_000_000


async def scraped(house: House) -> str:
    async with httpx.AsyncClient(base_url=house.address.url, trust_env=False, timeout=30) as client:
        answer = await client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        return answer.text


def value(told: str, metric: str) -> float:
    found = re.search(rf"^{re.escape(metric)} (\S+)$", told, re.MULTILINE)
    assert found, f"{metric} is not among them"
    return float(found[1])


# How it is, now and over the last hour


async def test_the_last_hour_is_remembered_and_no_more(engine: Engine, operator: httpx.AsyncClient) -> None:
    assert (await operator.get("/api/v1/health/samples")).json() == {"every": EVERY, "items": []}
    sample = await engine.history.take()
    engine.history.samples.extend([sample] * MOST)
    told = (await operator.get("/api/v1/health/samples")).json()["items"]
    assert len(told) == MOST
    assert told[0]["memory"] > 0
    assert set(told[0]["lanes"]) == {lane.value for lane in Lane}


async def test_what_is_made_between_two_samples_is_told_as_a_rate(engine: Engine) -> None:
    assert isinstance(engine.clock, ManualClock)
    first = await engine.history.take()
    assert (first.tokens_per_second, first.pictures_per_minute) == (0, 0)
    engine.gauges.count("tokens", by=50)
    await engine.clock.advance(EVERY)
    assert (await engine.history.take()).tokens_per_second == 50 / EVERY
    await engine.clock.advance(EVERY)
    assert (await engine.history.take()).tokens_per_second == 0


async def test_now_says_what_runs_and_what_to_do(house: House, page: Visitor) -> None:
    told = (await page.http.get("/health/now")).json()
    running = {part["name"]: part["runs"] for part in told["parts"]}
    assert {"outbox", "pictures", "web", "terminal", "history"} <= running.keys()
    assert all(running.values())
    assert told["verdict"]
    assert told["sample"]["disk"] > 0


async def test_whoever_watches_health_is_told_each_sample(house: House, page: Visitor) -> None:
    async with page.tab() as tab:
        await tab.say(watch="health")
        await tab.watch()  # what is answered in turn: it is watched by now
        await house.engine.history.take()
        told = await tab.until("health")
    assert told["sample"]["lanes"]["interactive"] == {"waiting": 0, "running": 0}


async def test_whoever_watches_posts_is_told_what_somebody_decided(house: House, page: Visitor) -> None:
    async with house.engine.database.write() as tx:
        await house.engine.presence.new_place(tx, ChatRef("telegram", "bot", "-1"), shared=True)
    said = {
        "words": "daily 09:00",
        "chat": "telegram:bot:-1",
        "persona": "glenys-prosser",
        "posts": "text-only",
    }
    kept = (await page.http.post("/schedules", json=said)).json()
    async with page.tab() as tab:
        await tab.say(watch="posts")
        await tab.watch()
        post = (await page.http.post(f"/schedules/{kept['id']}/run")).json()
        told = await tab.until("post", lambda one: one["post"]["state"] == "published")
    assert told["post"]["id"] == post["id"]
    assert (await page.http.get(f"/posts/{post['id']}")).json() == told["post"]


# Readiness


async def test_the_house_is_ready_and_says_so_to_anybody(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.address.url, trust_env=False, timeout=30) as stranger:
        assert (await stranger.get("/healthz")).json() == {"greenroom": "up"}
        answer = await stranger.get("/readyz")
    assert answer.status_code == 200, answer.text
    told = {one["name"]: one["ready"] for one in answer.json()["checks"]}
    assert {"store", "front web", "outbox", "line", "words", "pictures"} <= told.keys()


async def test_a_part_that_does_not_run_keeps_it_from_being_ready(app: FastAPI) -> None:
    # Nothing was started beside this app.
    async with visitor(app) as stranger:
        assert (await stranger.get("/healthz")).status_code == 200
        answer = await stranger.get("/readyz")
    assert answer.status_code == 503
    why = {one["name"]: one["why"] for one in answer.json()["checks"] if not one["ready"]}
    assert why["outbox"] == "it was not started"
    async with visitor(app, X_Forwarded_For="10.0.0.9") as from_elsewhere:
        told = (await from_elsewhere.get("/readyz")).json()
    assert not told["ready"]
    assert {one["why"] for one in told["checks"]} == {""}


async def test_a_model_that_is_named_and_nowhere_is_told_of(settings: Settings) -> None:
    named = settings.model_copy(update={"language": LanguageSettings(model="no-such-model")})
    async with open_house(named) as house, page_of(house) as page:
        (one,) = (await page.http.get("/health/now")).json()["providers"]
        assert (one["what"], one["name"], one["state"], one["up"]) == (
            "words",
            "no-such-model",
            "missing",
            False,
        )
        async with httpx.AsyncClient(base_url=house.address.url, trust_env=False, timeout=30) as stranger:
            answer = await stranger.get("/readyz")
        assert answer.status_code == 503
        (words,) = [check for check in answer.json()["checks"] if not check["ready"]]
        assert words["name"] == "words"
        assert "no-such-model" in words["why"]
        assert value(await scraped(house), 'greenroom_provider_up{name="no-such-model",what="words"}') == 0


async def test_what_makes_embeddings_is_among_those_who_are_told_of(
    settings: Settings, bert_model: Path
) -> None:
    folder = settings.home / "models" / "embedding" / "bert"
    folder.mkdir(parents=True)
    shutil.copy(bert_model, folder / "bert.gguf")
    named = settings.model_copy(update={"language": LanguageSettings(embeddings="bert", gpu_layers=0)})
    async with open_house(named) as house, page_of(house) as page:

        async def told() -> list[tuple[str, str, str, bool]]:
            found = (await page.http.get("/health/now")).json()["providers"]
            return [(one["what"], one["name"], one["state"], one["up"]) for one in found]

        assert await told() == []
        measure = await house.engine.embedders.named("bert")
        assert await told() == [("embeddings", "bert", "asleep", True)]
        await measure.embed(["the sea"])
        assert await told() == [("embeddings", "bert", "ready", True)]
        assert value(await scraped(house), 'greenroom_provider_up{name="bert",what="embeddings"}') == 1


async def test_what_is_to_make_embeddings_and_cannot_is_told_of_and_keeps_nothing_from_being_ready(
    settings: Settings,
) -> None:
    named = settings.model_copy(update={"language": LanguageSettings(embeddings="no-such-model")})
    async with open_house(named) as house, page_of(house) as page:
        [one] = (await page.http.get("/health/now")).json()["providers"]
        assert (one["what"], one["name"], one["state"], one["up"]) == (
            "embeddings",
            "no-such-model",
            "missing",
            False,
        )
        assert one["why"].startswith("“no-such-model”")
        measure = 'greenroom_provider_up{name="no-such-model",what="embeddings"}'
        assert value(await scraped(house), measure) == 0
        async with httpx.AsyncClient(base_url=house.address.url, trust_env=False, timeout=30) as stranger:
            assert (await stranger.get("/readyz")).status_code == 200


# Metrics


async def test_what_happened_is_counted(house: House, page: Visitor) -> None:
    await page.enter("glenys-prosser")
    async with page.tab() as tab:
        await tab.watch()
        await answered(tab, await page.says("Hello there."))
        async with house.engine.database.read() as tx:
            record = await personas.find(tx, "glenys-prosser")
        request = await house.engine.imagining.compose(record, Wish("at the sea"))
        with house.engine.events.watch(lambda event: event.name == "job.ended") as ended:
            async with house.engine.database.write() as tx:
                await house.engine.imagining.put_in_line(
                    tx, request, persona_id=record.id, person=None, lane=Lane.INTERACTIVE, dedup_key="one"
                )
            house.engine.imagining.nudge()
            async for _event in ended:
                break
        told = await scraped(house)
        while 'greenroom_jobs_total{state="done"} 1.0' not in told:
            await asyncio.sleep(0.02)
            told = await scraped(house)
    assert value(told, 'greenroom_turns_total{front="web"}') == 1
    assert value(told, 'greenroom_replies_total{source="model"}') == 1
    assert value(told, 'greenroom_first_word_seconds_count{source="model",task="chat"}') == 1
    assert value(told, 'greenroom_writing_seconds_bucket{le="+Inf",source="model",task="chat"}') == 1
    assert value(told, 'greenroom_pictures_total{outcome="made",source="model"}') == 1
    assert value(told, 'greenroom_deliveries_total{front="web",outcome="sent"}') >= 1
    assert value(told, "greenroom_watchers") == 1
    assert value(told, 'greenroom_line{lane="interactive",state="waiting"}') == 0
    assert value(told, 'greenroom_part_up{part="outbox"}') == 1
    assert value(told, "greenroom_tokens_total") > 0


async def test_the_dashboard_names_only_what_is_exposed(house: House) -> None:
    board = json.loads((resources.files("data") / "grafana" / "greenroom.json").read_text(encoding="utf-8"))
    asked = {
        name.removesuffix("_bucket")
        for panel in board["panels"]
        for target in panel.get("targets", ())
        for name in re.findall(r"greenroom_[a-z_]+", target["expr"])
    }
    exposed = set(re.findall(r"^# TYPE (\S+)", await scraped(house), re.MULTILINE))
    assert asked
    assert asked - exposed == set()
    assert exposed - asked == set()


async def test_metrics_need_a_key_that_may_read_from_elsewhere(engine: Engine, app: FastAPI) -> None:
    reads, _ = await a_key(engine, Scope.READ)
    talks, _ = await a_key(engine, Scope.CHAT)
    elsewhere = {"X_Forwarded_For": "10.0.0.9"}
    async with visitor(app, **elsewhere) as stranger:
        problem(await stranger.get("/metrics"), 401)
    async with visitor(app, Authorization=f"Bearer {talks}", **elsewhere) as talker:
        problem(await talker.get("/metrics"), 403)
    async with visitor(app, Authorization=f"Bearer {reads}", **elsewhere) as reader:
        assert (await reader.get("/metrics")).status_code == 200


# The log


async def test_the_end_of_the_log_is_told_without_secrets(
    engine: Engine, operator: httpx.AsyncClient
) -> None:
    lines = [
        json.dumps({"event": f"line {number}", "level": "info", "timestamp": "2026-01-01T00:00:00Z"})
        for number in range(5)
    ]
    key = "grk_" + "x" * 43
    token = "123456789:" + "A" * 35
    said = {"event": "odd", "cause": f"at https://me:pass@host/bot{token}/x with {key}", "deep": [SECRET]}
    engine.home.log.parent.mkdir(parents=True, exist_ok=True)
    engine.home.log.write_text("\n".join([*lines, json.dumps(said), "not JSON"]) + "\n", encoding="utf-8")
    told = (await operator.get("/api/v1/health/log", params={"lines": 3})).json()["lines"]
    assert [one["event"] for one in told] == ["line 4", "odd", "not JSON"]
    everything = json.dumps(told)
    for secret in (key, token, "me:pass", SECRET):
        assert secret not in everything
    assert told[1]["about"]["deep"] == [STRUCK]
    problem(await operator.get("/api/v1/health/log", params={"lines": 0}), 422)


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log", 10) == []


def test_of_a_long_log_whole_lines_are_read(tmp_path: Path) -> None:
    file = tmp_path / "long.log"
    file.write_text("".join(json.dumps({"event": "x" * 900, "n": n}) + "\n" for n in range(3_000)))
    told = last_lines(file, 10_000)
    assert [one["about"]["n"] for one in told] == list(range(3_000 - len(told), 3_000))
    assert 500 < len(told) < 3_000


# Models


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with tiny_hub(monkeypatch, tmp_path, SIZE) as opened:
        yield opened


NAME = "owner/tiny:tiny.gguf"


async def ended(page: Visitor, model: str = "tiny") -> dict[str, object]:
    while True:
        for one in (await page.http.get("/models")).json()["pulls"]:
            if one["id"] == model and one["state"] != PullState.RUNNING:
                found: dict[str, object] = one
                return found
        await asyncio.sleep(0.02)


async def test_a_model_is_pulled_told_of_listed_and_removed(hub: Hub, page: Visitor) -> None:
    async with page.tab() as tab:
        await tab.say(watch="models")
        await tab.watch()  # what is answered in turn: it is watched by now
        begun = await page.http.post(f"/models/{NAME}/pull")
        assert (begun.status_code, begun.json()["state"]) == (202, "running")
        told = await tab.until("pull", lambda one: one["state"] == "done")
        assert (told["id"], told["done"], told["total"]) == ("tiny", SIZE, SIZE)
    models = (await page.http.get("/models")).json()
    (tiny,) = [one for one in models["items"] if one["id"] == "tiny"]
    assert (tiny["installed"], tiny["size"]) == (True, SIZE)
    assert any(one["fits"] and one["licence"] for one in models["items"])
    gone = await page.http.delete("/models/text/tiny")
    assert gone.json() == {"removed": "text/tiny", "freed": gone.json()["freed"]}
    assert gone.json()["freed"] >= SIZE
    problem(await page.http.delete("/models/text/tiny"), 404)


async def test_a_pull_is_stopped_and_goes_on_with_what_came(hub: Hub, page: Visitor) -> None:
    with hub.holding(SIZE // 2):
        await page.http.post(f"/models/{NAME}/pull")
        await asyncio.to_thread(hub.sending.wait, 20)
        again = await page.http.post(f"/models/{NAME}/pull")
        assert again.json()["state"] == "running"
        problem(await page.http.delete("/models/text/tiny"), 403)
        stopped = (await page.http.post(f"/models/{NAME}/stop")).json()
        assert stopped["state"] == "stopped"
    assert len(hub.fetched("tiny.gguf")) == 1
    problem(await page.http.post(f"/models/{NAME}/stop"), 404)
    await page.http.post(f"/models/{NAME}/pull")
    assert (await ended(page))["state"] == "done"
    assert hub.fetched("tiny.gguf")[-1].startswith("bytes=")


async def test_a_pull_that_fails_says_why(hub: Hub, page: Visitor) -> None:
    problem(await page.http.post("/models/no-such-model/pull"), 404)
    await page.http.post("/models/owner/none:none.gguf/pull")
    told = await ended(page, "none")
    assert told["state"] == "failed"
    assert "owner/none" in str(told["note"])


# greenroom stats


def test_uptime_is_from_the_first_stand_in_to_the_next_model() -> None:
    clock = ManualClock()
    since = clock.now()
    at = [since + timedelta(minutes=number) for number in range(10)]
    marks = [(False, at[0]), (True, at[2]), (True, at[3]), (False, at[4]), (True, at[9])]
    found = stats.uptime(marks, since=since, now=since + timedelta(minutes=10))
    assert found is not None
    assert (found.outages, round(found.share, 3)) == (2, 0.7)
    assert stats.uptime([(True, at[1])], since=since, now=at[9]) is None
    assert stats.uptime([], since=since, now=at[9]) is None


async def test_what_stood_in_for_a_model_that_fails_is_told_with_its_cause(settings: Settings) -> None:
    async with open_house(settings, models=[FakeLanguage(fails=True)]) as house, page_of(house) as page:
        await page.enter("glenys-prosser")
        async with page.tab() as tab:
            await tab.watch()
            await answered(tab, await page.says("Hello?"))
        (one,) = (await page.http.get("/health/fallbacks")).json()["items"]
        assert (one["what"], one["count"]) == ("words", 1)
        assert one["cause"]
        told = await scraped(house)
    assert value(told, 'greenroom_replies_total{source="understudy"}') == 1
    assert value(told, 'greenroom_model_failures_total{model="fake",task="chat"}') == 1


def test_stats_are_told_from_rows_of_a_house_that_does_not_run(tmp_path: Path) -> None:
    greenroom = Greenroom(tmp_path)
    told = greenroom("stats")
    assert told.returncode == 0, told.stderr
    assert "none" in told.stdout
    as_json = json.loads(greenroom("stats", "--since", "12h", "--json").stdout)
    assert (as_json["pictures"], as_json["reply_success"], as_json["words_up"]) == (0, None, None)
    fill(greenroom.home)
    drawn = " ".join(greenroom("stats", COLUMNS="200").stdout.split())
    for words in (
        "20 done",
        "4 failed",
        "83.3% of the jobs were done",
        "20 × sdxl on cuda, noir, 64x32, 4 steps",
    ):
        assert words in drawn
    assert "\x1b" not in drawn
    assert json.loads(greenroom("stats", "--json").stdout)["job_success"] == 20 / 24
    assert greenroom("stats", "--since", "soon").returncode == 2
    assert greenroom("stats", "--since", "9999d").returncode == 2
