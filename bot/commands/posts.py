"""/posts, /recall, /pause and /resume: what personas are about to post in a place, what they posted, and a word on
each. The buttons hold a number and nothing else of a post, so that they work in a year as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from bot.commands import held
from bot.commands.calling import ID, Answer, Asked, Asking, Call, Command, Part
from bot.commands.plans import goes_elsewhere, moment_at, names_of, with_words
from bot.front import Button, Buttons, Option, OptionKind
from bot.orders import switch
from engine.errors import BadRequest, NotFound, Refused
from engine.locales import say
from engine.planning import targets_of
from engine.store import jobs, outbox, personas
from engine.store.records import DeliveryKind, JobState, Place, Post, PostState, Question

#: What is still to come, the next first, and so many of what was; of so many, buttons are shown.
COMING = (PostState.WAITING, PostState.READY, PostState.MAKING, PostState.PLANNED)
PAST = (PostState.PUBLISHED, PostState.FAILED, PostState.SKIPPED, PostState.RECALLED)
MOST_COMING, MOST_PAST, MOST_WITH_BUTTONS = 15, 5, 3

#: What can be done with a post, by how it stands.
POSSIBLE: Mapping[PostState, tuple[str, ...]] = {
    PostState.WAITING: ("approve", "picture", "caption", "skip"),
    PostState.READY: ("picture", "caption", "skip"),
    PostState.MAKING: ("skip",),
    PostState.PLANNED: ("skip",),
    PostState.PUBLISHED: ("recall",),
}
#: Of these, what decides what people see: where those are people of other places too, it is for operators.
SPEAKS = frozenset({"approve", "picture", "caption", "edit"})
#: What those in charge of a place may do with a post that comes to it from another.
AS_GUESTS = frozenset({"show", "recall"})
_STYLES = {"approve": "good", "skip": "danger", "recall": "danger"}
#: Said by an operator: not only here.
EVERYWHERE = "everywhere"


async def _list(call: Call) -> None:
    await call.demand_charge()
    await _show_all(call, call.place)


async def _list_all(call: Call) -> None:
    await _show_all(call, None)


async def _show_all(call: Call, place: Place | None) -> None:
    chat_id = place.id if place else None
    coming = await call.engine.posting.posts(chat_id, COMING, most=100)
    past = await call.engine.posting.posts(chat_id, PAST, most=MOST_PAST)
    # What waits for somebody's word comes first, then whatever is due next.
    coming = sorted(coming, key=lambda post: (post.state is not PostState.WAITING, post.due_at, post.id))
    names = await names_of(call.engine)
    shown = coming[:MOST_COMING]
    lines = [_line(call, post, names) for post in (*shown, *past)]
    operator = await call.is_operator()
    if len(coming) > len(shown):
        lines.insert(len(shown), call.say("posts.more", n=len(coming) - len(shown)))

    async def happens(answer: Answer) -> None:
        answer.text = "\n".join(lines) or call.say("posts.none_here")
        with_buttons = [*shown[:MOST_WITH_BUTTONS], *past[:1]]
        answer.buttons = tuple(
            row for post in with_buttons if (row := _buttons(call, post, operator=operator))
        )

    await call.answer(happens)


def _line(call: Call, post: Post, names: Mapping[int, str]) -> str:
    told = call.say(
        "posts.post_line",
        id=str(post.id),
        time=_when(call, post),
        persona=names.get(post.persona_id, "–"),
        state=call.say(f"posting.state.{post.state.value}"),
    )
    if post.chat_id != call.place.id:
        told = f"{told} · {call.say('posts.in_place', id=str(post.chat_id))}"
    return with_words(call.locale, told, post.caption or post.theme)


def _when(call: Call, post: Post) -> str:
    return moment_at(call.engine, call.locale, call.place, post.due_at)


def _buttons(call: Call, post: Post, *also: str, operator: bool) -> tuple[Button, ...]:
    """Only what whoever asks may do."""
    possible = (*POSSIBLE.get(post.state, ()), *also)
    if not operator and post.chat_id != call.place.id:
        possible = tuple(one for one in possible if one in AS_GUESTS)
    elif not operator and goes_elsewhere(targets_of(post), post.chat_id):
        possible = tuple(one for one in possible if one not in SPEAKS)
    return tuple(
        Button(
            call.say(f"posts.button.{one}_post", id=str(post.id)),
            f"posts {one} {post.id}",
            _STYLES.get(one, "plain"),
        )
        for one in possible
    )


async def _named(asking: Asking, part: str) -> tuple[Post, str]:
    """The post that an order names, and what else it says.

    Those of other places are there for operators alone, unless they come here; and what is seen in several places,
    nobody decides who has charge of one.
    """
    number, words = await asking.number_in_charge(say("posts.which_post", part=part))
    post = await asking.engine.posting.post(number)
    if await asking.is_operator():
        return post, words
    here, elsewhere = post.chat_id == asking.place.id, goes_elsewhere(targets_of(post), post.chat_id)
    if not here and asking.place.id not in targets_of(post):
        raise NotFound(say("posting.no_post", id=str(post.id)))
    if (not here and part not in AS_GUESTS) or (elsewhere and part in SPEAKS):
        raise Refused(say("posts.goes_elsewhere", id=str(post.id)))
    return post, words


async def _show(call: Call) -> None:
    post, _ = await _named(call, "show")
    names = await names_of(call.engine)
    lines = [_line(call, post, names).partition("\n")[0]]
    lines += [call.locale.says(post.error)] if post.error else []
    lines += ["", post.caption] if post.caption else []
    more = ("edit",) if post.state in (PostState.WAITING, PostState.READY) else ()
    operator = await call.is_operator()

    async def happens(answer: Answer) -> None:
        if post.job_id is not None and post.state in COMING and not call.place.shared:
            await _show_picture(call, answer, post.job_id)
        answer.text = "\n".join(lines)
        answer.buttons = _rows(_buttons(call, post, *more, operator=operator))

    await call.answer(happens)


async def _show_picture(call: Call, answer: Answer, job_id: int) -> None:
    """What a post will show, before anybody else sees it: never where others read along."""
    job = await jobs.get(answer.tx, job_id)
    if job.state is JobState.DONE and job.request.rating.level <= call.allowed_rating.level:
        now = call.engine.clock.now()
        await outbox.owe(answer.tx, call.place.id, DeliveryKind.PICTURE, job_id=job_id, now=now)


def _rows(buttons: Sequence[Button]) -> Buttons:
    """Two beside each other can be read on every screen."""
    return tuple(tuple(buttons[start : start + 2]) for start in range(0, len(buttons), 2))


async def _approve(call: Call) -> None:
    post, _ = await _named(call, "approve")
    words = call.say("posts.approved", id=str(post.id), time=_when(call, post))
    await call.engine.posting.approve(post.id, within=call.answering(words))


async def _skip(call: Call) -> None:
    post, _ = await _named(call, "skip")
    words = call.say("posts.skipped", id=str(post.id))
    await call.engine.posting.skip(post.id, within=call.answering(words))


async def _picture(call: Call) -> None:
    post, _ = await _named(call, "picture")
    words = call.say("posts.repictured", id=str(post.id))
    await call.engine.posting.repicture(post.id, within=call.answering(words))


async def _caption(call: Call) -> None:
    post, _ = await _named(call, "caption")
    await _reword(call, post, None)


async def _asks_caption(asking: Asking) -> Asked | None:
    post, words = await _named(asking, "edit")
    if words:
        return None
    return asking.say("posts.asks_caption", id=str(post.id)), Question(f"posts edit {post.id}", post.caption)


async def _edit(call: Call) -> None:
    post, words = await _named(call, "edit")
    await _reword(call, post, words)


async def _reword(call: Call, post: Post, caption: str | None) -> None:
    operator = await call.is_operator()

    def words(answer: Answer, reworded: Post) -> str:
        answer.buttons = _rows(_buttons(call, reworded, "edit", operator=operator))
        return "\n".join([call.say("posts.reworded", id=str(post.id)), "", reworded.caption])

    await call.engine.posting.reword(post.id, caption, within=call.answering(words))


async def _recall(call: Call) -> None:
    """Everywhere; by those who have charge of one of the places that it came to: there."""
    post, _ = await _named(call, "recall")
    everywhere = post.chat_id == call.place.id or await call.is_operator()

    def words(_answer: Answer, messages: int) -> str:
        told = call.say("posts.recalled", n=messages, id=str(post.id))
        return told if everywhere else f"{told} {call.say('posts.recalled_here')}"

    await call.engine.posting.recall(
        post.id, chat_id=None if everywhere else call.place.id, within=call.answering(words)
    )


async def _pause(call: Call) -> None:
    await _pause_place(call, paused=True)


async def _resume(call: Call) -> None:
    await _pause_place(call, paused=False)


async def _pause_place(call: Call, *, paused: bool) -> None:
    await call.demand_charge()
    if call.words or EVERYWHERE in call.flags:
        await _pause_persona(call, paused=paused)
        return
    words = call.say("posts.place_paused" if paused else "posts.place_resumed")
    await call.engine.posting.pause_place(call.place.id, paused, within=call.answering(words))


async def _pause_persona(call: Call, *, paused: bool) -> None:
    """One of those who post here; operators have a word on all places."""
    done = "pause" if paused else "resume"
    chat_id: int | None = call.place.id
    if EVERYWHERE in call.flags:
        await call.demand_operator()
        chat_id = None
    if not call.words:
        raise BadRequest(say("posts.which_persona", command=done))
    record = await call.engine.database.look(partial(personas.find, wanted=call.words))
    called = record.persona.called
    where = call.say("posts.everywhere" if chat_id is None else "posts.here")

    def words(_answer: Answer, count: int) -> str:
        if not count:
            raise NotFound(say(f"posts.none_to_{done}", persona=called))
        return call.say(f"posts.persona_{done}d", n=count, persona=called, where=where)

    await call.engine.posting.pause_persona(record.id, paused, chat_id, within=call.answering(words))


_WHOSE = (
    Option("persona", "", OptionKind.PERSONA),
    switch(EVERYWHERE),
)

COMMANDS = (
    Command(
        "posts",
        _list,
        topic="posts",
        quiet=True,
        parts=(
            Part("list", _list, quiet=True),
            Part("all", _list_all, quiet=True, operators_only=True),
            Part("show", _show, (ID,), quiet=True),
            Part("approve", _approve, (ID,), quiet=True),
            Part("picture", _picture, (ID,), quiet=True),
            Part("caption", _caption, (ID,), quiet=True),
            Part("edit", _edit, (ID, Option("words", "")), quiet=True, asks=_asks_caption),
            Part("skip", _skip, (ID,), quiet=True),
            Part("recall", _recall, (ID,), quiet=True),
            *held.PARTS,
        ),
    ),
    Command("recall", _recall, (ID,), topic="posts", quiet=True),
    Command("pause", _pause, _WHOSE, topic="posts"),
    Command("resume", _resume, _WHOSE, topic="posts"),
)
