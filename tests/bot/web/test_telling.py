"""A direct message in a persona's name: it stands in the chat, in the talk, and is told once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.house import House, open_house
from engine.language import ReplyWanted
from engine.settings import SafetySettings, Settings
from engine.testing import FakeLanguage
from tests.bot.web.tabs import Visitor, answered
from tests.bot.web.visitors import problem

SAID = {"front": "web", "account": "home", "chat": "home", "text": "Supper is <i>ready</i>.", "key": "supper"}


@pytest.fixture
async def house(settings: Settings, language: FakeLanguage) -> AsyncIterator[House]:
    careful = settings.model_copy(update={"safety": SafetySettings(blocked_words=("pickle",))})
    async with open_house(careful, models=[language]) as opened:
        yield opened


async def test_it_is_seen_at_once_and_the_talk_goes_on_from_it(page: Visitor, language: FakeLanguage) -> None:
    await page.enter("glenys-prosser")
    async with page.tab() as tab:
        await tab.watch()
        assert (await page.http.post("/messages", json=SAID)).status_code == 202
        assert (await page.http.post("/messages", json=SAID)).status_code == 202
        seen = await tab.message(lambda one: one["text"] == SAID["text"])
        assert (seen["by"], seen["slug"], seen["source"]) == ("persona", "glenys-prosser", "person")
        await answered(tab, await page.says("What is there to eat?"))
        assert tab.texts.count(SAID["text"]) == 1
    wanted = language.asked[-1]
    assert isinstance(wanted, ReplyWanted)
    assert [line.text for line in wanted.lines][-2:] == [SAID["text"], "What is there to eat?"]
    assert wanted.lines[-2].by_persona


async def test_another_persona_says_it_and_the_host_stays(page: Visitor) -> None:
    await page.enter("glenys-prosser")
    async with page.tab() as tab:
        await tab.watch()
        said = SAID | {"persona": "irfan-naqvi"}
        assert (await page.http.post("/messages", json=said)).status_code == 202
        seen = await tab.message(lambda one: one["text"] == SAID["text"])
        assert seen["slug"] == "irfan-naqvi"
        assert (await answered(tab, await page.says("And you?")))["slug"] == "glenys-prosser"


async def test_what_nobody_may_say_is_not_said(page: Visitor) -> None:
    await page.enter("glenys-prosser")
    problem(await page.http.post("/messages", json=SAID | {"text": "A pickle."}), 403)
    problem(await page.http.post("/messages", json=SAID | {"persona": "nobody at all"}), 404)
    problem(await page.http.post("/messages", json=SAID | {"front": "nowhere"}), 404)
    problem(await page.http.post("/messages", json=SAID | {"front": "No Front"}), 422)
