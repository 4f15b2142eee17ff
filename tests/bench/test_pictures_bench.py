"""The bench of pictures: what it counts, and that each of its parts runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import torch

from engine.language import count_words
from engine.pictures.sdxl.weighted import fragments, plain
from tests.bench import pictures
from tests.bench.harness import RESULTS, Figure
from tests.bench.pictures_encoding import MANY, text
from tests.bench.pictures_house import p95, prompt
from tests.bench.pictures_killed import Begun, inversions
from tests.bench.pictures_promises import Kept, share_in_time

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def begun(rank: int, in_line: float, begins: float, *, again: bool = False) -> Begun:
    return Begun((rank, rank), at(in_line), at(begins), again)


def test_who_waited_together_and_began_in_the_order_of_their_tags_is_no_inversion() -> None:
    assert inversions([begun(2, 0, 11), begun(1, 0, 10), begun(3, 0, 12)]) == 0


def test_who_was_overtaken_while_both_waited_is_an_inversion_for_each_who_overtook() -> None:
    assert inversions([begun(1, 0, 20), begun(2, 0, 10), begun(3, 0, 11)]) == 2


def test_nobody_overtakes_who_was_not_in_line_yet_or_was_put_back_into_it() -> None:
    assert inversions([begun(1, 30, 40), begun(2, 0, 10)]) == 0
    assert inversions([begun(1, 0, 40, again=True), begun(2, 0, 10)]) == 0
    assert inversions([begun(1, 0, 40), begun(2, 0, 10, again=True)]) == 0


def test_nineteen_of_twenty_do_not_pass_the_p95() -> None:
    assert p95([float(one) for one in range(1, 21)]) == 19
    assert p95([3.0]) == 3


def test_a_promise_is_kept_to_the_last_moment_of_it() -> None:
    kept = [Kept(1, 2, 2), Kept(1, 2, 1), Kept(1, 2, 2.1), Kept(1, 2, 9)]
    assert share_in_time(kept) == 0.5


@pytest.mark.parametrize("weights", [0, 4, 20])
def test_both_ways_of_writing_weights_say_the_same(weights: int) -> None:
    both = text("a", weights)
    read = fragments(both.ours)
    assert sum(one.weight != 1 for one in read) == weights
    assert count_words(plain(read)) == MANY
    assert both.compels.count("(") == weights
    assert ":" not in both.compels


def test_a_prompt_has_as_many_words_as_were_wanted() -> None:
    assert count_words(prompt("a", 179)) == 179


# Each part, as small as it gets. What is measured here says nothing: other tests run beside it.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures of what is run, told to nobody."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before, told, taken = torch.get_num_threads(), RESULTS.read_bytes(), pictures._taken
    figures: list[Figure] = []

    def taking(*told: Any) -> object:
        found, notes = taken(*told)
        figures.extend(found)
        return found, notes

    monkeypatch.setattr(pictures, "_taken", taking)
    yield figures
    torch.set_num_threads(before)
    for handler in logging.getLogger().handlers:
        handler.close()  # the log of what was run, which is deleted by now
    assert RESULTS.read_bytes() == told


def run(part: str, *more: str) -> None:
    pictures.main(["--quick", "--no-report", "--only", part, *more])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", ["queue", "beside", "eta"])
def test_a_part_that_measures_time_runs(small: list[Figure], part: str) -> None:
    run(part, "--eta-jobs", "6")
    assert len(small) == 2
    assert all(one.value is not None and one.value >= 0 for one in small)


@pytest.mark.timeout(600)
def test_our_embeddings_are_those_of_compels_own_parser(small: list[Figure]) -> None:
    run("encoding")
    assert small[0].value
    assert small[1].value == 0


@pytest.mark.timeout(600)
def test_the_last_word_is_seen_to_change_the_picture(small: list[Figure]) -> None:
    run("last-word")
    assert small[0].value


@pytest.mark.timeout(600)
def test_all_jobs_survive_the_kills(small: list[Figure]) -> None:
    run("thousand", "--jobs", "30", "--kills", "2")
    assert [one.value for one in small] == [30, 0, 0, 0, 2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device, and it would be measured")
def test_figures_of_a_gpu_are_open_where_there_is_none(small: list[Figure]) -> None:
    run("cuda")
    assert {(one.value, one.open) for one in small} == {(None, "no CUDA machine here")}
