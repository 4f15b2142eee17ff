"""How a list is drawn: as a table where it fits, and one piece below the other on a terminal that is too narrow.

What a row is about it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Column, Table

QUIET = "bright_black"
#: What stands between two columns.
BETWEEN = 3
#: Of a column that may be cut, so much is seen, or else it says nothing.
LEAST = 10


def draw(out: Console, table: Table, *, whole: Sequence[str]) -> None:
    """Draw a list. The columns called `whole` are never cut: somebody types what stands there. Of the others
    enough is seen to say something.
    """
    from rich.table import Table

    columns = table.columns
    widest = [_widest(out, column) for column in columns]
    fewest = [
        wide if column.header in whole else min(LEAST, wide)
        for column, wide in zip(columns, widest, strict=True)
    ]
    room = out.width - BETWEEN * (len(columns) - 1) - 2
    if sum(fewest) <= room:
        # Left to itself, a table that does not fit cuts what is at its right.
        for column, width in zip(columns, shared(room, widest, fewest), strict=True):
            column.width = width
        out.print(table)
        return
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style=QUIET, justify="right", no_wrap=True)
    rows.add_column(overflow="fold")
    for number, row in enumerate(zip(*(column.cells for column in columns), strict=True)):
        if number:
            rows.add_row("", "")
        for column, cell in zip(columns, row, strict=True):
            if _says_something(cell):
                rows.add_row(column.header, cell)
    out.print(rows)


def shared(room: int, widest: Sequence[int], fewest: Sequence[int]) -> list[int]:
    """How wide each column is, where all of `fewest` fit: the widest that may be cut is cut first."""
    widths = list(widest)
    for _ in range(sum(widest) - room):
        may_be_cut = [at for at, width in enumerate(widths) if width > fewest[at]]
        widths[max(may_be_cut, key=widths.__getitem__)] -= 1
    return widths


def _widest(out: Console, column: Column) -> int:
    return max(out.measure(cell).maximum for cell in (column.header, *column.cells))


def _says_something(cell: RenderableType) -> bool:
    return bool(str(cell).strip())
