"""The atelier: a process of its own where Pillow works, because it keeps Python's lock while it does.

A card drawn, a PNG encoded or a grid composed in the house holds up everybody whom the house answers meanwhile, for
longer the busier the machine is. The parent's half is `Atelier`; the child's half is `main`, which does one thing at
a time. They speak in turns over a pipe, one pickle each. A child that ends is missed by nobody: what it was to do is
done here. It knows nothing of what is drawn.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar, cast

import structlog

from engine.stepping_back import step_back

log = structlog.get_logger(__name__)

#: Pixels, or bytes of a file, from which on a thing is worth the way there.
LARGE = 256 * 256
#: A child that was told to end has so many seconds.
GRACE = 2.0

Given = ParamSpec("Given")
Made = TypeVar("Made")


class Missed(Exception):
    """The child is gone; what it was to do was not done."""


@dataclass(frozen=True)
class Talk:
    """One end of the pipes. Both ends are ours: what people wrote is text inside of what we wrote."""

    out: IO[bytes]
    into: IO[bytes]

    def say(self, what: Any) -> None:
        pickle.dump(what, self.out, pickle.HIGHEST_PROTOCOL)
        self.out.flush()

    def heard(self) -> Any:
        return pickle.load(self.into)  # noqa: S301 - from our own process, through a pipe of ours


@dataclass(frozen=True)
class Raised:
    """Instead of an answer: the work ended with this."""

    error: Exception


class Atelier:
    """Where pictures are drawn, encoded and put beside each other, one at a time."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        #: The picture thread comes by itself, everybody else by way of this one.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="atelier")
        self._busy = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The child's, while there is one: it comes with the first thing that is large."""
        return self._child.pid if self._child else None

    async def do(
        self, work: Callable[Given, Made], size: int, *args: Given.args, **more: Given.kwargs
    ) -> Made:
        """What the function answers. It is one of a module, and what it takes and gives can be pickled."""
        if size < LARGE or self._closed:
            return await asyncio.to_thread(work, *args, **more)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._done, work, args, more)

    @contextmanager
    def visit(self) -> Iterator[Talk]:
        """The child to oneself, to be told of work with `Talk.say` and to be heard. A thread waits for its turn."""
        with self._busy:
            if self._closed:
                raise Missed("the atelier is closed")
            try:
                self._child = child = self._child or _begun()
                yield Talk(_pipe(child.stdin), _pipe(child.stdout))
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                self._part()
                log.warning("atelier_lost", cause=repr(error))
                raise Missed(repr(error)) from error

    def close(self) -> None:
        """Waits for what is being done there; what comes later is done here."""
        self._closed = True
        self._thread.shutdown()
        with self._busy:
            self._part()

    def _done(self, work: Callable[..., Made], args: tuple[Any, ...], more: dict[str, Any]) -> Made:
        try:
            with self.visit() as talk:
                talk.say((work, args, more))
                made = talk.heard()
        except Missed:
            return work(*args, **more)
        if isinstance(made, Raised):
            raise made.error
        return cast("Made", made)

    def _part(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with suppress(OSError):
            _pipe(child.stdin).close()
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        _pipe(child.stdout).close()


def _begun() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "engine.pictures.atelier"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
        # Ctrl-C is for the house, which ends its child when the last picture is drawn.
        start_new_session=True,
    )


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise BrokenPipeError("a child without pipes")
    return pipe


def main(talk: Talk) -> None:
    """The child: does what it is handed until nothing more comes. Work that wants to talk takes a `Talk` named so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    step_back()
    with suppress(EOFError, BrokenPipeError):
        while True:
            work, args, more = talk.heard()
            talk.say(_answered(work, args, {**more, "talk": talk} if "talk" in more else more))


def _answered(work: Callable[..., Any], args: tuple[Any, ...], more: dict[str, Any]) -> Any:
    try:
        return work(*args, **more)
    except (EOFError, BrokenPipeError):
        raise  # nobody is there any more
    except Exception as error:
        with suppress(Exception):
            pickle.loads(pickle.dumps(error))  # noqa: S301 - to see whether it survives the way
            return Raised(error)
        return Raised(RuntimeError(repr(error)))


if __name__ == "__main__":
    # Ourselves by our own name, for pickles; and what anything prints must not come between them.
    from engine.pictures import atelier

    mine = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    atelier.main(atelier.Talk(mine, sys.stdin.buffer))
