from __future__ import annotations

from datetime import timedelta

import pytest

from engine.errors import OverLimit
from engine.limits import DAY, MINUTE, check_message, check_pictures
from engine.locales import locale_of
from engine.settings import LimitSettings
from engine.testing import DAWN

LIMITS = LimitSettings(
    messages_per_minute=3, place_messages_per_minute=10, pictures_per_day=5, pictures_waiting=4
)


def test_messages_up_to_the_limit_pass_and_the_next_one_waits_a_minute() -> None:
    check_message(LIMITS, by_person=2, in_place=9, now=DAWN)
    with pytest.raises(OverLimit) as caught:
        check_message(LIMITS, by_person=3, in_place=3, now=DAWN)
    assert caught.value.free_at == DAWN + MINUTE


def test_a_lively_place_is_limited_as_a_whole() -> None:
    with pytest.raises(OverLimit, match="lively"):
        check_message(LIMITS, by_person=0, in_place=10, now=DAWN)


def test_pictures_are_limited_by_the_day_and_it_is_said_when_there_is_room_again() -> None:
    check_pictures(LIMITS, asked=1, today=4, waiting=0, oldest=DAWN, now=DAWN)
    with pytest.raises(OverLimit, match="in 4 hours") as caught:
        check_pictures(LIMITS, asked=2, today=4, waiting=0, oldest=DAWN - timedelta(hours=20), now=DAWN)
    assert caught.value.free_at == DAWN - timedelta(hours=20) + DAY


def test_pictures_that_wait_are_limited_too() -> None:
    with pytest.raises(OverLimit, match="You have 4 pictures waiting, and 4 is the most at once"):
        check_pictures(LIMITS, asked=1, today=4, waiting=4, oldest=DAWN, now=DAWN)


def test_who_has_none_waiting_and_asks_for_too_many_is_not_told_to_wait_for_them() -> None:
    with pytest.raises(OverLimit, match=r"^4 pictures is the most at once"):
        check_pictures(LIMITS, asked=5, today=0, waiting=0, oldest=None, now=DAWN)


@pytest.mark.parametrize(
    ("wait", "told", "german"),
    [
        (0, "in 1 minute", "in 1 Minute"),
        (59, "in 1 minute", "in 1 Minute"),
        (600, "in 10 minutes", "in 10 Minuten"),
        (3600, "in 1 hour", "in 1 Stunde"),
        (86_400, "in 1 day", "in 1 Tag"),
    ],
)
def test_a_wait_is_told_in_words(wait: int, told: str, german: str) -> None:
    oldest = DAWN + timedelta(seconds=wait) - DAY
    with pytest.raises(OverLimit) as caught:
        check_pictures(LIMITS, asked=1, today=5, waiting=0, oldest=oldest, now=DAWN)
    assert str(caught.value) == f"That would be more than 5 pictures in 24 hours; there is room again {told}."
    assert f"; {german} ist wieder Platz." in locale_of("de").says(caught.value)
