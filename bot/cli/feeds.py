"""`greenroom feeds`: what happens elsewhere, and which personas post about it where.

It changes rows, beside whoever owns the home: a house that runs looks at the feeds, and is called by the hooks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bot import places
from bot.cli import opening
from bot.cli.planning import flags_of
from bot.posts_shown import feed_shown, look_shown

if TYPE_CHECKING:
    from engine.engine import Engine
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
    found = opening.on_engine(
        lambda engine: places.listed(engine, place, engine.newsroom.listing, feed_shown)
    )
    if as_json:
        opening.put_json(found)
    elif not found:
        click.echo("Nothing is listened to. `greenroom feeds add https://… --place PLACE` changes that.")
    else:
        for one in found:
            _draw(one)


def _draw(one: Message) -> None:
    from bot.terminal.words import safe_line

    about = f"{one['title']} ({one['address']})" if one["title"] else one["address"]
    click.echo(safe_line(f"{one['id']} {one['state']} {one['kind']}: {about}"))
    click.echo(safe_line(f"   {one['persona']} posts in #{one['place']} {one['chat']}"))
    if one["next"] and one["state"] == "active":
        click.echo(f"   looked at next: {one['next']}")
    if one["error"]:
        click.echo(safe_line(f"   trouble ({one['failures']} in a row): {one['error']}"))


def _how(command: Any) -> Any:
    """What is said of a feed and of a hook alike, when it is made and when it is changed."""
    for option in (
        click.option("--to", metavar="PLACES", help="Other places it also posts to: 7,12."),
        click.option(
            "--approval",
            type=click.Choice(("skip", "post", "no")),
            help="A post waits for approval; unapproved after a while, it is skipped, or posted all the same.",
        ),
        click.option(
            "--picture",
            type=click.Choice(("render", "item", "folder")),
            help="Whose pictures: rendered, the item's own, or from the folder of [feeds] in the settings.",
        ),
        click.option("--text-only", is_flag=True, help="Words, and no picture."),
        click.option("--style", metavar="STYLE", help="How its pictures look."),
        click.option("--not", "not_", metavar="WORDS", help="Nothing that has one of these words in it."),
        click.option("--only", metavar="WORDS", help="Only what has one of these words in it: snow,ice."),
    ):
        command = option(command)
    return command


def _what(command: Any) -> Any:
    """Who posts, and where."""
    for option in (
        click.option("--persona", metavar="PERSONA", help="Who posts; without it, whoever is there."),
        click.option("--place", required=True, metavar="PLACE", help="Its number, or FRONT:ACCOUNT:CHAT."),
    ):
        command = option(command)
    return command


@feeds.command()
@click.argument("address")
@_what
@_how
@click.option("--every", metavar="TIME", help="How often it is looked at: 30m, 2h, 1d.")
@opening.as_json
def add(address: str, place: str, persona: str | None, not_: str | None, as_json: bool, **how: Any) -> None:
    """Post about what is new in the feed at ADDRESS. It is read at once; its newest item is the first post."""
    flags = flags_of(**{"not": not_}, **how)
    added = opening.on_engine(partial(_add, address=address, place=place, persona=persona or "", flags=flags))
    opening.tell(added, f"Feed {added['id']} is listened to.", as_json=as_json)


async def _add(engine: Engine, *, address: str, place: str, persona: str, flags: dict[str, str]) -> Message:
    from bot.commands.sources import listened

    there = await places.place_named(engine, place)
    feed = await listened(engine, there, address, flags, persona=persona)
    return await feed_shown(places.WhoAndWhere(engine), feed)


@feeds.command()
@_what
@_how
@opening.as_json
def hook(place: str, persona: str | None, not_: str | None, as_json: bool, **how: Any) -> None:
    """Make a webhook that other programs call. Its secret is shown this once."""
    flags = flags_of(**{"not": not_}, **how)
    made = opening.on_engine(partial(_hook, place=place, persona=persona or "", flags=flags))
    if as_json:
        opening.put_json(made)
        return
    click.echo(f"Webhook {made['id']} is there: {made['address']}")
    click.echo(f"X-Greenroom-Secret: {made['secret']}")
    click.echo(f"The key for X-Greenroom-Signature (HMAC-SHA256 of the body): {made['key']}")


async def _hook(engine: Engine, *, place: str, persona: str, flags: dict[str, str]) -> Message:
    from bot.commands.sources import hooked
    from engine.newsroom import key_for_signatures

    there = await places.place_named(engine, place)
    feed, secret = await hooked(engine, there, flags, persona=persona)
    told = await feed_shown(places.WhoAndWhere(engine), feed)
    return told | {"secret": secret, "key": key_for_signatures(secret)}


@feeds.command()
@click.argument("feed_id", metavar="ID", type=int)
@click.option(
    "--address", metavar="ADDRESS", help="Where it is from now on. What it says by then is passed over."
)
@click.option("--place", metavar="PLACE", help="Where it is posted from now on.")
@click.option("--persona", metavar="PERSONA", help="Who posts from now on.")
@_how
@click.option("--every", metavar="TIME", help="How often it is looked at: 30m, 2h, 1d.")
@opening.as_json
def edit(
    feed_id: int,
    address: str | None,
    place: str | None,
    persona: str | None,
    not_: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Change a feed or a webhook, for what comes from now on. What is not said stays; `--only none`, `--not none`,
    `--style none`, `--to none` and `--every default` take back what was said, `--picture render` a --text-only.
    """
    flags = flags_of(**{"not": not_}, **how)
    there, who = place or "", persona or ""
    changed = opening.on_engine(
        lambda engine: _edit(engine, feed_id, flags, address=address or "", place=there, persona=who)
    )
    opening.tell(changed, f"{feed_id} is changed.", as_json=as_json)


async def _edit(
    engine: Engine, feed_id: int, flags: dict[str, str], *, address: str, place: str, persona: str
) -> Message:
    from bot.commands.sources import edited

    known = await engine.newsroom.get(feed_id)
    there = await places.place_named(engine, place) if place else None
    feed = await edited(engine, known, flags, address=address, persona=persona, place=there)
    return await feed_shown(places.WhoAndWhere(engine), feed)


@feeds.command()
@click.argument("feed_id", metavar="ID", type=int)
@opening.as_json
def pause(feed_id: int, as_json: bool) -> None:
    """Let a feed or a webhook rest."""
    paused = _done(lambda engine: engine.newsroom.pause(feed_id))
    opening.tell(paused, f"{feed_id} is paused.", as_json=as_json)


@feeds.command()
@click.argument("feed_id", metavar="ID", type=int)
@opening.as_json
def resume(feed_id: int, as_json: bool) -> None:
    """Let it go on, with what is new from now on."""
    resumed = _done(lambda engine: engine.newsroom.resume(feed_id))
    opening.tell(resumed, f"{feed_id} goes on.", as_json=as_json)


@feeds.command()
@click.argument("feed_id", metavar="ID", type=int)
@opening.as_json
def remove(feed_id: int, as_json: bool) -> None:
    """Take it away. What was published stays."""
    opening.on_engine(lambda engine: engine.newsroom.remove(feed_id))
    sentence = f"{feed_id} is gone. What was published stays."
    opening.tell({"removed": feed_id}, sentence, as_json=as_json)


@feeds.command()
@click.argument("feed_id", metavar="ID", type=int)
@opening.as_json
def check(feed_id: int, as_json: bool) -> None:
    """Look at a feed now, post nothing, and tell what is new in it."""
    from bot.terminal.words import safe_line

    found = opening.on_engine(partial(_check, feed_id=feed_id))
    if as_json:
        opening.put_json(found)
        return
    click.echo(safe_line(f"{found['title']}: {found['items']} items, {found['known']} of them known."))
    for one in found["new"]:
        click.echo(safe_line(f"  {one['title']} {one['link']}"))
    if not found["new"]:
        click.echo("Nothing in it is new and wanted.")


async def _check(engine: Engine, *, feed_id: int) -> Message:
    return look_shown(await engine.newsroom.check(feed_id))


def _done(does: Callable[[Engine], Awaitable[Feed]]) -> Message:
    async def done(engine: Engine) -> Message:
        return await feed_shown(places.WhoAndWhere(engine), await does(engine))

    return opening.on_engine(done)
