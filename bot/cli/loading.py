"""Schedules from a TOML file: what may stand in it, and that all of them can be used before any is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.cli.schedules import flags_of, parts, place_named, planned_here, save, shown

if TYPE_CHECKING:
    from bot.commands.plans import Plan
    from engine.engine import Engine
    from engine.settings import Settings
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
LARGEST_FILE = 1_000_000
LONGEST_NAME = 100


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
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadRequest(f"{file} is not TOML: {error}") from None
    entries = found.get("schedule")
    if not isinstance(entries, list) or not entries or found.keys() != {"schedule"}:
        raise BadRequest(f"{file} should have nothing but [[schedule]] tables in it.")
    for number, entry in enumerate(entries, 1):
        if wrong := _wrong_with(entry):
            raise BadRequest(f"Schedule {number} of {file}: {wrong}")
    return entries


def _wrong_with(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "that is not a [[schedule]] table."
    for key, value in entry.items():
        kinds = IN_A_FILE.get(key)
        if kinds is None:
            return f"there is no `{key[:20]}`; there are {', '.join(IN_A_FILE)}."
        if type(value) not in kinds or (
            kinds == (list,) and not all(type(one) in (int, str) for one in value)
        ):
            return f"`{key}` cannot be {str(value)[:20]!r}."
    if len(entry.get("name", "")) > LONGEST_NAME:
        return f"its name is too long: {LONGEST_NAME} characters are the most."
    lacking = [key for key in ("place", "when") if key not in entry]
    return f"`{lacking[0]}` is missing." if lacking else ""


async def load_all(settings: Settings, entries: Sequence[Message]) -> list[Message]:
    from engine.errors import GreenroomError

    async with parts(settings) as engine:
        plans: list[tuple[Plan, Place]] = []
        for number, entry in enumerate(entries, 1):
            try:
                place = await place_named(engine, str(entry["place"]))
                seed = f"file:{entry['name']}" if "name" in entry else ""
                plan = await planned_here(engine, entry["when"], _flags(entry), place, seed=seed)
            except GreenroomError as error:
                raise type(error)(f"Schedule {number}: {error}") from None
            plans.append((plan, place))
        return [await shown(engine, await _put(engine, plan, place)) for plan, place in plans]


def _flags(entry: Message) -> dict[str, str]:
    told = {
        key: value for key, value in entry.items() if key not in ("name", "place", "when", "themes", "to")
    }
    if "themes" in entry:
        told["theme"] = " | ".join(map(str, entry["themes"]))
    if "to" in entry:
        told["to"] = ",".join(map(str, entry["to"]))
    return flags_of(**told)


async def _put(engine: Engine, plan: Plan, place: Place) -> Schedule:
    """Save a plan; or, where one of its name is there already, change that one, or put this in its place."""
    named = plan.options["seed"].startswith("file:")
    there = await engine.posting.listing() if named else []
    old = next((one for one in there if one.options.get("seed") == plan.options["seed"]), None)
    if old is None:
        return await save(engine, plan, place)
    if (old.chat_id, old.persona_id) != (place.id, plan.persona.id):
        await engine.posting.remove(old.id)
        return await save(engine, plan, place)
    # What the file does not say any more is as if it had never said it.
    unsaid = {"themes": [], "text": True, "picture": True, "approval": "", "targets": []}
    return await engine.posting.edit(
        old.id, timing=plan.timing, zone=plan.zone, theme=plan.theme, options=unsaid | plan.options
    )
