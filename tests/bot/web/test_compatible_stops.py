"""Where a text is to end: however it is cut into pieces, the same is shown, and nothing of it is taken back."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from bot.web.compatible.replies import Stops

LETTERS = "ab \n"


def shown(pieces: list[str], words: list[str]) -> tuple[list[int], str, bool]:
    """How much is shown after each piece, all that is shown at the end, and whether it was stopped."""
    stops, text, so_far, steps = Stops(words), "", 0, []
    for piece in pieces:
        text += piece
        so_far, stopped = stops.shown(text, so_far)
        steps.append(so_far)
        if stopped:
            return steps, text[:so_far], True
    return steps, text, False


@given(
    st.lists(st.text(LETTERS, max_size=4), max_size=12),
    st.lists(st.text(LETTERS, min_size=1, max_size=4), max_size=3),
)
@example(["b ", "b"], [" ", "b b"])
def test_a_text_ends_before_the_first_of_its_words(pieces: list[str], words: list[str]) -> None:
    steps, ended, stopped = shown(pieces, words)
    whole = "".join(pieces)
    ends = [(whole.find(word) + len(word), whole.find(word)) for word in words if word in whole]
    first = min(ends)[1] if ends else None
    assert steps == sorted(steps)
    assert stopped == (first is not None)
    assert ended.rstrip() == whole[:first].rstrip()


def test_what_may_be_the_beginning_of_such_a_word_waits() -> None:
    stops = Stops(["User:"])
    assert stops.shown("Aye. Us", 0) == (4, False)
    assert stops.shown("Aye. Usually", 4) == (12, False)
    assert stops.shown("Aye. Usually User: x", 12) == (13, True)


def test_white_space_waits_for_what_follows() -> None:
    assert Stops([]).shown("Aye.  ", 0) == (4, False)
    assert Stops([]).shown("Aye.  So", 4) == (8, False)
