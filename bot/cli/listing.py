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


def draw(out: Console, table: Table, *, whole: Sequence[str], least: int = LEAST) -> None:
    """Draw a list. The columns called `whole` are never cut: somebody types what stands there. Of the others
    `least` is seen.
    """
    from rich.table import Table

    columns = table.columns
    widths = [_least(out, column, whole, least) for column in columns]
    if sum(widths) + BETWEEN * (len(columns) - 1) + 2 <= out.width:
        for column, width in zip(columns, widths, strict=True):
            column.min_width = width
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


def _least(out: Console, column: Column, whole: Sequence[str], least: int) -> int:
    widest = max(out.measure(cell).maximum for cell in (column.header, *column.cells))
    return widest if column.header in whole else min(least, widest)


def _says_something(cell: RenderableType) -> bool:
    return bool(str(cell).strip())
