"""/posts, /recall, /pause and /resume: what personas are about to post in a place, what they posted, and a word on
each; and, for operators, what may have arrived and may not. The buttons hold a number and nothing else of a post, so
that they work in a year as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bot.cards import cut
from bot.commands.calling import Answer, Asked, Asking, Call, Command, Part
from bot.commands.plans import moment, names_of
from bot.commands.settings import zone_here
from bot.front import Button, Buttons, Option, OptionKind
from engine import safety
from engine.errors import BadRequest, NotFound
from engine.locales import say
from engine.store import jobs, outbox
from engine.store.records import Delivery, DeliveryKind, JobState, Place, Post, PostState, Question

#: What is still to come, the next first, and so many of what was; of so many, buttons are shown.
COMING = (PostState.WAITING, PostState.READY, PostState.MAKING, PostState.PLANNED)
PAST = (PostState.PUBLISHED, PostState.FAILED, PostState.SKIPPED, PostState.RECALLED)
MOST_COMING, MOST_PAST, MOST_WITH_BUTTONS = 15, 5, 3
#: Of what is held: listed, and with two buttons each.
MOST_HELD, MOST_HELD_WITH_BUTTONS = 15, 4
#: Of a caption, in a list.
LONGEST_IN_LIST = 120
#: What every platform takes beneath a picture.
LONGEST_CAPTION = 900

_NUMBERED = re.compile(r"#?(\d{1,9})(?:\s+(.*))?", re.DOTALL | re.ASCII)

#: What can be done with a post, by how it stands.
POSSIBLE: Mapping[PostState, tuple[str, ...]] = {
    PostState.WAITING: ("approve", "picture", "caption", "skip"),
    PostState.READY: ("picture", "caption", "skip"),
    PostState.MAKING: ("skip",),
    PostState.PLANNED: ("skip",),
    PostState.PUBLISHED: ("recall",),
}
_STYLES = {"approve": "good", "skip": "danger", "recall": "danger"}
#: What can be done with a delivery that is held.
RELEASES = ("again", "arrived")


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
    lines = [_line(call, post, names, everywhere=place is None) for post in (*shown, *past)]
    if len(coming) > len(shown):
        lines.insert(len(shown), call.say("posts.more", n=len(coming) - len(shown)))

    async def happens(answer: Answer) -> None:
        answer.text = "\n".join(lines) or call.say("posts.none_here")
        with_buttons = [*shown[:MOST_WITH_BUTTONS], *past[:1]]
        answer.buttons = tuple(row for post in with_buttons if (row := _buttons(call, post)))

    await call.answer(happens)


def _line(call: Call, post: Post, names: Mapping[int, str], *, everywhere: bool) -> str:
    told = call.say(
        "posts.post_line",
        id=str(post.id),
        time=_when(call, post),
        persona=names.get(post.persona_id, "–"),
        state=call.say(f"posts.post_is.{post.state.value}"),
    )
    if everywhere:
        told = f"{told} · {call.say('posts.in_place', id=str(post.chat_id))}"
    words = cut(" ".join((post.caption or post.theme).split()), LONGEST_IN_LIST)
    return f"{told}\n   {call.say('posts.quoted', theme=words)}" if words else told


def _when(call: Call, post: Post) -> str:
    zone = zone_here(call.place, call.engine.settings)
    return moment(call.locale, post.due_at, zone, now=call.engine.clock.now())


def _buttons(call: Call, post: Post, *also: str) -> tuple[Button, ...]:
    possible = (*POSSIBLE.get(post.state, ()), *also)
    return tuple(
        Button(
            call.say(f"posts.button.{one}_post", id=str(post.id)),
            f"posts {one} {post.id}",
            _STYLES.get(one, "plain"),
        )
        for one in possible
    )


async def _named(asking: Asking, part: str) -> tuple[Post, str]:
    """The post that an order names, and what else it says. Those of other places are there for operators alone."""
    await asking.demand_charge()
    matched = _NUMBERED.fullmatch(asking.words)
    if matched is None:
        raise BadRequest(say("posts.which_post", part=part))
    post = await asking.engine.posting.post(int(matched[1]))
    if post.chat_id != asking.place.id and not await asking.is_operator():
        raise NotFound(say("posting.no_post", id=str(post.id)))
    return post, matched[2] or ""


async def _show(call: Call) -> None:
    post, _ = await _named(call, "show")
    names = await names_of(call.engine)
    lines = [_line(call, post, names, everywhere=post.chat_id != call.place.id).partition("\n")[0]]
    lines += [post.error] if post.error else []
    lines += ["", post.caption] if post.caption else []
    more = ("edit",) if post.state in (PostState.WAITING, PostState.READY) else ()

    async def happens(answer: Answer) -> None:
        if post.job_id is not None and post.state in COMING and not call.place.shared:
            await _show_picture(call, answer, post.job_id)
        answer.text = "\n".join(lines)
        answer.buttons = _rows(_buttons(call, post, *more))

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
    await call.engine.posting.approve(post.id)
    await call.tell(call.say("posts.approved", id=str(post.id), time=_when(call, post)))


async def _skip(call: Call) -> None:
    post, _ = await _named(call, "skip")
    await call.engine.posting.skip(post.id)
    await call.tell(call.say("posts.skipped", id=str(post.id)))


async def _picture(call: Call) -> None:
    post, _ = await _named(call, "picture")
    await call.engine.posting.repicture(post.id)
    await call.tell(call.say("posts.repictured", id=str(post.id)))


async def _caption(call: Call) -> None:
    post, _ = await _named(call, "caption")
    await _tell_caption(call, await call.engine.posting.reword(post.id, None))


async def _asks_caption(asking: Asking) -> Asked | None:
    post, words = await _named(asking, "edit")
    if words:
        return None
    return asking.say("posts.asks_caption", id=str(post.id)), Question(f"posts edit {post.id}", post.caption)


async def _edit(call: Call) -> None:
    post, words = await _named(call, "edit")
    caption = safety.cleaned(words, most=LONGEST_CAPTION)
    safety.BlockList(call.engine.settings.safety.blocked_words).check(caption)
    await _tell_caption(call, await call.engine.posting.reword(post.id, caption))


async def _tell_caption(call: Call, post: Post) -> None:
    async def happens(answer: Answer) -> None:
        answer.text = "\n".join([call.say("posts.reworded", id=str(post.id)), "", post.caption])
        answer.buttons = _rows(_buttons(call, post, "edit"))

    await call.answer(happens)


async def _recall(call: Call) -> None:
    post, _ = await _named(call, "recall")
    messages = await call.engine.posting.recall(post.id)
    await call.tell(call.say("posts.recalled", n=messages, id=str(post.id)))


async def _held(call: Call) -> None:
    held = await call.engine.posting.held()
    lines = [_held_line(call, one) for one in held[:MOST_HELD]]
    if lines:
        lines.insert(0, call.say("posts.held"))
    if len(held) > MOST_HELD:
        lines.append(call.say("posts.more", n=len(held) - MOST_HELD))

    async def happens(answer: Answer) -> None:
        answer.text = "\n".join(lines) or call.say("posts.none_held")
        answer.buttons = tuple(
            tuple(
                Button(call.say(f"posts.button.{one}_held", id=str(row.id)), f"posts {one} {row.id}")
                for one in RELEASES
            )
            for row in held[:MOST_HELD_WITH_BUTTONS]
        )

    await call.answer(happens)


def _held_line(call: Call, row: Delivery) -> str:
    zone = zone_here(call.place, call.engine.settings)
    told = call.say(
        "posts.held_line",
        id=str(row.id),
        post=str(row.post_id or "–"),
        time=moment(call.locale, row.created_at, zone, now=call.engine.clock.now()),
        persona=row.persona_name or "–",
        place=call.say("posts.in_place", id=str(row.chat_id)),
        chat=f"{row.chat.front} {row.chat.chat}",
    )
    words = cut(" ".join(row.text.split()), LONGEST_IN_LIST)
    return f"{told}\n   {call.say('posts.quoted', theme=words)}" if words else told


async def _again(call: Call) -> None:
    await _release(call, again=True)


async def _arrived(call: Call) -> None:
    await _release(call, again=False)


async def _release(call: Call, *, again: bool) -> None:
    matched = _NUMBERED.fullmatch(call.words)
    if matched is None:
        raise BadRequest(say("posts.which_held"))
    number = str(int(matched[1]))
    await call.engine.posting.release(int(number), again=again)
    await call.tell(call.say("posts.sent_again" if again else "posts.had_arrived", id=number))


async def _pause(call: Call) -> None:
    await _pause_place(call, paused=True)


async def _resume(call: Call) -> None:
    await _pause_place(call, paused=False)


async def _pause_place(call: Call, *, paused: bool) -> None:
    await call.demand_charge()
    await call.engine.posting.pause_place(call.place.id, paused)
    await call.tell(call.say("posts.place_paused" if paused else "posts.place_resumed"))


_ID = Option("id", "", OptionKind.NUMBER, required=True, least=1)

COMMANDS = (
    Command(
        "posts",
        _list,
        topic="posts",
        quiet=True,
        parts=(
            Part("list", _list, quiet=True),
            Part("all", _list_all, quiet=True, operators_only=True),
            Part("show", _show, (_ID,), quiet=True),
            Part("approve", _approve, (_ID,), quiet=True),
            Part("picture", _picture, (_ID,), quiet=True),
            Part("caption", _caption, (_ID,), quiet=True),
            Part("edit", _edit, (_ID, Option("words", "")), quiet=True, asks=_asks_caption),
            Part("skip", _skip, (_ID,), quiet=True),
            Part("recall", _recall, (_ID,), quiet=True),
            Part("held", _held, quiet=True, operators_only=True),
            Part("again", _again, (_ID,), quiet=True, operators_only=True),
            Part("arrived", _arrived, (_ID,), quiet=True, operators_only=True),
        ),
    ),
    Command("recall", _recall, (_ID,), topic="posts", quiet=True),
    Command("pause", _pause, topic="posts"),
    Command("resume", _resume, topic="posts"),
)
