"""Owning a home while others look, while a killed owner's note lies there, and on a disk in trouble."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import HomeInUse, StoreError
from engine.home import Home

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_an_owner_that_has_not_said_where_it_listens_cannot_be_reached_and_owns(home: Home) -> None:
    with home.own():
        assert home.owner() is None
        with pytest.raises(HomeInUse, match="already running") as refused, Home(home.path).own():
            pass
    assert refused.value.address == ""


def test_the_note_of_a_killed_owner_is_not_believed_while_the_next_one_opens(home: Home) -> None:
    owning = (
        "import os, sys, pathlib; from engine.home import Home\n"
        "home = Home(pathlib.Path(sys.argv[1]))\n"
        "with home.own():\n"
        "    home.announce('http://127.0.0.1:5')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", owning, str(home.path)], cwd=ROOT, check=False)
    assert (home.path / "owner.json").exists()
    with home.own():
        assert home.owner() is None


def test_a_new_announcement_takes_the_place_of_the_last(home: Home) -> None:
    with home.own():
        first, second = home.announce("http://127.0.0.1:5"), home.announce("http://127.0.0.1:6")
        assert home.owner() == second
    assert first.secret != second.secret


def test_many_who_look_do_not_keep_an_owner_out(home: Home) -> None:
    home.prepare()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.001):
            Home(home.path).owner()

    with ThreadPoolExecutor(3) as lookers:
        for _ in range(3):
            lookers.submit(look)
        try:
            for _ in range(20):
                with home.own():
                    pass
        finally:
            done.set()


def test_a_note_that_cannot_be_written_is_told(home: Home) -> None:
    with home.own():
        (home.path / "owner.new").mkdir()
        with pytest.raises(StoreError, match=r"owner\.json"):
            home.announce("http://127.0.0.1:5")
        (home.path / "owner.new").rmdir()
