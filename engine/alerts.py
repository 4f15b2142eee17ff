"""Pure: what is worth a word to those who run the house, and how often they hear it.

The same alert comes at most once in six hours, and once more when it is over. Who is told, and where, is not known
here, nor what time it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.condition import gigabytes
from engine.locales import Said, say
from engine.store.alerts import HELD
from engine.store.records import Place
from engine.store.troubles import Mishap

#: So full a disk is worth a word.
DISK_FULL = 0.9
#: A model that is back before that was not missed.
PATIENCE = timedelta(minutes=10)
AGAIN_AFTER = timedelta(hours=6)
#: Of a reason, in an alert.
LONGEST_REASON = 200


@dataclass(frozen=True)
class Stretch:
    """From when to when a stand-in did all the work; None where it did none."""

    first: datetime | None = None
    last: datetime | None = None

    @property
    def span(self) -> timedelta:
        return self.last - self.first if self.first and self.last else timedelta()


@dataclass(frozen=True)
class Model:
    """How a model does that this house has; a house that has none misses none."""

    is_there: bool = False
    #: Why it cannot work at this moment, where that is known.
    broken: str = ""
    stood_in: Stretch = Stretch()


@dataclass(frozen=True)
class Seen:
    """What one look at the house showed. `mishaps` and `left` are new since the last."""

    disk: int
    disk_free: int
    words: Model = Model()
    pictures: Model = Model()
    mishaps: tuple[Mishap, ...] = ()
    left: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Trouble:
    #: The same trouble has the same key.
    key: str
    words: Said
    #: It is worth a word when it has lasted so long.
    patience: timedelta = timedelta()
    #: What is said when it is over; None: it has merely happened, and does not last.
    over: Said | None = None


@dataclass(frozen=True)
class Standing:
    """What lasts since when, and what was told when; in seconds of a clock that never jumps."""

    since: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, float] = field(default_factory=dict)
    #: What was told and is not over yet, with what is said when it is.
    open: Mapping[str, Said] = field(default_factory=dict)
    #: What was told before a restart, and nobody knows whether it is over.
    left_open: frozenset[str] = frozenset()


def stretched(before: Stretch, done: Iterable[tuple[bool, datetime]]) -> Stretch:
    """The stretch after more work was done: each by the stand-in or not, and when."""
    for by_stand_in, at in done:
        before = Stretch(before.first or at, at) if by_stand_in else Stretch()
    return before


def heed(before: Standing, troubles: Sequence[Trouble], at: float) -> tuple[Standing, list[Said]]:
    """What is to be told now, and how things stand then."""
    news: list[Said] = []
    since, open_ = dict(before.since), dict(before.open)
    told = {key: when for key, when in before.told.items() if at - when < AGAIN_AFTER.total_seconds()}
    for trouble in troubles:
        began = since.setdefault(trouble.key, at)
        if trouble.over is not None and trouble.key in before.left_open:
            open_[trouble.key] = trouble.over
        if at - began < trouble.patience.total_seconds() or trouble.key in told:
            continue
        told[trouble.key] = at
        news.append(trouble.words)
        if trouble.over is not None:
            open_[trouble.key] = trouble.over
    there = {trouble.key for trouble in troubles}
    news += [over for key, over in open_.items() if key not in there]
    return (
        Standing(
            {key: began for key, began in since.items() if key in there},
            told,
            {key: over for key, over in open_.items() if key in there},
            before.left_open - there,
        ),
        news,
    )


def troubles(seen: Seen) -> list[Trouble]:
    """What is wrong with the house, the most urgent first."""
    return [*_lasting(seen), *_happened(seen)]


def _lasting(seen: Seen) -> Iterator[Trouble]:
    used = seen.disk - seen.disk_free
    if seen.disk and used >= seen.disk * DISK_FULL:
        told = say("alerts.disk", share=used * 100 // seen.disk, free=gigabytes(seen.disk_free))
        yield Trouble("disk", told, over=say("alerts.disk_over"))
    for name, model in (("language", seen.words), ("pictures", seen.pictures)):
        proven = model.stood_in.span >= PATIENCE
        if model.is_there and (proven or model.broken):
            told = say(f"alerts.{name}")
            if model.broken:
                told = say(f"alerts.{name}_why", why=_short(model.broken))
            over = say(f"alerts.{name}_over")
            yield Trouble(name, told, patience=timedelta() if proven else PATIENCE, over=over)


def _happened(seen: Seen) -> Iterator[Trouble]:
    for one in seen.mishaps:
        post, place, why = str(one.post_id or "–"), str(one.chat_id), _short(one.error) or "–"
        if one.held:
            told = say("alerts.held", post=post, place=place)
        elif one.delivery_id is not None:
            told = say("alerts.unseen", post=post, place=place, why=why)
        else:
            told = say("alerts.failed", post=post, place=place, why=why)
        yield Trouble(key_of(one), told)
    for place_left in seen.left:
        ref = place_left.ref
        told = say("alerts.left", place=str(place_left.id), front=ref.front, chat=ref.chat)
        yield Trouble(f"left:{ref.front}:{ref.account}:{ref.chat}", told)


def key_of(one: Mishap) -> str:
    """A schedule that fails at every turn says so once; what is held is decided one by one."""
    of = f"schedule:{one.schedule_id}" if one.schedule_id else f"post:{one.post_id}"
    if one.held:
        return f"{HELD}{one.delivery_id}"
    return f"unseen:{of}:{one.chat_id}" if one.delivery_id is not None else f"failed:{of}"


def _short(reason: str) -> str:
    if isinstance(reason, Said) and len(reason) <= LONGEST_REASON:
        return reason  # it can still be said in other languages
    reason = " ".join(reason.split())
    return reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"
