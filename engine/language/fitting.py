"""Pure: what of a talk fits into a model's context. Whole turns are dropped, the oldest first and in large steps, so
that what is left begins the same for many turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.errors import ModelUnavailable
from personas.prompting import Reach, Segment, first_kept

#: The form around each message, in tokens; forms differ, and this is more than any of them takes.
FORM = 12


def fitted(segments: Sequence[Segment], room: int, *, measure: Callable[[str], int]) -> tuple[Segment, ...]:
    """The segments that fit into so many tokens. Persona and last words are kept, and cut only as a last resort."""

    def size(segment: Segment) -> int:
        return measure(segment.text) + FORM

    turns = [one for one in segments if _is_turn(one)]
    fixed = sum(size(one) for one in segments if not _is_turn(one))
    left = room - fixed
    if left < 0:
        return _cut(segments, room, measure)
    if not turns:
        return tuple(segments)
    first = first_kept([size(one) for one in turns], max(left, 1))
    kept = turns[first:]
    if sum(size(one) for one in kept) > left:
        kept = []
    dropped = len(turns) - len(kept)
    fits = []
    for one in segments:
        if _is_turn(one) and dropped:
            dropped -= 1
            continue
        fits.append(one)
    return tuple(fits)


def _is_turn(segment: Segment) -> bool:
    """What was said earlier; the summary of what was said before that is no turn."""
    return segment.reach is Reach.CHAT and segment.role != "system"


def _cut(segments: Sequence[Segment], room: int, measure: Callable[[str], int]) -> tuple[Segment, ...]:
    """Not even persona and last words fit: the last words lose their middle, where there is enough of them."""
    kept = [one for one in segments if not _is_turn(one)]
    others = sum(measure(one.text) + FORM for one in kept[:-1]) + FORM
    last = kept[-1]
    left, whole = room - others, measure(last.text)
    if left < min(whole, 64):
        raise ModelUnavailable(
            f"This persona and these words need {others + whole} tokens, and language.context leaves room for {room}."
        )
    while whole > left and len(last.text) > 64:
        share = int(len(last.text) * left / whole * 0.45)
        last = replace(last, text=f"{last.text[:share]} … {last.text[len(last.text) - share :]}")
        whole = measure(last.text)
    return (*kept[:-1], last)
