"""Prompts made of prompts: a poor one is improved, a good one is varied, and what came of it is kept for a button.

The words are written where every picture's words are, by `Imagining`; here is decided what is asked for. What is kept
stands beside the talk, as a turn that the order led to, and goes when whoever gave that order is forgotten.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import resources
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine import safety
from engine.imagining import SEEDS, Imagining, Wish
from engine.pictures import painting
from engine.pictures.sdxl.tokens import Read, readers
from engine.pictures.sdxl.weighted import fragments, plain
from engine.settings import LimitSettings, Settings
from engine.store import chats, forgetting, jobs
from engine.store.chats import Said
from engine.store.records import PersonaRecord, PictureRequest, TurnKind, TurnState
from engine.styles import Style, detect, negative_for, style_named
from engine.varying import Anyway, Change, changes_for, load_changes, shortened_to, whole, with_change
from engine.wording import Report, validated
from personas.appearance import Ledger
from personas.persona import Persona, Rating

#: The versions of `data/prompts/` that are in use here.
IMPROVE, VARY, VARIATIONS = "improve.v1", "vary.v1", "variations.v1"
#: Without a persona that has a taste of its own.
USUAL_STYLE = "photorealistic"

_MARK = forgetting.PROMPTS_KEPT
#: What somebody is said to be in just now, and would contradict such a change.
_NOW: Mapping[str, str] = {"place": "place", "light": "time", "mood": "mood"}


@dataclass(frozen=True)
class Asked:
    """A prompt, or what may become one, and how the new one is to be written. None leaves the choice to the house."""

    text: str
    style: str | None = None
    #: The language model that is to write, of those that the operator allows.
    model: str = ""
    seed: int | None = None
    rating: Rating = Rating.ALL_AGES
    #: How things stand for the persona just now.
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(frozen=True)
class Reworded:
    """A prompt, complete with all that a picture needs."""

    request: PictureRequest
    #: What it changes; None where nothing was to change.
    change: Change | None = None
    #: The wish was longer than a wish may be, and this was written from the beginning of it.
    shortened: bool = False


@dataclass(frozen=True)
class Kept:
    """What an order led to, as it was kept."""

    persona_id: int | None
    reworded: tuple[Reworded, ...]


def looked_at(
    text: str,
    settings: Settings,
    styles: Mapping[str, Style],
    *,
    style: str = "",
    persona: Persona | None = None,
) -> Report:
    """What there is to say of a prompt here. It looks for tokenizers on the disk, and is nothing for the loop."""
    taste = persona.picture.style if persona else USUAL_STYLE
    chosen = style_named(styles, style) if style else detect(text, styles, taste)
    model, encoders = _encoders(settings)
    return validated(
        text,
        style=chosen.slug,
        negative=negative_for(chosen, avoid=persona.picture.avoid if persona else ""),
        blocked=_blocked(text, settings.safety.blocked_words),
        encoders=encoders,
        model=model,
    )


async def improved(
    imagining: Imagining, record: PersonaRecord, asked: Asked, limits: LimitSettings
) -> Reworded:
    """An idea or a poor prompt becomes a prompt of the usual length."""
    text, style = _read(imagining, record, asked, limits)
    scene, shortened = shortened_to(text, limits.scene_length, without=_anyway(record.persona, style))
    wish = Wish(scene, style=style.slug, model=asked.model, seed=asked.seed)
    told = _told(record, _instructions(IMPROVE))
    request = await imagining.compose(told, wish, rating=asked.rating, ledger=asked.ledger)
    return Reworded(_versioned(request, IMPROVE), shortened=shortened)


async def varied(
    imagining: Imagining, record: PersonaRecord, asked: Asked, limits: LimitSettings
) -> list[Reworded]:
    """Variants of a prompt: each has its subject, a seed of its own, and one thing that is otherwise."""
    text, style = _read(imagining, record, asked, limits)
    anyway = _anyway(record.persona, style)
    first = random.SystemRandom().randrange(SEEDS.stop) if asked.seed is None else asked.seed

    async def variant(number: int, change: Change, gives_way: Collection[str]) -> Reworded:
        left = whole(text, anyway, gives_way=gives_way)
        room = max(1, limits.scene_length - len(change.words) - 4)
        left, shortened = shortened_to(left, room, without=anyway)
        scene = with_change(left, change)[: limits.scene_length]
        seed = (first + number) % SEEDS.stop if number else first
        wish = Wish(scene, style=style.slug, model=asked.model, seed=seed)
        now = replace(asked.ledger, **{_NOW[change.kind]: ""}) if change.kind in _NOW else asked.ledger
        more = _instructions(VARY).replace("{kind}", change.kind).replace("{change}", change.words)
        request = await imagining.compose(_told(record, more), wish, rating=asked.rating, ledger=now)
        return Reworded(_versioned(request, VARY), change, shortened)

    drawn = changes_for(whole(text, anyway), load_changes(VARIATIONS), first)
    try:
        async with asyncio.TaskGroup() as group:
            made = [group.create_task(variant(number, *one)) for number, one in enumerate(drawn)]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # one reason is enough, and it is the same for all
    return [task.result() for task in made]


async def keep(
    tx: AsyncConnection, said: Said, record: PersonaRecord, reworded: Sequence[Reworded], now: datetime
) -> int:
    """Keep what an order led to; answers the number under which a button finds it."""
    told = [
        {
            "request": jobs.request_to_json(one.request),
            "change": [one.change.kind, one.change.words] if one.change else None,
            "shortened": one.shortened,
        }
        for one in reworded
    ]
    turn = await chats.add_turn(
        tx,
        said.place.id,
        json.dumps({_MARK: told}, ensure_ascii=False),
        now=now,
        # A command stands beside the talk, never in it.
        kind=TurnKind.COMMAND,
        state=TurnState.ANSWERED,
        parent_id=said.turn.id,
        persona_id=record.id,
        asked_by=said.person.id,
    )
    return turn.id


async def kept_under(tx: AsyncConnection, number: int, *, chat_id: int | None = None) -> Kept | None:
    """What was kept under a number, where it was kept in this chat."""
    turn = await chats.turn(tx, number)
    if (
        turn is None
        or turn.kind is not TurnKind.COMMAND
        or turn.person_id is not None
        or turn.asked_by is None
    ):
        return None
    if chat_id is not None and turn.chat_id != chat_id:
        return None
    try:
        told = json.loads(turn.text)[_MARK]
    except (ValueError, KeyError, TypeError):
        return None  # a command of another kind that led to something
    return Kept(turn.persona_id, tuple(_reworded(one) for one in told))


async def kept_of(tx: AsyncConnection, order_id: int) -> Kept | None:
    """What an order led to."""
    for number in await chats.branch_from(tx, order_id):
        if number != order_id and (kept := await kept_under(tx, number)) is not None:
            return kept
    return None


def _reworded(told: Mapping[str, Any]) -> Reworded:
    change = told.get("change")
    return Reworded(
        jobs.request_from_json(told["request"]),
        Change(*change) if change else None,
        bool(told.get("shortened")),
    )


def _told(record: PersonaRecord, more: str) -> PersonaRecord:
    """The persona with further instructions for whoever writes, behind those that all its pictures have."""
    taste = record.persona.picture
    own = taste.instructions.strip() or "{{original}}"
    picture = taste.model_copy(update={"instructions": f"{own}\n\n{more}"})
    return replace(record, persona=record.persona.model_copy(update={"picture": picture}))


def _versioned(request: PictureRequest, version: str) -> PictureRequest:
    return replace(request, prompt_version=request.prompt_version and f"{version}, {request.prompt_version}")


def _read(
    imagining: Imagining, record: PersonaRecord, asked: Asked, limits: LimitSettings
) -> tuple[str, Style]:
    """What was asked, fit to be used, and the style that it is to have."""
    text = safety.cleaned(asked.text, most=limits.message_length, what="scene")
    imagining.check_words(text)  # all of it, also what a wish has no room for
    if asked.style:
        return text, style_named(imagining.styles, asked.style)
    return text, detect(text, imagining.styles, record.persona.picture.style)


def _anyway(persona: Persona, style: Style) -> Anyway:
    """What whoever writes puts into every prompt by itself."""
    who = (persona.name, persona.called, "" if persona.age is None else f"{persona.age}-year-old")
    return Anyway(who, (persona.appearance.body, style.words))


def _instructions(name: str) -> str:
    return (resources.files("data") / "prompts" / f"{name}.txt").read_text(encoding="utf-8").strip()


def _encoders(settings: Settings) -> tuple[str, tuple[Read, ...]]:
    """The tokenizers of the model that paints here, and what it is called."""
    found = painting.there(settings).found
    folder = None if found is None else found.config if found.single else found.path
    if found is None or folder is None:
        return "", ()
    return found.name, readers(folder)


def _blocked(text: str, words: Sequence[str]) -> list[str]:
    return (
        [word for word in words if word.strip() and _refused(text, [word])] if _refused(text, words) else []
    )


def _refused(text: str, words: Sequence[str]) -> bool:
    blocked = safety.BlockList(words)
    return not (blocked.allows(text) and blocked.allows(plain(fragments(text))))
