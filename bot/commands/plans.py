"""A schedule as somebody asks for it, in a chat or on the command line: words and flags become a `Plan`, and what is
planned is told in sentences. Who may ask, and where it is kept, is not known here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from babel import dates

from bot.cards import cut
from bot.commands.settings import zone_here
from engine import safety, schedules, styles
from engine.engine import Engine
from engine.errors import BadRequest, NotFound
from engine.locales import Locale, Said, say
from engine.occurrences import check, zone_of
from engine.planning import MOST_AHEAD
from engine.posting import Transaction, preview_seed
from engine.store import chats, personas
from engine.store.records import PersonaRecord, Place, Schedule
from engine.timetable import Timing, described, written
from engine.timewords import read, reread
from personas.persona import Rating, printable

LONGEST_THEME = 500
#: Of the words of a post, in a list.
LONGEST_IN_LIST = 120
#: Between themes that are used in turn.
NEXT_THEME = "|"
#: What becomes of a post that nobody approved by its time.
APPROVALS = tuple(filter(None, schedules.APPROVALS))
#: What says that a style, or a time before, is the usual one again.
USUAL = ("none", "default")

_SPAN = re.compile(r"(\d{1,6})\s*(s|m|min|h|d)?", re.IGNORECASE | re.ASCII)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True)
class Plan:
    """A schedule that may be kept: all of it was looked at."""

    persona: PersonaRecord
    timing: Timing
    zone: str
    theme: str
    #: As a schedule keeps them. Their `seed` draws the minute of a window, and says which order it was that made it.
    options: dict[str, Any]

    def as_schedule(self, place: Place, now: datetime) -> Schedule:
        """As it would be kept. Its number is none yet."""
        return Schedule(
            0,
            place.id,
            self.persona.id,
            written(self.timing),
            self.zone,
            now,
            self.theme,
            options=self.options,
        )


# What is asked for


async def planned(
    engine: Engine,
    words: str,
    flags: Mapping[str, str],
    *,
    place: Place,
    persona: PersonaRecord,
    rating: Rating,
    seed: str = "",
    kept: Schedule | None = None,
) -> Plan:
    """`daily 09:00 "morning coffee"` and its flags, for a place; `rating` is the most that may be shown there.

    `kept`: what is there of it already. It may be over; a new one may not.
    """
    timing, rest = read(words)
    theme, themes = themes_of(engine, flags.get("theme") or rest)
    zone = zone_of(flags.get("zone") or zone_here(place, engine.settings))
    seed = seed or preview_seed(place, persona, timing, theme or NEXT_THEME.join(themes))
    if kept is None or (kept.spec, kept.zone) != (written(timing), zone.key):
        check(timing, zone, engine.clock.now(), seed=seed)
    options = await options_of(engine, flags) | ({"themes": themes} if themes else {})
    options = {name: one for name, one in options.items() if one is not None}
    safety.check_persona(persona.persona, rating)
    await check_targets(engine, persona, options)
    return Plan(persona, timing, zone.key, theme, options | {"seed": seed})


async def planned_here(
    engine: Engine,
    when: str,
    flags: Mapping[str, str],
    place: Place,
    *,
    seed: str = "",
    kept: Schedule | None = None,
) -> Plan:
    """The same for whoever runs the house, and may name any place: who is named posts, or who is there."""
    if wanted := flags.get("persona"):
        persona = await engine.database.look(partial(personas.find, wanted=wanted))
    else:
        persona = await engine.presence.host(place)
    rating = most_shown(engine, place)
    return await planned(
        engine, when, flags, place=place, persona=persona, rating=rating, seed=seed, kept=kept
    )


async def saved(engine: Engine, plan: Plan, place: Place, *, dedup_key: str = "", told: str = "") -> Schedule:
    """The plan, kept. `dedup_key` names an order that counts once, and `told` is what it says, in brief."""
    return await engine.posting.add(
        place=place,
        persona=plan.persona,
        person=None,
        timing=plan.timing,
        zone=plan.zone,
        theme=plan.theme,
        options=plan.options,
        dedup_key=dedup_key,
        told=told,
    )


def themes_of(engine: Engine, words: str) -> tuple[str, list[str]]:
    """What a person wrote, as one theme, or as several that are used in turn. It is never interpreted."""
    if len(words) > LONGEST_THEME:
        raise BadRequest(say("posts.theme_too_long", n=len(words), most=LONGEST_THEME))
    clean = printable(unicodedata.normalize("NFC", safety.storable(words)))
    engine.imagining.check_words(clean)
    themes = [theme for one in clean.split(NEXT_THEME) if (theme := " ".join(one.split()).strip('"“”„'))]
    return ("", themes) if len(themes) > 1 else ("".join(themes), [])


async def options_of(engine: Engine, flags: Mapping[str, str]) -> dict[str, Any]:
    """What the flags say of each post, as a schedule keeps it. What they do not say is not in it; None: as usual."""
    options: dict[str, Any] = {}
    if "text-only" in flags and "picture-only" in flags:
        raise BadRequest(say("posts.neither"))
    if "text-only" in flags:
        options |= {"text": True, "picture": False}
    if "picture-only" in flags:
        options |= {"text": False, "picture": True}
    if "both" in flags:
        options |= {"text": True, "picture": True}
    if "style" in flags:
        there, told = engine.imagining.styles, flags["style"]
        as_usual = _is_usual(told) and styles.named(there, told) is None
        options["style"] = "" if as_usual else styles.style_named(there, told).slug
    if "approval" in flags:
        options["approval"] = _approval(flags["approval"])
    if "ahead" in flags:
        options["ahead"] = None if _is_usual(flags["ahead"]) else seconds_of(flags["ahead"])
    if "to" in flags:
        options["targets"] = [place.id for place in await _places(engine, flags["to"])]
    return options


def _is_usual(told: str) -> bool:
    return told.strip().lower() in USUAL


def _approval(told: str) -> str:
    wanted = told.strip().lower()
    if wanted in ("no", "none", ""):
        return ""
    if wanted not in APPROVALS:
        raise BadRequest(say("posts.no_approval", told=told[:20]))
    return wanted


def seconds_of(told: str) -> int:
    """`90m`, `2h` or `1d`; a number alone is minutes."""
    found = _SPAN.fullmatch(told.strip())
    seconds = int(found[1]) * _SECONDS[(found[2] or "m").lower()] if found else -1
    if not 0 <= seconds <= MOST_AHEAD.total_seconds():
        raise BadRequest(say("posts.no_span", told=told[:20]))
    return seconds


async def place_numbered(engine: Engine, told: str) -> Place | None:
    """The place with a number, `7` or `#7`; None where there is none, and where that is no number."""
    number = told.lstrip("#")
    if not number.isascii() or not number.isdecimal() or len(number) >= 10:
        return None
    return await engine.database.look(partial(chats.place_of, chat_id=int(number)))


async def _places(engine: Engine, told: str) -> list[Place]:
    """Places by their numbers, `7, 12`; each once."""
    found = {}
    for word in told.replace(",", " ").split():
        place = await place_numbered(engine, word)
        if place is None:
            raise NotFound(say("posts.no_place", told=word[:20]))
        found[place.id] = place
    return list(found.values())


async def check_targets(engine: Engine, persona: PersonaRecord, options: Mapping[str, Any]) -> None:
    """Nobody is shown more than their place allows, whoever sends it there."""
    for place in await _places(engine, ",".join(map(str, options.get("targets", ())))):
        safety.check_persona(persona.persona, most_shown(engine, place))


def most_shown(engine: Engine, place: Place) -> Rating:
    """How grown-up a post may be that nobody in particular asked to see."""
    return safety.allowed_rating(
        operator=engine.settings.safety.rating,
        place=place.rating,
        platform=place.allows_mature,
        confirmed_adult=True,
    )


async def edited(
    engine: Engine,
    schedule: Schedule,
    words: str,
    flags: Mapping[str, str],
    *,
    dry: bool = False,
    within: Transaction | None = None,
) -> Schedule:
    """Another time, another theme in quotes, or both; and what the flags say. All else stays as it is.

    `dry`: nothing is changed, and it is told as it would be.
    """
    timing: Timing | None = None
    rest = words.strip()
    if rest:
        timing, rest = reread(schedule.spec, rest)
    zone = zone_of(flags["zone"]).key if "zone" in flags else None
    options = await options_of(engine, flags)
    theme: str | None = None
    if (wanted := flags.get("theme") or rest) or "theme" in flags:
        theme, options["themes"] = themes_of(engine, wanted)
    if timing is None and zone is None and theme is None and not options:
        raise BadRequest(say("posts.how_to_edit", id=str(schedule.id)))
    if options and schedules.orders_pictures(schedule):
        raise BadRequest(say("posting.orders_pictures", id=str(schedule.id)))
    if options.get("targets"):
        record = await engine.database.look(partial(personas.get, persona_id=schedule.persona_id))
        await check_targets(engine, record, options)
    return await engine.posting.edit(
        schedule.id,
        timing=timing,
        zone=zone,
        theme=theme,
        options=options or None,
        dry=dry,
        within=within,
    )


# What is told of it


def moment(locale: Locale, when: datetime, zone: str, *, now: datetime) -> str:
    """A point in time as people there write it; with its year, where that is another."""
    local, here = when.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone))
    pattern = locale.say("posts.moment" if local.year == here.year else "posts.moment_of_year")
    return str(dates.format_datetime(local, pattern, locale=locale.customs))


def moment_at(engine: Engine, locale: Locale, place: Place, when: datetime) -> str:
    """A point in time by the clock of a place."""
    return moment(locale, when, zone_here(place, engine.settings), now=engine.clock.now())


def with_words(locale: Locale, line: str, words: str) -> str:
    """A line of a list, and under it how the words of a post begin, if it has any yet."""
    begins = cut(" ".join(words.split()), LONGEST_IN_LIST)
    return f"{line}\n   {locale.say('posts.quoted', theme=begins)}" if begins else line


def told(
    engine: Engine, locale: Locale, schedule: Schedule, persona: str, *, begins: str = "posts.will"
) -> list[str]:
    """Line by line: who, when, about what, how, and the next times."""
    now = engine.clock.now()
    timing = described(read(schedule.spec)[0], locale)
    about = _about(schedule)
    begins = "posts.orders" if schedules.orders_pictures(schedule) else begins
    lines = [locale.say(begins, persona=persona, timing=timing, zone=schedule.zone, about=about)]
    lines += [locale.says(one) for one in manners(schedule.options)]
    times = [moment(locale, when, schedule.zone, now=now) for when in engine.posting.next_times(schedule)]
    if times:
        lines.append(locale.say("posts.next_times", times="; ".join(times)))
    return lines


def _about(schedule: Schedule) -> Said:
    if schedules.orders_pictures(schedule):
        return say(f"posts.ordered.{schedule.options['order']['kind']}", name=str(schedule.options["name"]))
    themes = schedule.options.get("themes") or ([schedule.theme] if schedule.theme else [])
    if not themes:
        return say("posts.about.anything")
    quoted = [say("posts.quoted", theme=theme) for theme in themes]
    return say("posts.about.themes" if len(themes) > 1 else "posts.about.theme", theme=quoted)


def manners(options: Mapping[str, Any]) -> list[Said]:
    """How what comes of a schedule or a feed is posted, where that is not as usual."""
    how = []
    if not options.get("picture", True):
        how.append(say("posts.how.text_only"))
    if not options.get("text", True):
        how.append(say("posts.how.picture_only"))
    if style := options.get("style"):
        how.append(say("posts.how.style", style=str(style)))
    if approval := options.get("approval"):
        how.append(say(f"posts.how.approval_{approval}"))
    if targets := options.get("targets"):
        how.append(say("posts.how.also_to", places=[f"#{one}" for one in targets]))
    return how


async def names_of(engine: Engine) -> dict[int, str]:
    """What everybody is called."""
    return await engine.database.look(personas.names)


def goes_elsewhere(targets: Iterable[object], home: int) -> bool:
    """Whether what is posted at home is seen in other places too: what it says there is for operators to decide."""
    return any(one != home for one in targets)
