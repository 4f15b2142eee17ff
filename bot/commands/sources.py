"""A feed or a hook as somebody asks for it, in a chat, on the page or on the command line: flags become what is kept,
and what is kept is told. Who may ask is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bot.commands.plans import USUAL, check_targets, manners, moment, most_shown, options_of
from engine import safety
from engine.engine import Engine
from engine.errors import BadRequest
from engine.feeds import words_in
from engine.fetching import check_address
from engine.listening import Change
from engine.locales import Locale, Said, say
from engine.news import seconds_between
from engine.planning import FOLDER, ITEM, PICTURE_OF, RENDER
from engine.schedules import MOST_TARGETS
from engine.store import chats, personas
from engine.store.records import Feed, FeedState, PersonaRecord, Place

#: Where it is kept which words are wanted, and which are not: so many of each.
WORDS, MOST_WORDS = ("only", "not"), 30
#: Where the pictures of its posts are from.
LENDERS = (RENDER, ITEM, FOLDER)
#: Of what is said of each post, as it is of a schedule's.
OF_POSTS = ("style", "text-only", "approval", "to")
#: Of these `none` takes back what was said; a style says it itself. One is kept under another name than it is said.
TAKEN_BACK = {"only": "only", "not": "not", "every": "every", "to": "targets"}


async def options_told(engine: Engine, flags: Mapping[str, str]) -> dict[str, Any]:
    """What the flags say of a feed or a hook, as it is kept."""
    options = await options_of(engine, {name: told for name, told in flags.items() if name in OF_POSTS})
    if "targets" in options:
        options["targets"] = options["targets"][:MOST_TARGETS]
    if "picture" in flags:
        options[PICTURE_OF] = _lender(flags)
    for name in WORDS:
        if told := words_in(flags.get(name, "")):
            options[name] = list(told[:MOST_WORDS])
    if "every" in flags:
        options["every"] = seconds_between(flags["every"])
    return options


async def changes_told(engine: Engine, flags: Mapping[str, str]) -> dict[str, Any]:
    """The same of one that is there: None takes back what was said of it before."""
    usual = {name for name in TAKEN_BACK.keys() & flags.keys() if flags[name].strip().lower() in ("", *USUAL)}
    said = {name: told for name, told in flags.items() if name not in usual}
    options: dict[str, Any] = {TAKEN_BACK[name]: None for name in usual}
    if "text-only" in said:
        options[PICTURE_OF] = None
    elif "picture" in said:
        options |= {"picture": None, "text": None}
    options |= await options_told(engine, said)
    if options.get(PICTURE_OF) == RENDER:
        options[PICTURE_OF] = None
    return options


def _lender(flags: Mapping[str, str]) -> str:
    told = flags["picture"].strip().lower()
    if told not in LENDERS:
        raise BadRequest(say("feeds.no_lender", told=told[:20]))
    if "text-only" in flags:
        raise BadRequest(say("feeds.picture_of_none"))
    return told


def hook_address(engine: Engine, feed: Feed) -> str:
    """Where a hook is called: at the operator's own address, or else at this machine's."""
    told = engine.settings.feeds.address
    if not told:
        owner = engine.home.owner()
        told = owner.url if owner else engine.settings.web.address
    return f"{told.rstrip('/')}/hooks/{feed.id}"


def source_of(feed: Feed) -> str:
    """What a feed calls itself, or where it is, in one short line."""
    title = str(feed.options.get("title", ""))
    return f"{title} ({feed.address})" if title else feed.address


def how(engine: Engine, locale: Locale, feed: Feed, zone: str) -> list[str]:
    """What is said about it beside its name: which words, when next, and what is wrong."""
    told: list[Said] = []
    for name, key in zip(WORDS, ("feeds.only", "feeds.without"), strict=True):
        if words := feed.options.get(name):
            told.append(say(key, words=", ".join(map(str, words))))
    if (lender := feed.options.get(PICTURE_OF)) in (ITEM, FOLDER):
        told.append(say(f"feeds.picture_of.{lender}"))
    told += manners(feed.options)
    if feed.state is FeedState.PAUSED:
        told.append(say("feeds.paused_line"))
    elif feed.next_at is not None:
        told.append(say("feeds.next", time=moment(locale, feed.next_at, zone, now=engine.clock.now())))
    if feed.error:
        told.append(say("feeds.trouble", why=feed.error))
    return [locale.says(one).rstrip(".") for one in told]


async def persona_for(engine: Engine, place: Place, name: str, options: Mapping[str, Any]) -> PersonaRecord:
    """Who is to post: who is named, or who is there; and only where they may, in its other places too."""
    if name:
        persona = await engine.database.look(partial(personas.find, wanted=name))
    else:
        persona = await engine.presence.host(place)
    safety.check_persona(persona.persona, most_shown(engine, place))
    await check_targets(engine, persona, options)
    return persona


async def listened(
    engine: Engine,
    place: Place,
    address: str,
    flags: Mapping[str, str],
    *,
    persona: str = "",
    order: str = "",
    told: str = "",
) -> Feed:
    """A feed that a place listens to from now on, for whoever runs the house.

    `order` names an order that counts once, and `told` is what it says, in brief.
    """
    options = await options_told(engine, flags) | ({"order": order} if order else {})
    return await engine.newsroom.add(
        place=place,
        persona=await persona_for(engine, place, persona, options),
        person=None,
        address=check_address(address, private=engine.settings.feeds.private),
        options=options,
        told=told,
    )


async def hooked(
    engine: Engine,
    place: Place,
    flags: Mapping[str, str],
    *,
    persona: str = "",
    order: str = "",
    told: str = "",
) -> tuple[Feed, str]:
    """The same of a hook, and its secret."""
    options = await options_told(engine, flags) | ({"order": order} if order else {})
    return await engine.newsroom.add_hook(
        place=place,
        persona=await persona_for(engine, place, persona, options),
        person=None,
        options=options,
        told=told,
    )


async def edited(
    engine: Engine,
    feed: Feed,
    flags: Mapping[str, str],
    *,
    address: str = "",
    persona: str = "",
    place: Place | None = None,
) -> Feed:
    """What is said is changed, all else stays as it is."""
    options = await changes_told(engine, flags)
    if not (options or address or persona or place):
        raise BadRequest(say("feeds.how_to_edit", id=str(feed.id)))
    if address:
        address = check_address(address, private=engine.settings.feeds.private)
    if persona:
        who = await engine.database.look(partial(personas.find, wanted=persona))
    else:
        who = await engine.database.look(partial(personas.get, persona_id=feed.persona_id))
    if persona or place or options.get("targets"):
        there = place or await engine.database.look(partial(chats.place_of, chat_id=feed.chat_id))
        if there is not None:
            safety.check_persona(who.persona, most_shown(engine, there))
        targets = options["targets"] if "targets" in options else feed.options.get("targets", ())
        await check_targets(engine, who, {"targets": targets or ()})
    change = Change(
        chat_id=place.id if place else None,
        persona_id=who.id if persona else None,
        address=address or None,
        options=options,
    )
    return await engine.newsroom.edit(feed.id, change)
