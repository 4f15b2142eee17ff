"""The page's files: what travels, what it weighs, and how it is served. What it does stands in tests/browser."""

from __future__ import annotations

import gzip
import hashlib
import json
import posixpath
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from bot.web import statics

PAGE = Path(statics.__file__).parent / "page"
#: What a browser loads before it shows the first chat, compressed.
MOST_BYTES = 150 * 1024
IMPORTED = re.compile(r'(?:from|import\()\s*"(\.[^"]+)"')


def own() -> dict[str, str]:
    """The files that we wrote, by their path."""
    return {
        str(file.relative_to(PAGE)): file.read_text(encoding="utf-8")
        for file in sorted(PAGE.rglob("*"))
        if file.is_file() and "vendor" not in file.parts
    }


def scripts() -> dict[str, str]:
    return {name: text for name, text in own().items() if name.endswith(".js")}


def named_by(name: str, *, lazily: bool) -> set[str]:
    """What a script imports, by the path in the page."""
    text = (PAGE / name).read_text(encoding="utf-8")
    pattern = IMPORTED if lazily else re.compile(r'from\s*"(\.[^"]+)"')
    return {posixpath.normpath(posixpath.join(posixpath.dirname(name), one)) for one in pattern.findall(text)}


def all_behind(*names: str) -> set[str]:
    """These scripts, and whatever they cannot begin without."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += named_by(name, lazily=False)
    return found


def first_asked() -> list[str]:
    """What the first answer tells a browser to load."""
    return re.findall(r'(?:href|src)="/page/([^"]+)"', (PAGE / "index.html").read_text(encoding="utf-8"))


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(statics.open_routes(statics.Statics()))
    way = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=way, base_url="http://127.0.0.1") as opened:
        yield opened


# What travels


def test_what_others_wrote_is_what_they_published() -> None:
    """A change in one of these files is either a new version, written down in the list, or somebody's doing."""
    told = (PAGE / "vendor" / "README.md").read_text(encoding="utf-8")
    listed = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", told, re.MULTILINE)}
    there = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (PAGE / "vendor").iterdir()
        if file.name != "README.md"
    }
    assert there.items() <= listed.items()
    assert {name for name in listed if not name.endswith(".tgz")} == set(there)


def test_every_script_that_is_named_is_there() -> None:
    for name in scripts():
        for one in named_by(name, lazily=True):
            assert (PAGE / one).is_file(), f"{name} imports {one}"


def test_the_first_answer_names_all_that_the_first_chat_needs_and_nothing_else() -> None:
    needed = all_behind("app.js", "parts/views/chat.js")
    asked = first_asked()
    assert len(asked) == len(set(asked))
    assert {name for name in asked if name.endswith(".js")} - {"parts/first.js"} == needed


def test_the_page_is_light_before_there_is_a_picture() -> None:
    served = statics.read_page()
    weight = sum(len(served[name].squeezed) for name in ("index.html", *first_asked()))
    assert 20 * 1024 < weight <= MOST_BYTES, f"{weight / 1024:.0f} KB"


@pytest.mark.parametrize(
    "way",
    [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "dangerouslySetInnerHTML",
        "document.write",
        "eval(",
        "srcdoc",
    ],
)
def test_no_text_can_become_markup(way: str) -> None:
    assert [name for name, text in scripts().items() if way in text] == []


def test_nothing_is_inline_that_the_policy_would_refuse() -> None:
    for name, text in own().items():
        if name.endswith(".html"):
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text), name
        if name.endswith(".js"):
            assert not re.search(r"""\sstyle=["']""", text), name


def test_the_page_knows_no_address_outside_itself() -> None:
    for name, text in own().items():
        outside = set(re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", re.sub(r"(?m)^\s*//.*$", "", text)))
        assert outside <= {"http://www.w3.org"}, name


# What it says


#: Where the words stand: what is said from the beginning, and what only the views beside the chat say.
WORDS = ("parts/words.js", "parts/views/saying.js", "parts/personas/saying.js")


def words() -> dict[str, tuple[str, str]]:
    texts = [(PAGE / name).read_text(encoding="utf-8") for name in WORDS]
    table = "\n".join(text.partition("const WORDS = {")[2].partition("\n};")[0] for text in texts)
    lines = [
        line.strip() for line in table.splitlines() if line.strip() and not line.strip().startswith("//")
    ]
    told = {}
    for line in lines:
        name, _, pair = line.removesuffix(",").partition(": ")
        english, german = json.loads(pair)
        assert name not in told, name
        told[name] = (english, german)
    return told


def test_every_word_of_the_page_is_there_in_english_and_in_german() -> None:
    for name, (english, german) in words().items():
        assert english.strip(), name
        assert german.strip(), name
        assert english.count("|") == german.count("|"), name
        for one, other in zip(english.split("|")[-1:], german.split("|")[-1:], strict=True):
            gaps = re.compile(r"\{\w+\}")
            assert sorted(gaps.findall(one)) == sorted(gaps.findall(other)), name


def test_every_word_that_is_said_is_known_and_every_known_word_is_said() -> None:
    said: set[str] = set()
    begun: set[str] = set()
    for name, text in scripts().items():
        if name not in WORDS:
            said |= set(re.findall(r'"([a-z0-9_]+)"', text))
            begun |= set(re.findall(r"say\(`([a-z_]+_)\$\{", text))
    called = {one for text in scripts().values() for one in re.findall(r'(?<![.\w])say\("([^"]+)"', text)}
    known = set(words())
    assert called <= known
    unused = {name for name in known - said if not any(name.startswith(start) for start in begun)}
    assert unused == set()


# How it is served


async def test_the_page_is_at_the_root_and_its_parts_beside_it(browser: httpx.AsyncClient) -> None:
    index = await browser.get("/")
    assert index.status_code == 200
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert index.text == (PAGE / "index.html").read_text(encoding="utf-8")
    for name in first_asked():
        answer = await browser.get(f"/page/{name}")
        assert answer.status_code == 200, name
        assert answer.content == (PAGE / name).read_bytes()
        assert answer.headers["content-type"] == statics.TYPES[Path(name).suffix]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await browser.head("/")).headers["etag"] == index.headers["etag"]


async def test_what_a_browser_has_is_not_sent_again(browser: httpx.AsyncClient) -> None:
    first = await browser.get("/page/app.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await browser.get("/page/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    # Somebody between us may have marked it as packed anew.
    weak = await browser.get("/page/app.js", headers={"If-None-Match": f'"old", {first.headers["etag"]}'})
    assert weak.status_code == 304
    other = await browser.get("/page/app.js", headers={"If-None-Match": '"another"'})
    assert other.status_code == 200


async def test_who_takes_it_packed_gets_it_packed(browser: httpx.AsyncClient) -> None:
    async with browser.stream(
        "GET", "/page/styles/chat.css", headers={"Accept-Encoding": "br, gzip"}
    ) as packed:
        raw = b"".join([part async for part in packed.aiter_raw()])
    plain = await browser.get("/page/styles/chat.css", headers={"Accept-Encoding": "gzip;q=0"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2


@pytest.mark.parametrize(
    "path",
    [
        "/page/../app.py",
        "/page/..%2fapp.py",
        "/page/%2e%2e/%2e%2e/bot/web/app.py",
        "/page/....//app.py",
        "/page//etc/passwd",
        "/page/%2fetc%2fpasswd",
        "/page/..\\app.py",
        "/page/app.js%00.html",
        "/page/app.js/",
        "/page/",
        "/page/parts",
        "/page/nothing.js",
    ],
)
async def test_no_path_leads_anywhere_else(browser: httpx.AsyncClient, path: str) -> None:
    url = httpx.URL("http://127.0.0.1").copy_with(raw_path=path.encode())
    assert (await browser.get(url)).status_code == 404
