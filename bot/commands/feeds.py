"""/feed: what happens elsewhere, and who posts about it here; feeds that we look at, and hooks that others call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bot import orders
from bot.commands.calling import Answer, Call, Command, Part
from bot.commands.plans import (
    APPROVALS,
    check_targets,
    manners,
    moment,
    most_shown,
    names_of,
    options_of,
)
from bot.commands.settings import zone_here
from bot.front import Button, Choice, Option, OptionKind
from engine import safety
from engine.engine import Engine
from engine.errors import BadRequest, NotFound, Refused
from engine.feeds import words_in
from engine.fetching import check_address
from engine.locales import Locale, Said, say
from engine.news import seconds_between
from engine.newsroom import key_for_signatures
from engine.planning import FOLDER, ITEM, PICTURE_OF, RENDER
from engine.schedules import MOST_TARGETS
from engine.store import chats, personas
from engine.store.records import Feed, FeedKind, FeedState, PersonaRecord, Place

#: So many has one place, unless an operator adds more; and of so many the buttons are shown.
MOST, MOST_WITH_BUTTONS = 20, 5
#: Where it is kept which words are wanted, and which are not: so many of each.
WORDS, MOST_WORDS = ("only", "not"), 30
#: Where the pictures of its posts are from.
LENDERS = (RENDER, ITEM, FOLDER)
#: Of what is said of each post, as it is of a schedule's.
OF_POSTS = ("style", "text-only", "approval", "to")


# What the command line asks, too


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
    engine: Engine, place: Place, address: str, flags: Mapping[str, str], *, persona: str = ""
) -> Feed:
    """A feed that a place listens to from now on, for whoever runs the house."""
    options = await options_told(engine, flags)
    return await engine.newsroom.add(
        place=place,
        persona=await persona_for(engine, place, persona, options),
        person=None,
        address=check_address(address, private=engine.settings.feeds.private),
        options=options,
    )


async def hooked(
    engine: Engine, place: Place, flags: Mapping[str, str], *, persona: str = ""
) -> tuple[Feed, str]:
    """The same of a hook, and its secret."""
    options = await options_told(engine, flags)
    return await engine.newsroom.add_hook(
        place=place,
        persona=await persona_for(engine, place, persona, options),
        person=None,
        options=options,
    )


# In a chat


async def _list(call: Call) -> None:
    await call.demand_charge()
    found = await call.engine.newsroom.listing(call.place.id)
    names = await names_of(call.engine)
    zone = zone_here(call.place, call.engine.settings)
    lines = []
    for one in found:
        what = source_of(one) if one.kind is FeedKind.FEED else call.say("feeds.hook_line")
        parts = [what, *how(call.engine, call.locale, one, zone)]
        told = call.say(
            "feeds.line", id=str(one.id), persona=names.get(one.persona_id, "–"), what=" · ".join(parts)
        )
        lines.append(told)
    lines = lines or [call.say("feeds.none_here")]
    lines += ["", call.say("feeds.how_to_add")]

    async def happens(answer: Answer) -> None:
        answer.text = "\n".join(lines)
        answer.buttons = tuple(_buttons(call, one) for one in found[:MOST_WITH_BUTTONS])

    await call.answer(happens)


def _buttons(call: Call, feed: Feed) -> tuple[Button, ...]:
    first = "pause" if feed.state is FeedState.ACTIVE else "resume"
    return tuple(
        Button(call.say(f"feeds.button.{part}", id=str(feed.id)), f"feed {part} {feed.id}")
        for part in (first, "remove")
    )


async def _new(call: Call) -> None:
    await call.demand_charge()
    if not call.words:
        raise BadRequest(say("feeds.how_to_add"))
    newsroom = call.engine.newsroom
    address = check_address(call.words.strip("<>"), private=call.engine.settings.feeds.private)
    if "to" in call.flags:
        await call.demand_operator()
    options = await options_told(call.engine, call.flags)
    persona = await persona_for(call.engine, call.place, call.flags.get("persona", ""), options)
    await _check_room(call, call.place)
    feed = await newsroom.add(
        place=call.place,
        persona=persona,
        person=call.person,
        address=address,
        options=options | {"order": f"turn:{call.said.turn.id}"},
    )
    told = call.say("feeds.added", id=str(feed.id), what=source_of(feed), persona=persona.persona.called)
    zone = zone_here(call.place, call.engine.settings)
    await call.tell("\n".join([told, " · ".join(how(call.engine, call.locale, feed, zone))]))


async def _hook(call: Call) -> None:
    """The secret is shown where nobody else reads it, so that is where a hook is made, also for other places."""
    await call.demand_charge()
    if call.place.shared:
        raise Refused(say("feeds.hook_in_private", id=str(call.place.id)))
    if "to" in call.flags:
        await call.demand_operator()
    options = await options_told(call.engine, call.flags)
    place = call.place
    if targets := options.pop("targets", None):
        # The first of them is where it is; here only its secret is shown.
        named = await call.engine.database.look(partial(chats.place_of, chat_id=targets[0]))
        place, options["targets"] = named or place, targets[1:]
    persona = await persona_for(call.engine, place, call.flags.get("persona", ""), options)
    await _check_room(call, place)
    feed, secret = await call.engine.newsroom.add_hook(
        place=place,
        persona=persona,
        person=call.person,
        options=options | {"order": f"turn:{call.said.turn.id}"},
    )
    address, key = hook_address(call.engine, feed), key_for_signatures(secret)
    lines = [
        call.say("feeds.hook_added", id=str(feed.id), persona=persona.persona.called),
        address,
        f"X-Greenroom-Secret: {secret}",
        f"HMAC-SHA256: {key}",
        call.say("feeds.hook_how"),
    ]
    if not call.engine.settings.feeds.address:
        lines.append(call.say("feeds.hook_here_only"))
    await call.tell("\n".join(lines), code=(address, secret, key), secrets=(secret, key))


async def _check_room(call: Call, place: Place) -> None:
    there = await call.engine.newsroom.listing(place.id)
    again = any(one.options.get("order") == f"turn:{call.said.turn.id}" for one in there)
    if len(there) >= MOST and not again and not await call.is_operator():
        raise Refused(say("feeds.too_many", n=MOST))


async def _named(call: Call, part: str) -> Feed:
    """The one that an order names. Others' are, to all but operators, not there."""
    number, _ = await call.number_in_charge(say("feeds.which", part=part))
    feed = await call.engine.newsroom.get(number)
    if feed.chat_id != call.place.id and not await call.is_operator():
        raise NotFound(say("feeds.no_feed", id=str(number)))
    return feed


async def _pause(call: Call) -> None:
    feed = await _named(call, "pause")
    await call.engine.newsroom.pause(feed.id)
    await call.tell(call.say("feeds.paused", id=str(feed.id)))


async def _resume(call: Call) -> None:
    feed = await _named(call, "resume")
    await call.engine.newsroom.resume(feed.id)
    await call.tell(call.say("feeds.resumed", id=str(feed.id)))


async def _remove(call: Call) -> None:
    feed = await _named(call, "remove")
    await call.engine.newsroom.remove(feed.id)
    await call.tell(call.say("feeds.removed", id=str(feed.id)))


def _one_of(name: str, *choices: str) -> Option:
    return Option(name, "", OptionKind.CHOICE, flag=name, choices=tuple(Choice(one, "") for one in choices))


_ID = Option("id", "", OptionKind.NUMBER, required=True, least=1)
_WHO = Option("persona", "", OptionKind.PERSONA, flag="persona")
_WHAT = (Option("only", "", flag="only"), Option("not", "", flag="not"))
_HOW = (
    Option("style", "", OptionKind.STYLE, flag="style"),
    orders.switch("text-only"),
    _one_of("picture", *LENDERS),
    _one_of("approval", *APPROVALS),
    Option("to", "", flag="to"),
)

COMMANDS = (
    Command(
        "feed",
        _list,
        topic="posts",
        quiet=True,
        otherwise="new",
        parts=(
            Part("list", _list, quiet=True),
            Part(
                "new",
                _new,
                (
                    Option("address", "", required=True),
                    _WHO,
                    *_WHAT,
                    Option("every", "", flag="every"),
                    *_HOW,
                ),
                quiet=True,
            ),
            Part("hook", _hook, (_WHO, *_WHAT, *_HOW), quiet=True),
            Part("pause", _pause, (_ID,), quiet=True),
            Part("resume", _resume, (_ID,), quiet=True),
            Part("remove", _remove, (_ID,), quiet=True),
        ),
    ),
)
