"""Who waits for whom on a shared device: words before pictures, but pictures too; and nobody lets go in vain."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.broker import STILL_AT_MOST, Broker, Lease, holds_still, who_lets_go

LEASES = st.lists(
    st.builds(
        Lease,
        holder=st.uuids().map(str),
        bytes=st.integers(1, 1_000),
        busy=st.booleans(),
        used=st.floats(0, 100),
    ),
    max_size=6,
    unique_by=lambda one: one.holder,
)


@given(waiting=st.integers(0, 5), still=st.floats(0, 100), step=st.floats(0, 100))
def test_a_picture_holds_still_only_for_somebody_and_never_for_long(
    waiting: int, still: float, step: float
) -> None:
    if holds_still(waiting=waiting, still=still, step=step):
        assert waiting
        assert still < STILL_AT_MOST
    elif waiting:
        assert still >= min(STILL_AT_MOST, 4 * step)


@given(leases=LEASES, free=st.integers(0, 2_000), wanted=st.integers(0, 4_000))
def test_who_lets_go_is_idle_and_needed(leases: list[Lease], free: int, wanted: int) -> None:
    by_name = {one.holder: one for one in leases}
    idle = sum(one.bytes for one in leases if not one.busy)
    chosen = who_lets_go(leases, free=free, wanted=wanted)
    if chosen is None:
        assert free + idle < wanted
        return
    gained = sum(by_name[name].bytes for name in chosen)
    assert free + gained >= wanted
    assert not any(by_name[name].busy for name in chosen)
    assert all(free + gained - by_name[name].bytes < wanted for name in chosen), "nobody in vain"


def test_of_two_that_would_do_the_one_that_was_idle_for_longer_lets_go() -> None:
    leases = [Lease("words", 5, False, used=2.0), Lease("pictures", 5, False, used=1.0)]
    assert who_lets_go(leases, free=0, wanted=5) == ("pictures",)


class Device:
    """A memory of so many bytes, and who holds what of it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.held: dict[str, int] = {}

    def free(self) -> int:
        return self.size - sum(self.held.values())


def taking_part(broker: Broker, device: Device, name: str, count: int, *, busy: threading.Event) -> None:
    broker.takes_part(name, let_go=lambda: device.held.pop(name), busy=busy.is_set)
    device.held[name] = count
    broker.holds(name, count)


def test_a_small_card_swaps() -> None:
    device, busy = Device(8), threading.Event()
    broker = Broker(free=device.free)
    taking_part(broker, device, "words", 5, busy=busy)
    broker.takes_part("pictures", let_go=lambda: device.held.pop("pictures"), busy=lambda: False)
    assert broker.make_room("pictures", 7)
    assert device.held == {}
    device.held["pictures"] = 7
    broker.holds("pictures", 7)
    assert broker.make_room("words", 5)
    assert device.free() == 8


def test_whoever_is_busy_is_waited_for_and_not_sent_away() -> None:
    device, busy = Device(8), threading.Event()
    busy.set()
    broker = Broker(free=device.free)
    taking_part(broker, device, "words", 5, busy=busy)
    broker.takes_part("pictures", let_go=lambda: None, busy=lambda: False)
    ended = threading.Timer(0.2, busy.clear)
    ended.start()
    assert broker.make_room("pictures", 7)
    assert not busy.is_set(), "it was let to its end"
    assert device.held == {}


def test_what_can_never_fit_sends_nobody_away() -> None:
    device, busy = Device(8), threading.Event()
    broker = Broker(free=device.free)
    taking_part(broker, device, "words", 5, busy=busy)
    broker.takes_part("pictures", let_go=lambda: None, busy=lambda: False)
    assert not broker.make_room("pictures", 9)
    assert device.held == {"words": 5}


def test_where_nobody_knows_what_is_free_nobody_lets_go() -> None:
    broker = Broker()
    broker.takes_part("pictures", let_go=lambda: None, busy=lambda: False)
    assert broker.make_room("pictures", 1 << 60)


def test_a_picture_goes_on_as_soon_as_the_first_word_is_there() -> None:
    waiting = [3, 2, 1, 0]
    broker = Broker(waiting=lambda: waiting.pop(0))
    assert broker.between_steps(10.0) < STILL_AT_MOST
    assert waiting == []


def test_when_memory_runs_out_unforeseen_those_who_are_idle_let_go_at_once() -> None:
    device, busy = Device(8), threading.Event()
    broker = Broker(free=device.free)
    taking_part(broker, device, "words", 5, busy=busy)
    broker.takes_part("pictures", let_go=lambda: None, busy=lambda: False)
    busy.set()
    assert not broker.others_let_go("pictures")
    busy.clear()
    assert broker.others_let_go("pictures")
    assert device.held == {}
    assert not broker.others_let_go("pictures"), "there is nobody left"


def test_what_somebody_holds_is_measured() -> None:
    device = Device(100)
    broker = Broker(free=device.free)
    broker.takes_part("words", let_go=lambda: device.held.pop("words"), busy=lambda: False)
    broker.takes_part("pictures", let_go=lambda: None, busy=lambda: False)
    share = broker.share("words")
    before = share.free
    device.held["words"] = 60
    share.took(before)
    assert broker.share("pictures").make_room(90)
    assert device.held == {}


def test_what_is_opened_in_a_share_has_room_made_and_is_measured_and_nothing_is_held_of_what_failed() -> None:
    device, busy = Device(100), threading.Event()
    broker = Broker(free=device.free)
    taking_part(broker, device, "pictures", 70, busy=busy)
    broker.takes_part("words", let_go=lambda: device.held.pop("words"), busy=lambda: False)
    share = broker.share("words")

    def open_it() -> str:
        assert device.held == {}, "the others let go before"
        device.held["words"] = 60
        return "a model"

    assert share.opened(50, open_it) == "a model"
    assert broker.share("pictures").make_room(90)
    assert device.held == {}, "what it holds was measured, so that it could let go of it"

    def fail() -> str:
        raise ValueError("no model")

    with pytest.raises(ValueError, match="no model"):
        share.opened(50, fail)
    assert broker.share("pictures").make_room(90), "nothing is kept for what did not open"
