"""Pictures by their address: a signed link opens one file for a while, and a persona is shown in a style."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from PIL import Image

from bot.house import House, open_house
from bot.web.files import signed_path
from engine.errors import StoreError
from engine.home import Home
from engine.settings import FileSettings, Settings
from engine.store import personas
from engine.testing import FakeLanguage, FakeRenderer
from tests.servers.s3 import S3, SECRET, Fault
from tests.servers.s3.fixtures import s3_bucket, s3_server  # noqa: F401 - fixtures

KEY = "pictures/ada/ü 12-1_ada_noir.png"


@pytest.fixture
async def stranger(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Knows the address and nothing else."""
    async with httpx.AsyncClient(base_url=house.address.url, trust_env=False, timeout=30) as opened:
        yield opened


def client(house: House) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {house.address.secret}"}
    return httpx.AsyncClient(
        base_url=f"{house.address.url}/api/v1", headers=headers, trust_env=False, timeout=30
    )


def until(house: House, seconds: int) -> int:
    return int((house.engine.clock.now() + timedelta(seconds=seconds)).timestamp())


async def made(house: House, http: httpx.AsyncClient, style: str = "noir") -> int:
    """A picture of Glenys; answers its id."""
    asked = {"persona": "glenys", "scene": "by the sea", "style": style, "key": style}
    job = (await http.post("/jobs", json=asked)).json()
    async with http.stream("GET", f"/jobs/{job['id']}/live") as live:
        async for _line in live.aiter_lines():
            pass
    found = (await http.get(f"/jobs/{job['id']}")).json()
    assert found["state"] == "done", found
    return int(found["pictures"][0]["id"])


async def test_a_signed_address_opens_its_file_and_says_what_it_is(
    house: House, stranger: httpx.AsyncClient
) -> None:
    await house.engine.files.put(KEY, b"\x89PNG and so on")
    seen = await stranger.get(signed_path(KEY, until(house, 60), house.engine.home.link_key()))
    assert (seen.status_code, seen.content) == (200, b"\x89PNG and so on")
    assert seen.headers["content-type"] == "image/png"
    assert seen.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in seen.headers["content-security-policy"]
    assert seen.headers["cache-control"].startswith("private")


async def test_what_is_no_picture_is_never_shown_as_a_page(house: House, stranger: httpx.AsyncClient) -> None:
    await house.engine.files.put("notes/evil.html", b"<script>alert(1)</script>")
    seen = await stranger.get(signed_path("notes/evil.html", until(house, 60), house.engine.home.link_key()))
    assert seen.headers["content-type"] == "application/octet-stream"
    assert seen.headers["x-content-type-options"] == "nosniff"


async def test_an_address_that_is_over_or_was_changed_opens_nothing(
    house: House, stranger: httpx.AsyncClient
) -> None:
    secret = house.engine.home.link_key()
    await house.engine.files.put(KEY, b"data")
    await house.engine.files.put("other.png", b"data")
    good = signed_path(KEY, until(house, 60), secret)
    assert (await stranger.get(good)).status_code == 200
    over = await stranger.get(signed_path(KEY, until(house, -1), secret))
    assert over.status_code == 403
    assert "that is over" in over.json()["detail"]
    stamp, signature = good.partition("?expires=")[2].split("&signature=")
    wrong = (
        good.replace(f"expires={stamp}", f"expires={int(stamp) + 9}"),
        good.replace(signature, "0" * 64),
        good.replace(signature, ""),
        good.replace(signature, "é"),
        good.partition("&")[0],
        good.partition("?")[0],
        f"/files/other.png?expires={stamp}&signature={signature}",
        signed_path(KEY, until(house, 60), b"somebody else's"),
        f"/files/..%2F..%2Flinks.key?expires={stamp}&signature={signature}",
    )
    for address in wrong:
        seen = await stranger.get(address)
        assert seen.status_code == 403, address
        assert "not one that I gave away" in seen.json()["detail"]
    assert (await stranger.get(f"/files/other.png?expires=soon&signature={signature}")).status_code == 422


async def test_a_good_signature_for_what_is_not_there_or_cannot_be_is_a_sentence(
    house: House, stranger: httpx.AsyncClient
) -> None:
    secret = house.engine.home.link_key()
    assert (await stranger.get(signed_path("nothing.png", until(house, 60), secret))).status_code == 404
    climbing = signed_path("../../links.key", until(house, 60), secret).replace("..", "%2E%2E")
    seen = await stranger.get(climbing)
    assert seen.status_code in (403, 404, 507)
    assert secret not in seen.content


async def test_a_link_outlives_a_restart(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer
) -> None:
    async with open_house(settings, models=[language], renderer=renderer) as house:
        await house.engine.files.put(KEY, b"data")
        path = signed_path(KEY, until(house, 600), house.engine.home.link_key())
    async with (
        open_house(settings, models=[language], renderer=renderer) as house,
        httpx.AsyncClient(base_url=house.address.url, trust_env=False, timeout=30) as stranger,
    ):
        assert (await stranger.get(path)).content == b"data"


async def test_a_picture_in_the_home_gets_a_link_that_a_stranger_can_open(
    house: House, stranger: httpx.AsyncClient
) -> None:
    async with client(house) as http:
        picture = await made(house, http)
        link = (await http.get(f"/pictures/{picture}/link")).json()["link"]
        assert link.startswith(f"{house.address.url}/files/pictures/glenys-prosser/")
        seen = await stranger.get(link)
        assert seen.content == (await http.get(f"/pictures/{picture}")).content
        assert (await http.get("/pictures/999/link")).status_code == 404
    assert (await stranger.get(f"/api/v1/pictures/{picture}/link")).status_code == 401


async def test_a_picture_in_a_bucket_gets_the_buckets_link_and_ours_while_it_waits(
    settings: Settings, language: FakeLanguage, renderer: FakeRenderer, s3: S3
) -> None:
    told = settings.model_copy(update={"files": FileSettings(**s3.settings())})
    async with (
        open_house(told, models=[language], renderer=renderer) as house,
        client(house) as http,
        httpx.AsyncClient(trust_env=False, timeout=30) as stranger,
    ):
        picture = await made(house, http)
        link = (await http.get(f"/pictures/{picture}/link")).json()["link"]
        assert link.startswith(f"{s3.address}/{s3.bucket}/home/of/it/pictures/glenys-prosser/")
        assert SECRET not in link
        assert (await stranger.get(link)).content.startswith(b"\x89PNG")
        s3.give(Fault(status=503))
        waiting = await made(house, http, "film")
        link = (await http.get(f"/pictures/{waiting}/link")).json()["link"]
        assert link.startswith(f"{house.address.url}/files/")
        assert (await stranger.get(link)).content.startswith(b"\x89PNG")
        silent = await http.get(f"/pictures/{picture}")
        assert silent.status_code == 503
        assert "does not answer" in silent.json()["detail"]


async def test_a_persona_is_shown_in_the_style_that_is_asked_or_the_next_best(house: House) -> None:
    async with client(house) as http:
        drawn = await http.get("/personas/glenys/picture", params={"style": "noir"})
        assert drawn.headers["greenroom-stands-in"] == "yes"
        assert Image.open(io.BytesIO(drawn.content)).size == (512, 512)
        assert (await http.get("/personas/glenys/styles")).json() == {"styles": []}
        noir = await made(house, http, "noir")
        seen = await http.get("/personas/glenys/picture", params={"style": "noir"})
        assert seen.content == (await http.get(f"/pictures/{noir}")).content
        assert "greenroom-stands-in" not in seen.headers
        assert (await http.get("/personas/glenys/styles")).json() == {"styles": ["noir"]}
        # Of a style in which there is none, the persona's own stands for it, once there is one.
        assert "greenroom-stands-in" in (await http.get("/personas/glenys/picture?style=oil")).headers
        async with house.engine.database.read() as tx:
            own = (await personas.find(tx, "glenys")).persona.picture.style
        usual = await made(house, http, own)
        for wish in ("?style=oil", "", f"?style={own}"):
            seen = await http.get(f"/personas/glenys/picture{wish}")
            assert seen.content == (await http.get(f"/pictures/{usual}")).content
        assert (await http.get("/personas/nobody/picture")).status_code == 404


def test_the_key_of_links_is_made_once_for_us_alone_and_made_anew_if_it_is_damaged(tmp_path: Path) -> None:
    home = Home(tmp_path)
    key = home.link_key()
    file = tmp_path / "links.key"
    assert (len(key), file.stat().st_mode & 0o777) == (32, 0o600)
    assert Home(tmp_path).link_key() == key
    file.write_bytes(key[:7])
    assert len(home.link_key()) == 32
    assert home.link_key() != key
    file.unlink()
    file.mkdir()
    with pytest.raises(StoreError, match=r"links\.key"):
        home.link_key()
