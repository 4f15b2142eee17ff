"""Pure: what is decided from the start where memory is small, what is tried when it runs out, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pictures.sdxl.sparing import (
    GIB,
    LONGEST,
    PICTURES,
    SECONDS,
    STEPS,
    USUAL,
    Step,
    Trouble,
    better_again,
    in_order,
    next_step,
    ran_out,
    room_for,
    share_of,
    tried_again,
)


@pytest.mark.parametrize(
    ("vram", "at_once", "tiles", "offload"),
    [
        (6, 1, True, True),
        (8, 1, True, True),
        (11.9, 1, True, True),
        (12, 2, True, False),
        (16, 2, True, False),
    ],
)
def test_a_small_card_is_spared_from_the_start(vram: float, at_once: int, tiles: bool, offload: bool) -> None:
    room = room_for(vram)
    assert (room.at_once, room.tiles, room.offload, room.fused) == (at_once, tiles, offload, False)


@pytest.mark.parametrize("vram", [0, 24, 80, 1_000])
def test_a_large_card_is_used_as_usual(vram: float) -> None:
    assert room_for(vram) == USUAL


@given(st.floats(0.1, 1_000), st.floats(0.1, 1_000))
def test_more_memory_is_never_spared_more(one: float, other: float) -> None:
    less, more = (room_for(vram) for vram in sorted((one, other)))
    assert less.tiles >= more.tiles
    assert less.offload >= more.offload
    assert less.fused <= more.fused
    assert (less.at_once or 99) <= (more.at_once or 99)


@pytest.mark.parametrize(
    ("vram", "card", "share"), [(8, 24, 1 / 3), (24, 24, 1), (48, 24, 1), (0, 24, 1), (8, 0, 1)]
)
def test_a_bound_is_a_share_of_the_card(vram: float, card: int, share: float) -> None:
    assert share_of(vram, card * GIB) == pytest.approx(share)


@given(st.integers(1, 16), st.booleans(), st.booleans(), st.booleans())
def test_what_is_tried_comes_to_an_end_and_goes_in_one_direction(
    pictures: int, tiles: bool, offload: bool, on_gpu: bool
) -> None:
    tried: list[Step] = []
    while (step := next_step(pictures, tiles=tiles, offload=offload, on_gpu=on_gpu)) is not None:
        tried.append(step)
        if step == "halves":
            pictures //= 2
        tiles, offload, on_gpu = (
            tiles or step == "tiles",
            offload or step == "offload",
            on_gpu and step != "processor",
        )
        assert len(tried) < 10
    assert sorted(tried, key=STEPS.index) == tried
    assert in_order(set(tried)) == list(dict.fromkeys(tried))
    assert not on_gpu
    assert pictures == 1


# When the better way is taken again


@given(st.floats(0, 1e6), st.integers(1, 200), st.integers(1, LONGEST))
def test_what_makes_do_with_less_goes_on_so_for_a_while_and_not_for_ever(
    began: float, pictures: int, times: int
) -> None:
    trouble = Trouble(began, times=times)
    assert not better_again(trouble, began)
    assert better_again(trouble, began + SECONDS * times + 1)
    assert better_again(trouble.after(pictures), began) is (pictures >= PICTURES * times)


def test_where_memory_never_ran_out_there_is_no_better_way() -> None:
    assert not better_again(None, 1e9)


def test_each_time_that_it_fails_again_the_while_is_twice_as_long() -> None:
    now, trouble, whiles = 0.0, ran_out(None, 0.0), []
    for _ in range(12):
        # One picture may run out of memory at several steps: that is one failure.
        trouble = ran_out(ran_out(trouble, now), now)
        whiles.append(
            next(seconds for seconds in range(0, 10**9, 300) if better_again(trouble, now + seconds))
        )
        now += whiles[-1]
        trouble = tried_again(trouble, now)
        assert not better_again(trouble, now + 10**9), "it is tried once, not again and again"
        trouble = ran_out(trouble, now + 1.0)
        now += 1.0
    doubled = [SECONDS * min(LONGEST, 2**number) for number in range(12)]
    assert whiles == doubled


@given(st.integers(1, LONGEST), st.booleans())
def test_once_it_held_for_as_long_the_next_failure_is_a_first_one(times: int, by_pictures: bool) -> None:
    trouble = tried_again(Trouble(0.0, times=times), 100.0)
    assert ran_out(trouble, 101.0).times == min(LONGEST, 2 * times)
    later = 101.0 if by_pictures else 100.0 + SECONDS * times
    held = trouble.after(PICTURES * times) if by_pictures else trouble
    assert ran_out(held, later) == Trouble(later)
