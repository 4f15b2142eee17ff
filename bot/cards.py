"""Pure: what a picture job's message says and which buttons it has, from the wish to the picture on the wall.

It knows a job and a language. When the message is shown or changed, and where, it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from bot.front import Buttons
from engine.estimating import Expected
from engine.locales import FromNow, Locale
from engine.store import sentences
from engine.store.records import Button, Job, JobState, Picture

#: What Telegram takes under a photo, in UTF-16 units; nobody else takes less.
LONGEST_CAPTION = 1024
#: Of a wish, in a message that is not about its words.
LONGEST_SCENE = 200
BAR = 10
#: So many buttons stand beside each other on every platform.
ROW = 5


def card(locale: Locale, job: Job, persona: str, *, ahead: int | None, ready: Expected | None) -> str:
    """A job that was taken: its place in line, and when it may be ready, where anything is known of that."""
    told = _place(locale, ahead)
    if ready is not None:
        told = f"{told} {_ready(locale, ready)}"
    return f"{_what(locale, persona, job.request.scene, LONGEST_SCENE)}\n{told}"


def progressing(
    locale: Locale, job: Job, persona: str, *, step: int, steps: int, seconds_left: float | None = None
) -> str:
    """A job that is worked on: how far it is, and how long it will still take, where that is known."""
    what = _what(locale, persona, job.request.scene, LONGEST_SCENE)
    if steps < 1 or step < 1:
        return f"{what}\n{locale.say('cards.begun')}"
    step = min(step, steps)
    facts = {"bar": bar(step, steps), "step": str(step), "steps": str(steps), "percent": step * 100 // steps}
    if seconds_left is None or seconds_left < 1:
        return f"{what}\n{locale.say('cards.progress', **facts)}"
    return f"{what}\n{locale.say('cards.progress_left', **facts, span=_rounded(seconds_left))}"


def caption(locale: Locale, persona: str, pictures: Sequence[Picture]) -> str:
    """Beneath finished pictures: who, what, how; and plainly, where it is only a stand-in."""
    if not pictures:
        return ""
    first, last = pictures[0], pictures[-1]
    how = [first.style.replace("-", " ")]
    if len(pictures) == 1:
        how.append(locale.say("cards.seed", seed=str(first.seed)))
    else:
        how.append(locale.say("cards.seeds", first=str(first.seed), last=str(last.seed)))
        how.append(locale.say("cards.pictures", n=len(pictures)))
    lines = [" · ".join(how)]
    drawn = [picture for picture in pictures if picture.stand_in]
    if drawn:
        reasons = {_reason(locale, picture.facts) for picture in drawn if "because_key" in picture.facts}
        failed = any("because" in picture.facts for picture in drawn)
        lines += sorted(reasons) or [locale.say("cards.stood_in" if failed else "cards.stand_in")]
    below = cut("\n".join(lines), LONGEST_CAPTION // 2)
    room = LONGEST_CAPTION - _length(below) - 1
    return f"{_what(locale, persona, first.scene, room)}\n{below}"


def failed(locale: Locale, job: Job, persona: str, why: object) -> str:
    """A job of which nothing came. `why` is a sentence of the house, or an error of ours."""
    what = _what(locale, persona, job.request.scene, LONGEST_SCENE)
    return f"{what}\n{locale.say('cards.failed', why=locale.says(why))}".rstrip()


def cancelled(locale: Locale, job: Job, persona: str) -> str:
    return f"{_what(locale, persona, job.request.scene, LONGEST_SCENE)}\n{locale.say('cards.cancelled')}"


def buttons(locale: Locale, job_id: int, state: JobState, pictures: int = 1) -> Buttons:
    """What can be done with a job, now that it is where it is, and with each of its pictures."""

    def button(label: str, order: str, style: str = "plain") -> Button:
        return Button(locale.say(f"cards.button.{label}"), f"{order} {job_id}", style)

    if state is JobState.DONE:
        return rows(
            *_each(locale, job_id, pictures),
            (button("again", "reroll"), button("pose", "pose"), button("same_but", "same")),
            (
                button("edit_prompt", "reprompt"),
                button("show_prompt", "showprompt"),
                button("delete", "delete", "danger"),
            ),
        )
    if state.ended:
        return rows((button("retry", "retry"),))
    return rows((button("stop", "cancel", "danger"),))


def _each(locale: Locale, job_id: int, pictures: int) -> Buttons:
    """What is done with one picture: as short as a number allows where there are several."""
    orders = ("upscale", "vary")
    if pictures == 1:
        return (tuple(Button(locale.say(f"cards.button.{one}"), f"{one} {job_id} 1") for one in orders),)
    return tuple(
        tuple(
            Button(locale.say(f"cards.button.{one}_of", number=str(number)), f"{one} {job_id} {number}")
            for number in range(1, pictures + 1)
        )
        for one in orders
    )


def rows(*groups: Iterable[Button]) -> Buttons:
    """Each group on rows of its own: as many as it needs, and no more in one than every platform takes."""
    broken = []
    for group in map(tuple, groups):
        broken += [group[start : start + ROW] for start in range(0, len(group), ROW)]
    return tuple(broken)


def bar(step: int, steps: int) -> str:
    """Full only when it is done, and never empty once it has begun."""
    full = BAR if step >= steps else max(1, step * BAR // steps) if step > 0 else 0
    return "▰" * full + "▱" * (BAR - full)


def cut(text: str, most: int) -> str:
    """The text in at most so many UTF-16 units, as platforms count; an ellipsis says that there was more."""
    if _length(text) <= most:
        return text
    room = max(0, most - 1)
    kept = text.encode("utf-16-le", "surrogatepass")[: room * 2].decode("utf-16-le", "ignore")
    return f"{kept.rstrip()}…" if most > 0 else ""


def _reason(locale: Locale, facts: Mapping[str, Any]) -> str:
    """Why there is only a stand-in, where the house has a sentence for it in every language."""
    told = {"key": facts["because_key"], "facts": facts.get("because_facts") or {}}
    reason = locale.says(sentences.restored(told | {"said": facts.get("because", "")}))
    # What a model says of itself tells nobody that this is not its picture.
    return f"{locale.say('cards.stood_in')} {reason}" if "because_facts" in facts else reason


def _place(locale: Locale, ahead: int | None) -> str:
    if ahead is None:
        return locale.say("cards.begun")
    return locale.say("cards.in_line", n=ahead) if ahead else locale.say("cards.next")


def _ready(locale: Locale, ready: Expected) -> str:
    likely, late = _rounded(ready.likely), _rounded(ready.at_most)
    when = FromNow(seconds=likely.total_seconds())
    if late <= likely * 1.25:
        return locale.say("cards.ready", when=when)
    return locale.say("cards.ready_between", when=when, late=FromNow(seconds=late.total_seconds()))


def _rounded(seconds: float) -> timedelta:
    """As exact as an estimate is. It also changes seldom, and each change is an edit of a message."""
    for most, unit in ((10, 1), (60, 5), (3_600, 60), (86_400, 3_600)):
        if seconds < most:
            return timedelta(seconds=max(1, round(seconds / unit)) * unit)
    return timedelta(days=round(min(seconds, 1e9) / 86_400))


def _what(locale: Locale, persona: str, scene: str, room: int) -> str:
    """Who and what, on one line; the scene gives way where there is not room for both."""
    name, words = cut(persona, 128), " ".join(scene.split())
    if not name:
        return cut(words, room)  # whoever was to be on it has left the house
    told = locale.say("cards.what", persona=name, scene=words)
    over = _length(told) - room
    if over > 0:
        told = locale.say("cards.what", persona=name, scene=cut(words, max(1, _length(words) - over)))
    return told


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
