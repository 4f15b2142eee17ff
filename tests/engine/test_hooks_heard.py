"""Hooks: only who knows the secret is heard, and what they tell becomes a post once."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from engine.engine import Engine
from engine.errors import NotFound, Refused
from engine.language import Source
from engine.newsroom import key_for_signatures
from tests.engine.feeds_stage import (  # noqa: F401 - fixtures
    a_reporter,
    hooked,
    settings_for_listening,
    shown,
    told,
)
from tests.engine.posts_stage import only_post, owed


async def test_what_a_hook_is_told_becomes_a_post_once(engine: Engine) -> None:
    feed, _secret = await hooked(engine)
    first = await engine.newsroom.hear(feed, told(link="https://example.org/tea"))
    again = await engine.newsroom.hear(feed, told(link="https://example.org/tea"))
    assert ([post.theme for post in first.posted], again.posted, again.known) == (["The kettle boils"], (), 1)
    await shown(engine)
    (row,) = await owed(engine)
    assert row.text.endswith("\n\nhttps://example.org/tea")
    assert (await only_post(engine)).source is Source.MODEL


async def test_only_who_knows_the_secret_is_heard(engine: Engine) -> None:
    feed, secret = await hooked(engine)
    knocked = engine.newsroom.knocked
    body = b'{"title": "x"}'
    key = key_for_signatures(secret)
    signature = "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    assert await knocked(feed.id, secret=secret) == feed
    assert await knocked(feed.id, signature=signature, body=body) == feed
    assert await knocked(feed.id, signature=signature, body=body + b" ") is None
    assert await knocked(feed.id, secret=feed.secret) is None, "what is kept opens nothing by itself"
    assert await knocked(feed.id) is None
    assert await knocked(feed.id + 1, secret=secret) is None
    assert await knocked(10**12, secret=secret) is None
    assert secret not in str(await engine.newsroom.get(feed.id))


async def test_a_paused_hook_hears_nothing(engine: Engine) -> None:
    feed, _secret = await hooked(engine)
    paused = await engine.newsroom.pause(feed.id)
    with pytest.raises(Refused, match=r"is paused"):
        await engine.newsroom.hear(paused, told())
    resumed = await engine.newsroom.resume(feed.id)
    assert (await engine.newsroom.hear(resumed, told())).posted


async def test_what_became_of_a_hook_since_its_secret_was_looked_at_counts(engine: Engine) -> None:
    before, _secret = await hooked(engine)
    await engine.newsroom.pause(before.id)
    with pytest.raises(Refused, match=r"is paused"):
        await engine.newsroom.hear(before, told())
    await engine.newsroom.remove(before.id)
    with pytest.raises(NotFound):
        await engine.newsroom.hear(before, told())


async def test_words_that_are_not_wanted_are_refused_and_remembered(engine: Engine) -> None:
    feed, _secret = await hooked(engine)
    taken = await engine.newsroom.hear(feed, told("A turnip"))
    assert (taken.posted, taken.refused) == ((), ("A turnip",))
    assert (await engine.newsroom.hear(feed, told("A turnip"))).known == 1
