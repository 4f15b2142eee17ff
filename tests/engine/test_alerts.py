"""What those who run the house are told, and how often."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.alerts import Model, Seen, Standing, Stretch, Trouble, heed, stretched, troubles
from engine.locales import say
from engine.store.records import ChatRef, Place
from engine.store.troubles import Mishap

MINUTE, HOUR = 60.0, 3_600.0
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WELL = Seen(disk=1_000_000_000_000, disk_free=500_000_000_000)
FULL = replace(WELL, disk_free=90_000_000_000)


class Operator:
    """Somebody who is told what comes of one look after the other."""

    def __init__(self) -> None:
        self.standing = Standing()

    def told(self, seen: Seen, at: float) -> list[str]:
        self.standing, news = heed(self.standing, troubles(seen), at)
        return [str(one) for one in news]


@pytest.fixture
def operator() -> Operator:
    return Operator()


def keys(seen: Seen) -> list[str]:
    return [one.key for one in troubles(seen)]


def failed(post: int, schedule: int | None = None) -> Mishap:
    return Mishap(post, schedule, 5, "The picture was not ready in time.")


def test_a_house_that_is_well_is_not_spoken_of(operator: Operator) -> None:
    assert operator.told(WELL, 0.0) == []


@pytest.mark.parametrize(("free", "is_told"), [(101, False), (100, True), (0, True)])
def test_a_disk_is_worth_a_word_from_nine_tenths_on(free: int, is_told: bool) -> None:
    assert (keys(Seen(disk=1_000, disk_free=free)) == ["disk"]) is is_told


def test_a_disk_that_tells_nothing_is_not_full() -> None:
    assert keys(Seen(disk=0, disk_free=0)) == []


def test_what_lasts_is_told_once_in_six_hours_and_once_when_it_is_over(operator: Operator) -> None:
    looks = [operator.told(FULL, minute * MINUTE) for minute in range(12 * 60)]
    assert [minute for minute, told in enumerate(looks) if told] == [0, 6 * 60]
    assert "91% full; 90 GB are free" in looks[0][0]
    assert operator.told(WELL, 12 * HOUR) == ["The disk of the home has room again."]
    assert operator.told(WELL, 12 * HOUR + MINUTE) == []


def test_what_comes_and_goes_is_told_once_and_its_end_once(operator: Operator) -> None:
    told = [operator.told(FULL if minute % 2 else WELL, minute * MINUTE) for minute in range(300)]
    assert [len(one) for one in told if one] == [1, 1]
    assert operator.told(WELL, 300 * MINUTE) == []
    assert len(operator.told(FULL, 7 * HOUR)) == 1


def test_a_model_may_be_away_for_ten_minutes(operator: Operator) -> None:
    down = replace(WELL, words=Model(is_there=True, broken="tiny: the file is gone"))
    assert operator.told(down, 0.0) == []
    assert operator.told(down, 10 * MINUTE - 1) == []
    assert operator.told(WELL, 10 * MINUTE) == []
    assert operator.told(down, 11 * MINUTE) == []
    assert operator.told(down, 21 * MINUTE) == [
        "The language model is down, and the understudy answers instead: tiny: the file is gone"
    ]
    assert operator.told(WELL, 30 * MINUTE) == ["The language model is back."]


@pytest.mark.parametrize("name", ["words", "pictures"])
def test_a_stand_in_that_did_all_the_work_for_ten_minutes_shows_that_a_model_is_down(
    operator: Operator, name: str
) -> None:
    def seen(minutes: int, is_there: bool = True) -> Seen:
        stretch = Stretch(NOON, NOON + timedelta(minutes=minutes))
        model = Model(is_there, stood_in=stretch)
        return replace(WELL, words=model) if name == "words" else replace(WELL, pictures=model)

    assert operator.told(seen(9), 0.0) == []
    assert operator.told(seen(10, is_there=False), 0.0) == []
    assert len(operator.told(seen(10), 0.0)) == 1


def test_a_stretch_ends_with_the_first_work_of_the_model_itself() -> None:
    later = NOON + timedelta(minutes=3)
    assert stretched(Stretch(), [(True, NOON), (True, later)]) == Stretch(NOON, later)
    assert stretched(Stretch(NOON, NOON), [(True, later)]) == Stretch(NOON, later)
    assert stretched(Stretch(NOON, later), [(False, later), (True, later)]) == Stretch(later, later)
    assert stretched(Stretch(NOON, later), []).span == timedelta(minutes=3)


def test_each_post_that_failed_is_told_but_a_schedule_only_once_in_six_hours(operator: Operator) -> None:
    told = operator.told(replace(WELL, mishaps=(failed(1), failed(2), failed(3, 7), failed(4, 7))), 0.0)
    assert [line.split()[1] for line in told] == ["#1", "#2", "#3"]
    assert operator.told(replace(WELL, mishaps=(failed(5, 7),)), 5 * HOUR) == []
    assert len(operator.told(replace(WELL, mishaps=(failed(6, 7),)), 6 * HOUR)) == 1


def test_what_has_merely_happened_is_never_over(operator: Operator) -> None:
    assert len(operator.told(replace(WELL, mishaps=(failed(1),)), 0.0)) == 1
    assert operator.told(WELL, MINUTE) == []


def test_posts_that_are_held_or_reach_no_chat_are_told_one_by_one(operator: Operator) -> None:
    held = [Mishap(1, 7, 5, "it may have arrived", number, held=True) for number in (8, 9)]
    unseen = Mishap(1, 7, 6, "We may not write there.", 10)
    told = operator.told(replace(WELL, mishaps=(*held, unseen)), 0.0)
    assert ["/posts held" in line for line in told] == [True, True, False]
    assert told[-1] == "Post #1 could not be shown in place 6: We may not write there."


def test_a_place_of_many_threads_is_left_once(operator: Operator) -> None:
    threads = tuple(Place(n, ChatRef("telegram", "bot", "-100815", str(n)), shared=True) for n in (1, 2))
    told = operator.told(replace(WELL, left=threads), 0.0)
    assert told == ["We are no longer welcome in place 1 (telegram -100815)."]


def test_a_long_reason_is_cut() -> None:
    [one] = troubles(replace(WELL, mishaps=(Mishap(1, None, 5, "why  " * 500),)))
    assert one.words.endswith("…")
    assert len(one.words) < 300


def test_looking_changes_nothing_of_how_things_stood() -> None:
    before = Standing()
    heed(before, [Trouble("disk", say("alerts.disk_over"), over=say("alerts.disk_over"))], 0.0)
    assert before == Standing()
