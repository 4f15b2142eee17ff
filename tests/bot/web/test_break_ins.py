"""Ways in that are none: by a key to the password, by another user of this machine, by another house's cookie."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from bot import passwords
from bot.house import open_house
from bot.web import neighbours
from bot.web.rates import FREE
from engine.engine import Engine
from engine.settings import Settings, WebSettings
from engine.store import sessions
from engine.store.records import Scope
from tests.bot.web.tabs import page_of, told
from tests.bot.web.visitors import a_key, visitor

PASSWORD = "brass kettle & tea"
NOBODY = 65_534


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(app, address="192.0.2.7") as opened:
        yield opened


async def test_who_has_a_key_guesses_the_password_no_faster(
    engine: Engine, browser: httpx.AsyncClient
) -> None:
    passwords.keep(engine.home, PASSWORD)
    word, _ = await a_key(engine, Scope.CHAT)
    heard = 0
    for guess in range(4 * FREE):
        answer = await browser.post("/sign-in", data={"word": f"guess {guess}"})
        heard += answer.status_code == 401
        assert (await browser.post("/sign-in", data={"word": word})).status_code == 303
    assert heard == FREE + 1


async def test_a_key_that_signs_in_again_and_again_pushes_nobody_out(
    engine: Engine, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    word, _ = await a_key(engine, Scope.CHAT)
    async with visitor(app) as operator, visitor(app) as last:
        await operator.get("/")
        for _ in range(6):
            async with visitor(app, address="192.0.2.7") as browser:
                assert (await browser.post("/sign-in", data={"word": word})).status_code == 303
        await last.post("/sign-in", data={"word": word})
        assert (await operator.get("/api/v1/me")).json()["kind"] == "page"
        assert (await last.get("/api/v1/me")).json()["kind"] == "key"
    async with engine.database.read() as tx:
        assert (await tx.exec_driver_sql("SELECT count(*) FROM sessions")).scalar_one() == 4


async def test_two_houses_on_one_machine_sign_nobody_out_of_each_other(
    settings: Settings, tmp_path: Path
) -> None:
    """A browser keeps cookies by the name of a host; ports are all the same to it."""
    other = settings.model_copy(update={"home": tmp_path / "other"})
    async with (
        open_house(settings) as one,
        open_house(other) as two,
        httpx.AsyncClient(trust_env=False, timeout=30) as browser,
    ):
        for house in (one, two, one, two):
            await browser.get(f"{house.address.url}/")
        for house in (one, two):
            assert (await browser.get(f"{house.address.url}/api/v1/me")).status_code == 200
        assert len(browser.cookies) == 2
        for house in (one, two):
            async with house.engine.database.read() as tx:
                assert (await tx.exec_driver_sql("SELECT count(*) FROM sessions")).scalar_one() == 1


async def test_a_house_that_starts_again_knows_its_browsers_still(settings: Settings) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
        for _ in range(2):
            async with open_house(settings) as house:
                await browser.get(f"{house.address.url}/")
                assert (await browser.get(f"{house.address.url}/api/v1/me")).status_code == 200
                async with house.engine.database.read() as tx:
                    assert (await tx.exec_driver_sql("SELECT count(*) FROM sessions")).scalar_one() == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_of_this_machine_is_somebody_else(settings: Settings, host: str) -> None:
    """A proxy that hides where people come from runs as somebody else, too."""
    web = WebSettings(host=host, port=0)
    async with open_house(settings.model_copy(update={"web": web})) as house:
        port = int(house.address.url.rpartition(":")[2])
        named = f"[{host}]" if ":" in host else host
        assert b" 200 " in await asks(host, port, named)
        told_them = await asks(host, port, named, user=NOBODY)
        assert b" 303 " in told_them
        assert b"set-cookie" not in told_them.lower()
        async with house.engine.database.read() as tx:
            assert (await tx.exec_driver_sql("SELECT count(*) FROM sessions")).scalar_one() == 1


def test_the_system_s_own_table_says_whose_an_end_is() -> None:
    told = [
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
        "   0: 0100007F:2081 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0 20 4",
        "   1: 0100007F:9C40 0100007F:2081 06 00000000:00000000 03:00000176 00000000     0        0 0 3 0",
        "   2: 0100007F:9C41 0100007F:2081 01 00000000:00000000 00:00000000 00000000    33        0 12 1 0 20 4",
        "   3: 0100007F:9C42 0100007F:2082 01 00000000:00000000 00:00000000 00000000  1001        0 13 1 0 20 4",
        "nonsense",
    ]
    here = ("127.0.0.1", 0x2081)
    assert neighbours.told_in(told, here, ("127.0.0.1", 0x9C41)) == 33
    for port, why in (
        (0x9C40, "nobody holds it any more"),
        (0x9C42, "to another door"),
        (0x9C43, "not there"),
    ):
        assert neighbours.told_in(told, here, ("127.0.0.1", port)) is None, why


async def test_whoever_has_to_sign_in_where_nothing_is_set_is_told_what_to_do(
    browser: httpx.AsyncClient, engine: Engine
) -> None:
    assert "greenroom password" in (await browser.get("/sign-in")).text
    passwords.keep(engine.home, PASSWORD)
    assert "greenroom password" not in (await browser.get("/sign-in")).text


async def asks(host: str, port: int, named: str, user: int | None = None) -> bytes:
    door = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if user is not None:
        os.fchown(door.fileno(), user, -1)  # the system says of a connection whose it is
    door.setblocking(False)
    await asyncio.get_running_loop().sock_connect(door, (host, port))
    reader, writer = await asyncio.open_connection(sock=door)
    writer.write(f"GET / HTTP/1.1\r\nHost: {named}:{port}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_half_a_sign_in_a_name_is_refused_in_a_sentence(app: FastAPI, engine: Engine) -> None:
    word, _ = await a_key(engine, Scope.CHAT)
    async with visitor(app, Authorization=f"Bearer {word}", Content_Type="application/json") as program:
        for said in (
            b'{"\\ud800": 1, "text": "x", "key": "1"}',
            b'{"text": "\\ud800", "key": "1"}',
            b'{"text": "x", "key": "\\ud800"}',
        ):
            answer = await program.post("/api/v1/talks/home/messages", content=said)
            assert answer.status_code in (202, 400, 422), (said, answer.text)


async def test_names_of_chats_and_of_messages_are_never_taken_for_one_another(settings: Settings) -> None:
    """Chat `a:b` and message `c`, chat `a` and message `b:c`: two things were said."""
    async with open_house(settings) as house, page_of(house) as page:
        for chat in ("a", "a:b"):
            await page.enter("glenys-prosser", chat)
        await page.says("First.", chat="a", key="b:c")
        await page.says("Second.", chat="a:b", key="c")
        for chat, text in (("a", "First."), ("a:b", "Second.")):
            assert text in [one["text"] for one in (await page.stands(chat))["items"]]


async def test_a_hook_s_secret_stands_on_the_page_once_and_in_no_row(settings: Settings) -> None:
    async with open_house(settings) as house, page_of(house) as page, page.tab() as tab:
        await page.enter("glenys-prosser")
        await tab.watch()
        await page.says("/feed hook")
        shown = await tab.message(lambda one: "X-Greenroom-Secret: " in one["text"])
        secret = shown["text"].partition("X-Greenroom-Secret: ")[2].split()[0]
        assert len(secret) > 20
        for _ in range(500):  # it is shown first, and then it is written down that it was
            [struck] = [one for one in (await page.stands())["items"] if "Secret: " in one["text"]]
            if secret not in struck["text"]:
                break
            await asyncio.sleep(0.01)
        assert struck["text"].partition("X-Greenroom-Secret: ")[2].split()[0] == "•••"
        assert tab.messages[struck["id"]] == shown, "whoever reads it may go on"
        async with page.tab() as late:
            await late.watch()
            assert secret not in str(late.told)
        async with page.tab() as back:
            await back.watch(after=tab.revision)
            assert secret not in str(back.told)
        async with house.engine.database.read() as tx:
            rows = (await tx.exec_driver_sql("SELECT * FROM messages")).all()
        assert secret not in str(rows)
        assert told(await page.http.get("/me"), 200)["kind"] == "page"
