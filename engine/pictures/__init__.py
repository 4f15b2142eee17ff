"""The seams of picture making: what a Renderer is asked for and gives back, and how a Queue keeps its word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from personas.appearance import Scene
from personas.persona import Rating

if TYPE_CHECKING:
    from PIL.Image import Image
    from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True)
class Lora:
    """Weights on top of a model's own, by the name of their file, and how strongly they count."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class PictureWanted:
    """All that makes one picture. The same wanted, the same picture."""

    scene: Scene
    prompt: str
    negative: str
    seed: int
    width: int = 1024
    height: int = 1024
    style: str = "photorealistic"
    steps: int = 20
    guidance: float = 7.5
    rating: Rating = Rating.ALL_AGES
    #: By name; empty: what suits the model.
    scheduler: str = ""
    #: Made at the size that the model knows best, and then gone over once more at the size that is wanted.
    hires: bool = False
    #: Another picture to begin from, and how far from it to go: 0 keeps it, 1 forgets it.
    start: Image | None = field(default=None, compare=False)
    strength: float = 0.6
    loras: tuple[Lora, ...] = ()


@dataclass(frozen=True)
class Rendered:
    """A finished picture, and how it was made (model, device, batch size, …)."""

    image: Image
    model: str
    device: str
    #: True for a placeholder: nobody may take it for the real thing.
    stand_in: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    #: The picture as a plain PNG, where whoever made it encoded it too; else empty.
    png: bytes = b""


#: Makes a small picture of how it stands. Whoever is given one may call it then and there, once, or not at all.
Preview = Callable[[], "Image"]


@dataclass(frozen=True)
class Looks:
    """A `Preview` of several pictures that are made together: of each its own, by its place among those that are
    wanted. Called, it shows the first of them.
    """

    each: Mapping[int, Preview]

    def __call__(self) -> Image:
        return self.each[min(self.each)]()


class Progress(Protocol):
    """Told after each step: which of how many, and how to have a look at it. It may raise `Stopped` to end the
    rendering. A look costs only whoever takes it, and changes nothing of the picture. Who makes several pictures
    gives `Looks`: any other preview is taken for one of the first of them.
    """

    def __call__(self, step: int, steps: int, preview: Preview | None = None, /) -> None: ...


class Renderer(Protocol):
    """Makes pictures. Synchronous: it runs on the picture thread, and nowhere else."""

    @property
    def name(self) -> str: ...

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]: ...

    def company(self, wanted: Sequence[PictureWanted]) -> list[int]:
        """Which of these go through in one pass with the first, by their places and in their order; at least the
        first itself. Nothing is rendered yet.
        """

    def warm(self) -> bool:
        """Something that makes later pictures quicker, for a time in which nobody waits. It may take a minute; False
        when there is nothing more to do.
        """

    def close(self) -> None: ...


#: A job is handed out this often. TryAgain and vanished workers count, an orderly give-back does not.
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Claim:
    """One job in the hands of a worker. `stopped` is asked between steps."""

    job_id: int
    attempt: int
    stopped: Callable[[], bool]

    @property
    def last(self) -> bool:
        """Another TryAgain would take the job out of the line: the handler ends it now, in one way or another."""
        return self.attempt >= MAX_ATTEMPTS

    @property
    def spent(self) -> bool:
        """Its workers vanished every time. Do not work on it again: say how it ended."""
        return self.attempt > MAX_ATTEMPTS


Handler = Callable[[Claim], Awaitable[None]]


class Queue(Protocol):
    """Who works on what, and when. The `jobs` rows say what was asked and what became of it."""

    async def submit(self, tx: AsyncConnection, job_id: int, rank: int) -> None:
        """Put a job in line, as part of the caller's transaction: rolled back with it, durable with it.

        Submitted again, it stands in line once, with its new rank and all its attempts.
        """

    def nudge(self) -> None:
        """Tell consumers that something was committed. It saves a moment; nothing depends on it."""

    async def cancel(self, job_id: int) -> bool:
        """Take a waiting job out of the line, or ask its worker to stop; False if it is in neither place."""

    async def position(self, job_id: int) -> int | None:
        """How many jobs stand before this one; None when it does not wait."""

    async def consume(self, handler: Handler, concurrency: int = 1) -> None:
        """Hand out jobs, lowest rank first, until cancelled; then give back what was not finished.

        A handler that raises `TryAgain` gets its job again after a pause, unless it was asked to stop or
        this was its last attempt; a job whose worker vanished is handed out again. Any other end takes the
        job out of the line.
        """
