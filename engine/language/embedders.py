"""Which models of this house turn texts into vectors: one of its own, found on disk, and one of another server.

Whoever asks names one of them. Nothing is loaded before.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from engine import models
from engine.broker import Broker, Share
from engine.clock import Clock
from engine.errors import NotFound
from engine.language.batcher import GoOn
from engine.language.embedding import Own
from engine.language.embeddings import Embedder
from engine.language.scribe import State
from engine.language.shelf import LOOK_AGAIN
from engine.language.vectors import Asked, Vectors
from engine.locales import say
from engine.models.measures import choose_measure, find_measures, goes_by
from engine.settings import Settings


class Embedders:
    def __init__(
        self,
        settings: Settings,
        *,
        here: Path | None = None,
        broker: Broker | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._broker = broker if settings.language.gpu_layers else None
        self._here = here or Path.cwd()
        self._clock = clock
        self._known: tuple[models.Choice, float] | None = None
        self._looking = asyncio.Lock()
        self._own: dict[Path, Own] = {}
        self._server: Embedder | None = None

    async def choice(self) -> models.Choice:
        """The model of our own, and why it is that one or none."""
        if self._off:
            return models.Choice(None, say("embeddings.off"))
        async with self._looking:
            if self._known is None or time.monotonic() - self._known[1] > LOOK_AGAIN:
                self._known = await asyncio.to_thread(self._look), time.monotonic()
            return self._known[0]

    async def names(self) -> list[str]:
        """What they go by."""
        found = (await self.choice()).found
        return [*([found.name] if found else []), *([self._elsewhere] if self._elsewhere else [])]

    async def named(self, name: str) -> Embedder:
        """The one that somebody asks for. Another one is never given instead: its vectors mean something else."""
        choice = await self.choice()
        if choice.found is not None and (
            goes_by(choice.found, name) or name == self._settings.language.embeddings
        ):
            return self._opened(choice.found)
        if self._elsewhere and name.strip().casefold() == self._elsewhere.casefold():
            return self._opened_elsewhere()
        if names := await self.names():
            raise NotFound(say("embeddings.others", name=name[:80], names=", ".join(names)))
        raise NotFound(choice.reason)

    def told(self) -> list[tuple[str, State, str]]:
        """Our own that were asked for: their names, how they are, and why."""
        return [(one.name, one.state, one.reason) for one in self._own.values()]

    async def close(self) -> None:
        opened: Sequence[Embedder] = [*self._own.values(), *([self._server] if self._server else [])]
        await asyncio.gather(*(one.close() for one in opened), return_exceptions=True)

    @property
    def _off(self) -> bool:
        return self._settings.language.models == "off"

    @property
    def _elsewhere(self) -> str:
        server = self._settings.server
        return server.embeddings.strip() if server.address and not self._off else ""

    def _look(self) -> models.Choice:
        named = self._settings.language.embeddings
        return choose_measure(find_measures(self._settings.home, self._here, named), named)

    def _opened(self, found: models.Found) -> Own:
        known = self._own.get(found.path)
        if known is None:
            share = self._share(found.name, found.path)
            asked = asked_for(self._settings)

            def open_model(go_on: GoOn) -> Vectors:
                open_it = partial(Vectors.open, found.path, asked, progress=go_on)
                # The weights, and what a batch takes, which is rarely more.
                return open_it() if share is None else share.opened(2 * found.size, open_it)

            gone = share.let_go if share is not None else lambda: None
            known = self._own[found.path] = Own(found.name, open_model, gone=gone)
        return known

    def _share(self, name: str, path: Path) -> Share | None:
        """A model's share of the GPU, if it is to run there."""
        if self._broker is None:
            return None
        holder = f"embeddings: {name}"
        self._broker.takes_part(
            holder, let_go=lambda: self._own[path].rest(), busy=lambda: self._own[path].busy
        )
        return self._broker.share(holder)

    def _opened_elsewhere(self) -> Embedder:
        if self._server is None:
            # Only who has such a server needs a client for it.
            from engine.language.embeddings_elsewhere import Elsewhere

            self._server = Elsewhere(self._settings.server, self._clock)
        return self._server


def asked_for(settings: Settings) -> Asked:
    """How a model is run by these settings."""
    language = settings.language
    return Asked(
        threads=language.threads or max(1, (os.cpu_count() or 2) // 2),
        gpu_layers=language.gpu_layers,
        longest=language.context,
        ram=models.ram_bytes(),
    )
