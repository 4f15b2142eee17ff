"""A pull as a person sees it: a bar on a terminal, lines in a pipe, and what Ctrl-C leaves."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from bot.cli import opening
from bot.cli.ending import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from engine.models import Entry, Progress
    from engine.settings import Settings


def fetch(settings: Settings, entries: Sequence[Entry], token: str, *, quiet: bool) -> list[Path]:
    from engine.models import pull

    async def work(told: Callable[[Progress], None]) -> list[Path]:
        return [await pull(entry, settings.home, told, token=token) for entry in entries]

    try:
        with _shown(quiet=quiet) as told:
            folders = opening.run_async(work(told))
    except KeyboardInterrupt:
        names = " ".join(entry.reference for entry in entries)
        raise Interrupted(
            f"Stopped. What came so far stays: `greenroom models pull {names}` goes on with it."
        ) from None
    if not quiet:
        for entry, folder in zip(entries, folders, strict=True):
            click.echo(f"{entry.id} is in {folder}")
    return folders


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr where somebody looks at it, else a line at each tenth."""
    if quiet:
        yield lambda _progress: None
    elif opening.console(err=True).is_terminal:
        with _bar() as told:
            yield told
    else:
        yield _Lines().told


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    from bot.terminal.drawing import fitting
    from bot.terminal.words import safe_line

    columns = (
        TextColumn("{task.description}"),
        BarColumn(
            bar_width=24, complete_style="#8fbf9f", finished_style="#8fbf9f", pulse_style="bright_black"
        ),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=opening.console(err=True), transient=True) as bars:
        tasks: dict[str, Any] = {}
        said: set[str] = set()

        def told(progress: Progress) -> None:
            name = fitting(safe_line(progress.id), 28)
            if progress.id not in tasks:
                tasks[progress.id] = bars.add_task(name, total=None)
            bars.update(tasks[progress.id], completed=progress.done, total=progress.total or None)
            if progress.note and progress.note not in said:
                said.add(progress.note)
                bars.console.print(safe_line(progress.note), style="yellow", soft_wrap=True)

        yield told


class _Lines:
    """What a pipe is told: each tenth once, and why nothing comes."""

    def __init__(self) -> None:
        self._tenth: dict[str, int] = {}
        self._note = ""

    def told(self, progress: Progress) -> None:
        from bot.terminal.words import safe_line

        if progress.note and progress.note != self._note:
            click.echo(f"{progress.id}: {safe_line(progress.note)}", err=True)
        self._note = progress.note
        tenth = 10 * progress.done // progress.total if progress.total and progress.file else -1
        if tenth > self._tenth.get(progress.id, -1):
            self._tenth[progress.id] = tenth
            click.echo(f"{progress.id}: {tenth * 10} % of {size_shown(progress.total)}", err=True)


def size_shown(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
