"""Models come from a hub on loopback: whole and as promised, or not at all, whatever the hub does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from engine.errors import BadRequest, NotFound, Refused, SettingsError, TryAgain
from engine.models import Entry, Kind, Progress, disk, find_text, installed, newer, pull, remove, verify
from engine.models.hub import Hub as Line
from engine.models.hub import PullFailed
from engine.models.keeping import NOTE, PARTS
from engine.models.promised import HubFile
from tests.servers.hub import Hub, Repo
from tests.servers.hub.models import gguf
from tests.servers.hub.tiny import tiny_hub

SIZE = 300_000
TINY = Entry("tiny", Kind.TEXT, "Tiny", "owner/tiny", ("tiny.gguf",), size=SIZE, licence="MIT")
DATA = gguf(SIZE)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with tiny_hub(monkeypatch, tmp_path, SIZE) as hub:
        hub.repos["owner/tiny"] = Repo({"tiny.gguf": DATA, "README.md": b"Tiny."})
        yield hub


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


async def fetch(
    home: Path, wanted: Entry | str = TINY, *, token: str = "", told: list[Progress] | None = None
) -> Path:
    """A pull that does not wait between two tries."""
    progress = told.append if told is not None else None
    return await pull(wanted, home, progress, token=token, pause=0)


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def inside(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def left_over(folder: Path) -> list[Path]:
    return sorted((folder / PARTS).glob("*"))


async def test_a_model_lands_in_its_folder_with_a_note_and_is_found_there(hub: Hub, home: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    told: list[Progress] = []
    folder = await fetch(home, told=told)
    assert folder == home / "models" / "text" / "tiny"
    assert (folder / "tiny.gguf").read_bytes() == DATA
    note = json.loads((folder / NOTE).read_text())
    assert datetime.fromisoformat(note.pop("pulled_at")) >= before
    assert note == {
        "id": "tiny",
        "kind": "text",
        "repo": "owner/tiny",
        "revision": hub.repos["owner/tiny"].revision,
        "licence": "MIT",
        "files": [{"name": "tiny.gguf", "size": SIZE, "sha256": hashlib.sha256(DATA).hexdigest()}],
    }
    assert [model.name for model in find_text(home, home)] == ["tiny"]
    assert not (folder / PARTS).exists()
    assert (told[-1].done, told[-1].total) == (SIZE, SIZE)
    assert [one.done for one in told] == sorted(one.done for one in told)


async def test_what_is_here_whole_is_not_fetched_again_and_what_rotted_is(hub: Hub, home: Path) -> None:
    folder = await fetch(home)
    await fetch(home)
    assert len(hub.fetched("tiny.gguf")) == 1
    (folder / "tiny.gguf").write_bytes(DATA[:-1] + b"?")
    (check,) = verify(home)
    assert "fingerprint is another" in check.problems[0]
    await fetch(home)
    assert (folder / "tiny.gguf").read_bytes() == DATA
    assert verify(home)[0].problems == ()


async def test_a_line_that_is_cut_is_gone_on_with_where_it_ended(hub: Hub, home: Path) -> None:
    hub.cuts.extend([1_000, 2_000, 0, 3_000])
    told: list[Progress] = []
    folder = await fetch(home, told=told)
    assert (folder / "tiny.gguf").read_bytes() == DATA
    assert hub.fetched("tiny.gguf") == ["", "bytes=1000-", "bytes=3000-", "bytes=3000-", "bytes=6000-"]
    assert any("was cut in the middle of tiny.gguf" in one.note for one in told)


async def test_a_line_that_is_cut_for_good_leaves_a_part_for_the_next_pull(hub: Hub, home: Path) -> None:
    hub.cuts.extend([1_000] + [0] * 5)
    with pytest.raises(TryAgain, match=r"was cut in the middle of tiny\.gguf.*it goes on where it ended"):
        await fetch(home)
    folder = home / "models" / "text" / "tiny"
    assert not (folder / "tiny.gguf").exists()
    assert [part.read_bytes() for part in left_over(folder)] == [DATA[:1_000]]
    assert [(room.size, room.unfinished) for room in disk(home)] == [(0, 1_000)]
    assert "goes on" in verify(home)[0].problems[0]
    hub.cuts.clear()
    await fetch(home)
    assert hub.fetched("tiny.gguf")[-1] == "bytes=1000-"
    assert (folder / "tiny.gguf").read_bytes() == DATA


async def test_who_interrupts_leaves_a_part_at_once(hub: Hub, home: Path) -> None:
    with hub.holding(after=5_000):
        pulling = asyncio.create_task(fetch(home))
        await asyncio.to_thread(hub.sending.wait)
        (part,) = await asyncio.to_thread(_when_written, home / "models" / "text" / "tiny", 5_000)
        pulling.cancel()
        # The hub still holds its answer back: nothing of it is waited for.
        with pytest.raises(asyncio.CancelledError):
            await pulling
    assert part.read_bytes() == DATA[:5_000]
    await fetch(home)
    assert hub.fetched("tiny.gguf") == ["", "bytes=5000-"]
    assert (home / "models" / "text" / "tiny" / "tiny.gguf").read_bytes() == DATA


def _when_written(folder: Path, size: int) -> list[Path]:
    while not (parts := left_over(folder)) or parts[0].stat().st_size < size:
        time.sleep(0.01)
    return parts


async def test_a_store_that_cannot_go_on_begins_anew(hub: Hub, home: Path) -> None:
    hub.cuts.append(10_000)
    hub.forgetful = True
    folder = await fetch(home)
    assert (folder / "tiny.gguf").read_bytes() == DATA


async def test_a_part_that_is_something_else_is_found_out_and_thrown_away(hub: Hub, home: Path) -> None:
    hub.cuts.extend([1_000] + [0] * 5)
    with pytest.raises(TryAgain):
        await fetch(home)
    folder = home / "models" / "text" / "tiny"
    left_over(folder)[0].write_bytes(b"?" * 1_000)
    hub.cuts.clear()
    with pytest.raises(PullFailed, match="another fingerprint"):
        await fetch(home)
    assert left_over(folder) == []
    await fetch(home)
    assert (folder / "tiny.gguf").read_bytes() == DATA


async def test_a_part_that_is_too_long_is_begun_anew(hub: Hub, home: Path) -> None:
    part = home / "part"
    put(part, b"?" * (SIZE + 1))
    file = HubFile("tiny.gguf", SIZE, hashlib.sha256(DATA).hexdigest())
    async with Line(pause=0) as line:
        await line.fetch(
            "owner/tiny", hub.repos["owner/tiny"].revision, file, part, lambda _done, _note: None
        )
    assert part.read_bytes() == DATA


@pytest.mark.parametrize("lie", ["promise", "bytes", "small file", "length"])
async def test_what_is_not_as_promised_never_gets_its_name(hub: Hub, home: Path, lie: str) -> None:
    repo = hub.repos["owner/tiny"]
    wanted = TINY
    if lie == "promise":
        repo.said_sha256["tiny.gguf"] = "0" * 64
    elif lie == "length":
        repo.said_size["tiny.gguf"] = SIZE - 10
    else:
        hub.tampering = True
        wanted = TINY if lie == "bytes" else replace(TINY, files=("README.md",))
    with pytest.raises(PullFailed, match="thrown away"):
        await fetch(home, wanted)
    folder = home / "models" / "text" / "tiny"
    assert [path.name for path in folder.iterdir() if path.name != PARTS] == []
    assert all(part.stat().st_size == 0 for part in left_over(folder))


async def test_a_known_fingerprint_goes_before_the_hubs_word(hub: Hub, home: Path) -> None:
    with pytest.raises(PullFailed, match="no longer the file that the catalogue knows"):
        await fetch(home, replace(TINY, sha256={"tiny.gguf": "0" * 64}))
    assert hub.fetched("tiny.gguf") == []


async def test_a_hub_that_is_not_there_is_said_to_be_so_with_what_to_try(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(TryAgain, match=r"cannot be reached.*HTTPS_PROXY.*HF_ENDPOINT.*by hand"):
            await fetch(home)
    for wrong in ("not an address", "http://[", "http://127.0.0.1:port"):
        monkeypatch.setenv("HF_ENDPOINT", wrong)
        with pytest.raises(SettingsError, match="HF_ENDPOINT"):
            await fetch(home)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    with pytest.raises(PullFailed, match="HF_HUB_OFFLINE"):
        await fetch(home)
    assert hub.requests == []


async def test_what_does_not_exist_is_not_there(hub: Hub, home: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no owner/nothing .*HF_TOKEN"):
        await fetch(home, "owner/nothing:x.gguf")
    with pytest.raises(NotFound, match=r"owner/tiny has no other\.gguf\. It has: tiny\.gguf\."):
        await fetch(home, "owner/tiny:other.gguf")
    hub.refuse(404)
    with pytest.raises(NotFound):
        await fetch(home)
    assert not (home / "models" / "text").exists()


async def test_a_licence_that_was_not_accepted_is_named_with_its_page(hub: Hub, home: Path) -> None:
    hub.repos["owner/tiny"].gated = True
    with pytest.raises(Refused, match=rf"accepted its licence.*{hub.url}/owner/tiny.*HF_TOKEN"):
        await fetch(home)
    hub.tokens.add("hf_right")
    await fetch(home, token="hf_right")
    hub.refuse(403)
    with pytest.raises(Refused, match="an account that did not"):
        await fetch(home, token="hf_right")


async def test_a_token_comes_from_the_environment_or_a_login_and_never_leaves_the_hub(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub.repos["owner/tiny"].private = True
    with pytest.raises(NotFound):
        await fetch(home)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(Refused, match="does not accept the token") as refused:
        await fetch(home)
    assert "hf_wrong" not in str(refused.value)
    monkeypatch.delenv("HF_TOKEN")
    hub.tokens.add("hf_login")
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_login\n")
    hub.requests.clear()
    await fetch(home)
    assert {one.authorization for one in hub.requests if one.at == "hub"} == {"Bearer hf_login"}
    assert {one.authorization for one in hub.requests if one.at == "store"} == {""}


async def test_a_hub_that_is_asked_too_often_gets_the_pause_it_wants(hub: Hub, home: Path) -> None:
    hub.refuse(429, Retry_After="0", times=2)
    hub.refuse(429, at="store", RateLimit='"resolvers";r=0;t=0')
    hub.refuse(503, at="store")
    told: list[Progress] = []
    await fetch(home, told=told)
    assert verify(home)[0].problems == ()
    assert {note.partition("has")[0] for one in told if (note := one.note)} == {f"{hub.url} "}
    hub.refuse(429, Retry_After="3600")
    with pytest.raises(TryAgain, match=r"too many requests.*HF_TOKEN.*in 3600 seconds") as wait:
        await fetch(home)
    assert wait.value.after_s == 3600
    hub.refuse(500, times=5)
    with pytest.raises(TryAgain, match="trouble of its own"):
        await fetch(home)


@pytest.mark.parametrize(
    "answer", [b"<html>Welcome to our hotel</html>", b"[]", b'{"sha": "main", "siblings": []}']
)
async def test_whoever_answers_and_is_no_hub_is_not_believed(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    async def any_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(answer) + answer
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(any_answer, "127.0.0.1", 0) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(PullFailed, match="does not answer as a model hub does"):
            await fetch(home)


async def test_a_model_for_which_there_is_no_room_is_not_begun(hub: Hub, home: Path) -> None:
    hub.repos["owner/tiny"].said_size["tiny.gguf"] = 10**16
    with pytest.raises(PullFailed, match=r"too little room: 10,000,000 GB are to come.*GREENROOM_HOME"):
        await fetch(home)
    assert hub.fetched("tiny.gguf") == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
async def test_a_disk_that_fills_up_meanwhile_is_said_to_be_full(hub: Hub, home: Path) -> None:
    link(home / "part", Path("/dev/full"))
    file = HubFile("tiny.gguf", SIZE, hashlib.sha256(DATA).hexdigest())
    async with Line(pause=0) as line:
        with pytest.raises(
            PullFailed, match=r"disk is full.*`greenroom models disk`.*goes on where it ended"
        ):
            await line.fetch(
                "owner/tiny", hub.repos["owner/tiny"].revision, file, home / "part", lambda _d, _n: None
            )


async def test_two_pulls_of_one_model_do_not_meet(hub: Hub, home: Path) -> None:
    locks = home / "models" / ".locks"
    locks.mkdir(parents=True)
    with FileLock(locks / "text-tiny.lock"), pytest.raises(Refused, match="being pulled already"):
        await fetch(home)
    await fetch(home)


async def test_many_files_keep_their_folders_and_patterns_stay_in_theirs(hub: Hub, home: Path) -> None:
    rng = random.Random(1)
    files = {
        name: rng.randbytes(500)
        for name in ("unet/a.fp16.safetensors", "unet/deep/b.fp16.safetensors", "x.onnx")
    }
    hub.repos["owner/picture"] = Repo(files | {"unet/config.json": b"{}", "empty.txt": b""})
    entry = Entry(
        "p", Kind.PICTURE, "P", "owner/picture", ("unet/*.fp16.safetensors", "unet/config.json", "*.txt")
    )
    folder = await fetch(home, entry)
    assert inside(folder) == ["empty.txt", NOTE, "unet/a.fp16.safetensors", "unet/config.json"]
    assert verify(home)[0].problems == ()


async def test_of_a_repository_alone_the_usual_file_is_taken_with_all_its_parts(hub: Hub, home: Path) -> None:
    big = {f"Q4/big-q4_k_m-0000{number}-of-00002.gguf": gguf(2_000, seed=number) for number in (1, 2)}
    hub.repos["owner/Big-GGUF"] = Repo(big | {"big-q8_0.gguf": gguf(3_000), "mmproj-q4_k_m.gguf": gguf()})
    folder = await fetch(home, "owner/Big-GGUF")
    assert folder.name == "big-gguf"
    (found,) = find_text(home, home)
    assert (found.name, found.size) == ("big-q4_k_m", 4_000)
    hub.repos["owner/odd"] = Repo({"a.gguf": gguf(), "b.gguf": gguf(seed=1)})
    with pytest.raises(BadRequest, match=r"Which file of owner/odd\?.*It has: a\.gguf, b\.gguf\."):
        await fetch(home, "owner/odd")


async def test_names_that_lead_out_of_the_folder_are_not_taken(hub: Hub, home: Path) -> None:
    hub.repos["owner/evil"] = Repo({"../../evil.json": b"{}", "/evil.json": b"{}", "good.json": b"{}"})
    folder = await fetch(home, Entry("e", Kind.PICTURE, "E", "owner/evil", ("*.json",)))
    assert sorted(path.name for path in folder.iterdir()) == ["good.json", NOTE]
    with pytest.raises(NotFound):
        await fetch(home, Entry("e", Kind.PICTURE, "E", "owner/evil", ("../../*.json",)))
    assert not any("evil" in name for name in inside(home.parent))


async def test_two_models_of_one_name_do_not_overwrite_each_other(hub: Hub, home: Path) -> None:
    hub.repos["other/tiny"] = Repo({"tiny.gguf": gguf(seed=7)})
    await fetch(home)
    with pytest.raises(Refused, match=r"there already, from owner/tiny.*greenroom models remove text/tiny"):
        await fetch(home, "other/tiny:tiny.gguf")


async def test_newer_files_are_an_update_and_a_new_page_about_them_is_none(hub: Hub, home: Path) -> None:
    repo = hub.repos["owner/tiny"]
    folder = await fetch(home)
    assert await newer(home) == []
    repo.files["README.md"] = b"Tiny, and well described."
    assert await newer(home) == []
    repo.files["tiny.gguf"] = gguf(SIZE, seed=2)
    (one,) = await newer(home)
    assert (one.kept.id, one.revision) == ("tiny", repo.revision)
    await fetch(home)
    assert (folder / "tiny.gguf").read_bytes() == gguf(SIZE, seed=2)
    assert await newer(home) == []
    del hub.repos["owner/tiny"]
    (gone,) = await newer(home)
    assert "There is no owner/tiny" in gone.problem


async def test_an_update_takes_away_what_it_no_longer_has(hub: Hub, home: Path) -> None:
    hub.repos["owner/p"] = Repo({"a.json": b"{}", "old.json": b"{}"})
    entry = Entry("p", Kind.PICTURE, "P", "owner/p", ("*.json",))
    folder = await fetch(home, entry)
    del hub.repos["owner/p"].files["old.json"]
    await fetch(home, entry)
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", NOTE]


async def test_verify_names_what_is_missing_cut_or_was_never_pulled(hub: Hub, home: Path) -> None:
    await fetch(home)
    await fetch(home, replace(TINY, id="cut"))
    await fetch(home, replace(TINY, id="gone"))
    (home / "models" / "text" / "cut" / "tiny.gguf").write_bytes(DATA[:10])
    (home / "models" / "text" / "gone" / "tiny.gguf").unlink()
    put(home / "models" / "text" / "by-hand" / "mine.gguf", DATA)
    told = {check.kept.folder.name: " ".join(check.problems) for check in verify(home)}
    assert told["tiny"] == ""
    assert "has 10 bytes instead of 300,000" in told["cut"]
    assert "tiny.gguf is missing. `greenroom models pull owner/tiny:tiny.gguf`" in told["gone"]
    assert "not pulled by Greenroom" in told["by-hand"]
    assert [check.kept.id for check in verify(home, ["TINY"])] == ["tiny"]


async def test_remove_frees_what_it_says_and_follows_no_link(hub: Hub, home: Path, tmp_path: Path) -> None:
    await fetch(home)
    room = remove(home, "Tiny")
    assert room.size > SIZE
    assert installed(home) == []
    mine = tmp_path / "mine"
    put(mine / "mine.gguf", DATA)
    link(home / "models" / "text" / "linked", mine)
    remove(home, "text/linked")
    assert (mine / "mine.gguf").exists()
    for name in ("nothing", "..", "text", "", "../.."):
        with pytest.raises(NotFound):
            remove(home, name)
    assert (home / "models" / "text").is_dir()


async def test_a_note_that_cannot_be_read_is_as_none(hub: Hub, home: Path) -> None:
    folder = await fetch(home)
    for words in (
        "",
        "[]",
        '{"files": [{"name": "../../x", "size": 1, "sha256": ""}], "id": "a", "kind": "text"}',
    ):
        (folder / NOTE).write_text(words)
        assert [kept.noted for kept in installed(home)] == [False]
    await fetch(home)
    assert verify(home)[0].problems == ()
    assert hub.fetched("tiny.gguf") == [""]
