"""Schedules from a TOML file: what may stand in it, and that all of them can be used before any is saved.

What is there already as the file says it is left alone, with the posts that come of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.cli.planning import flags_of
from bot.places import WhoAndWhere, place_named
from bot.posts_shown import schedule_shown

if TYPE_CHECKING:
    from bot.commands.plans import Plan
    from engine.engine import Engine
    from engine.store.records import Place, Schedule

Message = dict[str, Any]

#: What stands in a file, and of which kind it is.
IN_A_FILE: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "place": (int, str),
    "persona": (str,),
    "when": (str,),
    "theme": (str,),
    "themes": (list,),
    "zone": (str,),
    "style": (str,),
    "text_only": (bool,),
    "picture_only": (bool,),
    "approval": (str,),
    "ahead": (str,),
    "to": (list,),
}
#: What a schedule is of which nothing is said.
UNSAID: Mapping[str, Any] = {
    "themes": [],
    "text": True,
    "picture": True,
    "style": "",
    "approval": "",
    "ahead": None,
    "targets": [],
}
LARGEST_FILE = 1_000_000
LONGEST_NAME = 100
#: Numbers beyond this are no place's.
LARGEST_NUMBER = 2**31 - 1


def entries_of(file: Path) -> list[Message]:
    """The tables of a file, each with what may stand in it."""
    import tomllib

    from engine.errors import BadRequest

    try:
        if file.stat().st_size > LARGEST_FILE:
            raise BadRequest(f"{file} is too large: a megabyte is the most.")
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}.") from None
    except RecursionError:
        raise BadRequest(
            f"{file} is not TOML for us: too much in it stands inside of something else."
        ) from None
    except ValueError as error:  # no UTF-8, no TOML, or a number that Python refuses to read
        raise BadRequest(f"{file} is not TOML: {error}") from None
    entries = found.get("schedule")
    if not isinstance(entries, list) or not entries or found.keys() != {"schedule"}:
        raise BadRequest(f"{file} should have nothing but [[schedule]] tables in it.")
    for number, entry in enumerate(entries, 1):
        if wrong := _wrong_with(entry):
            raise BadRequest(f"Schedule {number} of {file}: {wrong}")
    names = [entry["name"] for entry in entries if "name" in entry]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadRequest(f"Two schedules of {file} have the name {twice!r}. Each needs its own.")
    return entries


def _wrong_with(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "that is not a [[schedule]] table."
    for key, value in entry.items():
        kinds = IN_A_FILE.get(key)
        if kinds is None:
            return f"there is no `{key[:20]}`; there are {', '.join(IN_A_FILE)}."
        if type(value) not in kinds or not all(map(_is_plain, value if kinds == (list,) else [value])):
            return f"`{key}` cannot be {_briefly(value)}."
    if len(entry.get("name", "")) > LONGEST_NAME:
        return f"its name is too long: {LONGEST_NAME} characters are the most."
    lacking = [key for key in ("place", "when") if key not in entry]
    return f"`{lacking[0]}` is missing." if lacking else ""


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool) or (type(value) is int and abs(value) <= LARGEST_NUMBER)


def _briefly(value: Any) -> str:
    """What stands there; a number that is too long to be written down is not."""
    try:
        return repr(str(value)[:20])
    except (ValueError, RecursionError):
        return "that"


async def load_all(engine: Engine, entries: Sequence[Message]) -> list[Message]:
    from bot.commands.plans import planned_here
    from engine.errors import GreenroomError

    plans: list[tuple[Plan, Place]] = []
    for number, entry in enumerate(entries, 1):
        seed = f"file:{entry['name']}" if "name" in entry else ""
        old = await _old(engine, seed)
        try:
            place = await place_named(engine, str(entry["place"]))
            plan = await planned_here(engine, entry["when"], _flags(entry), place, seed=seed, kept=old)
        except GreenroomError as error:
            raise type(error)(f"Schedule {number}: {error}") from None
        plans.append((plan, place))
    beside = WhoAndWhere(engine)
    return [await schedule_shown(beside, await _put(engine, plan, place)) for plan, place in plans]


def _flags(entry: Message) -> dict[str, str]:
    told = {
        key: value for key, value in entry.items() if key not in ("name", "place", "when", "themes", "to")
    }
    if "themes" in entry:
        told["theme"] = " | ".join(map(str, entry["themes"]))
    if "to" in entry:
        told["to"] = ",".join(map(str, entry["to"]))
    return flags_of(**told)


async def _old(engine: Engine, seed: str) -> Schedule | None:
    """What an earlier loading made of a name."""
    there = await engine.posting.listing() if seed.startswith("file:") else []
    return next((one for one in there if one.options.get("seed") == seed), None)


async def _put(engine: Engine, plan: Plan, place: Place) -> Schedule:
    """Save a plan; or, where one of its name is there already, change that one, or put this in its place."""
    from bot.commands.plans import saved
    from engine.timetable import written

    old = await _old(engine, plan.options["seed"])
    if old is None:
        return await saved(engine, plan, place)
    if (old.chat_id, old.persona_id) != (place.id, plan.persona.id):
        await engine.posting.remove(old.id)
        return await saved(engine, plan, place)
    # What the file does not say any more is as if it had never said it.
    options = {**UNSAID, **plan.options}
    same = (written(plan.timing), plan.zone, plan.theme) == (old.spec, old.zone, old.theme)
    if same and all(old.options.get(name, UNSAID.get(name)) == one for name, one in options.items()):
        return old
    return await engine.posting.edit(
        old.id, timing=plan.timing, zone=plan.zone, theme=plan.theme, options=options
    )
