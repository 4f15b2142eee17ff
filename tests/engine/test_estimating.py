"""How long it will take: from what was measured, monotone, silent where nothing was, and learning from its errors."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.estimating import (
    ENOUGH,
    FIRST_PASS,
    LEAST,
    MOST,
    SECOND_PASS,
    TELLING,
    Expected,
    Made,
    Promise,
    Work,
    corrected,
    expected,
    left,
    record,
)

SQUARE = Work(1024, 1024, 20)
PLAIN = Made(10.0, SQUARE, "sdxl", "cuda")

sides = st.integers(8, 256).map(lambda eighth: eighth * 8)
seconds = st.floats(0.01, 3600)
kinds = st.builds(
    Work,
    sides,
    sides,
    st.integers(1, 150),
    hires=st.booleans(),
    strength=st.none() | st.floats(0, 1),
)
works = st.builds(replace, kinds, count=st.integers(1, 4), done=st.floats(0, 1))
histories = st.lists(
    st.builds(Made, seconds, kinds, st.sampled_from(["sdxl", "placeholder"]), st.just("cuda")),
    min_size=1,
    max_size=50,
)
expectations = st.builds(lambda likely, more: Expected(likely, likely + more), seconds, st.floats(0, 600))
pasts = st.lists(st.builds(Promise, expectations, expectations, seconds), max_size=120)


def certain(told: Expected | None) -> Expected:
    assert told is not None
    return told


def test_where_nothing_was_made_nothing_is_said() -> None:
    assert expected([], SQUARE) is None
    assert expected([replace(PLAIN, seconds=0.0)], SQUARE) is None


def test_half_of_them_take_no_longer_than_likely_and_nine_of_ten_no_longer_than_at_most() -> None:
    made = [replace(PLAIN, seconds=float(second)) for second in range(1, 12)]
    # Nine of ten of *these* take ten at most; of the next one that would promise too much.
    assert expected(made, SQUARE) == Expected(6.0, 11.0)
    made = [replace(PLAIN, seconds=float(second)) for second in range(1, 30)]
    assert expected(made, SQUARE) == Expected(15.0, 27.0)


def test_an_unlike_picture_is_told_in_proportion_to_its_work() -> None:
    assert certain(expected([PLAIN], Work(512, 1024, 40))).likely == 10.0
    assert certain(expected([PLAIN], Work(512, 1024, 20))).likely == 5.0


def test_enough_of_the_very_same_kind_are_asked_alone() -> None:
    small = [Made(4.0, Work(512, 512, 20), "sdxl", "cuda")] * ENOUGH
    told = certain(expected([PLAIN] * 40 + small, Work(512, 512, 20)))
    assert told.likely == 4.0, "and not a quarter of ten: small pictures have their own overhead"


def test_without_enough_of_a_kind_those_that_are_most_like_it_are_asked() -> None:
    like = [Made(6.0, Work(832, 1216, 25), "sdxl", "cuda")] * ENOUGH
    unlike = [Made(1.0, Work(512, 512, 20), "sdxl", "cuda")] * 40
    told = certain(expected([*unlike, *like], Work(832, 1216, 20)))
    assert told.likely == pytest.approx(6.0 * 20 / 25)


def test_what_a_stand_in_took_says_nothing_of_a_model() -> None:
    stand_ins = [replace(PLAIN, seconds=0.2, model="placeholder", device="cpu")] * 49
    assert certain(expected([PLAIN, *stand_ins], SQUARE)).likely == 10.0


def test_a_card_that_was_drawn_in_place_of_a_picture_says_nothing_of_the_next_one() -> None:
    """Though it is the newest: the model will be asked again."""
    card = replace(PLAIN, seconds=0.2, model="placeholder", device="cpu", in_place=True)
    assert certain(expected([card] * 49 + [PLAIN], SQUARE)).likely == 10.0
    assert certain(expected([card, PLAIN, card, PLAIN], SQUARE)).likely == 10.0
    assert certain(expected([card] * 3, SQUARE)).likely == 0.2, (
        "but where there was nothing else it is all there is"
    )
    # Where nobody else paints, a card is what is wanted.
    plain = replace(card, in_place=False)
    assert certain(expected([plain, PLAIN], SQUARE)).likely == 0.2


def test_a_picture_in_two_passes_is_more_work_only_where_there_are_two() -> None:
    large = Work(2048, 2048, 20)
    assert replace(SQUARE, hires=True).each == SQUARE.each
    assert replace(large, hires=True).each == 20 * (FIRST_PASS + SECOND_PASS * 2048 * 2048)


def test_a_picture_that_begins_from_another_goes_a_part_of_the_way() -> None:
    assert replace(SQUARE, strength=0.5).each == SQUARE.each / 2
    assert replace(SQUARE, strength=0.0).each == SQUARE.each / 20, "one step at least"
    assert replace(SQUARE, strength=0.3, hires=True).each == replace(SQUARE, strength=0.3).each


def test_work_in_front_counts_as_what_it_is_and_only_as_far_as_it_is_not_done() -> None:
    made = [PLAIN] * ENOUGH + [Made(40.0, Work(2048, 2048, 20), "sdxl", "cuda")] * ENOUGH
    large = Work(2048, 2048, 20, count=2)
    assert certain(expected(made, SQUARE, [large])).likely == 90.0
    assert certain(expected(made, SQUARE, [replace(large, done=0.75)])).likely == 30.0
    assert certain(expected(made, SQUARE, [replace(large, done=1.0)])).likely == 10.0


@given(histories, works, st.lists(works, max_size=6), works)
def test_more_work_and_a_longer_line_never_take_less(
    made: list[Made], wanted: Work, before: list[Work], one_more: Work
) -> None:
    now = certain(expected(made, wanted, before))
    assert 0 <= now.likely <= now.at_most
    for longer in (
        expected(made, replace(wanted, count=wanted.count + 1), before),
        expected(made, wanted, [*before, one_more]),
        expected(made, replace(wanted, done=wanted.done / 2), before),
    ):
        then = certain(longer)
        assert then.likely >= now.likely * 0.999_999
        assert then.at_most >= now.at_most * 0.999_999


@given(histories, works, st.lists(works, max_size=6), st.floats(0.5, 8))
def test_a_slower_machine_takes_longer_by_the_same_factor(
    made: list[Made], wanted: Work, before: list[Work], factor: float
) -> None:
    slower = [replace(one, seconds=one.seconds * factor) for one in made]
    now, then = certain(expected(made, wanted, before)), certain(expected(slower, wanted, before))
    assert then.likely == pytest.approx(now.likely * factor)
    assert then.at_most == pytest.approx(now.at_most * factor)


# Past errors


def kept(took: float, guessed: Expected, told: Expected | None = None) -> Promise:
    return Promise(told or guessed, guessed, took)


@given(expectations, pasts)
def test_a_correction_keeps_its_bounds(guess: Expected, past: list[Promise]) -> None:
    told = corrected(guess, past)
    assert told.likely <= told.at_most
    assert guess.likely * LEAST * 0.999 <= told.likely <= guess.likely * MOST * 1.001
    assert told.at_most <= max(guess.at_most, guess.likely) * MOST * 1.001


@given(expectations, pasts.filter(lambda past: len(past) < TELLING))
def test_a_few_promises_can_only_put_the_later_time_off_and_say_nothing(
    guess: Expected, past: list[Promise]
) -> None:
    told = corrected(guess, past)
    assert told.likely == guess.likely
    assert guess.at_most <= told.at_most <= guess.at_most * MOST * 1.001
    assert record(past) is None
    assert corrected(guess, []) == guess


@given(expectations, st.integers(1, 8), st.floats(1.01, 1.5))
def test_a_few_that_were_all_late_are_believed(guess: Expected, many: int, late: float) -> None:
    past = [kept(guess.at_most * late, guess)] * many
    assert corrected(guess, past).at_most >= guess.at_most * late


@given(expectations, st.floats(0.1, 3.0), st.integers(1, 5))
def test_the_more_promises_say_the_same_the_nearer_is_the_later_time(
    guess: Expected, ratio: float, times: int
) -> None:
    """A house that is new promises less, and forgets that as it learns."""
    told = Expected(guess.likely * MOST, guess.at_most * MOST)  # nobody was late
    past = [kept(guess.at_most * ratio, guess, told)] * TELLING
    later = corrected(guess, past * times).at_most
    assert corrected(guess, past * (times + 1)).at_most <= later * 1.000_001
    known = corrected(guess, past * 10)
    assert known.at_most == pytest.approx(max(known.likely, guess.at_most * max(LEAST, ratio)))


@given(seconds, st.integers(1, 40))
def test_of_a_few_pictures_the_longest_is_not_long_enough(each: float, many: int) -> None:
    """Nine of ten can be told of nine or more; of fewer the next one may well take longer than all of them."""
    told = certain(expected([replace(PLAIN, seconds=each)] * many, SQUARE))
    assert told.likely == pytest.approx(each)
    one_more = certain(expected([replace(PLAIN, seconds=each)] * (many + 1), SQUARE))
    assert one_more.at_most <= told.at_most * 1.000_001
    if many >= 9:
        assert told.at_most == pytest.approx(each)
    else:
        assert told.at_most > each * 1.01


@given(histories, works, st.integers(2, 30))
def test_delays_of_many_come_together_in_part(made: list[Made], wanted: Work, many: int) -> None:
    one = certain(expected(made, replace(wanted, count=1, done=0.0)))
    told = certain(expected(made, replace(wanted, count=many, done=0.0)))
    spread = one.at_most - one.likely
    assert told.at_most - told.likely <= many * spread * 1.000_001 + 1e-6
    assert told.at_most - told.likely >= math.sqrt(many) * spread * 0.999_999 - 1e-6


def test_a_machine_that_always_takes_twice_as_long_is_believed() -> None:
    guess = Expected(10.0, 12.0)
    told = corrected(guess, [kept(20.0, guess)] * 50)
    assert told.likely == pytest.approx(20.0)
    assert told.at_most == pytest.approx(20.0), "twenty seconds, to the second, every time"


def test_the_later_time_lies_where_nine_of_ten_were_done() -> None:
    guess = Expected(10.0, 10.0)
    wide = Expected(10.0, 18.2)  # of these ninety-nine, nine in a hundred came later
    past = [kept(10.0 + number / 11, guess, wide) for number in range(1, 100)]
    random.Random(5).shuffle(past)
    told = corrected(guess, past)
    late = sum(one.took > told.at_most for one in past)
    assert 6 <= late <= 14


def test_after_a_swarm_of_misses_the_look_goes_further_out_and_comes_back() -> None:
    guess = Expected(10.0, 12.0)
    calm = [kept(10.0 + number % 30 / 10, guess, Expected(10.0, 13.0)) for number in range(100)]
    missed = [kept(one.took, guess, Expected(5.0, 9.0)) for one in calm[:30]]
    assert corrected(guess, [*missed, *calm[30:]]).at_most > corrected(guess, calm).at_most


def test_a_record_says_which_share_came_in_time_and_how_far_off_it_usually_was() -> None:
    guess = Expected(10.0, 12.0)
    told = record([kept(11.0, guess)] * 91 + [kept(13.0, guess)] * 9)
    assert told is not None
    assert (told.promises, told.in_time) == (100, 0.91)
    assert told.off == pytest.approx(0.1)


@dataclass
class Order:
    work: Work
    at: float
    guessed: Expected | None
    told: Expected | None


class Machine:
    """One GPU and its line, in numbers: mixed orders come in bursts, the like share a pass, and it gets warm."""

    at_once = 4
    shapes = ((512, 512), (1024, 1024), (832, 1216), (1344, 768), (1536, 1536), (2048, 2048))

    def __init__(self, seed: int, busy: float) -> None:
        self.chance = random.Random(seed)
        self.busy = busy
        self.warmth = 1.0
        self.made: list[Made] = []
        self.line: list[Order] = []
        self.met: list[tuple[float, Promise]] = []

    def orders(self, count: int) -> list[tuple[float, Work]]:
        chance, at, orders = self.chance, 0.0, []
        for _ in range(count):
            at += chance.expovariate(self.busy / 12) if chance.random() < 0.7 else 0.5
            steps, pictures = chance.choice([10, 20, 20, 20, 30, 45]), chance.choice([1, 1, 1, 2, 4])
            hires, strength = chance.random() < 0.2, chance.choice([None, None, None, 0.3, 0.55])
            orders.append((at, Work(*chance.choice(self.shapes), steps, pictures, hires, strength)))
        return orders

    def takes(self, work: Work) -> float:
        """What nobody tells the house: a start, a slope that is not straight, warmth, noise, and some hitches."""
        area = work.width * work.height / FIRST_PASS
        slope: float = area**1.2
        ways = work.steps * slope
        if work.strength is not None:
            ways = max(1.0, work.steps * work.strength) * slope
        elif work.hires and area > 1.15:
            ways = work.steps * (1.0 + SECOND_PASS * slope)
        hitch = self.chance.uniform(3, 20) if self.chance.random() < 0.03 else 0.0
        noise = math.exp(self.chance.gauss(0, 0.1))
        return (0.4 + 0.15 * area + 0.12 * ways) * self.warmth * noise + hitch

    def company(self) -> list[Order]:
        first = self.line[0]
        kind = replace(first.work, count=1)
        going, room = [first], self.at_once - first.work.count
        for order in self.line[1:]:
            if replace(order.work, count=1) == kind and order.work.count <= room:
                going.append(order)
                room -= order.work.count
        self.line = [order for order in self.line if order not in going]
        return going

    def run(self, count: int) -> list[Promise]:
        """What was promised, in the order in which it was met."""
        coming, began, ends = self.orders(count), 0.0, math.inf
        going: list[Order] = []
        while coming or going:
            if coming and coming[0][0] <= ends:
                now, work = coming.pop(0)
                share = (now - began) / (ends - began) if going else 0.0
                before = [replace(order.work, done=share) for order in going]
                self.line.append(self.promised(now, work, before + [order.work for order in self.line]))
            else:
                now = ends
                self.finish(going, began, now)
                going, ends = [], math.inf
            if not going and self.line:
                self.warmth = max(0.7, min(1.8, self.warmth * math.exp(self.chance.gauss(0, 0.05))))
                going, began = self.company(), now
                pictures = sum(order.work.count for order in going)
                ends = now + self.takes(going[0].work) * (1 + 0.8 * (pictures - 1))
        return [promise for _, promise in self.met]

    def promised(self, now: float, work: Work, before: Sequence[Work]) -> Order:
        guess = expected(self.made[:150], work, before)
        past = [promise for met, promise in self.met if met <= now][:-101:-1]
        return Order(work, now, guess, corrected(guess, past) if guess else None)

    def finish(self, going: Sequence[Order], began: float, now: float) -> None:
        share = (now - began) / sum(order.work.count for order in going)
        for order in going:
            if order.told and order.guessed:
                stored = now + self.chance.uniform(0.1, 0.8)
                self.met.append((now, Promise(order.told, order.guessed, stored - order.at)))
            kind = replace(order.work, count=1)
            self.made[:0] = [Made(share, kind, "sdxl", "cuda")] * order.work.count


@pytest.mark.parametrize("busy", [0.3, 0.5, 0.7])
def test_about_nine_of_ten_mixed_orders_are_there_before_their_later_time(busy: float) -> None:
    records = [record(Machine(seed, busy).run(300)[-200:]) for seed in range(4)]
    shares = [one.in_time for one in records if one]
    assert len(shares) == 4
    assert 0.87 <= sum(shares) / 4 <= 0.93
    assert all(0.85 <= share <= 0.95 for share in shares), shares
    assert all(one.off < 0.35 for one in records if one), "and that not by promising late"


@pytest.mark.parametrize("busy", [0.3, 0.5, 0.7])
def test_a_house_that_is_new_keeps_its_first_promises_as_well_as_later_ones(busy: float) -> None:
    """Of the first two hundred, quarter by quarter."""
    quarters: list[list[Promise]] = [[], [], [], []]
    for seed in range(10, 18):
        promises = Machine(seed, busy).run(204)[:200]
        for place, quarter in enumerate(quarters):
            quarter += promises[place * 50 : (place + 1) * 50]
    shares = [sum(one.took <= one.told.at_most for one in quarter) / len(quarter) for quarter in quarters]
    assert all(0.86 <= share <= 0.95 for share in shares), shares


# A picture in the making


@given(st.integers(1, 200), st.integers(0, 200), st.floats(0.001, 10_000))
def test_what_is_left_goes_down_to_nothing_at_the_last_step(steps: int, step: int, a_step: float) -> None:
    told = left(step, steps, passed=step * a_step)
    if step == 0 or step > steps:
        assert told is None
    else:
        assert told == pytest.approx((steps - step) * a_step)


def test_a_pace_is_that_of_the_steps_that_were_seen() -> None:
    assert left(12, 20, passed=4.0, since=10) == 16.0
    assert left(10, 20, passed=4.0, since=10) is None
