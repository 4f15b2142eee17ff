"""/feed: what happens elsewhere, and who posts about it here; feeds that we look at, and hooks that others call."""

from __future__ import annotations

from functools import partial

from bot import orders
from bot.commands.calling import Answer, Call, Command, Part
from bot.commands.plans import (
    APPROVALS,
    goes_elsewhere,
    names_of,
)
from bot.commands.settings import zone_here
from bot.commands.sources import (
    LENDERS,
    edited,
    hook_address,
    how,
    options_told,
    persona_for,
    source_of,
)
from bot.front import Button, Choice, Option, OptionKind
from engine.errors import BadRequest, NotFound, Refused
from engine.fetching import check_address
from engine.locales import say
from engine.newsroom import key_for_signatures
from engine.store import chats
from engine.store.records import Feed, FeedKind, FeedState, Place

#: So many has one place, unless an operator adds more; and of so many the buttons are shown.
MOST, MOST_WITH_BUTTONS = 20, 5


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


async def _named(call: Call, part: str) -> tuple[Feed, str]:
    """The one that an order names, and what else it says. Others' are, to all but operators, not there."""
    number, words = await call.number_in_charge(say("feeds.which", part=part))
    feed = await call.engine.newsroom.get(number)
    if feed.chat_id != call.place.id and not await call.is_operator():
        raise NotFound(say("feeds.no_feed", id=str(number)))
    return feed, words


async def _edit(call: Call) -> None:
    feed, words = await _named(call, "edit")
    if "to" in call.flags:
        await call.demand_operator()
    if goes_elsewhere(feed.options.get("targets", ()), feed.chat_id) and not await call.is_operator():
        raise Refused(say("feeds.goes_elsewhere", id=str(feed.id)))
    persona = call.flags.get("persona", "")
    changed = await edited(call.engine, feed, call.flags, address=words.strip("<>"), persona=persona)
    names = await names_of(call.engine)
    told = call.say(
        "feeds.edited",
        id=str(changed.id),
        what=source_of(changed) if changed.kind is FeedKind.FEED else call.say("feeds.hook_line"),
        persona=names.get(changed.persona_id, "–"),
    )
    zone = zone_here(call.place, call.engine.settings)
    await call.tell("\n".join([told, " · ".join(how(call.engine, call.locale, changed, zone))]).strip())


async def _pause(call: Call) -> None:
    feed, _ = await _named(call, "pause")
    await call.engine.newsroom.pause(feed.id)
    await call.tell(call.say("feeds.paused", id=str(feed.id)))


async def _resume(call: Call) -> None:
    feed, _ = await _named(call, "resume")
    await call.engine.newsroom.resume(feed.id)
    await call.tell(call.say("feeds.resumed", id=str(feed.id)))


async def _remove(call: Call) -> None:
    feed, _ = await _named(call, "remove")
    await call.engine.newsroom.remove(feed.id)
    await call.tell(call.say("feeds.removed", id=str(feed.id)))


def _one_of(name: str, *choices: str) -> Option:
    return Option(name, "", OptionKind.CHOICE, flag=name, choices=tuple(Choice(one, "") for one in choices))


_ID = Option("id", "", OptionKind.NUMBER, required=True, least=1)
_WHO = Option("persona", "", OptionKind.PERSONA, flag="persona")
_WHAT = (Option("only", "", flag="only"), Option("not", "", flag="not"))
_EVERY = Option("every", "", flag="every")
_LOOK = (
    Option("style", "", OptionKind.STYLE, flag="style"),
    orders.switch("text-only"),
    _one_of("picture", *LENDERS),
)
_TO = Option("to", "", flag="to")
_HOW = (*_LOOK, _one_of("approval", *APPROVALS), _TO)

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
                    _EVERY,
                    *_HOW,
                ),
                quiet=True,
            ),
            Part("hook", _hook, (_WHO, *_WHAT, *_HOW), quiet=True),
            Part(
                "edit",
                _edit,
                (
                    _ID,
                    Option("address", ""),
                    _WHO,
                    *_WHAT,
                    _EVERY,
                    *_LOOK,
                    _one_of("approval", *APPROVALS, "no"),
                    _TO,
                ),
                quiet=True,
            ),
            Part("pause", _pause, (_ID,), quiet=True),
            Part("resume", _resume, (_ID,), quiet=True),
            Part("remove", _remove, (_ID,), quiet=True),
        ),
    ),
)
