"""Which tokens are read next: nothing twice that can be shared, nobody is forgotten, nothing outgrows its room."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.language.keeping import Keeping
from engine.language.pacing import AT_ONCE, LEAST, STALL, UNNOTICED, Pace
from engine.language.scheduling import Scheduler, Step, TooLong, common
from engine.language.standing import Ask, Drop, Forget, LayAside, Move, Share, TakeBack

END = 0


@dataclass
class Paper:
    """A memory as llama.cpp has one: what stands in each sequence, a cell for each token that is read."""

    scheduler: Scheduler
    rows: dict[int, list[tuple[int, object]]] = field(default_factory=dict)
    outside: dict[int, list[tuple[int, object]]] = field(default_factory=dict)
    written: dict[int, list[int]] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    stamp: int = 0
    prompt_tokens: int = 0

    def cells(self) -> int:
        return len({cell for row in self.rows.values() for cell in row})

    def do(self, step: Step) -> None:
        for change in step.before:
            if isinstance(change, Forget):
                assert change.keep == 0 or self.scheduler.trims
                self.rows[change.seq] = self.rows.get(change.seq, [])[: change.keep]
            elif isinstance(change, LayAside):
                row, stretch = self.rows[change.seq], change.stretch
                assert len(row) == stretch.end, "the end of a sequence goes, and nothing from its middle"
                self.outside[stretch.number] = row[stretch.start :]
                self.rows[change.seq] = row[: stretch.start]
            elif isinstance(change, TakeBack):
                row, stretch = self.rows.setdefault(change.seq, []), change.stretch
                assert len(row) == stretch.start, "it is put where it was taken from"
                row += self.outside.pop(stretch.number)[: stretch.end - stretch.start]
            elif isinstance(change, Move):
                assert 0 <= change.start < change.end <= len(self.rows[change.seq])
                row = self.rows[change.seq]
                self.stamp += 1
                row[change.start : change.end] = [
                    (token, (self.stamp, place))
                    for place, (token, _) in enumerate(row[change.start : change.end])
                ]
            elif isinstance(change, Drop):
                del self.outside[change.number]
            else:
                assert isinstance(change, Share)
                assert self.scheduler.shares
                source = self.rows[change.source]
                assert len(source) >= change.count, "what is shared must have been read"
                assert not self.rows.get(change.target), "no cell is given to a sequence twice"
                self.rows[change.target] = source[: change.count]
        assert step.size <= self.scheduler.batch
        for one in step.reading:
            row = self.rows.setdefault(one.seq, [])
            assert len(row) == one.position, "a token is read where the last one stood"
            self.stamp += 1
            row += [(token, (self.stamp, place)) for place, token in enumerate(one.tokens)]
            stands = [token for token, _ in row]
            known = self.scheduler.rows[one.ask].tokens
            assert stands == known[: len(stands)], "what the model has read is the text itself"
            assert one.draws == (len(row) == len(known))
        assert self.cells() <= self.scheduler.cells
        assert sum(map(len, self.outside.values())) == self.scheduler.kept.laid_aside
        assert self.scheduler.kept.laid_aside <= self.scheduler.kept.aside

    def go(self, draw: random.Random, *, until: int = 10_000) -> None:
        """Everything is written to its end."""
        for _ in range(until):
            if not self.once(draw):
                return
        raise AssertionError("it never ends")

    def once(self, draw: random.Random) -> bool:
        step = self.scheduler.next_step()
        if step is None:
            return False
        self.do(step)
        self.scheduler.was_read(step)
        for ask in step.draws:
            token = draw.randrange(20)
            if token == END or not self.scheduler.wrote(ask, token):
                if token != END:
                    self.written.setdefault(ask, []).append(token)
                self.scheduler.end(ask)
                self.ended.add(ask)
            else:
                self.written.setdefault(ask, []).append(token)
        return True


def scheduler(**changes: object) -> Scheduler:
    of_memory = {name: changes.pop(name) for name in ("aside", "light", "stretch", "seqs") if name in changes}
    usual: dict[str, object] = {"most_rows": 4, "cells": 400, "batch": 32}
    kept = Keeping(**({"seqs": 16} | of_memory))  # type: ignore[arg-type]  # the names are checked when they are used
    return Scheduler(kept=kept, **(usual | changes))  # type: ignore[arg-type]  # the names are checked when they are used


def text(number: int, length: int) -> tuple[int, ...]:
    return tuple(random.Random(number).randrange(1, 1_000) for _ in range(length))


def steps(made: Scheduler, count: int = 1) -> list[Step]:
    """So many steps, in which everybody writes the same token."""
    done = []
    for _ in range(count):
        step = made.next_step()
        assert step is not None
        made.was_read(step)
        for ask in step.draws:
            made.wrote(ask, 7)
        done.append(step)
    return done


ASKS = st.lists(
    st.tuples(
        st.integers(0, 3),  # whose persona
        st.integers(0, 30),  # how long its part is
        st.integers(1, 90),  # the talk's own tokens
        st.integers(1, 20),  # to be written
        st.integers(0, 2),  # rank
        st.integers(0, 4),  # which talk
        st.integers(0, 6),  # steps until the next one comes
        st.booleans(),  # given up on the way
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(
    asks=ASKS,
    seed=st.integers(0, 999),
    rows=st.integers(1, 5),
    shares=st.booleans(),
    trims=st.booleans(),
    aside=st.sampled_from((0, 40, 120, 1_000)),
    light=st.sampled_from((0, 30, 100)),
)
def test_everybody_is_written_to_the_end_and_the_memory_is_never_outgrown(
    asks: list[tuple[int, int, int, int, int, int, int, bool]],
    seed: int,
    rows: int,
    shares: bool,
    trims: bool,
    aside: int,
    light: int,
) -> None:
    made = scheduler(
        most_rows=rows,
        shares=shares,
        trims=trims,
        cells=260,
        seqs=8 if shares else rows + 3,
        aside=aside if shares and trims else 0,
        light=light,
        stretch=16,
    )
    paper, draw = Paper(made), random.Random(seed)
    given_up = set()
    for number, (persona, shared, own, most, rank, talk, pause, gives_up) in enumerate(asks):
        tokens = (*text(persona, shared), *text(100 + talk, own))
        made.submit(Ask(number, tokens, most, rank=rank, shared=shared, talk=f"t{talk}" if talk else ""))
        for _ in range(pause):
            paper.once(draw)
            assert made.kept.used <= made.cells
        if gives_up and number not in paper.ended:
            assert made.cancel(number)
            given_up.add(number)
    paper.go(draw)
    assert made.idle
    assert paper.ended | given_up == set(range(len(asks)))
    assert paper.cells() <= made.kept.used <= made.cells


def test_a_persona_is_read_once_for_everybody_who_comes_together() -> None:
    made = scheduler(cells=4_000, batch=1_000)
    for number in range(4):
        made.submit(Ask(number, (*text(1, 100), *text(10 + number, 5)), 10, shared=100))
    steps(made, 3)
    assert made.prompt_tokens_read == 100 + 4 * 5


def test_a_persona_stays_known_when_nobody_talks_with_it() -> None:
    made = scheduler(cells=4_000, batch=1_000)
    made.submit(Ask(1, (*text(1, 100), *text(2, 5)), 10, shared=100))
    steps(made, 2)
    made.end(1)
    before = made.prompt_tokens_read
    made.submit(Ask(2, (*text(1, 100), *text(3, 7)), 10, shared=100))
    steps(made)
    assert made.prompt_tokens_read - before == 7


def test_a_talk_goes_on_from_what_was_read_of_it() -> None:
    made = scheduler(cells=4_000, batch=1_000)
    persona, first = text(1, 100), text(2, 20)
    made.submit(Ask(1, (*persona, *first), 10, shared=100, talk="a"))
    steps(made, 4)  # the persona, the words, and two tokens of the answer that were read
    written = tuple(made.rows[1].tokens[120:])
    made.end(1)
    before = made.prompt_tokens_read
    made.submit(Ask(2, (*persona, *first, *written, *text(3, 6)), 10, shared=100, talk="a"))
    steps(made)
    assert made.prompt_tokens_read - before == 6 + 1, "the last token of an answer is drawn and not read"


def test_where_nothing_can_be_cut_a_talk_goes_on_only_from_its_very_end() -> None:
    made = scheduler(cells=4_000, batch=1_000, shares=False, trims=False)
    first = text(2, 20)
    made.submit(Ask(1, first, 10, talk="a"))
    steps(made, 2)
    made.end(1)
    before = made.prompt_tokens_read
    made.submit(Ask(2, (*first[:10], *text(3, 6)), 10, talk="a"))
    step = steps(made)[0]
    assert made.prompt_tokens_read - before == 16
    assert all(one.keep == 0 for one in step.before if isinstance(one, Forget))


def test_a_person_goes_before_prompts_and_castings() -> None:
    made = scheduler(most_rows=2)
    for number, rank in enumerate((2, 1, 1, 0)):
        made.submit(Ask(number, text(number, 5), 10, rank=rank))
    assert [one.ask for one in steps(made)[0].reading] == [3, 1]


def test_forms_never_take_the_last_row() -> None:
    made = scheduler(most_rows=3)
    for number in range(5):
        made.submit(Ask(number, text(number, 5), 10, rank=1))
    steps(made)
    assert len(made.rows) == 2
    made.submit(Ask(9, text(9, 5), 10))
    steps(made)
    assert 9 in made.rows


def test_what_was_not_used_for_longest_is_forgotten_first() -> None:
    made = scheduler(cells=160, most_rows=2, batch=100)
    for number in range(3):
        made.submit(Ask(number, text(number, 40), 5, talk=f"t{number}"))
        steps(made, 2)
        made.end(number)
    made.submit(Ask(7, text(7, 60), 5, talk="t7"))
    steps(made)
    assert [branch.talk for branch in made.kept.branches] == ["t1", "t2"]


def test_what_can_never_fit_is_refused() -> None:
    with pytest.raises(TooLong):
        scheduler(cells=100).submit(Ask(1, text(1, 90), 20))
    with pytest.raises(TooLong):
        scheduler().submit(Ask(1, (), 20))


def test_a_memory_that_is_full_all_the_same_makes_room_and_loses_nobody() -> None:
    made = scheduler(cells=1_000, batch=100)
    made.submit(Ask(0, text(0, 30), 5, talk="idle"))
    steps(made, 2)
    made.end(0)
    for number in (1, 2):
        made.submit(Ask(number, text(number, 30), 30, rank=number))
    [read] = steps(made)
    assert made.refused(read) == (), "what is idle goes first"
    assert not made.kept.branches
    before = list(made.rows[2].tokens)
    assert made.refused(read) == ()
    assert set(made.rows) == {1}, "then the least urgent waits again"
    assert made.refused(read) == (1,), "only who is alone cannot be helped"
    step = steps(made)[0]
    assert step.reading[0].tokens == tuple(before), "with all that it has written"


def test_a_step_reads_for_one_and_writes_for_another() -> None:
    made = scheduler(cells=10_000, batch=500, pace=Pace(writing=0.1, beside=0.01))
    made.submit(Ask(1, text(1, 5), 100))
    steps(made)
    made.submit(Ask(2, text(2, 4_000), 10))
    [step] = steps(made)
    first, second = step.reading
    assert (first.ask, len(first.tokens), first.draws) == (1, 1, True)
    assert (second.ask, len(second.tokens), second.draws) == (2, round((STALL - 1) * 10), False)


@given(
    writing=st.one_of(st.none(), st.floats(1e-5, 1)),
    reading=st.one_of(st.none(), st.floats(0, 0.1)),
    rows=st.integers(0, 16),
    most=st.integers(LEAST, 4_096),
)
def test_reading_never_stops_and_never_takes_all(
    writing: float | None, reading: float | None, rows: int, most: int
) -> None:
    pace = Pace(writing, reading, reading)
    count = pace.chunk(writing=rows, most=most)
    assert 1 <= count <= most
    if rows:
        assert count >= LEAST
    if rows and writing and reading and count >= LEAST + AT_ONCE:
        assert count * reading <= max((STALL - 1) * writing, UNNOTICED) * 1.001


@given(each=st.floats(1e-4, 0.1), writing=st.floats(1e-3, 0.1), rows=st.integers(1, 16))
def test_a_step_in_which_somebody_writes_is_full(each: float, writing: float, rows: int) -> None:
    pace = Pace(writing, each, each)
    assert (rows + pace.chunk(writing=rows, most=4_096)) % AT_ONCE == 0


def test_the_pace_is_learned_from_steps_of_every_kind() -> None:
    pace = Pace()
    for _ in range(50):
        pace.took(0.5, writing=0, reading=100)
        pace.took(0.02, writing=3, reading=0)
        pace.took(0.22, writing=3, reading=20)
    assert pace.reading == pytest.approx(0.005)
    assert pace.beside == pytest.approx(0.01)
    assert pace.writing == pytest.approx(0.02)


@given(st.lists(st.integers(0, 2), max_size=8), st.lists(st.integers(0, 2), max_size=8))
def test_what_two_texts_have_in_common(one: Sequence[int], other: Sequence[int]) -> None:
    count = common(one, other)
    assert list(one[:count]) == list(other[:count])
    assert count in (len(one), len(other)) or one[count] != other[count]


def test_a_persona_whose_reader_cannot_be_helped_is_read_by_the_next() -> None:
    made = scheduler(cells=400, batch=10)
    made.submit(Ask(1, (*text(1, 60), *text(2, 5)), 5, shared=60))
    [read] = steps(made)
    assert made.refused(read) == (1,)
    made.submit(Ask(2, (*text(1, 60), *text(3, 5)), 5, shared=60))
    assert made.next_step() is not None


def test_whoever_waits_for_a_persona_to_be_read_keeps_nobody_else_waiting() -> None:
    made = scheduler(cells=4_000, batch=10)
    made.submit(Ask(1, (*text(1, 600), *text(2, 5)), 5, shared=600))
    steps(made)
    made.submit(Ask(2, (*text(1, 600), *text(3, 5)), 5, shared=600))
    made.submit(Ask(3, text(4, 5), 5))
    steps(made)
    assert set(made.rows) == {1, 3}


@pytest.mark.parametrize("rows", [1, 3])
def test_a_form_steps_aside_for_a_person_and_goes_on_with_what_it_has_written(rows: int) -> None:
    made = scheduler(most_rows=rows, cells=400)
    for number in range(rows):
        made.submit(Ask(number, text(number, 10), 90, rank=2))
    steps(made, 3)
    forms = {number: list(row.tokens) for number, row in made.rows.items()}
    for number in range(10, 10 + rows):
        made.submit(Ask(number, text(number, 10), 110))
    steps(made)
    assert set(range(10, 10 + rows)) <= set(made.rows)
    for number in range(10, 10 + rows):
        made.end(number)
    steps(made)
    assert all(made.rows[number].tokens[: len(told)] == told for number, told in forms.items())


def test_nobodys_talk_is_forgotten_for_what_does_not_fit_anyway() -> None:
    made = scheduler(cells=300, most_rows=3, batch=100)
    for number in range(2):
        made.submit(Ask(number, text(number, 40), 5, talk=f"t{number}"))
        steps(made, 2)
        made.end(number)
    made.submit(Ask(7, text(7, 60), 100))
    steps(made)
    made.submit(Ask(8, text(8, 60), 200, rank=1))
    steps(made)
    assert set(made.rows) == {7}
    assert len(made.kept.branches) == 2


def test_a_talk_goes_on_where_it_stood_although_its_persona_is_read_anew() -> None:
    """With a memory that holds little more than one talk, what it stood on is gone for others, and not for itself."""
    made = scheduler(cells=150, most_rows=2, batch=200)
    persona = text(1, 60)
    made.submit(Ask(1, (*persona, *text(2, 10)), 5, shared=60, talk="a"))
    steps(made, 2)
    written = tuple(made.rows[1].tokens)
    made.end(1)
    made.submit(Ask(2, text(3, 70), 5))
    steps(made)
    made.end(2)
    made.submit(Ask(3, (*written, *text(4, 10)), 40, shared=60, talk="a"))
    assert made.next_step() is not None
    assert 3 in made.rows


def resting(made: Scheduler, count: int, *, shared: int = 0) -> list[tuple[int, ...]]:
    """So many talks that came to their end, each of a hundred tokens of its own and one or two of an answer."""
    told = []
    for number in range(count):
        made.submit(Ask(number, (*text(99, shared), *text(number, 100)), 5, shared=shared, talk=f"t{number}"))
        steps(made, 3)
        told.append(tuple(made.rows[number].tokens))
        made.end(number)
    return told


def test_what_rests_leaves_the_memory_while_somebody_writes_and_comes_back_unread() -> None:
    made = scheduler(cells=4_000, batch=500, aside=2_000, light=100, stretch=40)
    told = resting(made, 4, shared=50)
    already = made.kept.laid_aside
    made.submit(Ask(9, text(9, 60), 50, talk="t9"))
    laid = [one for step in steps(made, 20) for one in step.before if isinstance(one, LayAside)]
    assert made.kept.laid_aside - already == sum(one.stretch.end - one.stretch.start for one in laid)
    assert made.kept.laid_aside >= 200
    assert made.kept.branches[0].seq < 0, "what was used longest ago goes first, and needs no sequence then"
    before = made.prompt_tokens_read
    made.submit(Ask(10, (*told[0], *text(10, 3)), 5, shared=50, talk="t0"))
    back = [one for step in steps(made, 8) for one in step.before if isinstance(one, TakeBack)]
    assert sum(one.stretch.end - one.stretch.start for one in back) >= 100
    assert made.prompt_tokens_read - before <= 3 + 2


def test_nothing_is_laid_aside_where_it_costs_nobody_anything() -> None:
    made = scheduler(cells=4_000, batch=500, aside=2_000, light=1_000)
    resting(made, 4)
    made.submit(Ask(9, text(9, 60), 50))
    steps(made, 20)
    assert made.kept.laid_aside == 0


def test_what_lies_outside_for_longest_is_given_up_when_that_is_full() -> None:
    made = scheduler(cells=4_000, batch=500, aside=250, light=0, stretch=40)
    resting(made, 5)
    made.submit(Ask(9, text(9, 10), 90, talk="t9"))
    steps(made, 40)
    assert 100 < made.kept.laid_aside <= 250
    assert "t0" not in {branch.talk for branch in made.kept.branches}
    assert "t4" in {branch.talk for branch in made.kept.branches}


def test_a_talk_that_does_not_come_back_is_read_from_its_beginning() -> None:
    made = scheduler(cells=4_000, batch=500, aside=2_000, light=0, stretch=400)
    told = resting(made, 2, shared=50)
    made.submit(Ask(9, text(9, 10), 90))
    steps(made, 20)
    made.submit(Ask(10, (*told[0], *text(10, 3)), 5, shared=50, talk="t0"))
    step = made.next_step()
    assert step is not None
    lost = next(one for one in step.before if isinstance(one, TakeBack))
    made.lost(lost.seq)
    again = steps(made, 2)
    assert [one.position for one in again[0].reading if one.ask == 10] == [0]


def test_what_stands_behind_holes_moves_into_them() -> None:
    made = scheduler(cells=4_000, batch=500, aside=2_000, light=100, stretch=40)
    for number in range(4):
        made.submit(Ask(number, text(number, 150), 300, talk=f"t{number}"))
    steps(made)
    while not all(row.writes for row in made.rows.values()):
        steps(made)
    for number in range(3):
        made.end(number)
    moves = [one for step in steps(made, 40) for one in step.before if isinstance(one, Move)]
    assert sum(one.end - one.start for one in moves if one.seq == made.rows[3].seq) >= 150
