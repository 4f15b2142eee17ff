"""How lists are drawn: what somebody types is never cut, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich import box
from rich.console import Console
from rich.table import Table

from bot.cli.listing import draw, shared

#: Names of columns, and how much stands in them.
Widths = Sequence[tuple[str, int]]


def drawn(columns: Widths, *, width: int, whole: Sequence[str]) -> str:
    out = Console(file=StringIO(), width=width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, _ in columns:
        table.add_column(name, no_wrap=True)
    table.add_row(*(name[0] * (wide - 1) + "!" for name, wide in columns))
    draw(out, table, whole=whole)
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 81, 100, 200])
def test_what_is_typed_stays_whole_though_nothing_breaks_and_it_stands_at_the_right(width: int) -> None:
    columns = [("slug", 24), ("name", 20), ("work", 40), ("asked", 11)]
    told = drawn(columns, width=width, whole=("slug", "asked"))
    assert "s" * 23 + "!" in told
    assert "a" * 10 + "!" in told
    assert max(map(len, told.splitlines())) <= width


def test_the_widest_is_cut_first() -> None:
    assert shared(60, [24, 20, 40], [24, 10, 10]) == [24, 18, 18]
    assert shared(60, [10, 20, 12], [10, 10, 10]) == [10, 20, 12], "what fits is not cut"


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=9), st.integers(0, 200)
)
def test_nothing_is_cut_below_what_is_to_be_seen(pairs: list[tuple[int, int]], more: int) -> None:
    widest, fewest = [max(pair) for pair in pairs], [min(pair) for pair in pairs]
    room = sum(fewest) + more
    widths = shared(room, widest, fewest)
    assert sum(widths) == min(room, sum(widest))
    assert all(least <= width <= most for least, width, most in zip(fewest, widths, widest, strict=True))
