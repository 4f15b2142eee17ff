"""/settings: a person's language and age, and what a place is like: who is answered, how grown-up it may be."""

from __future__ import annotations

from bot.commands.calling import Answer, Call, Command, Part
from bot.commands.menu import LANGUAGE, name_of
from bot.front import Button, Buttons, Choice, Option, OptionKind
from engine.errors import BadRequest, Refused
from engine.locales import Said, languages, locale_of, say
from engine.occurrences import zone_of
from engine.settings import Settings
from engine.store import chats, people
from engine.store.records import Place
from personas.persona import Rating

#: A setting of a place, and what it can be: whoever calls a persona is answered, or everybody.
ANSWERS = "answers"
CALLED, ALL = "called", "all"
#: Another: where its schedules are read, as `Europe/Berlin`.
ZONE = "zone"


async def _show(call: Call) -> None:
    charge, operator = await call.in_charge(), await call.is_operator()
    place, person = call.place, call.person
    lines = [call.say("settings.language_now", name=name_of(call.locale.code))]
    if place.shared:
        answers = place.settings.get(ANSWERS, CALLED)
        lines.append(call.say(f"settings.answers_now.{answers}"))
    lines.append(call.say("settings.zone_now", zone=zone_here(place, call.engine.settings)))
    most = say(f"safety.rating.{place.rating.value}")
    lines.append(call.say("settings.rating_now", rating=most, **_conditions(call)))
    adult = person.adult_confirmed_at is not None
    lines.append(call.say("settings.adult_now" if adult else "settings.not_adult_now"))

    async def happens(answer: Answer) -> None:
        answer.text = "\n".join(lines)
        answer.buttons = _buttons(call, charge=charge, operator=operator, adult=adult)

    await call.answer(happens)


def _conditions(call: Call) -> dict[str, Said]:
    """The three of them, each with whether it is met."""
    met = {
        "operator": call.place.rating is not Rating.ALL_AGES,
        "platform": call.place.allows_mature,
        "person": call.person.adult_confirmed_at is not None,
    }
    return {name: say("settings.met" if holds else "settings.not_met") for name, holds in met.items()}


def _buttons(call: Call, *, charge: bool, operator: bool, adult: bool) -> Buttons:
    others = [code for code in languages() if code != call.locale.code]
    rows = [tuple(Button(name_of(code), f"settings language {code}") for code in others[:5])]
    if call.place.shared and charge:
        other = CALLED if call.place.settings.get(ANSWERS) == ALL else ALL
        rows.append((Button(call.say(f"settings.answer.{other}"), f"settings answers {other}"),))
    if operator:
        ratings = [rating for rating in _possible(call) if rating is not call.place.rating]
        rows.append(
            tuple(
                Button(call.say(f"safety.rating.{rating.value}"), f"settings rating {rating.value}")
                for rating in ratings
            )
        )
    if adult:
        rows.append((Button(call.say("settings.take_back"), "settings adult no"),))
    elif _has_grown_up_things(call):
        rows.append((Button(call.say("settings.say_age"), "settings adult yes"),))
    return tuple(row for row in rows if row)


def _possible(call: Call) -> list[Rating]:
    return [rating for rating in Rating if rating.level <= call.engine.settings.safety.rating.level]


def _has_grown_up_things(call: Call) -> bool:
    return call.engine.settings.safety.rating is not Rating.ALL_AGES


async def _language(call: Call) -> None:
    wanted = call.words.casefold()
    code = next((code for code in languages() if wanted in (code, name_of(code).casefold())), None)
    if code is None:
        there = [f"{name_of(code)} ({code})" for code in languages()]
        raise BadRequest(say("settings.no_language", told=call.words[:20], languages=there))

    async def happens(answer: Answer) -> None:
        await people.speak(answer.tx, call.person.id, code, chosen=True)
        answer.text = locale_of(code).say("settings.language_set")

    await call.answer(happens)


async def _answers(call: Call) -> None:
    if not call.place.shared:
        raise BadRequest(say("settings.answers_in_private"))
    wanted = call.words.lower()
    if wanted not in (CALLED, ALL):
        raise BadRequest(say("settings.how_answers"))
    await call.demand_charge()

    async def happens(answer: Answer) -> None:
        await chats.set_setting(answer.tx, call.place.id, ANSWERS, wanted)
        answer.text = call.say(f"settings.answers_now.{wanted}")

    await call.answer(happens)


async def _zone(call: Call) -> None:
    if not call.words:
        await call.tell(call.say("settings.zone_now", zone=zone_here(call.place, call.engine.settings)))
        return
    await call.demand_charge()
    zone = zone_of(call.words).key

    async def happens(answer: Answer) -> None:
        await chats.set_setting(answer.tx, call.place.id, ZONE, zone)
        answer.text = call.say("settings.zone_set", zone=zone)

    await call.answer(happens)


def zone_here(place: Place, settings: Settings) -> str:
    """The time zone in which the schedules of a place are read unless they name one, by its name."""
    return place.settings.get(ZONE) or settings.posts.usual_zone


async def _rating(call: Call) -> None:
    try:
        wanted = Rating(call.words.lower())
    except ValueError:
        raise BadRequest(say("settings.how_rating")) from None
    most = call.engine.settings.safety.rating
    if wanted.level > most.level:
        raise Refused(
            say(
                "settings.rating_too_high",
                rating=say(f"safety.rating.{wanted.value}"),
                most=say(f"safety.rating.{most.value}"),
            )
        )

    async def happens(answer: Answer) -> None:
        await chats.set_rating(answer.tx, call.place.id, wanted)
        told = say(f"safety.rating.{wanted.value}")
        if wanted is Rating.ALL_AGES:
            answer.text = call.say("settings.rating_lowered", rating=told)
        else:
            conditions = _conditions(call) | {"operator": say("settings.met")}
            answer.text = call.say("settings.rating_now", rating=told, **conditions)

    await call.answer(happens)


async def _adult(call: Call) -> None:
    """`yes` shows what somebody would agree to; only `confirm`, the button under it, is their word."""
    said = call.words.lower()
    if said not in ("yes", "confirm", "no"):
        raise BadRequest(say("settings.how_adult"))
    if said != "no" and not _has_grown_up_things(call):
        # What nobody needs is not asked for, and not kept.
        raise BadRequest(say("settings.adult_not_needed"))

    async def happens(answer: Answer) -> None:
        if said == "yes":
            _ask_age(call, answer)
        elif said == "confirm":
            await people.confirm_adult(answer.tx, call.person.id, call.engine.clock.now())
            answer.text = call.say("settings.adult_recorded")
        else:
            await people.confirm_adult(answer.tx, call.person.id, None)
            answer.text = call.say("settings.adult_taken_back")

    await call.answer(happens)


def _ask_age(call: Call, answer: Answer) -> None:
    answer.text = call.say("settings.adult_sentence")
    answer.buttons = (
        (
            Button(call.say("settings.adult_agree"), "settings adult confirm", "good"),
            Button(call.say("settings.adult_disagree"), "settings adult no"),
        ),
    )


def _choice(name: str, *values: str) -> tuple[Option, ...]:
    choices = tuple(Choice(value, "") for value in values)
    return (Option(name, "", OptionKind.CHOICE, required=True, choices=choices),)


COMMANDS = (
    Command(
        "settings",
        _show,
        topic="house",
        quiet=True,
        parts=(
            Part("show", _show, quiet=True),
            Part("language", _language, _choice(LANGUAGE), quiet=True),
            Part("answers", _answers, _choice("who", CALLED, ALL)),
            Part("rating", _rating, _choice("rating", *Rating), operators_only=True),
            Part("adult", _adult, _choice("answer", "yes", "no"), quiet=True),
            Part("zone", _zone, (Option(ZONE, ""),)),
        ),
    ),
)
