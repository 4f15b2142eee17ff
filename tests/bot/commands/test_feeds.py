"""/feed: for those in charge, told in sentences; a hook's secret is for one pair of eyes, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from engine.engine import Engine
from engine.errors import BadRequest, NotFound, Refused
from engine.newsroom import key_for_signatures
from engine.planning import ITEM, PICTURE_OF, targets_of
from engine.settings import FeedSettings, PeopleSettings, PostSettings, Settings
from engine.store import outbox
from engine.store.records import FeedKind, FeedState, PostState
from engine.store.tables import deliveries
from tests.bot.commands.guest import BEN, HALL, Guest, everybody, orders_in
from tests.servers.feeds import Entry, Paper, newspaper


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Ana runs this house, and feeds may come from this machine."""
    return settings.model_copy(
        update={
            "people": PeopleSettings(operators=("stage:ana",)),
            "posts": PostSettings(zone="Europe/Berlin"),
            "feeds": FeedSettings(private=True, address="https://greenroom.example"),
        }
    )


@pytest.fixture
async def paper() -> AsyncIterator[Paper]:
    async with newspaper() as opened:
        opened.entries = [Entry("Thaw", "1", hours=2), Entry("Snow", "2", hours=1)]
        yield opened


async def test_a_feed_is_listened_to_and_its_newest_item_becomes_a_post(
    engine: Engine, ben: Guest, paper: Paper
) -> None:
    told = await ben.does(
        f'/feed {paper.at("feed")} --only "thaw, ice" --not football --every 1h --text-only'
    )
    assert f"Feed #1 is listened to: The Daily Test ({paper.at('feed')})" in told
    assert (
        "only with: thaw, ice · not with: football · Words only, no picture · next look Sun 1 Mar 08:00"
        in told
    )
    (feed,) = await engine.newsroom.listing()
    assert (feed.options["every"], feed.options["picture"], feed.person_id) == (
        3_600,
        False,
        (await ben.person()).id,
    )
    (post,) = await engine.posting.posts()
    assert (post.theme, post.state) == ("Thaw", PostState.PLANNED)


async def test_feeds_are_listed_paused_resumed_and_removed(engine: Engine, ben: Guest, paper: Paper) -> None:
    assert "Nothing is listened to here." in await ben.does("/feed")
    await ben.does(f"/feed {paper.at('feed')}")
    (listed,) = await ben.gets("/feed list")
    assert "The Daily Test" in listed.text
    assert orders_in(listed) == ["feed pause 1", "feed remove 1"]
    assert "#1 is paused" in await ben.does("/feed pause 1")
    assert "paused" in await ben.does("/feed")
    assert (await engine.newsroom.get(1)).state is FeedState.PAUSED
    assert "#1 goes on" in await ben.does("/feed resume #1")
    assert "#1 is gone" in await ben.does("/feed remove 1")
    with pytest.raises(NotFound, match=r"no feed 1"):
        await ben.does("/feed pause 1")
    with pytest.raises(BadRequest, match=r"Which one"):
        await ben.does("/feed pause it")


async def test_of_a_feed_what_is_said_is_changed_and_the_rest_stays(
    engine: Engine, ben: Guest, paper: Paper
) -> None:
    await ben.does(f"/feed {paper.at('feed')} --only thaw --not football --picture item --approval skip")
    before = await engine.newsroom.get(1)
    told = await ben.does("/feed edit 1 --only snow,ice --every 2h --persona glenys-prosser --text-only")
    assert "#1 is changed: The Daily Test" in told
    assert "Glenys Prosser posts about what comes from now on" in told
    assert "only with: snow, ice · not with: football · Words only, no picture" in told
    feed = await engine.newsroom.get(1)
    assert (feed.options["only"], feed.options["not"]) == (["snow", "ice"], ["football"])
    assert (feed.options["approval"], feed.options["picture"], feed.options["every"]) == (
        "skip",
        False,
        7_200,
    )
    assert PICTURE_OF not in feed.options, "words alone have no picture of anybody's"
    assert feed.address == before.address
    assert feed.next_at == engine.clock.now() + timedelta(hours=2)
    assert len(await engine.posting.posts()) == 1, (
        "what was there before is not posted by a wish for other words"
    )


async def test_what_was_said_of_a_feed_is_taken_back(engine: Engine, ana: Guest, paper: Paper) -> None:
    how = '--only "thaw, ice" --not football --every 2h --style noir --text-only --approval post --to 1'
    await ana.does(f"/feed {paper.at('feed')} {how}")
    await ana.does(
        "/feed edit #1 --only none --not NONE --every default --style none --approval no --to none"
    )
    feed = await engine.newsroom.get(1)
    assert not feed.options.keys() & {"only", "not", "every", "targets"}
    assert (feed.options["style"], feed.options["approval"], feed.options["picture"]) == ("", "", False)
    assert "Words only" not in await ana.does("/feed edit 1 --picture render")
    assert (await engine.newsroom.get(1)).options.get("picture", True)


async def test_a_feed_moves_to_another_address_and_what_it_says_there_by_then_is_only_remembered(
    engine: Engine, ben: Guest, paper: Paper
) -> None:
    await ben.does(f"/feed {paper.at('feed')}")
    with pytest.raises(BadRequest, match=r"web page, and no feed"):
        await ben.does(f"/feed edit 1 {paper.at('page')}")
    with pytest.raises(BadRequest, match=r"no address of the web"):
        await ben.does("/feed edit 1 snow")
    assert (await engine.newsroom.get(1)).address == paper.at("feed")
    paper.entries = [Entry("A comet", "9", hours=9), *paper.entries]
    assert "is changed" in await ben.does(f"/feed edit 1 <{paper.at('feed')}?new>")
    feed = await engine.newsroom.get(1)
    assert (feed.address, feed.options["title"]) == (f"{paper.at('feed')}?new", "The Daily Test")
    assert "begin" not in feed.options
    assert [post.theme for post in await engine.posting.posts()] == ["Thaw"]
    paper.entries = [Entry("Frost", "10", hours=10), *paper.entries]
    await engine.newsroom.look(feed)
    assert sorted(post.theme for post in await engine.posting.posts()) == ["Frost", "Thaw"]


async def test_what_was_fetched_of_the_old_address_is_no_news_of_the_new_one(
    engine: Engine, ben: Guest, paper: Paper
) -> None:
    await ben.does(f"/feed {paper.at('feed')}")
    looked_at = await engine.newsroom.get(1)
    await ben.does(f"/feed edit 1 {paper.at('feed')}?new")
    moved = await engine.newsroom.get(1)
    paper.entries = [Entry("Frost", "10", hours=10), *paper.entries]
    await engine.newsroom.look(looked_at)
    paper.status = 500
    await engine.newsroom.look(looked_at)
    assert await engine.newsroom.get(1) == moved
    assert [post.theme for post in await engine.posting.posts()] == ["Thaw"]


async def test_what_cannot_be_changed_of_a_feed_is_a_sentence(
    engine: Engine, ben: Guest, ana: Guest, paper: Paper
) -> None:
    await ben.does(f"/feed {paper.at('feed')}")
    await ana.does(f"/feed {paper.at('feed')}?other")
    hook = (await engine.newsroom.listing())[-1].id + 1
    await ana.does("/feed hook")
    for order, sentence in (
        ("edit", "Which one"),
        ("edit 1", "Say what changes"),
        ("edit 1 --every second", "30m, 2h or 1d"),
        ("edit 1 --picture none", "lends no pictures"),
        ("edit 1 --picture item --text-only", "Words alone have no picture"),
        (f"edit 2 {paper.at('feed')}", "listens to it already: feed #1"),
        (f"edit {hook} {paper.at('feed')}", "has no address to look at"),
        (f"edit {hook} --every 2h", "has no address to look at"),
    ):
        with pytest.raises(BadRequest, match=sentence):
            await ana.does(f"/feed {order}")
    with pytest.raises(NotFound):
        await ana.does("/feed edit 1 --persona nobody-at-all")
    with pytest.raises(NotFound, match=r"no feed 77"):
        await ana.does("/feed edit 77 --only snow")
    assert "a webhook" in await ana.does(f"/feed edit {hook} --only snow")


async def test_what_a_feed_says_in_other_places_is_for_operators_to_change(
    engine: Engine, ana: Guest, ben: Guest, ana_in_hall: Guest, paper: Paper
) -> None:
    await ben.does(f"/feed {paper.at('feed')}")
    hall = (await ana_in_hall.orders("/feed")).place.id
    with pytest.raises(Refused):
        await ben.does(f"/feed edit 1 --to {hall}")
    await ana.does(f"/feed edit 1 --to {hall}")
    with pytest.raises(Refused, match=r"also posts in other places"):
        await ben.does("/feed edit 1 --only snow")
    assert (await engine.newsroom.get(1)).options["targets"] == [hall]
    await ana.does("/feed edit 1 --only snow")


async def test_a_feed_is_changed_in_german_too(ben: Guest, paper: Paper) -> None:
    await ben.does("/settings language de")
    await ben.does(f"/feed {paper.at('feed')}")
    assert "#1 ist geändert" in await ben.does("/feed edit 1 --only Schnee")


async def test_who_runs_into_trouble_hears_of_it_when_the_feeds_are_listed(
    engine: Engine, ben: Guest, paper: Paper
) -> None:
    await ben.does(f"/feed {paper.at('feed')}")
    paper.status = 500
    await engine.newsroom.look(await engine.newsroom.get(1))
    assert "trouble: 127.0.0.1 answered with HTTP 500" in await ben.does("/feed")
    await ben.does("/settings language de")
    assert "Ärger: 127.0.0.1 antwortet mit HTTP 500" in await ben.does("/feed")


async def test_what_is_no_feed_is_refused_in_a_sentence(engine: Engine, ben: Guest, paper: Paper) -> None:
    with pytest.raises(BadRequest, match=r"web page, and no feed"):
        await ben.does(f"/feed {paper.at('page')}")
    with pytest.raises(BadRequest, match=r"no address of the web"):
        await ben.does("/feed snow")
    with pytest.raises(BadRequest, match=r"30m, 2h or 1d"):
        await ben.does(f"/feed {paper.at('feed')} --every second")
    with pytest.raises(NotFound):
        await ben.does(f"/feed {paper.at('feed')} --persona nobody-at-all")
    assert await engine.newsroom.listing() == []


async def test_only_those_in_charge_of_a_place_decide_what_it_listens_to(
    engine: Engine, ben_in_hall: Guest, paper: Paper
) -> None:
    for order in ("/feed", f"/feed {paper.at('feed')}", "/feed hook", "/feed pause 1", "/feed remove 1"):
        with pytest.raises(Refused):
            await ben_in_hall.does(order)
    admin = Guest(engine, BEN, HALL, shared=True, in_charge=everybody)
    admin.heard = ben_in_hall.heard
    assert "Feed #1" in await admin.does(f"/feed {paper.at('feed')}")


async def test_another_places_feeds_are_not_there_but_for_operators(
    engine: Engine, ana_in_hall: Guest, ben: Guest, paper: Paper
) -> None:
    await ana_in_hall.does(f"/feed {paper.at('feed')}")
    with pytest.raises(NotFound, match=r"no feed 1"):
        await ben.does("/feed remove 1")
    assert len(await engine.newsroom.listing()) == 1


async def test_a_hook_shows_its_secret_once_and_to_one_pair_of_eyes(
    engine: Engine, ana: Guest, ana_in_hall: Guest, ben: Guest
) -> None:
    with pytest.raises(Refused, match=r"your eyes alone.*--to 1"):
        await ana_in_hall.does("/feed hook")
    (told,) = await ana.gets("/feed hook --to 1 --text-only")
    (feed,) = await engine.newsroom.listing()
    assert (feed.kind, feed.chat_id) == (FeedKind.HOOK, 1)
    address, secret, key = told.manner.code
    assert address == f"https://greenroom.example/hooks/{feed.id}"
    assert (key_for_signatures(secret), key) == (feed.secret, feed.secret)
    assert secret in told.text
    assert secret not in await ana_in_hall.does("/feed")
    assert await engine.newsroom.knocked(feed.id, secret=secret) == feed
    with pytest.raises(Refused):
        await ben.does("/feed hook --to 1")
    assert "Webhook #2 is there" in await ben.does("/feed hook")


async def test_once_shown_a_secret_is_in_no_row_any_more(engine: Engine, ben: Guest, capsys: Any) -> None:
    await ben.owed()
    await ben.run(await ben.orders("/feed hook"))
    assert "X-Greenroom-Secret: " in await stored(engine)
    (told,) = await ben.owed()
    _address, secret, key = told.manner.code
    kept = await stored(engine)
    assert (secret in kept, key in kept, "X-Greenroom-Secret: •••" in kept) == (False, False, True)
    assert (told.manner.code[0] in kept, secret in capsys.readouterr().out) == (True, False)


async def test_a_secret_that_can_never_be_shown_is_struck_out_too(engine: Engine, ben: Guest) -> None:
    for give_up in (
        lambda tx: outbox.give_up(tx, 1, error="gone"),
        lambda tx: outbox.give_up_chat(tx, 1, error="gone"),
    ):
        await ben.run(await ben.orders("/feed hook"))
        await engine.database.change(give_up)
    assert (await stored(engine)).count("X-Greenroom-Secret: •••") == 2


async def stored(engine: Engine) -> str:
    """All that the house has to tell, or told."""
    async with engine.database.read() as tx:
        rows = await tx.execute(select(deliveries.c.text, deliveries.c.manner))
        return "\n".join(f"{row.text}\n{row.manner}" for row in rows)


async def test_a_feed_says_where_else_it_goes_what_it_waits_for_and_whose_pictures_it_has(
    engine: Engine, ana: Guest, ana_in_hall: Guest, ben: Guest, paper: Paper
) -> None:
    room = (await ana.orders("/feed")).place.id
    hall = (await ana_in_hall.orders("/feed")).place.id
    told = await ana.does(f"/feed {paper.at('feed')} --to {hall} --approval skip --picture item")
    assert "with the item's own picture" in told
    (feed,) = await engine.newsroom.listing()
    assert {name: feed.options[name] for name in ("targets", "approval", PICTURE_OF)} == {
        "targets": [hall],
        "approval": "skip",
        PICTURE_OF: ITEM,
    }
    (post,) = await engine.posting.posts()
    assert (post.chat_id, targets_of(post)) == (room, (room, hall))
    with pytest.raises(Refused):
        await ben.does(f"/feed {paper.at('atom')} --to {hall}")
    with pytest.raises(BadRequest, match=r"lends no pictures"):
        await ben.does(f"/feed {paper.at('atom')} --picture mine")
    with pytest.raises(BadRequest, match=r"Words alone"):
        await ben.does(f"/feed {paper.at('atom')} --picture item --text-only")


async def test_a_hook_posts_to_the_places_that_it_is_made_for(
    engine: Engine, ana: Guest, ana_in_hall: Guest
) -> None:
    room, hall = (await ana.orders("/feed")).place.id, (await ana_in_hall.orders("/feed")).place.id
    await ana.does(f"/feed hook --to {hall},{room} --approval post")
    (feed,) = await engine.newsroom.listing()
    assert (feed.chat_id, feed.options["targets"], feed.options["approval"]) == (hall, [room], "post")


async def test_an_order_that_is_carried_out_again_after_a_crash_makes_no_second_feed(
    engine: Engine, ben: Guest, paper: Paper
) -> None:
    said = await ben.orders(f"/feed {paper.at('feed')}")
    persona = await engine.presence.host(said.place)
    options = {"order": f"turn:{said.turn.id}"}
    await engine.newsroom.add(
        place=said.place, persona=persona, person=None, address=paper.at("feed"), options=options
    )
    await ben.run(said)
    assert [feed.id for feed in await engine.newsroom.listing()] == [1]
    assert "Feed #1 is listened to" in (await ben.owed())[-1].text


async def test_it_is_told_in_german_too(engine: Engine, ben: Guest, paper: Paper) -> None:
    await ben.does("/settings language de")
    assert "Auf Feed #1 wird gehört" in await ben.does(f"/feed {paper.at('feed')}")
    assert "nächster Blick" in await ben.does("/feed")
