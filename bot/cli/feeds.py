"""`greenroom feeds`: what happens elsewhere, and which personas post about it where.

It changes rows, beside whoever owns the home: a house that runs looks at the feeds, and is called by the hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bot.cli import opening
from bot.cli.schedules import flags_of, parts, place_named, ref_told

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.settings import Settings
    from engine.store.records import Feed

Message = dict[str, Any]


@click.group()
def feeds() -> None:
    """News from elsewhere: feeds and webhooks that personas post about."""


@feeds.command("list")
@click.option("--place", metavar="PLACE", help="Only those of this place.")
@opening.as_json
def list_(place: str | None, as_json: bool) -> None:
    """All feeds and webhooks, and how they go."""
    settings = opening.settings_and_log()
    found = opening.run_async(_listing(settings, place))
    if as_json:
        opening.put_json(found)
    elif not found:
        click.echo("Nothing is listened to. `greenroom feeds add https://… --place PLACE` changes that.")
    else:
        for one in found:
            _draw(one)


async def _listing(settings: Settings, place: str | None) -> list[Message]:
    async with parts(settings) as engine:
        chat_id = (await place_named(engine, place)).id if place else None
        return [await shown(engine, one) for one in await engine.newsroom.listing(chat_id)]


async def shown(engine: Engine, one: Feed) -> Message:
    """A feed as scripts are told of it."""
    from functools import partial

    from bot.commands.feeds import hook_address
    from bot.commands.plans import names_of
    from engine.store import chats
    from engine.store.records import FeedKind

    place = await engine.database.look(partial(chats.place_of, chat_id=one.chat_id))
    return {
        "id": one.id,
        "kind": one.kind.value,
        "state": one.state.value,
        "address": one.address if one.kind is FeedKind.FEED else hook_address(engine, one),
        "title": str(one.options.get("title", "")),
        "place": one.chat_id,
        "chat": ref_told(place),
        "persona": (await names_of(engine)).get(one.persona_id, ""),
        "only": list(one.options.get("only", ())),
        "not": list(one.options.get("not", ())),
        "next": one.next_at.isoformat() if one.next_at else None,
        "failures": one.failures,
        "error": one.error,
    }


def _draw(one: Message) -> None:
    from bot.terminal.words import safe_line

    about = f"{one['title']} ({one['address']})" if one["title"] else one["address"]
    click.echo(safe_line(f"{one['id']} {one['state']} {one['kind']}: {about}"))
    click.echo(safe_line(f"   {one['persona']} posts in #{one['place']} {one['chat']}"))
    if one["next"] and one["state"] == "active":
        click.echo(f"   looked at next: {one['next']}")
    if one["error"]:
        click.echo(safe_line(f"   trouble ({one['failures']} in a row): {one['error']}"))


def _what(command: Any) -> Any:
    """What is said of a feed and of a hook alike."""
    for option in (
        click.option("--text-only", is_flag=True, help="Words, and no picture."),
        click.option("--style", metavar="STYLE", help="How its pictures look."),
        click.option("--not", "not_", metavar="WORDS", help="Nothing that has one of these words in it."),
        click.option("--only", metavar="WORDS", help="Only what has one of these words in it: snow,ice."),
        click.option("--persona", metavar="PERSONA", help="Who posts; without it, whoever is there."),
        click.option("--place", required=True, metavar="PLACE", help="Its number, or FRONT:ACCOUNT:CHAT."),
    ):
        command = option(command)
    return command


@feeds.command()
@click.argument("address")
@_what
@click.option("--every", metavar="TIME", help="How often it is looked at: 30m, 2h, 1d.")
@opening.as_json
def add(address: str, place: str, persona: str | None, not_: str | None, as_json: bool, **how: Any) -> None:
    """Post about what is new in the feed at ADDRESS. It is read at once; its newest item is the first post."""
    settings = opening.settings_and_log()
    flags = flags_of(**{"not": not_}, **how)
    added = opening.run_async(_add(settings, address, place, persona or "", flags))
    if as_json:
        opening.put_json(added)
    else:
        click.echo(f"Feed {added['id']} is listened to.")


async def _add(settings: Settings, address: str, place: str, persona: str, flags: dict[str, str]) -> Message:
    from bot.commands.feeds import options_told, persona_for
    from engine.fetching import check_address

    async with parts(settings) as engine:
        there = await place_named(engine, place)
        feed = await engine.newsroom.add(
            place=there,
            persona=await persona_for(engine, there, persona),
            person=None,
            address=check_address(address, private=settings.feeds.private),
            options=await options_told(engine, flags),
        )
        return await shown(engine, feed)


@feeds.command()
@_what
@opening.as_json
def hook(place: str, persona: str | None, not_: str | None, as_json: bool, **how: Any) -> None:
    """Make a webhook that other programs call. Its secret is shown this once."""
    settings = opening.settings_and_log()
    flags = flags_of(**{"not": not_}, **how)
    made = opening.run_async(_hook(settings, place, persona or "", flags))
    if as_json:
        opening.put_json(made)
        return
    click.echo(f"Webhook {made['id']} is there: {made['address']}")
    click.echo(f"X-Greenroom-Secret: {made['secret']}")
    click.echo(f"The key for X-Greenroom-Signature (HMAC-SHA256 of the body): {made['key']}")


async def _hook(settings: Settings, place: str, persona: str, flags: dict[str, str]) -> Message:
    from bot.commands.feeds import options_told, persona_for
    from engine.newsroom import key_for_signatures

    async with parts(settings) as engine:
        there = await place_named(engine, place)
        feed, secret = await engine.newsroom.add_hook(
            place=there,
            persona=await persona_for(engine, there, persona),
            person=None,
            options=await options_told(engine, flags),
        )
        return await shown(engine, feed) | {"secret": secret, "key": key_for_signatures(secret)}


@feeds.command()
@click.argument("feed_id", metavar="ID", type=int)
@opening.as_json
def pause(feed_id: int, as_json: bool) -> None:
    """Let a feed or a webhook rest."""
    _tell(_done(feed_id, "pause"), f"{feed_id} is paused.", as_json=as_json)


@feeds.command()
@click.argument("feed_id", metavar="ID", type=int)
@opening.as_json
def resume(feed_id: int, as_json: bool) -> None:
    """Let it go on, with what is new from now on."""
    _tell(_done(feed_id, "resume"), f"{feed_id} goes on.", as_json=as_json)


@feeds.command()
@click.argument("feed_id", metavar="ID", type=int)
@opening.as_json
def remove(feed_id: int, as_json: bool) -> None:
    """Take it away. What was published stays."""
    settings = opening.settings_and_log()

    async def removed() -> None:
        async with parts(settings) as engine:
            await engine.newsroom.remove(feed_id)

    opening.run_async(removed())
    _tell({"removed": feed_id}, f"{feed_id} is gone. What was published stays.", as_json=as_json)


@feeds.command()
@click.argument("feed_id", metavar="ID", type=int)
@opening.as_json
def check(feed_id: int, as_json: bool) -> None:
    """Look at a feed now, post nothing, and tell what is new in it."""
    from bot.terminal.words import safe_line

    settings = opening.settings_and_log()
    found = opening.run_async(_check(settings, feed_id))
    if as_json:
        opening.put_json(found)
        return
    click.echo(safe_line(f"{found['title']}: {found['items']} items, {found['known']} of them known."))
    for one in found["new"]:
        click.echo(safe_line(f"  {one['title']} {one['link']}"))
    if not found["new"]:
        click.echo("Nothing in it is new and wanted.")


async def _check(settings: Settings, feed_id: int) -> Message:
    async with parts(settings) as engine:
        look = await engine.newsroom.check(feed_id)
    return {
        "title": look.document.title,
        "items": len(look.document.items),
        "known": look.known,
        "new": [{"title": one.title, "link": one.link} for one in look.wanted],
    }


def _done(feed_id: int, what: str) -> Message:
    settings = opening.settings_and_log()

    async def done() -> Message:
        async with parts(settings) as engine:
            return await shown(engine, await getattr(engine.newsroom, what)(feed_id))

    return opening.run_async(done())


def _tell(told: Message, sentence: str, *, as_json: bool) -> None:
    if as_json:
        opening.put_json(told)
    else:
        click.echo(sentence)
