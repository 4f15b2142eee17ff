"""`greenroom models` as a person or a script meets it, against a hub on loopback."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from bot.cli import run
from bot.cli.models import DECLINED, offer
from engine.models import Entry, catalogue
from engine.settings import LanguageSettings, Settings
from tests.bot.command_line import ROOT, Ended
from tests.bot.logged import own_log
from tests.servers.hub import Hub, Repo
from tests.servers.hub.models import gguf

SMALL = "llama-3.2-1b"


class Greenroom:
    """The command on one home and one hub; nothing of this machine's own models, tokens and GPU is seen."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.folder, self.hub, self.home = folder, hub, folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GREENROOM_", "HF_"))
        }
        ours = {
            "GREENROOM_HOME": str(self.home),
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(self.folder / "hf"),
        }
        return kept | ours | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "160"}

    def __call__(self, *arguments: str, **more: str) -> Ended:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in "oe")
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err), own_log():
            patch.setattr(sys, "stdin", io.StringIO())
            patch.chdir(self.folder)
            for name in os.environ.keys() - self.environment.keys():
                patch.delenv(name)
            for name, value in (self.environment | more).items():
                patch.setenv(name, value)
            code = run(["models", *arguments])
        return Ended(code, *(one.buffer.getvalue().decode() for one in (out, err)))

    def told(self, *arguments: str, **more: str) -> Any:
        ended = self(*arguments, "--json", **more)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def starts(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "models", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment | more,
        )


def serve(hub: Hub, entry: Entry, size: int = 200_000) -> None:
    """What the catalogue says of it is there, but small."""
    hub.repos[entry.repo] = Repo({name: gguf(size) for name in entry.files})


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        for entry in catalogue().entries:
            if entry.kind == "text":
                serve(hub, entry)
        yield hub


@pytest.fixture
def greenroom(tmp_path: Path, hub: Hub) -> Greenroom:
    return Greenroom(tmp_path, hub)


def one(told: Any, name: str) -> Any:
    return next(row for row in told["models"] if row["id"] == name)


def test_a_pulled_model_is_in_use_and_listed_so_with_the_reason(greenroom: Greenroom) -> None:
    before = greenroom.told("list")
    assert before["in_use"] is None
    assert "There is no language model here" in before["reason"]
    assert not any(row["installed"] for row in before["models"])
    process = greenroom.starts("pull", SMALL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    folder = greenroom.home / "models" / "text" / SMALL
    assert out == f"{SMALL} is in {folder}\n"
    assert err.splitlines()[-1] == f"{SMALL}: 100 % of 0.2 MB"
    after = greenroom.told("list")
    row = one(after, SMALL)
    assert (row["installed"], row["in_use"], row["size"]) == (True, True, 200_000)
    assert after["in_use"] == str(folder / "Llama-3.2-1B-Instruct-Q4_K_M.gguf")
    assert "the first that was found" in after["reason"]


def test_a_file_that_was_put_here_by_hand_is_listed_and_used(greenroom: Greenroom) -> None:
    path = greenroom.folder / "models" / "mine" / "my-own.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(gguf())
    told = greenroom.told("list", "--installed")
    assert [(row["id"], row["in_use"]) for row in told["models"]] == [("my-own", True)]
    named = greenroom.told("list", GREENROOM_LANGUAGE__MODEL="qwen3-4b")
    assert named["in_use"] is None
    assert "`greenroom models pull qwen3-4b` fetches it" in named["reason"]
    off = greenroom.told("list", GREENROOM_LANGUAGE__MODELS="off")
    assert off["in_use"] is None
    assert "is off" in off["reason"]


def test_the_list_for_a_person_marks_what_fits_and_what_is_here(greenroom: Greenroom) -> None:
    assert greenroom("pull", SMALL).returncode == 0
    drawn = greenroom("list", "--kind", "text").stdout
    line = next(line for line in drawn.splitlines() if SMALL in line)
    assert line.lstrip().startswith("●")
    assert "fits " in line
    assert "sdxl" not in drawn
    assert "Llama-3.2-1B-Instruct-Q4_K_M is the first that was found." in drawn


def test_a_pull_that_is_interrupted_says_how_to_go_on_and_goes_on(greenroom: Greenroom, hub: Hub) -> None:
    with hub.holding(after=70_000):
        process = greenroom.starts("pull", SMALL)
        assert hub.sending.wait(60)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"What came so far stays: `greenroom models pull {SMALL}` goes on with it." in err
    begun = greenroom.told("disk")["models"]
    assert [row["size"] for row in begun] == [0]
    assert not one(greenroom.told("list"), SMALL)["installed"]
    assert greenroom("pull", SMALL).returncode == 0
    asked = hub.fetched("Llama-3.2-1B-Instruct-Q4_K_M.gguf")
    assert asked == ["", *([f"bytes={begun[0]['unfinished']}-"] if begun[0]["unfinished"] else [""])]
    assert greenroom.told("verify")[0]["whole"]


def test_a_pull_that_is_killed_leaves_what_came(greenroom: Greenroom, hub: Hub) -> None:
    with hub.holding(after=70_000):
        process = greenroom.starts("pull", SMALL)
        assert hub.sending.wait(60)
        part = greenroom.home / "models" / "text" / SMALL / ".parts"
        while sum(file.stat().st_size for file in part.glob("*")) < 70_000:
            assert process.poll() is None
        process.kill()
        process.communicate(timeout=60)
    assert greenroom("pull", SMALL).returncode == 0
    assert hub.fetched("Llama-3.2-1B-Instruct-Q4_K_M.gguf") == ["", "bytes=70000-"]
    assert greenroom.told("verify")[0]["whole"]


@pytest.mark.parametrize(
    ("trouble", "code", "says"),
    [
        ("no such name", 4, "Did you mean llama-3.2-1b?"),
        ("not a reference", 2, "is not owner/repository"),
        ("no such repository", 4, "There is no nobody/nothing"),
        ("gated", 5, "HF_TOKEN"),
        ("lies", 1, "thrown away"),
        ("too many", 1, "in 600 seconds"),
        ("away", 1, "cannot be reached"),
    ],
)
def test_what_goes_wrong_has_a_sentence_and_an_exit_code(
    greenroom: Greenroom, hub: Hub, trouble: str, code: int, says: str
) -> None:
    name, more = SMALL, {}
    if trouble == "no such name":
        name = "llama-3.2-1bb"
    elif trouble == "not a reference":
        name = "a/b/c"
    elif trouble == "no such repository":
        name = "nobody/nothing:x.gguf"
    elif trouble == "gated":
        hub.repos["bartowski/Llama-3.2-1B-Instruct-GGUF"].gated = True
    elif trouble == "lies":
        hub.tampering = True
    elif trouble == "too many":
        hub.refuse(429, Retry_After="600")
    else:
        more = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    ended = greenroom("pull", name, "--json", **more)
    assert ended.returncode == code
    assert says in json.loads(ended.stderr)["error"]
    assert ended.stdout == ""


def test_what_is_not_in_the_catalogue_can_be_called_what_it_is(greenroom: Greenroom, hub: Hub) -> None:
    hub.repos["owner/lora"] = Repo({"style.safetensors": b"x" * 500})
    told = greenroom.told("pull", "owner/lora:style.safetensors", "--as", "adapter")
    assert told == [{"id": "style", "folder": str(greenroom.home / "models" / "adapter" / "style")}]
    assert one(greenroom.told("list"), "style")["kind"] == "adapter"


def test_verify_ends_with_1_where_a_model_is_broken(greenroom: Greenroom) -> None:
    assert "No model is here" in greenroom("verify").stdout
    assert greenroom("pull", SMALL).returncode == 0
    assert greenroom("verify").stdout == f"✓ text/{SMALL}\n"
    file = greenroom.home / "models" / "text" / SMALL / "Llama-3.2-1B-Instruct-Q4_K_M.gguf"
    file.write_bytes(file.read_bytes()[:-1])
    ended = greenroom("verify", SMALL)
    assert ended.returncode == 1
    assert f"`greenroom models pull {SMALL}` fetches it again" in ended.stdout


def test_disk_and_remove_agree_and_removing_asks_first(greenroom: Greenroom) -> None:
    assert greenroom("pull", SMALL, "qwen2.5-1.5b").returncode == 0
    room = greenroom.told("disk")["models"]
    assert {row["id"] for row in room} == {SMALL, "qwen2.5-1.5b"}
    assert "together" in greenroom("disk").stdout
    assert greenroom("remove", SMALL).returncode == 2
    freed = greenroom.told("remove", SMALL, "--yes")["freed"]
    assert freed == next(row["size"] for row in room if row["id"] == SMALL)
    assert [row["id"] for row in greenroom.told("disk")["models"]] == ["qwen2.5-1.5b"]
    assert greenroom("remove", SMALL, "--yes").returncode == 4


def test_the_list_says_what_the_hub_has_newer_files_of_only_when_asked(
    greenroom: Greenroom, hub: Hub
) -> None:
    assert greenroom("pull", SMALL).returncode == 0
    entry = catalogue().wanted(SMALL)
    hub.repos[entry.repo].files[entry.files[0]] = gguf(200_000, seed=9)
    hub.requests.clear()
    assert one(greenroom.told("list"), SMALL)["update"] == ""
    assert hub.requests == []
    assert one(greenroom.told("list", "--updates"), SMALL)["update"] == hub.repos[entry.repo].revision
    assert "↑" in greenroom("list", "--updates", "--installed").stdout


OFFERING = """
from bot.cli.models import offer
from engine.settings_file import read_settings
settings = read_settings()
settings.home.mkdir(parents=True, exist_ok=True)
offer(settings)
print("and on it goes")
"""


def at_a_terminal(greenroom: Greenroom, *answers: str) -> str:
    """What somebody at a real terminal sees of the offer of a first start, who answers so."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", OFFERING],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=greenroom.folder,
        env=greenroom.environment | {"TERM": "dumb"},
    )
    os.close(theirs)
    seen = b""
    waiting = list(answers)
    try:
        while block := os.read(ours, 4_096):
            seen += block
            if waiting and b"[no]: " in seen:
                os.write(ours, f"{waiting.pop(0)}\n".encode())
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(60) == 0, seen.decode()
    return seen.decode()


def test_the_first_start_offers_what_fits_and_fetches_it(greenroom: Greenroom) -> None:
    seen = at_a_terminal(greenroom, "words")
    assert "These fit this machine:" in seen
    assert "licence" in seen
    assert "and on it goes" in seen
    assert greenroom.told("list")["in_use"] is not None
    assert "These fit" not in at_a_terminal(greenroom)


def test_a_no_is_remembered(greenroom: Greenroom, hub: Hub) -> None:
    assert "not asked again" in at_a_terminal(greenroom, "no")
    assert (greenroom.home / DECLINED).exists()
    assert "These fit" not in at_a_terminal(greenroom)
    assert hub.requests == []


def test_an_offer_that_cannot_be_kept_stops_nothing(greenroom: Greenroom, hub: Hub) -> None:
    hub.refuse(429, Retry_After="600", times=9)
    seen = at_a_terminal(greenroom, "words")
    assert "too many requests" in seen
    assert "and on it goes" in seen


def test_nobody_is_asked_where_nobody_sits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    offer(Settings(home=tmp_path, language=LanguageSettings()))
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
