"""A model in a child process: a crash of the native library ends the child, and not the house.

The parent's half is `Child`, which is `Works` like the batcher itself; the child's half is `main`, which runs a
batcher and speaks in lines of JSON. Neither knows what is written.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from engine.language.batcher import Batcher, GoOn, Limits, Tell, Works
from engine.language.llama import Llama, Options
from engine.language.requests import Broken, News, Ready, Request, Told

#: A child that was told to end has so many seconds.
GRACE = 5.0
_KINDS: dict[str, Callable[..., Told]] = {"News": News, "Ready": Ready, "Broken": Broken}


@dataclass(frozen=True)
class Plan:
    """Everything that is needed to run a model, here or in a child."""

    path: Path
    options: Options
    limits: Limits

    def works(self, *, isolated: bool) -> Works:
        if isolated:
            return Child(self)
        return Batcher(self.open, self.limits)

    def open(self, go_on: GoOn | None = None) -> Llama:
        return Llama.open(self.path, self.options, progress=go_on)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"path": str(self.path)}

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Plan:
        return cls(Path(told["path"]), Options(**told["options"]), Limits(**told["limits"]))


class Child:
    """`Works` in a process of its own."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process: subprocess.Popen[str] | None = None
        self._tell: Tell = lambda _told: None
        self._threads: list[threading.Thread] = []
        self._orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._closing = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, tell: Tell) -> None:
        self._tell = tell
        self._process = subprocess.Popen(
            [sys.executable, "-m", "engine.language.isolated"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            text=True,
            encoding="utf-8",
            # Ctrl-C is for the house, which ends its child when the last reply is said.
            start_new_session=True,
        )
        self._orders.put(self._plan.as_json())
        self._threads = [
            threading.Thread(target=work, args=(self._process,), name="language-child", daemon=True)
            for work in (self._speak, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, number: int, request: Request) -> None:
        self._orders.put({"number": number, "request": request.as_json()})

    def cancel(self, number: int) -> None:
        self._orders.put({"cancel": number})

    def close(self) -> None:
        self._closing = True
        process = self._process
        if process is None:
            return
        self._orders.put(None)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for thread in self._threads:
            thread.join()

    def _speak(self, process: subprocess.Popen[str]) -> None:
        """On a thread: a pipe that is full waits for whoever reads it. A child that is gone hears nothing."""
        if process.stdin is None:
            return
        with suppress(OSError, ValueError):
            while (what := self._orders.get()) is not None:
                process.stdin.write(json.dumps(what) + "\n")
                process.stdin.flush()
        with suppress(OSError):
            process.stdin.close()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            return
        for line in process.stdout:
            with suppress(ValueError, KeyError, TypeError):
                told = [_KINDS[kind](**fields) for kind, fields in json.loads(line)]
                if any(isinstance(one, Broken) for one in told):
                    self._closing = True  # it has said why; nothing more comes of it
                    self._orders.put(None)
                self._tell(told)
        process.stdout.close()
        code = process.wait()
        self._orders.put(None)
        if not self._closing:
            reason = f"the process that runs the model ended ({_ending(code)})"
            self._tell([Broken(reason, crashed=True)])


def _ending(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def main(orders: IO[str], news: IO[str]) -> None:
    """The child: the first line says which model, the others what to write. It ends with its orders."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    plan = Plan.of_json(json.loads(orders.readline()))
    speaking = threading.Lock()

    def tell(told: Sequence[Told]) -> None:
        line = json.dumps([(type(one).__name__, asdict(one)) for one in told])
        with speaking, suppress(OSError, ValueError):
            news.write(line + "\n")
            news.flush()

    works = plan.works(isolated=False)
    works.start(tell)
    for line in orders:
        what = json.loads(line)
        if "cancel" in what:
            works.cancel(what["cancel"])
        else:
            works.submit(what["number"], Request.of_json(what["request"]))
    works.close()


if __name__ == "__main__":
    # What the native library prints must not come between our lines.
    mine = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    main(sys.stdin, mine)
