"""Signing in: by itself at this machine, by a password or a key elsewhere, slowly for whoever guesses; and out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from bot import passwords
from bot.cli import doors as commands
from bot.house import open_house
from bot.web.rates import FREE
from engine.engine import Engine
from engine.errors import SettingsError
from engine.home import Home
from engine.settings import Settings, WebSettings
from engine.store import sessions
from engine.store.records import Scope
from engine.testing import FakeLanguage, FakeRenderer, ManualClock
from tests.bot.web.visitors import PAGE, a_key, problem, revoked, visitor

PASSWORD = "brass kettle & tea"

Visitor = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def comes(app: FastAPI) -> AsyncIterator[Visitor]:
    opened: list[httpx.AsyncClient] = []

    def somebody(**how: str) -> httpx.AsyncClient:
        opened.append(visitor(app, **how))
        return opened[-1]

    yield somebody
    for one in opened:
        await one.aclose()


@pytest.fixture
def password(engine: Engine) -> str:
    passwords.keep(engine.home, PASSWORD)
    return PASSWORD


async def tries(browser: httpx.AsyncClient, word: str, **headers: str) -> httpx.Response:
    return await browser.post("/sign-in", data={"word": word}, headers=headers)


async def is_in(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/api/v1/me")).status_code == 200


async def how_many(engine: Engine) -> int:
    async with engine.database.read() as tx:
        return int((await tx.exec_driver_sql("SELECT count(*) FROM sessions")).scalar_one())


# At this machine


async def test_whoever_sits_at_this_machine_comes_in_by_opening_the_page(comes: Visitor) -> None:
    browser = comes()
    problem(await browser.get("/api/v1/me"), 401)
    opened = await browser.get("/")
    assert opened.status_code == 200
    parts = opened.headers["set-cookie"].split("; ")
    assert re.match(r"greenroom-[0-9a-f]{8}=", parts[0])
    assert len(parts[0]) > 50
    assert set(parts[1:]) == {"Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Strict"}
    told = (await browser.get("/api/v1/me")).json()
    assert told["kind"] == "page"
    assert told["scopes"] == sorted(Scope)
    assert told["signed_in"]
    assert not told["password"]


async def test_whoever_is_in_begins_no_second_session(engine: Engine, comes: Visitor) -> None:
    browser = comes()
    await browser.get("/")
    assert "set-cookie" not in (await browser.get("/")).headers
    assert (await browser.get("/sign-in")).headers["location"] == "/"
    assert await how_many(engine) == 1


@pytest.mark.parametrize(
    "how",
    [
        {"address": "192.0.2.7"},
        {"X_Forwarded_For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X_Real_IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
)
async def test_nobody_else_comes_in_by_itself(engine: Engine, comes: Visitor, how: dict[str, str]) -> None:
    browser = comes(**how)
    opened = await browser.get("/")
    assert (opened.status_code, opened.headers["location"]) == (303, "/sign-in")
    assert "set-cookie" not in opened.headers
    assert await how_many(engine) == 0
    refused = await tries(browser, "anything at all")
    assert refused.status_code == 401
    assert "greenroom password" in refused.text


async def test_whoever_follows_a_link_from_elsewhere_is_asked_once_more(
    engine: Engine, comes: Visitor
) -> None:
    """The browser keeps a strict cookie to itself until a page of ours asks: it may well have a session."""
    browser = comes()
    arrived = await browser.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert arrived.status_code == 200
    assert "url=/" in arrived.text
    assert "set-cookie" not in arrived.headers
    assert await how_many(engine) == 0


async def test_a_browser_that_opens_the_page_for_ever_fills_no_disk(
    engine: Engine, comes: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    browsers = [comes() for _ in range(5)]
    for browser in browsers:
        await browser.get("/")
    assert await how_many(engine) == 3
    assert [await is_in(browser) for browser in browsers] == [False, False, True, True, True]


# With a password


async def test_with_a_password_it_is_asked_for(password: str, comes: Visitor) -> None:
    browser = comes()
    opened = await browser.get("/")
    assert (opened.status_code, opened.headers["location"]) == (303, "/sign-in")
    assert not await is_in(browser)
    form = await browser.get("/sign-in")
    assert form.status_code == 200
    assert "<label for=" in form.text
    assert "<script" not in form.text
    assert " style=" not in form.text
    styles = re.findall(r'rel="stylesheet" href="([^"]+)"', form.text)
    assert len(styles) == 2
    for style in styles:
        assert (await browser.get(style)).headers["content-type"].startswith("text/css")
    entered = await tries(browser, password)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert await is_in(browser)
    assert (await browser.get("/")).status_code == 200


async def test_a_wrong_one_is_told_to_a_screen_reader_too(password: str, comes: Visitor) -> None:
    browser = comes()
    for word in ("wrong", "", "grk_" + "x" * 43, PASSWORD.upper(), PASSWORD + "\0", "x" * 2_000):
        refused = await tries(comes(address=f"10.0.0.{len(word) % 250}"), word)
        assert refused.status_code == 401
        assert 'role="alert"' in refused.text
        assert 'aria-describedby="problem"' in refused.text
        assert "greenroom password" not in refused.text
    assert not await is_in(browser)


@pytest.mark.parametrize(
    ("told", "lang", "says"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de", "Anmelden"),
        ("tlh, de;q=0.5", "de", "Anmelden"),
        ("en-GB", "en", "Sign in"),
        ("", "en", "Sign in"),
        ("../../etc, <script>", "en", "Sign in"),
    ],
)
async def test_the_form_speaks_the_browser_s_language(
    password: str, comes: Visitor, told: str, lang: str, says: str
) -> None:
    form = await comes().get("/sign-in", headers={"Accept-Language": told})
    assert f'<html lang="{lang}">' in form.text
    assert f">{says}</button>" in form.text
    assert "{" not in form.text


async def test_a_form_that_is_none_is_refused(password: str, comes: Visitor) -> None:
    browser = comes()
    problem(await browser.post("/sign-in", content=b"word=\xff"), 422)
    problem(await browser.post("/sign-in", content=b"word=%ff"), 422)
    problem(await browser.post("/sign-in", content=b"a=1&" * 100), 422)
    problem(await browser.post("/sign-in", content=b"word=" + b"x" * 100_000), 413)


async def test_another_page_signs_nobody_in(engine: Engine, password: str, comes: Visitor) -> None:
    browser = comes()
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        problem(await browser.post("/sign-in", data={"word": password}, headers=headers), 403)
    assert await how_many(engine) == 0


async def test_the_same_letters_typed_another_way_are_the_same_password(
    engine: Engine, comes: Visitor
) -> None:
    passwords.keep(engine.home, "caf\u00e9 au lait")
    assert (await tries(comes(), "cafe\u0301 au lait")).status_code == 303


async def test_over_https_the_cookie_stays_there(password: str, comes: Visitor) -> None:
    entered = await tries(comes(at="https://127.0.0.1:8321"), password)
    assert entered.headers["set-cookie"].endswith("; Secure")


async def test_what_is_kept_of_a_password_is_argon2_and_for_us_alone(engine: Engine, password: str) -> None:
    kept = engine.home.path / "password"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_text().startswith("$argon2id$")
    assert password not in kept.read_text()


@pytest.mark.parametrize("damaged", ["", "not a hash", "$argon2id$v=19$m=65536,t=3,p=4$", "\u00fc"])
async def test_a_password_that_cannot_be_read_keeps_the_door_shut(
    engine: Engine, comes: Visitor, damaged: str
) -> None:
    (engine.home.path / "password").write_text(damaged)
    browser = comes()
    assert (await browser.get("/")).status_code == 303
    for word in ("", damaged, "unreadable"):
        assert (await tries(browser, word)).status_code == 401


# Whoever guesses


async def test_each_wrong_try_makes_the_next_wait_longer(
    engine: Engine, password: str, comes: Visitor
) -> None:
    assert isinstance(engine.clock, ManualClock)
    guesser = comes()
    for _ in range(FREE):
        assert (await tries(guesser, "wrong")).status_code == 401
    assert (await tries(guesser, "wrong")).status_code == 401
    pauses = []
    for _ in range(3):
        early = await tries(guesser, password)
        assert early.status_code == 429
        assert "Try again in" in early.text
        pauses.append(int(early.headers["retry-after"]))
        assert not await is_in(guesser)
        await engine.clock.advance(pauses[-1])
        assert (await tries(guesser, "wrong")).status_code == 401
    assert pauses == [2, 4, 8]
    assert (await tries(comes(address="192.0.2.7"), password)).status_code == 303, "others do not wait for it"
    await engine.clock.advance(16)
    assert (await tries(guesser, password)).status_code == 303
    assert (await tries(guesser, "wrong")).status_code == 401, "a right one ends the pauses"


async def test_many_at_once_count_as_many(engine: Engine, password: str, comes: Visitor) -> None:
    answers = await asyncio.gather(*(tries(comes(), "wrong") for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [401] * (FREE + 1) + [429] * (11 - FREE)


# By a key


async def test_a_key_begins_a_session_with_what_it_may(engine: Engine, comes: Visitor) -> None:
    word, key = await a_key(engine, Scope.CHAT, Scope.READ, name="tablet")
    browser = comes(address="192.0.2.7")
    assert (await tries(browser, word)).status_code == 303
    told = (await browser.get("/api/v1/me")).json()
    assert told == {
        "kind": "key",
        "name": "tablet",
        "scopes": ["chat", "read"],
        "signed_in": True,
        "password": False,
        "account": f"key:{key.id}",
    }
    problem(await browser.post("/api/v1/personas", json={}, headers=PAGE), 403)
    await revoked(engine, key)
    assert not await is_in(browser)
    assert (await tries(comes(address="192.0.2.8"), word)).status_code == 401


# The end of it


async def test_signing_out_ends_the_session_at_once(engine: Engine, password: str, comes: Visitor) -> None:
    browser, thief = comes(), comes()
    await tries(browser, password)
    thief.cookies.update(browser.cookies)
    assert await is_in(thief)
    problem(await browser.post("/api/v1/sign-out"), 403)
    left = await browser.post("/api/v1/sign-out", headers=PAGE)
    assert left.status_code == 204
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert not await is_in(browser)
    assert not await is_in(thief)


async def test_signing_in_again_ends_the_session_before(
    engine: Engine, password: str, comes: Visitor
) -> None:
    browser, thief = comes(), comes()
    await tries(browser, password)
    thief.cookies.update(browser.cookies)
    await tries(browser, password)
    assert await is_in(browser)
    assert not await is_in(thief)


async def test_a_session_is_over_after_thirty_days(engine: Engine, password: str, comes: Visitor) -> None:
    assert isinstance(engine.clock, ManualClock)
    browser = comes()
    await tries(browser, password)
    engine.clock.jump(timedelta(days=29, hours=23))
    assert await is_in(browser)
    engine.clock.jump(timedelta(hours=1))
    assert not await is_in(browser)
    await tries(browser, password)
    assert await how_many(engine) == 1, "what is over is swept away"


@pytest.mark.parametrize(
    "token", ["", "x", "x" * 43, "x" * 5_000, "a b", "\u00fc" * 43, "%00" * 20, "' OR 1=1 --" * 4]
)
async def test_a_cookie_of_nobody_s_opens_nothing(
    app: FastAPI, password: str, comes: Visitor, token: str
) -> None:
    shown = f"{app.state.doors.cookie}={token}".encode()
    answer = await comes().get("/api/v1/me", headers=[(b"Cookie", shown)])
    problem(answer, 401)


async def test_a_new_password_sends_out_who_came_in_by_the_old_one(
    engine: Engine, password: str, comes: Visitor
) -> None:
    word, _ = await a_key(engine, Scope.READ)
    browser, tablet = comes(), comes()
    await tries(browser, password)
    await tries(tablet, word)
    await commands._keep(engine.settings, "another one, and longer")
    assert not await is_in(browser)
    assert await is_in(tablet)
    assert (await tries(browser, password)).status_code == 401
    assert (await tries(browser, "another one, and longer")).status_code == 303


# Behind a proxy


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_proxy_is_believed_where_the_operator_named_it(settings: Settings, *, trusted: bool) -> None:
    proxies = ("127.0.0.1",) if trusted else ()
    web = WebSettings(port=0, trusted_proxies=proxies, allowed_hosts=("greenroom.example",))
    Home(settings.home).prepare()
    passwords.keep(Home(settings.home), PASSWORD)

    def from_(address: str) -> dict[str, str]:
        named = {"Host": "greenroom.example", "Origin": "https://greenroom.example"}
        return named | {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}

    async with (
        open_house(settings.model_copy(update={"web": web})) as house,
        httpx.AsyncClient(base_url=house.address.url, trust_env=False, timeout=30) as proxy,
    ):
        for _ in range(FREE + 1):
            await tries(proxy, "wrong", **from_("192.0.2.7"))
        assert (await tries(proxy, PASSWORD, **from_("192.0.2.7"))).status_code == 429
        entered = await tries(proxy, PASSWORD, **from_("192.0.2.8"))
        if trusted:
            assert entered.status_code == 303
            assert entered.headers["set-cookie"].endswith("; Secure")
        else:
            assert entered.status_code == 429, "all that comes through it is one"


# Beyond loopback


@pytest.fixture
def open_to_others(settings: Settings) -> Settings:
    return settings.model_copy(update={"web": WebSettings(host="0.0.0.0", port=0)})


@pytest.mark.parametrize(
    "web",
    [
        WebSettings(host="0.0.0.0", port=0),
        WebSettings(host="::", port=0),
        WebSettings(port=0, allowed_hosts=("greenroom.example",)),
    ],
)
async def test_a_house_that_others_could_walk_into_does_not_open(
    settings: Settings, web: WebSettings
) -> None:
    with pytest.raises(SettingsError, match="greenroom password"):
        async with open_house(settings.model_copy(update={"web": web})):
            raise AssertionError("it opened")


async def test_with_a_password_it_opens_to_others_and_nobody_comes_in_without(
    open_to_others: Settings, language: FakeLanguage, renderer: FakeRenderer
) -> None:
    Home(open_to_others.home).prepare()
    passwords.keep(Home(open_to_others.home), PASSWORD)
    async with (
        open_house(open_to_others, models=[language], renderer=renderer) as house,
        httpx.AsyncClient(base_url=house.address.url, trust_env=False, timeout=30) as browser,
    ):
        assert house.address.url.startswith("http://127.0.0.1:")
        assert (await browser.get("/")).headers["location"] == "/sign-in"
        for host, status in (("192.168.7.20:8321", 401), ("[fe80::1]", 401), ("evil.example", 421)):
            answer = await browser.get("/api/v1/me", headers={"Host": host})
            assert answer.status_code == status
        passwords.remove(house.engine.home)
        assert (await browser.get("/")).headers["location"] == "/sign-in", "not even when it is gone"
        shown = {"Authorization": f"Bearer {house.address.secret}"}
        assert (await browser.get("/api/v1/me", headers=shown)).status_code == 200


async def test_a_key_is_enough_to_open_to_others(open_to_others: Settings, engine: Engine) -> None:
    """The engine of this test made the home; another house opens on it."""
    _, key = await a_key(engine, Scope.CHAT)
    async with open_house(open_to_others) as house:
        assert house.address.url
    await revoked(engine, key)
    with pytest.raises(SettingsError, match=r"0\.0\.0\.0"):
        async with open_house(open_to_others):
            raise AssertionError("it opened")


async def test_an_address_that_is_not_this_machine_s_is_told_in_a_sentence(
    settings: Settings, engine: Engine
) -> None:
    await a_key(engine, Scope.CHAT)
    elsewhere = settings.model_copy(update={"web": WebSettings(host="192.0.2.77", port=0)})
    with pytest.raises(SettingsError, match="no address of this machine"):
        async with open_house(elsewhere):
            raise AssertionError("it opened")
