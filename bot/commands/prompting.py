"""/prompt: the words of a picture are looked through, made better, or varied; and a picture is made of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence

from bot.cards import rows
from bot.commands.calling import Answer, Asked, Asking, Call, Command, Part
from bot.commands.imagining import put_in_line
from bot.front import Button, Option, OptionKind
from engine import rewording, safety
from engine.errors import BadRequest, NotFound, Unsuitable
from engine.language import PROMPT_WORDS, Source
from engine.locales import Locale, say
from engine.rewording import Reworded
from engine.store import personas
from engine.store.records import PersonaRecord, Question
from engine.wording import Report
from personas.appearance import Ledger

#: Where a style is named in a prompt that is looked through: all else there is read as it stands.
_STYLE = re.compile(r"(?:^|(?<=\s))(?:--|—)style(?:=|\s+)(\"[^\"]*\"|\S+)", re.IGNORECASE)
_NUMBERS = re.compile(r"(\d{1,15})(?:\s+(\d{1,2}))?")


async def _explain(call: Call) -> None:
    await call.tell(call.say("prompting.how", least=PROMPT_WORDS[0], most=PROMPT_WORDS[-1]))


async def _asks(asking: Asking, part: str) -> Asked | None:
    if asking.words:
        return None
    told = [f'--{flag} "{value}"' for flag, value in asking.flags.items()]
    return asking.say(f"prompting.asks.{part}"), Question(" ".join(["prompt", part, *told]))


async def _asks_what_to_validate(asking: Asking) -> Asked | None:
    return await _asks(asking, "validate")


async def _asks_what_to_improve(asking: Asking) -> Asked | None:
    return await _asks(asking, "improve")


async def _asks_what_to_vary(asking: Asking) -> Asked | None:
    return await _asks(asking, "vary")


async def _validate(call: Call) -> None:
    named = _STYLE.search(call.words)
    text = " ".join(_STYLE.sub(" ", call.words).split()) if named else call.words
    record = await _host(call)
    report = await asyncio.to_thread(
        rewording.looked_at,
        text,
        call.engine.settings,
        call.engine.imagining.styles,
        style=named[1].strip('"') if named else "",
        persona=record.persona,
    )
    told = told_of(call.locale, report)
    if report.words > PROMPT_WORDS[-1]:
        await call.tell(told)
    else:  # a form shows nobody what was written in it
        await call.tell(f"{text}\n\n{told}", code=(text,))


def told_of(locale: Locale, report: Report) -> str:
    """A report in somebody's language."""
    return "\n".join(_lines(locale, report))


def _lines(locale: Locale, report: Report) -> Iterator[str]:
    yield locale.say("imagine.prompt.words", n=report.words)
    least, most = PROMPT_WORDS[0], PROMPT_WORDS[-1]
    if report.words < least:
        yield locale.say("prompting.report.short", least=least, most=most)
    elif report.words > most:
        yield locale.say("prompting.report.long", least=least, most=most)
    if report.weights:
        weights = [
            locale.say("prompting.report.weight", words=part.text, weight=part.weight)
            for part in report.weights
        ]
        yield locale.say("prompting.report.weights", found=", ".join(weights))
    if report.plain_text:
        yield locale.say("prompting.report.plain_text", found="  ".join(report.plain_text))
    if report.taken_out:
        yield locale.say("prompting.report.taken_out", found="  ".join(report.taken_out))
    if report.loras:
        loras = [
            locale.say("prompting.report.weight", words=one.name, weight=one.weight) for one in report.loras
        ]
        yield locale.say("prompting.report.loras", found=", ".join(loras))
    if report.repeated:
        times = [locale.say("prompting.report.times", word=word, n=n) for word, n in report.repeated]
        yield locale.say("prompting.report.repeated", found=", ".join(times))
    if report.contradictions:
        found = ", ".join(report.contradictions)
        yield locale.say("prompting.report.contradictions", style=report.style, found=found)
    else:
        yield locale.say("prompting.report.no_contradictions", style=report.style)
    if report.blocked:
        yield locale.say("prompting.report.blocked", found=", ".join(report.blocked))
    if report.estimated:
        yield locale.say("prompting.report.estimate", tokens=report.tokens[0], n=report.chunks)
    else:
        tokens = " / ".join(map(str, report.tokens))
        yield locale.say("prompting.report.tokens", model=report.model, tokens=tokens, n=report.chunks)
    if report.words_cut:
        yield locale.say("prompting.report.cut", n=report.words_cut)
    else:
        yield locale.say("prompting.report.whole")


async def _improve(call: Call) -> None:
    record = await _host(call)
    made = await rewording.improved(call.engine.imagining, record, _asked(call), call.engine.settings.limits)
    text = "\n".join(
        [
            made.request.prompt,
            "",
            call.say("imagine.prompt.words", n=made.request.word_count),
            *_how_it_was_made(call, [made]),
        ]
    )
    await _show(call, record, [made], text)


async def _vary(call: Call) -> None:
    record = await _host(call)
    made = await rewording.varied(call.engine.imagining, record, _asked(call), call.engine.settings.limits)
    blocks = [_block(call, number, one) for number, one in enumerate(made, 1)]
    await _show(call, record, made, "\n\n".join([*blocks, "\n".join(_how_it_was_made(call, made))]))


def _block(call: Call, number: int, one: Reworded) -> str:
    words = call.say("imagine.prompt.words", n=one.request.word_count)
    if one.change is None:
        return f"{number} · {words}\n{one.request.prompt}"
    kind = call.say(f"prompting.kind.{one.change.kind}")
    head = call.say("prompting.variant", number=str(number), kind=kind, change=one.change.words, words=words)
    return f"{head}\n{one.request.prompt}"


def _how_it_was_made(call: Call, made: Sequence[Reworded]) -> Iterator[str]:
    """Who wrote it, in which style, and what is not to be seen: the same for all that one order led to."""
    request = made[0].request
    yield call.say(f"imagine.prompt.by.{_by(made).value}")
    yield call.say("imagine.prompt.style", style=request.style)
    yield call.say("imagine.prompt.negative", negative=request.negative or "–")
    if any(one.shortened for one in made):
        yield call.say("prompting.shortened")


def _by(made: Sequence[Reworded]) -> Source:
    """Who wrote them; the understudy, where it wrote any of them."""
    return next(
        (one.request.source for one in made if one.request.source is Source.UNDERSTUDY),
        made[0].request.source,
    )


async def _show(call: Call, record: PersonaRecord, made: Sequence[Reworded], text: str) -> None:
    async def happens(answer: Answer) -> None:
        now = call.engine.clock.now()
        kept = await rewording.keep(answer.tx, call.said, record, made, now)
        answer.text, answer.source = text, _by(made)
        answer.code = tuple(one.request.prompt for one in made)
        answer.buttons = rows(
            Button(
                call.say("prompting.button.make")
                if len(made) == 1
                else call.say("prompting.button.make_one", number=str(number)),
                f"useprompt {kept} {number}",
            )
            for number in range(1, len(made) + 1)
        )

    await call.answer(happens)


async def _use(call: Call) -> None:
    """A picture of a prompt that was kept, under the quota and the rating of whoever presses."""
    matched = _NUMBERS.fullmatch(call.words)
    if matched is None:
        raise BadRequest(say("prompting.which"))
    number, place = int(matched[1]), int(matched[2] or 1)
    async with call.engine.database.read() as tx:
        kept = await rewording.kept_under(tx, number, chat_id=call.place.id)
        if kept is None or not 1 <= place <= len(kept.reworded):
            raise NotFound(say("prompting.gone"))
        if kept.persona_id is None:
            raise NotFound(say("pictures.persona_gone"))
        record = await personas.get(tx, kept.persona_id)
    request = kept.reworded[place - 1].request
    if request.rating.level > call.allowed_rating.level:
        raise Unsuitable(say("imagine.too_grown_up"))
    safety.check_persona(record.persona, call.allowed_rating)
    call.engine.imagining.check_words(request.scene)  # the list may have grown since
    await put_in_line(call, request, record)


async def _host(call: Call) -> PersonaRecord:
    """Who is to be seen: the host of the chat."""
    record = await call.engine.presence.host(call.place)
    # They may have been brought by somebody else, or when the place was still for grown-ups.
    safety.check_persona(record.persona, call.allowed_rating)
    return record


def _asked(call: Call) -> rewording.Asked:
    return rewording.Asked(
        call.words,
        style=call.flags.get("style"),
        model=call.flags.get("model", ""),
        rating=call.allowed_rating,
        ledger=Ledger(**call.place.ledger),
    )


_WORDS = Option("words", "")
_HOW = (
    Option("style", "", OptionKind.STYLE, flag="style"),
    Option("model", "", flag="model"),
)

COMMANDS = (
    Command(
        "prompt",
        _explain,
        topic="pictures",
        otherwise="improve",
        parts=(
            Part("improve", _improve, (_WORDS, *_HOW), asks=_asks_what_to_improve),
            Part("vary", _vary, (_WORDS, *_HOW), asks=_asks_what_to_vary),
            # Without flags: what looks like one may be what is wrong with a prompt.
            Part("validate", _validate, (_WORDS,), quiet=True, asks=_asks_what_to_validate),
        ),
    ),
    Command("useprompt", _use, topic="pictures", listed=False),
)
