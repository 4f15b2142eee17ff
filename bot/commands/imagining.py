"""Commands that ask for pictures: /imagine and /selfie, and how a wish is read from words and flags."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

from bot import orders
from bot.commands.calling import Answer, Asked, Asking, Call, Command
from bot.front import Choice, Option, OptionKind
from engine import safety
from engine.errors import BadRequest
from engine.locales import say
from engine.pictures.sdxl.recipes import SCHEDULERS
from engine.store import chats, personas
from engine.store.records import Job, PersonaRecord, PictureRequest, Question
from engine.wishes import COUNTS, MOST_GUIDANCE, SEEDS, SIDES, STEPS, Quality, Wish, check, on_grain
from personas.appearance import Ledger

_SIZE = re.compile(r"(\d{2,5})(?:[x×*](\d{2,5}))?", re.ASCII)
#: With a point or with a comma.
_NUMBER = re.compile(r"-?\d{1,9}(?:[.,]\d{1,9})?", re.ASCII)
#: Sides of a square that have names of their own.
_NAMED_SIZES = {"1k": 1024, "2k": 2048}

#: Width to height.
ASPECTS = ("1:1", "4:5", "5:4", "3:4", "4:3", "2:3", "3:2", "9:16", "16:9", "9:21", "21:9")
#: As many pixels as a picture has unless somebody says otherwise.
PIXELS = 1024 * 1024

#: What a selfie shows. It is for whoever writes the prompt, and prompts are in English.
SELFIE = "a selfie at arm's length, looking into the phone's camera"

_RATIOS = tuple(Choice(aspect, aspect) for aspect in ASPECTS)
_QUALITIES = tuple(Choice(quality.value, "") for quality in Quality)
#: As many as a platform shows.
_SCHEDULERS = tuple(Choice(name, name) for name in SCHEDULERS)[:25]
#: How it is to look, whatever it shows.
_HOW = (
    Option("style", "", OptionKind.STYLE, flag="style"),
    Option("aspect", "", OptionKind.CHOICE, flag="aspect", choices=_RATIOS),
    Option("count", "", OptionKind.NUMBER, flag="count", least=COUNTS[0], most=COUNTS[-1]),
    Option("seed", "", OptionKind.NUMBER, flag="seed", least=SEEDS[0], most=SEEDS[-1]),
    Option("negative", "", flag="negative"),
    Option("size", "", flag="size"),
    Option("quality", "", OptionKind.CHOICE, flag="quality", choices=_QUALITIES),
    Option("pose", "", OptionKind.POSE, flag="pose"),
    Option("outfit", "", OptionKind.OUTFIT, flag="outfit"),
    Option("persona", "", OptionKind.PERSONA, flag="persona"),
    Option("model", "", flag="model"),
    Option("steps", "", OptionKind.NUMBER, flag="steps", least=STEPS[0], most=STEPS[-1]),
    Option("guidance", "", flag="guidance"),
    Option("scheduler", "", OptionKind.CHOICE, flag="scheduler", choices=_SCHEDULERS),
)
_OPTIONS = (Option("scene", ""), *_HOW)
#: Shorter, and what other programs say.
_ALSO = ("no", "cfg")


def wish_of(words: str) -> Wish:
    """`a red coat --style noir --seed 7 --count 2 --size 832x1216 --negative "hats"` as a wish."""
    scene, flags = orders.flagged(words)
    COMMANDS[0].check(flags)
    return wish_from(scene, flags)


def wish_from(scene: str, flags: Mapping[str, str], *, pixels: int = PIXELS) -> Wish:
    count = _whole(flags, "count")
    width, height = _sides(flags, pixels)
    return Wish(
        scene=scene,
        style=flags.get("style"),
        seed=_whole(flags, "seed"),
        count=1 if count is None else count,
        width=width,
        height=height,
        negative=flags.get("negative", flags.get("no", "")),
        model=flags.get("model", ""),
        quality=flags.get("quality"),
        steps=_whole(flags, "steps"),
        guidance=_number(flags, "guidance", "cfg"),
        scheduler=flags.get("scheduler", ""),
        outfit=flags.get("outfit", ""),
        pose=flags.get("pose", ""),
    )


def size_of(text: str) -> tuple[int, int]:
    """`1024` and `1k` are the same square, `832x1216` is none."""
    told = text.strip().lower()
    if side := _NAMED_SIZES.get(told):
        return side, side
    sides = _SIZE.fullmatch(told)
    if sides is None:
        raise BadRequest(say("imagine.no_size", told=text[:20]))
    return int(sides[1]), int(sides[2] or sides[1])


def sides_of(aspect: str, pixels: int) -> tuple[int, int]:
    """`16:9` with about so many pixels, as far as sides can be that long."""
    if aspect.strip() not in ASPECTS:
        raise BadRequest(say("imagine.no_aspect", told=aspect[:20], aspects=ASPECTS))
    across, down = map(int, aspect.split(":"))
    width, height = math.sqrt(pixels * across / down), math.sqrt(pixels * down / across)
    scale = min(1.0, SIDES[-1] / max(width, height))
    return on_grain(width * scale), on_grain(height * scale)


def _sides(flags: Mapping[str, str], pixels: int) -> tuple[int, int] | tuple[None, None]:
    """The size says how many pixels, the aspect how they lie; two sides say both."""
    if "size" not in flags:
        return sides_of(flags["aspect"], pixels) if "aspect" in flags else (None, None)
    width, height = size_of(flags["size"])
    if "aspect" not in flags:
        return width, height
    if width != height:
        raise BadRequest(say("imagine.size_and_aspect"))
    # A side that is too long or too short is not made to fit: it is told.
    lying = sides_of(flags["aspect"], width * height)
    return lying if width in SIDES else (width, height)


def _whole(told: Mapping[str, str], flag: str) -> int | None:
    if flag not in told:
        return None
    try:
        return int(told[flag])
    except ValueError:
        raise BadRequest(say("imagine.no_number", flag=flag, told=told[flag][:20])) from None


def _number(told: Mapping[str, str], *flags: str) -> float | None:
    for flag in flags:
        if flag not in told:
            continue
        if not _NUMBER.fullmatch(told[flag].strip()):
            raise BadRequest(say("imagine.no_decimal", flag=flag, told=told[flag][:20], most=MOST_GUIDANCE))
        return float(told[flag].strip().replace(",", "."))
    return None


async def _asks(asking: Asking) -> Asked | None:
    if asking.words:
        return None
    # A mistake in the flags is told before, not after, the scene.
    check(_wish(asking), asking.engine.settings.pictures)
    told = [f'--{flag} "{value}"' for flag, value in asking.flags.items()]
    return asking.say("imagine.asks"), Question(" ".join(["imagine", *told]))


def _wish(asking: Asking) -> Wish:
    pictures = asking.engine.settings.pictures
    return wish_from(asking.words, asking.flags, pixels=pictures.width * pictures.height)


async def _imagine(call: Call) -> None:
    wish = _wish(call)
    await _begin(call, await _whom(call), wish, Ledger(**call.place.ledger))


async def _selfie(call: Call) -> None:
    record = await _whom(call)
    scene = f"{SELFIE}, {call.words}" if call.words else SELFIE
    ledger = Ledger(**call.place.ledger)
    places = record.persona.appearance.places
    if not call.words and not ledger.place and places:
        # They are somewhere while they talk; after a crash still in the same place.
        ledger = replace(ledger, place=places[call.said.turn.id % len(places)])
    pictures = call.engine.settings.pictures
    wish = wish_from(scene, call.flags, pixels=pictures.width * pictures.height)
    await _begin(call, record, wish, ledger)


async def _whom(call: Call) -> PersonaRecord:
    """Who is to be seen: the host of the chat, or a guest that was named."""
    record = host = await call.engine.presence.host(call.place)
    if name := call.flags.get("persona", ""):
        async with call.engine.database.read() as tx:
            record = await personas.find(tx, name)
            place = await chats.place(tx, call.place.ref)
        if record.id not in (host.id, *(place.guests if place else ())):
            raise BadRequest(say("imagine.not_here", name=record.persona.called, slug=record.persona.slug))
    # They may have been brought by somebody else, or when the place was still for grown-ups.
    safety.check_persona(record.persona, call.allowed_rating)
    return record


async def _begin(call: Call, record: PersonaRecord, wish: Wish, ledger: Ledger) -> None:
    request = await call.engine.imagining.compose(record, wish, rating=call.allowed_rating, ledger=ledger)
    await put_in_line(call, request, record)


async def put_in_line(call: Call, request: PictureRequest, record: PersonaRecord) -> None:
    """A job of whoever calls, and nothing else, is what happens."""

    async def happens(answer: Answer) -> None:
        await take_on(call, answer, request, record)

    await call.answer(happens)
    call.engine.imagining.nudge()


async def take_on(
    call: Call,
    answer: Answer,
    request: PictureRequest,
    record: PersonaRecord,
    *,
    parent_picture_id: int | None = None,
) -> Job:
    """A job of whoever calls; the answer is the message that shows it from now on. Nudge the line afterwards."""
    accepted = await call.engine.imagining.put_in_line(
        answer.tx,
        request,
        persona_id=record.id,
        person=call.person,
        chat_id=call.place.id,
        turn_id=call.said.turn.id,
        parent_picture_id=parent_picture_id,
        dedup_key=f"turn:{call.said.turn.id}",
    )
    show_job(call, answer, accepted.job, record.persona.called)
    return accepted.job


def show_job(call: Call, answer: Answer, job: Job, name: str) -> None:
    answer.text = call.say(
        "imagine.in_line", n=job.request.count, job=str(job.id), name=name, style=job.request.style
    )
    answer.job_id = job.id
    answer.source = job.request.source


COMMANDS = (
    Command("imagine", _imagine, _OPTIONS, topic="pictures", asks=_asks, also=_ALSO),
    Command("selfie", _selfie, (Option("words", ""), *_HOW), topic="pictures", also=_ALSO),
)
