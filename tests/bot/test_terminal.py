"""A person at a terminal: a real pseudo-terminal, a real process, and a house in this one."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

from bot.house import House, open_house
from bot.terminal import drawing
from bot.terminal.words import safe
from engine.settings import Settings, WebSettings
from engine.store import outbox
from engine.store.tables import turns
from engine.testing import FakeLanguage, FakeRenderer
from tests.surroundings import bare

ROOT = Path(__file__).parents[2]
WORDS = " ".join(f"word{number}" for number in range(30))


class Sitting:
    """Somebody at a terminal in which `greenroom` runs."""

    def __init__(self, home: Path, *arguments: str, rows: int = 40, columns: int = 100) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        ours = {"GREENROOM_HOME": str(home), "GREENROOM_WEB__PORT": "0", "PYTHONPATH": str(ROOT)}
        looks = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=bare() | ours | looks,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = b""
        self._at = 0
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def _read(self) -> None:
        try:
            piece = os.read(self._master, 65_536)
        except OSError:
            piece = b""
        if not piece:
            asyncio.get_running_loop().remove_reader(self._master)
        self.raw += piece
        self._news.set()

    @property
    def seen(self) -> str:
        """All that was ever shown, without colours and movements."""
        return safe(self.raw.decode(errors="replace"))

    async def sees(self, words: str, within: float = 30.0) -> str:
        """Wait until something new is shown that holds these words."""
        try:
            async with asyncio.timeout(within):
                while words not in self.seen[self._at :]:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(f"{words!r} was not shown. What was: {self.seen[self._at :]}")
        before = self.seen[self._at :]
        self._at = len(self.seen)
        return before

    def types(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    async def leaves(self) -> int:
        return await asyncio.wait_for(asyncio.to_thread(self.process.wait), 30)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@asynccontextmanager
async def sitting(home: Path, *arguments: str) -> AsyncIterator[Sitting]:
    person = Sitting(home, *arguments)
    try:
        yield person
    finally:
        person.close()


@asynccontextmanager
async def house(home: Path, model: FakeLanguage | None = None) -> AsyncIterator[House]:
    settings = Settings(home=home, web=WebSettings(port=0))
    model = model or FakeLanguage(WORDS)
    async with open_house(settings, models=[model], renderer=FakeRenderer()) as opened:
        yield opened


async def said_in(opened: House) -> list[str]:
    async with opened.engine.database.read() as tx:
        return [row.text for row in await tx.execute(turns.select().order_by(turns.c.id))]


async def answered(opened: House, text: str) -> bool:
    return text in await said_in(opened) and await nothing_owed(opened)


async def nothing_owed(opened: House) -> bool:
    """All that was said is answered, and the answers are confirmed to have been shown."""
    await opened.desk.quiet()
    async with opened.engine.database.read() as tx:
        return await outbox.owed(tx) == 0


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110 - rows tell nobody that they changed
            await asyncio.sleep(0.02)


async def test_a_reply_streams_is_stopped_by_ctrl_c_and_the_talk_goes_on(tmp_path: Path) -> None:
    model = FakeLanguage(WORDS, pause=0.3)  # slow enough to be stopped on a busy machine too
    async with house(tmp_path, model) as opened, sitting(tmp_path, "chat", "wiebe") as person:
        await person.sees("Wiebe Terpstra")
        await person.sees("›")
        person.types("hello\r")
        await person.sees("word3")
        assert "word29" not in person.seen
        person.types("\x03")
        await until(lambda: nothing_owed(opened))
        said = (await said_in(opened))[-1]
        assert said.startswith("word0 word1")
        assert "word29" not in said

        model.pause = 0.0
        person.types("\x03")
        await person.sees("Ctrl-D leaves.")
        assert "before the first word" not in person.seen
        assert person.process.poll() is None
        person.types("are you there?\r")
        await person.sees("word29")

        await until(lambda: nothing_owed(opened))
        person.types("\x04")
        assert await person.leaves() == 0


async def test_a_piped_talk_leaves_when_told_to_though_no_answer_comes(tmp_path: Path) -> None:
    asked = {"GREENROOM_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    async with house(tmp_path, FakeLanguage(WORDS, pause=60.0)) as opened:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot.cli",
            "chat",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env=os.environ | asked,
        )
        assert process.stdin
        process.stdin.write(b"hello\n")
        process.stdin.close()
        async with asyncio.timeout(30):
            while "hello" not in await said_in(opened):  # noqa: ASYNC110 - rows tell nobody that they changed
                await asyncio.sleep(0.02)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_a_picture_is_followed_and_shown_with_all_that_made_it(tmp_path: Path) -> None:
    async with house(tmp_path), sitting(tmp_path, "chat", "wiebe") as person:
        await person.sees("›")
        person.types("/imagine a red door --style noir --seed 11 --size 128\r")
        await person.sees("a red door")
        shown = await person.sees(".png")
        assert "noir · 128×128 · seed 11" in shown
        assert b"\x1b[38;2;" in person.raw
        assert "▀" in shown
        person.types("/quit\r")
        assert await person.leaves() == 0


async def test_what_is_typed_while_the_house_is_away_is_heard_once(tmp_path: Path) -> None:
    async with sitting_beside_a_house(tmp_path) as person:
        await person.sees("Greenroom has stopped.")
        person.types("are you back?\r")
        await person.sees("are you back?")
        async with house(tmp_path) as opened:
            await until(lambda: answered(opened, "are you back?"))
            assert (await said_in(opened)).count("are you back?") == 1
            person.types("\x04")
            assert await person.leaves() == 0


@asynccontextmanager
async def sitting_beside_a_house(home: Path) -> AsyncIterator[Sitting]:
    """Somebody whose house closes just after they have come in."""
    async with house(home) as opened:
        person = Sitting(home, "chat")
        await person.sees("›")
        person.types("hello\r")
        await until(lambda: answered(opened, "hello"))
    try:
        yield person
    finally:
        person.close()


async def test_up_talks_at_once_and_the_next_visit_resumes(tmp_path: Path) -> None:
    async with sitting(tmp_path, "up") as person:
        await person.sees(
            "Fetch all, only the words, or no"
        )  # asked once, where a model could run and none is
        person.types("no\r")
        shown = await person.sees("›")
        assert "no language model is loaded" in shown
        person.types("hello, I am Tom\r")
        await person.sees("· understudy")
        person.types("\x04")
        assert await person.leaves() == 0
    async with sitting(tmp_path, "chat") as person:
        await person.sees("hello, I am Tom")
        person.process.send_signal(signal.SIGTERM)
        assert await person.leaves() == 0
    assert "Traceback" not in person.seen
    assert (tmp_path / "typed.txt").stat().st_mode & 0o777 == 0o600


async def test_names_are_completed_after_a_slash(tmp_path: Path) -> None:
    async with house(tmp_path), sitting(tmp_path, "chat") as person:
        await person.sees("›")
        person.types("/persona zu")
        await person.sees("zurab-lomtadze")
        person.types("\t\r\r")
        await person.sees("Zurab")
        person.types("\x04")
        assert await person.leaves() == 0


def drawn(text: object, *, colours: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=100, color_system="truecolor" if colours else None, force_terminal=colours
    )
    console.print(text)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_reply_is_plain_text_whatever_is_in_it() -> None:
    said = drawing.reply("[red]Eve\x1b[2J", "#35d0a5", "[bold]no[/bold] \x1b[31mred *waves*", "model", 60)
    assert drawn(said) == "[red]Eve\n  [bold]no[/bold] red *waves*\n\n"
    assert "\x1b[3m*waves*" in drawn(said, colours=True)
    assert "\x1b[31m" not in drawn(said, colours=True)


@pytest.mark.parametrize("width", [20, 60, 200])
def test_lines_fit_and_keep_every_word(width: int) -> None:
    text = "日本語の文章 and a few words more, " * 20 + "\n\nanother paragraph"
    lines = drawing.wrapped(text, width)
    assert max(map(cell_len, lines)) <= min(width, drawing.WIDEST)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert "" in lines


@pytest.mark.parametrize(
    "palette", [[], ["#000000"], ["#000000", "#000000"], ["#fff", "#ffffff"], ["x", "yyyyyyy"]]
)
def test_every_palette_gives_a_colour_that_can_be_read(palette: list[str]) -> None:
    accent = drawing.accent_of(palette)
    assert re.fullmatch(r"#[0-9a-f]{6}", accent)
    light = sum(int(accent[at : at + 2], 16) for at in (1, 3, 5)) / 3
    assert 0x60 < light < 0xC0


@pytest.mark.parametrize(
    ("size", "shape"), [((64, 64), (20, 40)), ((64, 256), (40, 20)), ((256, 64), (5, 40))]
)
def test_a_preview_keeps_the_shape_of_a_picture(size: tuple[int, int], shape: tuple[int, int]) -> None:
    png = io.BytesIO()
    Image.new("RGB", size, "#aa3311").save(png, "PNG")
    small = drawing.preview(png.getvalue(), 100)
    assert small is not None
    lines = small.plain.splitlines()
    assert (len(lines), len(lines[0].strip())) == shape
    assert drawing.preview(png.getvalue(), 12) is None
    assert drawing.preview(b"no picture", 100) is None
