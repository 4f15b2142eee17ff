"""Fair tags and ranks: how long anybody can be kept waiting, whoever else asks for what."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from engine.pictures.fairness import HEAD_START, LAST_RANK, fair_tag, finish, rank
from engine.store.records import Lane


@dataclass(order=True, frozen=True)
class Asked:
    rank: int
    id: int
    owner: str
    lane: Lane
    tag: int
    cost: int


@dataclass
class Line:
    """A line and the machine that works it off, one job after the other."""

    virtual_time: int = 0
    waiting: list[Asked] = field(default_factory=list)
    ends: dict[tuple[str, Lane], int] = field(default_factory=dict)
    ids: count[int] = field(default_factory=count)

    def ask(self, owner: str, lane: Lane = Lane.INTERACTIVE, cost: int = 1) -> Asked:
        tag = fair_tag(self.virtual_time, self.ends.get((owner, lane), 0))
        self.ends[owner, lane] = finish(tag, cost)
        asked = Asked(rank(lane, tag), next(self.ids), owner, lane, tag, cost)
        heapq.heappush(self.waiting, asked)
        return asked

    def start(self) -> Asked:
        started = heapq.heappop(self.waiting)
        self.virtual_time = max(self.virtual_time, started.tag)
        return started

    def before(self, asked: Asked) -> list[Asked]:
        return [other for other in self.waiting if other < asked]

    def live(self, history: list[tuple[str, Lane, int] | None]) -> Line:
        """Somebody asks, or (None) the machine takes the next."""
        for event in history:
            if event is not None:
                self.ask(*event)
            elif self.waiting:
                self.start()
        return self


owners = st.sampled_from(["ada", "bela", "cleo", "run:7"])
costs = st.integers(1, 9)
asking = st.tuples(owners, st.sampled_from(Lane), costs)
histories = st.lists(st.one_of(asking, st.none()), max_size=120)


@given(histories)
def test_whoever_comes_anew_stands_behind_at_most_one_job_of_each_other_person(
    history: list[tuple[str, Lane, int] | None],
) -> None:
    line = Line().live(history)
    newcomer = line.ask("newcomer")
    ahead = Counter(other.owner for other in line.before(newcomer) if other.lane == newcomer.lane)
    assert all(jobs == 1 for jobs in ahead.values())


@given(histories, st.sampled_from(Lane))
def test_in_a_lower_lane_a_newcomer_also_waits_for_what_the_lane_is_owed_but_no_more(
    history: list[tuple[str, Lane, int] | None], lane: Lane
) -> None:
    line = Line().live(history)
    newcomer = line.ask("newcomer", lane)
    for owner in ("ada", "bela", "cleo", "run:7"):
        ahead = sum(
            other.cost for other in line.before(newcomer) if (other.owner, other.lane) == (owner, lane)
        )
        assert ahead < HEAD_START[lane] + 9 + 1


def test_a_person_with_200_jobs_does_not_keep_the_next_waiting() -> None:
    line = Line()
    for _ in range(200):
        line.ask("busy")
    for _ in range(50):
        line.start()
    assert len(line.before(line.ask("next"))) <= 1


def test_a_tenth_job_stands_behind_the_first_of_another() -> None:
    line = Line()
    tenth = [line.ask("ada") for _ in range(10)][-1]
    assert line.ask("bela") < tenth


@given(histories, asking, histories)
def test_a_job_is_overtaken_by_no_more_than_the_bound(
    earlier: list[tuple[str, Lane, int] | None],
    asked: tuple[str, Lane, int],
    later: list[tuple[str, Lane, int] | None],
) -> None:
    line = Line().live(earlier)
    then = line.virtual_time
    waiting = line.ask(*asked)
    line.live([event for event in later if event])
    overtaking: Counter[tuple[str, Lane]] = Counter()
    while (started := line.start()) != waiting:
        if started.id > waiting.id:
            overtaking[started.owner, started.lane] += started.cost
    for (_, lane), work in overtaking.items():
        ahead = (waiting.tag - then) + HEAD_START[waiting.lane] - HEAD_START[lane]
        assert ahead > 0
        assert work < ahead + 9


def test_a_backfill_does_not_starve_under_people_who_never_stop_asking() -> None:
    line = Line()
    for _ in range(3):
        line.ask("ada")
        line.ask("bela")
    backfill = line.ask("run:7", Lane.BACKFILL)
    started = 0
    while (job := line.start()) != backfill:
        line.ask(job.owner)
        started += 1
    assert started <= 2 * HEAD_START[Lane.BACKFILL]


@given(
    st.lists(st.tuples(owners, st.sampled_from(Lane)), max_size=60),
    st.integers(0, 10**6),
)
def test_with_ordinary_loads_the_lanes_go_one_after_the_other(
    asked: list[tuple[str, Lane]], virtual_time: int
) -> None:
    line = Line(virtual_time=virtual_time)
    for owner, lane in asked:
        line.ask(owner, lane)
    order = [list(Lane).index(line.start().lane) for _ in asked]
    assert order == sorted(order)


@given(costs, costs)
def test_who_asks_for_more_at_a_time_gets_no_more(large: int, small: int) -> None:
    line = Line()
    for _ in range(40):
        line.ask("ada", cost=large)
        line.ask("bela", cost=small)
    done: Counter[str] = Counter()
    for _ in range(40):
        started = line.start()
        done[started.owner] += started.cost
        assert abs(done["ada"] - done["bela"]) <= large + small


def test_a_quiet_person_saves_nothing_up() -> None:
    line = Line()
    line.ask("quiet")
    for _ in range(50):
        line.ask("busy")
    for _ in range(30):
        line.start()
    first, second = line.ask("quiet"), line.ask("quiet")
    assert len(line.before(first)) <= 1
    assert len(line.before(second)) == len(line.before(first)) + 2


@given(st.sampled_from(Lane), st.integers(0, 2**40))
def test_a_rank_and_its_negative_fit_in_32_bits(lane: Lane, tag: int) -> None:
    assert 0 <= rank(lane, tag) <= LAST_RANK
