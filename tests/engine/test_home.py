from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import HomeInUse, StoreError
from engine.home import Home, home_folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


#: Owns the home it is given, says so, and waits to be killed.
OWNER = """
import sys, time
from pathlib import Path
from engine.home import Home
home = Home(Path(sys.argv[1]))
with home.own():
    home.announce("http://127.0.0.1:1")
    print("owned", flush=True)
    time.sleep(60)
"""


def owner_of(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(home)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "owned\n"
    return process


def test_a_home_has_one_owner_and_a_second_is_told_where_the_first_is(tmp_path: Path) -> None:
    with owner_of(tmp_path) as process:
        try:
            with pytest.raises(HomeInUse) as caught, Home(tmp_path).own():
                pass
            assert caught.value.pid == process.pid
            assert "http://127.0.0.1:1" in str(caught.value)
            found = Home(tmp_path).owner()
            assert found is not None
            assert found.pid == process.pid
        finally:
            process.kill()


def test_what_a_killed_owner_left_behind_is_not_believed(tmp_path: Path) -> None:
    with owner_of(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / "owner.json").exists()
    assert Home(tmp_path).owner() is None
    with Home(tmp_path).own():
        pass


def test_only_the_user_who_started_it_reads_the_secret(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with home.own():
        address = home.announce("http://127.0.0.1:2")
        note = tmp_path / "home" / "owner.json"
        assert note.stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
        assert json.loads(note.read_text())["secret"] == address.secret
        assert len(address.secret) >= 32
    assert not note.exists()


@pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": "x"}', "null", "\x00"])
def test_a_damaged_note_is_no_owner_that_can_be_reached(tmp_path: Path, note: str) -> None:
    home = Home(tmp_path)
    with home.own():
        (tmp_path / "owner.json").write_text(note)
        assert Home(tmp_path).owner() is None


def test_a_home_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="GREENROOM_HOME"):
        Home(tmp_path / "file" / "home").prepare()


def test_the_home_is_where_the_variable_says_else_in_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENROOM_HOME", "~/somewhere")
    assert home_folder() == Path("~/somewhere").expanduser()
    monkeypatch.delenv("GREENROOM_HOME")
    assert home_folder() == Path(__file__).parents[2] / "data" / "home"


def test_an_owner_that_has_not_said_where_it_listens_cannot_be_reached_and_owns(home: Home) -> None:
    with home.own():
        assert home.owner() is None
        with pytest.raises(HomeInUse, match="already running") as refused, Home(home.path).own():
            pass
    assert refused.value.address == ""


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
