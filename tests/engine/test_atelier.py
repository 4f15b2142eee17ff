"""The atelier: the same answers as here, from a process that may be killed at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import psutil
import pytest
from PIL import Image

from engine.errors import Stopped
from engine.pictures import PictureWanted, Preview
from engine.pictures.apart import Apart
from engine.pictures.atelier import LARGE, Atelier
from engine.pictures.placeholder import Placeholder
from personas.appearance import Scene
from personas.persona import Persona

WANTED = PictureWanted(Scene(Persona(slug="ada", name="Ada"), "a lamp"), "a lamp", "", 7, 320, 320)


@pytest.fixture
def atelier() -> Iterator[Atelier]:
    atelier = Atelier()
    yield atelier
    atelier.close()


def shrunk(image: Image.Image, side: int) -> tuple[Image.Image, int]:
    return image.resize((side, side)), os.getpid()


def fails(words: str) -> None:
    raise ValueError(words)


def fails_oddly() -> None:
    class Odd(Exception):
        """Of a kind that cannot leave its process."""

    raise Odd("odd indeed")


def unheard(_step: int, _steps: int, _preview: Preview | None = None) -> None: ...


async def test_what_is_large_is_done_elsewhere_and_what_is_small_is_not_worth_the_way(
    atelier: Atelier,
) -> None:
    image = Image.effect_noise((300, 300), 60)
    small, here = await atelier.do(shrunk, LARGE - 1, image, 10)
    assert (here, atelier.pid) == (os.getpid(), None)
    large, there = await atelier.do(shrunk, LARGE, image, 10)
    assert there == atelier.pid != os.getpid()
    assert large.tobytes() == small.tobytes()


async def test_what_goes_wrong_there_is_raised_here(atelier: Atelier) -> None:
    with pytest.raises(ValueError, match="no such paper"):
        await atelier.do(fails, LARGE, "no such paper")
    with pytest.raises(RuntimeError, match="odd indeed"):
        await atelier.do(fails_oddly, LARGE)
    assert (await atelier.do(shrunk, LARGE, Image.new("L", (8, 8)), 4))[1] == atelier.pid, "and it goes on"


async def test_several_at_once_each_get_their_own(atelier: Atelier) -> None:
    images = [Image.new("L", (64, 64), shade) for shade in range(0, 200, 20)]
    made = await asyncio.gather(*[atelier.do(shrunk, LARGE, image, 8) for image in images])
    assert [image.getpixel((4, 4)) for image, _pid in made] == list(range(0, 200, 20))


def test_a_child_that_is_killed_while_it_draws_is_missed_by_nobody(atelier: Atelier) -> None:
    [expected] = Placeholder().render([WANTED], unheard)
    killed: list[int] = []

    def kill_at_the_second_step(step: int, _steps: int, _preview: Preview | None = None) -> None:
        if step == 2 and not killed:
            assert atelier.pid
            killed.append(atelier.pid)
            os.kill(atelier.pid, signal.SIGKILL)
            psutil.Process(atelier.pid).wait(30)

    renderer = Apart(atelier)
    [made] = renderer.render([WANTED], kill_at_the_second_step)
    assert killed
    assert made.image.tobytes() == expected.image.tobytes()
    [again] = renderer.render([WANTED], unheard)
    assert again.image.tobytes() == expected.image.tobytes()
    assert atelier.pid not in (None, *killed), "the next one is drawn by a new child"


def test_a_child_that_was_killed_between_two_pictures_is_missed_by_nobody(atelier: Atelier) -> None:
    renderer = Apart(atelier)
    [first] = renderer.render([WANTED], unheard)
    assert atelier.pid
    os.kill(atelier.pid, signal.SIGKILL)
    [second] = renderer.render([WANTED], unheard)
    assert first.image.tobytes() == second.image.tobytes()


def test_whatever_a_step_raises_ends_the_picture_and_comes_through(atelier: Atelier) -> None:
    renderer = Apart(atelier)
    for error in (Stopped("enough"), RuntimeError("the loop is closed"), KeyboardInterrupt()):

        def ends(
            _step: int, _steps: int, _preview: Preview | None = None, error: BaseException = error
        ) -> None:
            raise error

        with pytest.raises(type(error)):
            renderer.render([WANTED], ends)
        assert len(renderer.render([WANTED], unheard)) == 1


async def test_the_child_ends_with_the_atelier_and_what_comes_later_is_done_here() -> None:
    atelier = Atelier()
    _, there = await atelier.do(shrunk, LARGE, Image.new("L", (8, 8)), 4)
    await asyncio.to_thread(atelier.close)
    atelier.close()
    assert not psutil.pid_exists(there)
    assert (await atelier.do(shrunk, LARGE, Image.new("L", (8, 8)), 4))[1] == os.getpid()
    assert len(Apart(atelier).render([WANTED], unheard)) == 1
    assert atelier.pid is None
