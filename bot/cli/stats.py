"""`greenroom stats`: what came of everything lately, what stood in for what and why, and how long pictures took.

It reads rows, beside a running house or where none runs; what the log says of failing models is read there.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bot.cli import opening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from engine.settings import Settings
    from engine.store.stats import Stats, Uptime

QUIET = "bright_black"
#: Of what failed and stood in, so many reasons are drawn; --json tells all.
MOST_DRAWN = 5
MOST_DAYS = 3_650


@click.command()
@click.option(
    "--since", "span", default="7d", show_default=True, metavar="TIME", help="How far back: 90m, 12h, 7d."
)
@opening.as_json
def stats(span: str, as_json: bool) -> None:
    """Success, fallbacks by cause, time per option, and how long models were there.

    It works beside a running house, and where none runs.
    """
    from engine.clock import SystemClock

    back = _span(span)
    settings = opening.settings_and_log()
    now = SystemClock().now()
    found = opening.run_async(_read(settings, now - back, now))
    words = _words_failed(settings, found.since)
    if as_json:
        opening.put_json(_as_json(found, words))
    else:
        _draw(found, words)


def _span(told: str) -> timedelta:
    """`90m`, `12h` or `7d`."""
    import re
    from datetime import timedelta

    found = re.fullmatch(r"([1-9]\d{0,5})([mhd])", told.strip().lower(), re.ASCII)
    units = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
    span = int(found[1]) * units[found[2]] if found else None
    if span is None or span > MOST_DAYS * units["d"]:
        raise click.UsageError(f"Say how far back as 90m, 12h or 7d, {MOST_DAYS} days at most.")
    return span


async def _read(settings: Settings, start: datetime, now: datetime) -> Stats:
    from functools import partial

    from engine.store import stats as store

    async with opening.store(settings) as database:
        return await database.look(partial(store.since, start=start, now=now))


def _words_failed(settings: Settings, since: datetime) -> list[tuple[str, int]]:
    """Why language models failed, as far as the log goes back; the most frequent first."""
    from collections import Counter

    from bot.logs_read import last_lines
    from engine.home import Home

    counted: Counter[str] = Counter()
    for line in last_lines(Home(settings.home).log, 100_000):
        if line["event"] == "model_failed" and _moment(line["at"], since) >= since:
            counted[f"{line['about'].get('model', '')}: {line['about'].get('cause', '')}"] += 1
    return counted.most_common()


def _moment(told: str, since: datetime) -> datetime:
    from datetime import datetime

    try:
        return datetime.fromisoformat(told)
    except ValueError:
        return since


def _as_json(found: Stats, words: list[tuple[str, int]]) -> dict[str, Any]:
    return {
        **asdict(found),
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "reply_success": found.reply_success,
        "job_success": found.job_success,
        "stood_in": [{"cause": cause, "count": count} for cause, count in found.stood_in],
        "failures": [{"cause": cause, "count": count} for cause, count in found.failures],
        "words_failed": [{"cause": cause, "count": count} for cause, count in words],
    }


def _draw(found: Stats, words: list[tuple[str, int]]) -> None:
    opening.console().print(opening.facts(_rows(found, words)))


def _rows(found: Stats, words: list[tuple[str, int]]) -> Iterator[tuple[str, str, str]]:
    yield "since", found.since.astimezone().strftime("%Y-%m-%d %H:%M"), QUIET
    yield "replies", _parts(found.replies, "by ", found.reply_success, "a model's"), ""
    yield "pictures", _parts(found.jobs, "", found.job_success, "of the jobs were done"), ""
    stand_ins = f", {found.stand_ins} of them stand-ins" if found.stand_ins else ""
    yield "pictures", f"{found.pictures} made{stand_ins}", ""
    yield "models", f"words: {_up(found.words_up)}", ""
    yield "models", f"pictures: {_up(found.pictures_up)}", ""
    yield "posts", _parts(found.posts), ""
    for front, states in found.deliveries.items():
        yield "shown", f"{front}: {_parts(states)}", ""
    for name, causes in (("stood in", found.stood_in), ("failed", found.failures), ("words failed", words)):
        for cause, count in causes[:MOST_DRAWN]:
            yield name, f"{count} × {cause}", "yellow"
    for one in found.options:
        way = f"{one.model} on {one.device}, {one.style}, {one.size}, {one.steps} steps"
        yield "took", f"{one.seconds:.1f} s, {one.slowest:.1f} s at most: {one.pictures} × {way}", QUIET


def _parts(counts: dict[str, int], before: str = "", share: float | None = None, of: str = "") -> str:
    if not counts:
        return "none"
    told = ", ".join(f"{count} {before}{name}" for name, count in counts.items())
    return told if share is None else f"{told}; {share:.1%} {of}"


def _up(up: Uptime | None) -> str:
    if up is None:
        return "no model made anything"
    return f"{up.share:.1%} of the time, {up.outages} {'outage' if up.outages == 1 else 'outages'}"
