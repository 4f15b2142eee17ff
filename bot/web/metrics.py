"""/metrics, for Prometheus: what the house counted since it was opened, and how things stand at this moment.

Each scrape is put together anew from the counts of `engine/gauges.py`, the last sample and a few rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.parts import Parts
from bot.web.pages import Pages
from bot.web.readiness import Provider, providers
from engine.engine import Engine
from engine.gauges import BOUNDS, Gauges
from engine.history import Sample
from engine.locales import ENGLISH, locale_of
from engine.store import outbox

#: What is counted: the name of the count, the metric, what it is, and its labels.
COUNTERS = (
    ("turns", "greenroom_turns", "Messages that were heard, by front.", ("front",)),
    ("replies", "greenroom_replies", "Replies, by who wrote them.", ("source",)),
    (
        "written",
        "greenroom_writings",
        "Whatever was written, by task and by who wrote it.",
        ("task", "source"),
    ),
    ("tokens", "greenroom_tokens", "Pieces of words that models wrote.", ()),
    ("model_failures", "greenroom_model_failures", "Language models that failed.", ("model", "task")),
    ("jobs", "greenroom_jobs", "Picture jobs that ended, by what became of them.", ("state",)),
    ("pictures", "greenroom_pictures", "Pictures, by outcome and by who made them.", ("outcome", "source")),
    ("posts", "greenroom_posts", "Posts, by what became of them.", ("outcome",)),
    (
        "deliveries",
        "greenroom_deliveries",
        "What chats were owed, by front and outcome.",
        ("front", "outcome"),
    ),
)
SPANS = (
    ("first_word", "greenroom_first_word_seconds", "Until the first word stood there.", ("task", "source")),
    ("words", "greenroom_writing_seconds", "Until all of it was written.", ("task", "source")),
    ("job", "greenroom_job_seconds", "Picture jobs, from their start to their end.", ("state",)),
)


@dataclass(frozen=True)
class Moment:
    """How things stand."""

    sample: Sample
    owed: int
    watchers: int
    providers: tuple[Provider, ...]
    parts: Parts


class Scrape(Collector):
    """How the house stood at one moment, as Prometheus reads it."""

    def __init__(self, gauges: Gauges, moment: Moment) -> None:
        self._gauges = gauges
        self._moment = moment

    def collect(self) -> Iterator[Metric]:
        yield from self._counted()
        yield from self._standing()

    def _counted(self) -> Iterator[Metric]:
        for name, called, what, labels in COUNTERS:
            counter = CounterMetricFamily(called, what, labels=labels)
            for values, count in self._gauges.counts.get(name, {} if labels else {(): 0}).items():
                counter.add_metric(values, count)
            yield counter
        for name, called, what, labels in SPANS:
            histogram = HistogramMetricFamily(called, what, labels=labels)
            for values, spans in self._gauges.spans.get(name, {}).items():
                so_far = 0
                buckets: list[tuple[str, float]] = []
                for bound, count in zip((*map(str, BOUNDS), "+Inf"), spans.counts, strict=True):
                    so_far += count
                    buckets.append((bound, so_far))
                histogram.add_metric(values, buckets, spans.total)
            yield histogram

    def _standing(self) -> Iterator[Metric]:
        moment, sample = self._moment, self._moment.sample
        line = GaugeMetricFamily(
            "greenroom_line", "Picture jobs in line and in work.", labels=("lane", "state")
        )
        for lane, counts in sample.told()["lanes"].items():
            for state, count in counts.items():
                line.add_metric((lane, state), count)
        yield line
        up = GaugeMetricFamily("greenroom_provider_up", "Whether a model is there.", labels=("what", "name"))
        for one in moment.providers:
            up.add_metric((one.what, one.name), one.up)
        yield up
        runs = GaugeMetricFamily("greenroom_part_up", "Whether a part of the house runs.", labels=("part",))
        for part in moment.parts.listing:
            runs.add_metric((part.name,), part.runs)
        yield runs
        yield _one("greenroom_outbox", "What chats are owed at this moment.", moment.owed)
        yield _one("greenroom_watchers", "Open pages and programs that watch.", moment.watchers)
        yield _one("greenroom_waiting_for_words", "People who wait for a first word.", sample.busy.waiting)
        system = sample.machine.system
        yield _one("greenroom_process_memory_bytes", "What the house takes.", system.process or 0)
        yield _one("greenroom_memory_bytes", "What the machine has.", system.memory)
        yield _one("greenroom_memory_free_bytes", "What could still be taken.", system.memory_free or 0)
        yield _one("greenroom_disk_free_bytes", "What is free where the home is.", system.disk_free)
        yield _one("greenroom_load", "How many wanted a processor in the last minute.", system.load or 0.0)
        yield from self._gpus()

    def _gpus(self) -> Iterator[Metric]:
        used = GaugeMetricFamily("greenroom_gpu_used_bytes", "Memory of a card in use.", labels=("gpu",))
        total = GaugeMetricFamily("greenroom_gpu_bytes", "Memory of a card.", labels=("gpu",))
        busy = GaugeMetricFamily("greenroom_gpu_busy_percent", "How busy a card is.", labels=("gpu",))
        heat = GaugeMetricFamily("greenroom_gpu_celsius", "How hot a card is.", labels=("gpu",))
        for number, gpu in enumerate(self._moment.sample.machine.gpus):
            named = (f"{number} {gpu.name}",)
            used.add_metric(named, gpu.used)
            total.add_metric(named, gpu.total)
            if gpu.busy is not None:
                busy.add_metric(named, gpu.busy)
            if gpu.temperature is not None:
                heat.add_metric(named, gpu.temperature)
        yield from (used, total, busy, heat)


def _one(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def open_routes(engine: Engine, pages: Pages, parts: Parts) -> APIRouter:
    """`doors.py` says who may come: programs of this machine, and keys that may read."""
    router = APIRouter(tags=["health"])

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        there = engine.history.samples
        moment = Moment(
            sample=there[-1] if there else await engine.history.take(),
            owed=await engine.database.look(_owed),
            watchers=pages.watchers.count,
            providers=tuple(await providers(engine, locale_of(ENGLISH))),
            parts=parts,
        )
        registry = CollectorRegistry()
        registry.register(Scrape(engine.gauges, moment))
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


async def _owed(tx: AsyncConnection) -> int:
    return await outbox.owed(tx)
