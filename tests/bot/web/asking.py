"""Whatever the API's own document allows and forbids, asked of a house; and what was wrong with the answers.

It knows nothing of any route: what may be asked, and what may be answered, it reads in the document.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any
from unittest.mock import patch

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bot.house import open_house
from engine.settings import FeedSettings, LanguageSettings, PictureSettings, Settings, WebSettings
from engine.store.records import Scope
from tests.bot.web.visitors import PAGE, a_key
from tests.servers.feeds import Entry, newspaper
from tests.servers.hub import Hub

API = "/api/v1"
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
#: A house that is busy or whose disk is full says so; anything else of this kind is broken.
EXCUSED = (503, 507)
#: What is there in the house that is asked, by how parameters and fields are named.
THERE: dict[str, tuple[Any, ...]] = {
    "slug": ("glenys-prosser", "irfan-naqvi"),
    "persona": ("glenys-prosser", "irfan-naqvi", "glenys"),
    "personas": (["glenys-prosser"],),
    "name": ("tiny", "language/tiny"),
    "words": ("daily 09:00", "every 6 hours", "weekly mon 20:00"),
    "style": ("", "photo"),
    "from": ("2026-01-01T00:00:00Z",),
    "to": ("2027-01-01T00:00:00Z",),
}
#: Of each kind the first is asked for, and the second is what may be taken away: see `_furnish`.
FIRST, TAKEN = 1, 2
#: Fields that are a chat by the way it is named in a place, and in the page's own routes.
CHATS = ("web:home:home", "1", "home")


@dataclass(frozen=True)
class Fault:
    """An answer that the document does not know."""

    asked: str
    status: int | None
    says: str

    def __str__(self) -> str:
        return f"{self.asked} -> {self.status}: {self.says}"


@dataclass
class Target:
    """A house that is asked, and all that came of it."""

    url: str
    document: dict[str, Any]
    #: How each kind of caller shows who it is.
    callers: dict[str, requests.Session]
    #: What is there in this house, by how parameters and fields are named.
    there: dict[str, tuple[Any, ...]] = field(default_factory=lambda: dict(THERE))
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    @property
    def asked(self) -> int:
        return self.statuses.total()

    def again(self) -> None:
        """A browser that signed out comes in again."""
        browser = self.callers["page"]
        browser.cookies.clear()
        browser.get(f"{self.url}/", timeout=30)

    def operations(self) -> list[Any]:
        """All that may be asked. Who asks is for the callers to say: keys are not made up."""
        document = copy.deepcopy(self.document)
        document["components"].pop("securitySchemes", None)
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["x-guarded"] = bool(operation.pop("security", None))
        # `Any`: an operation that cannot be read has no `ok`, and that is to be told.
        everything: Any = schemathesis.openapi.from_dict(document).get_all_operations()
        return [found.ok() for found in everything]

    def ask(self, case: Any, who: str, *, known: bool = False) -> None:
        """Ask one thing, and look at the answer."""
        if known:
            _point_at_what_is_there(case, self.there)
        asked = f"{case.method} {case.formatted_path} ({who})"
        try:
            answer = case.call(self.url, session=self.callers[who], timeout=30)
        except requests.RequestException as error:
            self.faults.append(Fault(asked, None, repr(error)))
            return
        self.statuses[answer.status_code] += 1
        if case.path.endswith("/sign-out"):
            self.again()
        if answer.status_code >= 500 and answer.status_code not in EXCUSED:
            self.faults.append(Fault(asked, answer.status_code, f"{_sent(case)}; {_said(answer)}"))
            return
        if who == "nobody" and case.operation.definition.raw["x-guarded"] and answer.status_code != 401:
            self.faults.append(Fault(asked, answer.status_code, "Somebody who showed nothing was let in."))
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for one in group.exceptions:
                assert isinstance(one, Failure)
                says = f"{one.title}: {one.message[:300]} | {_sent(case)} | {_said(answer)}"
                self.faults.append(Fault(asked, answer.status_code, says))

    def ask_many(
        self,
        operation: Any,
        mode: GenerationMode,
        count: int,
        *,
        seed: int,
        callers: Sequence[str] = ("page", "key"),
        always_known: bool = False,
    ) -> None:
        """So many cases of one operation, always the same ones for a seed. Every fault is kept, none ends it.

        Some of what fits is turned to what is there; `always_known`: all of it.
        """
        turn = itertools.cycle(callers)

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
        def one(case: Any, known: bool) -> None:
            turned = (known or always_known) and mode is GenerationMode.POSITIVE
            self.ask(case, next(turn), known=turned)

        # There is no wrong way to ask for something that takes nothing.
        with suppress(Unsatisfiable):
            one()


def _said(answer: Any) -> str:
    return bytes(answer.content[:200]).decode(errors="replace")


def _sent(case: Any) -> str:
    told = {"path": case.path_parameters, "query": case.query, "body": case.body}
    return repr({name: one for name, one in told.items() if one})[:400]


def _point_at_what_is_there(case: Any, there: dict[str, tuple[Any, ...]]) -> None:
    # What is taken away is never the first: others ask for that.
    taken = case.method == "DELETE"
    for name in case.path_parameters or {}:
        if name in there:
            case.path_parameters[name] = there[name][-1] if taken else _one_of(there[name], case)
        elif name.endswith("_id") or name == "number":
            case.path_parameters[name] = TAKEN if taken else FIRST
        elif name == "chat":
            case.path_parameters[name] = "home"
        elif name == "model":  # of OpenAI's addresses: elsewhere it is what writes or paints
            case.path_parameters[name] = _one_of(there["slug"], case)
    for given_ in (case.query, case.body):
        if isinstance(given_, dict):
            for name in given_:
                if name in there and name != "style":
                    given_[name] = _one_of(there[name], case)
                elif name == "chat":
                    given_[name] = "home" if "/talks" in case.path else _one_of(CHATS, case)


def _one_of(these: Sequence[Any], case: Any) -> Any:
    return these[len(_sent(case)) % len(these)]


@contextmanager
def house_to_ask(home: Path) -> Iterator[Target]:
    """A house that is really open, in a thread of its own, with something of everything in it; and its callers.

    Nothing of it leaves the machine: models come from a hub on loopback, which has none.
    """
    settings = Settings(
        home=home,
        language=LanguageSettings(models="off"),
        pictures=PictureSettings(models="off", width=64, height=64, steps=1),
        web=WebSettings(port=0, private_callbacks=True),
        feeds=FeedSettings(private=True),
    )
    news: Queue[tuple[str, str, str, str] | BaseException] = Queue()
    over = threading.Event()

    async def live() -> None:
        async with newspaper() as paper, open_house(settings) as house:
            paper.entries = [Entry("A boat is late", "boat")]
            word, _key = await a_key(house.engine, Scope.MANAGE)
            news.put((house.address.url, house.address.secret, word, paper.at("feed")))
            await asyncio.to_thread(over.wait)

    def keep() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            news.put(error)
            raise

    with Hub() as hub, patch.dict(os.environ, HF_ENDPOINT=hub.url):
        thread = threading.Thread(target=keep, name="house")
        thread.start()
        try:
            told = news.get(timeout=60)
            if isinstance(told, BaseException):
                raise told
            yield _target(*told)
        finally:
            over.set()
            thread.join(30)


def _target(url: str, secret: str, word: str, paper: str) -> Target:
    browser, program, house, nobody = (requests.Session() for _ in range(4))
    for one in (browser, program, house, nobody):
        one.trust_env = False
    browser.headers.update(PAGE)
    program.headers["Authorization"] = f"Bearer {word}"
    house.headers["Authorization"] = f"Bearer {secret}"
    found = _furnish(url, house, paper)
    document = house.get(f"{url}{API}/openapi.json", timeout=60)
    document.raise_for_status()
    callers = {"page": browser, "key": program, "house": house, "nobody": nobody}
    target = Target(url, document.json(), callers, THERE | found)
    target.again()
    return target


def _furnish(url: str, house: requests.Session, paper: str) -> dict[str, tuple[Any, ...]]:
    """Two of everything, so that what is asked for may be there, and one of it may be taken away. Answers what has
    other numbers, or names, than the first and the second.
    """

    def post(path: str, **body: Any) -> Any:
        answer = house.post(f"{url}{API}{path}", json=body, timeout=30)
        assert answer.ok, (path, answer.text)
        return answer.json()

    def get(path: str) -> Any:
        answer = house.get(f"{url}{API}{path}", timeout=20)
        assert answer.ok, (path, answer.text)
        return answer.json()

    def until(seen: Callable[[], Any], what: str) -> Any:
        most = time.monotonic() + 30
        while not (found := seen()):
            assert time.monotonic() < most, what
            time.sleep(0.05)
        return found

    post("/talks", persona="glenys", chat="home")
    post("/talks/home/messages", text="Hello", key="k1")
    job = post("/jobs", persona="glenys", scene="a lighthouse", count=2, key="first", callback=paper)
    post("/jobs", persona="glenys", scene="a pier", key="second", style="noir")
    post("/runs", personas=["glenys-prosser"], missing_only=False, limit=1, key="run")
    for words in ("daily 09:00", "weekly mon 20:00"):
        post("/schedules", words=words, chat="web:home:home")
    for number, address in ((FIRST, paper), (TAKEN, paper.replace("/feed", "/atom"))):
        post("/schedules/1/run")
        assert post("/feeds", address=address, chat="web:home:home")["id"] == number
    hook = post("/feeds", kind="hook", chat="web:home:home")
    until(lambda: get(f"/jobs/{job['id']}")["state"] == "done", "The picture is not made.")
    post("/talks/home/messages", text="/imagine by the sea", key="k2")
    messages = until(
        lambda: [one for one in get("/talks/home/messages")["items"] if one["buttons"]],
        "There are no buttons.",
    )
    buttons = {one["id"] for message in messages for row in message["buttons"] for one in row}
    return {
        "hook_id": (hook["id"],),
        "message": tuple(one["id"] for one in messages),
        "button": tuple(sorted(buttons)),
        "address": (paper,),
    }
