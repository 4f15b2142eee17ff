"""Feeds and hooks that are ordered twice in the same instant are there once."""

from __future__ import annotations

from functools import partial

import pytest

from engine.engine import Engine
from engine.errors import BadRequest
from engine.listening import Change
from engine.settings import FeedSettings, Settings
from engine.store import feeds
from tests.engine.posts_stage import glenys, place_of
from tests.holding import Hold
from tests.servers.feeds import Entry, newspaper


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The test's newspaper stands on this machine."""
    return settings.model_copy(update={"feeds": FeedSettings(private=True)})


@pytest.mark.parametrize("order", ["turn:1", ""])
async def test_a_feed_that_is_ordered_twice_in_the_same_instant_is_there_once(
    shared: Engine, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    place, persona = await place_of(shared), await glenys(shared)
    hold = Hold(feeds.add)
    monkeypatch.setattr(feeds, "add", hold)
    async with newspaper() as paper:
        paper.entries = [Entry("Ice on the lake", "1", "Skates are out.")]
        add = partial(
            shared.newsroom.add,
            place=place,
            persona=persona,
            person=None,
            address=paper.at("feed"),
            options={"picture": False} | ({"order": order} if order else {}),
        )
        first, second = await hold.meanwhile(add(), add)
    assert [feed.id for feed in await shared.newsroom.listing()] == [first.id]
    if order:
        assert second.id == first.id, "it is the same order"
    else:
        assert isinstance(second, BadRequest), "it is another one, and it is told that there is one"
    assert len(await shared.posting.posts()) == 1


async def test_a_hook_that_is_ordered_twice_in_the_same_instant_is_there_once(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = Hold(feeds.add)
    monkeypatch.setattr(feeds, "add", hold)
    add = partial(
        shared.newsroom.add_hook,
        place=await place_of(shared),
        persona=await glenys(shared),
        person=None,
        options={"order": "turn:1"},
    )
    (first, _), (second, secret) = await hold.meanwhile(add(), add)
    assert first.id == second.id
    assert [feed.id for feed in await shared.newsroom.listing()] == [first.id]
    assert await shared.newsroom.knocked(first.id, secret=secret), "the secret that was told last opens it"


async def test_what_is_changed_of_a_feed_while_it_is_looked_at_stays_changed(
    shared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with newspaper() as paper:
        paper.entries = [Entry("Ice on the lake", "1", "Skates are out.")]
        feed = await shared.newsroom.add(
            place=await place_of(shared),
            persona=await glenys(shared),
            person=None,
            address=paper.at("feed"),
            options={"picture": False},
        )
        paper.entries = [Entry("Snow", "2", "It falls."), *paper.entries]
        hold = Hold(feeds.change)
        monkeypatch.setattr(feeds, "change", hold)
        change = Change(options={"only": ["thaw"], "every": 7_200})
        taken, edited = await hold.meanwhile(
            shared.newsroom.look(feed), partial(shared.newsroom.edit, feed.id, change)
        )
    assert [post.theme for post in taken.posted] == ["Snow"], "it was wanted when it was looked at"
    after = await shared.newsroom.get(feed.id)
    assert (after.options["only"], after.options["every"]) == (["thaw"], 7_200)
    assert after.etag == taken.feed.etag != feed.etag
    assert edited == after
