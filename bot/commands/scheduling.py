"""/schedule: when a persona posts in a place, and about what; it is shown with its next times before it is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bot import orders
from bot.commands import posts, standing
from bot.commands.calling import ID, Answer, Asked, Asking, Call, Command, Part
from bot.commands.plans import APPROVALS, Plan, edited, goes_elsewhere, moment, names_of, planned, told
from bot.commands.settings import zone_here
from bot.front import Button, Choice, Option, OptionKind
from engine.errors import BadRequest, NotFound, Refused
from engine.locales import say
from engine.posting import Transaction
from engine.schedules import orders_pictures, rests_with_persona
from engine.standing import ASKED
from engine.store import chats, personas
from engine.store import schedules as store
from engine.store.atonce import Work
from engine.store.records import Post, Question, Schedule, ScheduleState

#: So many has one place, unless an operator adds more.
MOST = 20
#: So many of them are listed at once, and of so many the buttons.
MOST_LISTED, MOST_WITH_BUTTONS = 20, 5

#: What puts words before people: where those are people of other places too, it is for operators.
SPEAKS = frozenset({"edit", "run"})

_SAVED = re.compile(r"save (\d{1,9}) (\d{1,9})", re.ASCII)


async def _list(call: Call) -> None:
    await call.demand_charge()
    found = await call.engine.posting.listing(call.place.id)
    names = await names_of(call.engine)
    lines = [_line(call, one, names) for one in found[:MOST_LISTED]]
    lines = lines or [call.say("posts.none_scheduled")]
    lines += ["", call.say("posts.how_to_schedule")]
    if await call.is_operator():
        lines.append(call.say("posts.number_here", id=str(call.place.id)))

    async def happens(answer: Answer) -> None:
        answer.text = "\n".join(lines)
        open_ones = [one for one in found if one.state is not ScheduleState.ENDED]
        answer.buttons = tuple(_buttons(call, one) for one in open_ones[:MOST_WITH_BUTTONS])

    await call.answer(happens)


def _line(call: Call, schedule: Schedule, names: Mapping[int, str]) -> str:
    who = names.get(schedule.persona_id, "–")
    try:
        first, *_ = told(call.engine, call.locale, schedule, who, begins="posts.line")
        return f"#{schedule.id} {first} {_stands(call, schedule)}"
    except BadRequest:
        # It was written by a program that knew more, or less. The others are told all the same.
        return call.say("posts.unreadable", id=str(schedule.id), persona=who, told=schedule.spec[:60])


def _stands(call: Call, schedule: Schedule) -> str:
    if rests_with_persona(schedule):
        return call.say("posts.schedule_is.with_persona")
    if schedule.state is not ScheduleState.ACTIVE:
        return call.say(f"posts.schedule_is.{schedule.state.value}")
    now = call.engine.clock.now()
    times = call.engine.posting.next_times(schedule, most=1)
    return call.say("posts.next", time=moment(call.locale, times[0], schedule.zone, now=now)) if times else ""


def _buttons(call: Call, schedule: Schedule) -> tuple[Button, ...]:
    pauses = "pause" if schedule.state is ScheduleState.ACTIVE else "resume"
    parts = [pauses]
    if pauses == "pause":
        parts += ["skip"] if orders_pictures(schedule) else ["skip", "run"]
    return tuple(
        Button(call.say(f"posts.button.{part}", id=str(schedule.id)), f"schedule {part} {schedule.id}")
        for part in parts
    )


async def _asks_when(asking: Asking) -> Asked | None:
    if asking.words:
        return None
    await asking.demand_charge()
    flags = [f'--{flag} "{value}"' for flag, value in asking.flags.items()]
    return asking.say("posts.asks_when"), Question(" ".join(["schedule new", *flags]))


async def _new(call: Call) -> None:
    if saved := _SAVED.fullmatch(call.words):
        await _save(call, int(saved[1]), int(saved[2]))
        return
    if standing.is_meant(call.flags):
        await _order(call, call.words, call.flags, turn_id=call.said.turn.id, keep=orders.YES in call.flags)
        return
    plan = await _plan_of(call, call.words, call.flags, turn_id=call.said.turn.id)
    if orders.YES in call.flags:
        await _keep(call, plan)
        return
    schedule = plan.as_schedule(call.place, call.engine.clock.now())
    await _show(call, schedule, plan.persona.persona.called)


async def _show(call: Call, schedule: Schedule, persona: str) -> None:
    """What would be kept, and the button that keeps it."""
    lines = told(call.engine, call.locale, schedule, persona)

    async def happens(answer: Answer) -> None:
        answer.text = "\n".join([*lines, call.say("posts.save_it")])
        # The words stand in the turn that they came with; a button holds numbers alone.
        order = f"schedule new save {call.said.turn.id} {schedule.persona_id}"
        answer.buttons = ((Button(call.say("posts.button.save"), order, "good"),),)

    await call.answer(happens)


async def _order(call: Call, words: str, flags: Mapping[str, str], *, turn_id: int, keep: bool) -> None:
    """Pictures by the clock, instead of posts."""
    await call.demand_operator()
    timing, order = standing.asked(words, flags)
    place, zone = call.place, flags.get("zone") or zone_here(call.place, call.engine.settings)
    orders_them = call.engine.standing
    if not keep:
        plan = await orders_them.planned(place=place, timing=timing, zone=zone, order=order)
        await _show(call, plan, "")
        return
    asked = f"turn:{turn_id}"
    once = await _once(call, lambda one: one.options.get(ASKED) == asked, "")
    await orders_them.add(place=place, timing=timing, zone=zone, order=order, asked=asked, within=once)


async def _plan_of(
    call: Call, words: str, flags: Mapping[str, str], *, turn_id: int, persona_id: int | None = None
) -> Plan:
    await call.demand_charge()
    if "to" in flags:
        await call.demand_operator()
    engine = call.engine
    if persona_id is not None:
        persona = await engine.database.look(partial(personas.get, persona_id=persona_id))
    elif name := flags.get("persona", ""):
        persona = await engine.database.look(partial(personas.find, wanted=name))
    else:
        persona = await engine.presence.host(call.place)
    return await planned(
        engine,
        words,
        flags,
        place=call.place,
        persona=persona,
        rating=call.allowed_rating,
        seed=f"turn:{turn_id}",
    )


async def _once(call: Call, is_it: Callable[[Schedule], bool], persona: str) -> Transaction:
    """What was ordered in a turn is kept once, however often somebody says so; `is_it` knows it again."""
    is_operator = await call.is_operator()

    async def once(work: Work[Any]) -> Any:
        async def happens(answer: Answer) -> Any:
            await chats.hold(answer.tx, call.place.id)
            there = await store.listing(answer.tx, chat_id=call.place.id)
            schedule = next((one for one in there if is_it(one)), None)
            if schedule is None:
                open_ones = [one for one in there if one.state is not ScheduleState.ENDED]
                if len(open_ones) >= MOST and not is_operator:
                    raise Refused(say("posts.too_many", n=MOST))
                schedule = await work(answer.tx)
            answer.text = _kept(call, schedule, persona)
            return schedule

        return await call.answer(happens)

    return once


async def _keep(call: Call, plan: Plan) -> None:
    seed = plan.options["seed"]
    once = await _once(call, lambda one: one.options.get("seed") == seed, plan.persona.persona.called)
    await call.engine.posting.add(
        place=call.place,
        persona=plan.persona,
        person=call.person,
        timing=plan.timing,
        zone=plan.zone,
        theme=plan.theme,
        options=plan.options,
        within=once,
    )


def _kept(call: Call, schedule: Schedule, persona: str) -> str:
    lines = told(call.engine, call.locale, schedule, persona)
    return "\n".join([call.say("posts.saved", id=str(schedule.id)), *lines])


async def _save(call: Call, turn_id: int, persona_id: int) -> None:
    """The button under what was shown: the turn has the words, and who was named there is meant, whoever is here."""
    await call.demand_charge()
    turn = await call.engine.database.look(partial(chats.turn, turn_id=turn_id))
    order = orders.order_in(turn.text) if turn is not None and turn.chat_id == call.place.id else None
    if turn is None or order is None or order.name != "schedule":
        raise NotFound(say("posts.not_asked"))
    if turn.person_id != call.person.id and not await call.is_operator():
        raise Refused(say("rights.asker_only"))
    first, _, rest = order.words.partition(" ")
    words = rest if first.lower() == "new" else order.words
    words, flags = orders.flagged(words, orders.switches_of(_NEW))
    if standing.is_meant(flags):
        await _order(call, words, flags, turn_id=turn_id, keep=True)
        return
    await _keep(call, await _plan_of(call, words, flags, turn_id=turn_id, persona_id=persona_id))


async def _named(call: Call, part: str) -> tuple[Schedule, str]:
    """The schedule that an order names, and what else it says. Others' are, to all but operators, not there."""
    number, words = await call.number_in_charge(say("posts.which_schedule", part=part))
    schedule = await call.engine.posting.get(number)
    if await call.is_operator():
        return schedule, words
    if schedule.chat_id != call.place.id:
        raise NotFound(say("posting.no_schedule", id=str(number)))
    if part in SPEAKS and goes_elsewhere(schedule.options.get("targets", ()), schedule.chat_id):
        raise Refused(say("posts.schedule_goes_elsewhere", id=str(number)))
    return schedule, words


async def _pause(call: Call) -> None:
    schedule, _ = await _named(call, "pause")
    words = call.say("posts.paused", id=str(schedule.id))
    await call.engine.posting.pause(schedule.id, within=call.answering(words))


async def _resume(call: Call) -> None:
    schedule, _ = await _named(call, "resume")

    def words(_answer: Answer, resumed: Schedule) -> str:
        return call.say("posts.resumed", id=str(resumed.id), next=_stands(call, resumed))

    await call.engine.posting.resume(schedule.id, within=call.answering(words))


async def _run(call: Call) -> None:
    schedule, _ = await _named(call, "run")

    def words(_answer: Answer, post: Post) -> str:
        return call.say("posts.runs", id=str(post.id))

    turn = f"turn:{call.said.turn.id}"
    await call.engine.posting.run_now(schedule.id, by=turn, within=call.answering(words))


async def _skip(call: Call) -> None:
    schedule, _ = await _named(call, "skip")

    def words(_answer: Answer, outcome: tuple[Schedule, list[Post]]) -> str:
        skipped, _ = outcome
        return call.say("posts.next_skipped", id=str(skipped.id), next=_stands(call, skipped))

    await call.engine.posting.skip_next(schedule.id, within=call.answering(words))


async def _remove(call: Call) -> None:
    schedule, _ = await _named(call, "remove")
    words = call.say("posts.removed", id=str(schedule.id))
    await call.engine.posting.remove(schedule.id, within=call.answering(words))


async def _edit(call: Call) -> None:
    schedule, words = await _named(call, "edit")
    if "to" in call.flags:
        await call.demand_operator()
    names = await names_of(call.engine)

    def tells(_answer: Answer, outcome: tuple[Schedule, list[Post]]) -> str:
        changed, _ = outcome
        lines = told(call.engine, call.locale, changed, names.get(changed.persona_id, "–"))
        return "\n".join([call.say("posts.edited", id=str(changed.id)), *lines])

    await edited(call.engine, schedule, words, call.flags, within=call.answering(tells))


#: What is said of a schedule beside its time, when it is made and when it is changed.
_HOW = (
    Option("theme", "", flag="theme"),
    Option("zone", "", flag="zone"),
    Option("style", "", OptionKind.STYLE, flag="style"),
    orders.switch("text-only"),
    orders.switch("picture-only"),
    Option(
        "approval",
        "",
        OptionKind.CHOICE,
        flag="approval",
        choices=tuple(Choice(one, "") for one in (*APPROVALS, "no")),
    ),
    Option("ahead", "", flag="ahead"),
    Option("to", "", flag="to"),
)
_WHO = Option("persona", "", OptionKind.PERSONA, flag="persona")
_NEW = (Option("when", ""), _WHO, *_HOW, *standing.OPTIONS, orders.switch(orders.YES))

COMMANDS = (
    Command(
        "schedule",
        _list,
        topic="posts",
        quiet=True,
        otherwise="new",
        parts=(
            Part("list", _list, quiet=True),
            Part("new", _new, _NEW, quiet=True, asks=_asks_when),
            Part("pause", _pause, (ID,), quiet=True),
            Part("resume", _resume, (ID,), quiet=True),
            Part("run", _run, (ID,), quiet=True),
            Part("skip", _skip, (ID,), quiet=True),
            Part("edit", _edit, (ID, Option("when", ""), *_HOW, orders.switch("both")), quiet=True),
            Part("remove", _remove, (ID,), quiet=True),
        ),
    ),
    *posts.COMMANDS,
)
