"""The command `greenroom` on a home of its own, in this process or as one of its own."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.cli import run
from engine.store import chats, personas
from engine.store.database import Database
from engine.store.records import ChatRef
from tests.bot.logged import own_log
from tests.surroundings import bare

ROOT = Path(__file__).parents[2]
#: Two places, and what they are called.
DEN, HALL = ChatRef("telegram", "bot", "-100815"), ChatRef("discord", "bot", "4711", "9")


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def environment(home: Path, **more: str) -> dict[str, str]:
    ours = {"GREENROOM_HOME": str(home), "GREENROOM_WEB__PORT": "0", "PYTHONPATH": str(ROOT)}
    return bare() | ours | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100"} | more


class Greenroom:
    """The command, on one home: in this process, where a start of its own would show nothing more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"

    def __call__(self, *arguments: str, said: str = "", **more: str) -> Ended:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in "oe")
        stdin = io.TextIOWrapper(io.BytesIO(said.encode()), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err), own_log():
            patch.setattr(sys, "stdin", stdin)
            patch.chdir(self.folder)
            for name in os.environ.keys() - environment(self.home):
                patch.delenv(name)
            for name, value in environment(self.home, **more).items():
                patch.setenv(name, value)
            code = run(list(arguments))
        return Ended(code, *(one.buffer.getvalue().decode() for one in (out, err)))

    def process(self, *arguments: str, said: str = "") -> Ended:
        """The same as a process."""
        ended = subprocess.run(
            [sys.executable, "-m", "bot.cli", *arguments],
            input=said,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=self.folder,
            env=environment(self.home),
            timeout=60,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def told(self, *arguments: str, said: str = "") -> Any:
        """What `--json` says; it must have worked."""
        ended = self(*arguments, "--json", said=said)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def starts(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bot.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=environment(self.home),
        )


def until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    said = ""
    while words not in said:
        line = process.stdout.readline()
        assert line, f"it ended without saying {words!r}: {said}"
        said += line
    return said


def changed(greenroom: Greenroom, work: Callable[[AsyncConnection], Any]) -> Any:
    """What comes of a change to its rows, made beside it."""

    async def change() -> Any:
        database = await Database.open(f"sqlite:///{greenroom.home / 'greenroom.db'}")
        try:
            return await database.change(work)
        finally:
            await database.close()

    return asyncio.run(change())


def with_two_places(greenroom: Greenroom) -> None:
    """A cast is in its home, and somebody of it in each of two places."""
    assert greenroom("personas", "list").returncode == 0

    async def places(tx: AsyncConnection) -> None:
        who = (await personas.listing(tx))[0]
        for ref in (DEN, HALL):
            await chats.add_place(tx, ref, persona_id=who.id, now=datetime.now(UTC), shared=True)

    changed(greenroom, places)
