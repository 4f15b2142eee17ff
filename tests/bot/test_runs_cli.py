"""`greenroom backfill`, `imagine --all`, `runs` and `replay` as a person or a script meets them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.cli.batches import money, span
from bot.cli.following import until_ended
from bot.client import Client
from bot.house import open_house
from engine.errors import BadRequest, NotFound
from engine.settings import Settings
from engine.testing import FakeRenderer
from tests.bot.command_line import ROOT, Greenroom, environment, until

SMALL = ("--size", "64")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Greenroom:
    """A home in which everybody has a picture, and two of them one in noir."""
    greenroom = Greenroom(tmp_path_factory.mktemp("made"))
    assert greenroom("backfill", *SMALL, "--run-key", "first", "--notes", "for the wall").returncode == 0
    noir = ("imagine", "on a pier", "--persona", "glenys", "--persona", "zurab", "--style", "noir", *SMALL)
    for _ in range(2):
        assert greenroom(*noir, "--run-key", "noir").returncode == 0
    return greenroom


def many(greenroom: Greenroom) -> int:
    return len(greenroom.told("personas", "list"))


def test_a_backfill_counts_makes_what_is_missing_and_then_nothing(greenroom: Greenroom) -> None:
    cast = many(greenroom)
    dry = greenroom("backfill", "--dry-run", *SMALL)
    assert dry.returncode == 0
    assert f"Personas: {cast}, 0 with a picture, {cast} without." in dry.stdout
    assert "not known: no picture was made on this machine yet" in dry.stdout
    assert "glenys-prosser" in dry.stdout
    assert greenroom("jobs", "list").stdout.startswith("No job yet"), "a dry run asks for nothing"

    first = greenroom("backfill", *SMALL)
    assert first.returncode == 0, first.stderr
    assert "is done: all" in first.stdout
    assert f"{cast}  made" in first.stdout
    assert "stand-ins" in first.stderr

    again = greenroom("backfill", *SMALL)
    assert again.returncode == 0
    assert f"{cast} with a picture, 0 without." in again.stdout
    assert "nothing to be made: nobody lacks a picture" in again.stdout

    planned = greenroom.told("backfill", "--dry-run", "--force", "--limit", "3", *SMALL)
    assert (planned["total"], planned["cost"], len(planned["members"])) == (3, 0, 3)
    assert planned["expected"]["likely"] > 0


def test_runs_are_listed_shown_and_compared(made: Greenroom) -> None:
    listed = made.told("runs", "list")
    assert [(run["name"], run["current"]) for run in listed] == [
        ("noir@2", True),
        ("noir@1", False),
        ("first@1", True),
    ]
    assert [run["name"] for run in made.told("runs", "list", "--key", "noir")] == ["noir@2", "noir@1"]
    assert "noir@2 *" in made("runs", "list").stdout

    shown = made.told("runs", "show", "noir@1")
    assert (shown["cohort"], shown["style"], shown["prompt"]) == (
        "glenys-prosser, zurab-lomtadze",
        "noir",
        "picture.v1",
    )
    assert [line["slug"] for line in shown["lines"]] == ["glenys-prosser", "zurab-lomtadze"]
    drawn = made("runs", "show", "first").stdout
    assert "for the wall" in drawn
    assert "Glenys" in drawn

    both = made.told("runs", "compare", "noir@1", "first")
    sides = {each["slug"]: (each["one"], each["other"]) for each in both["personas"]}
    assert sides["glenys-prosser"][0]["style"] == "noir"
    assert sides["wiebe-terpstra"][0] is None
    assert sum(share["pictures"] for share, _ in sides.values() if share) == both["one"]["pictures"] == 2
    assert "noir@1" in made("runs", "compare", "noir@1", "first").stdout

    unknown = made("runs", "show", "winter")
    assert unknown.returncode == 4
    assert "There is no run winter" in unknown.stderr


def test_what_two_runs_are_told_to_cost_is_what_their_pictures_did(greenroom: Greenroom) -> None:
    """To the cent, and what stands in a column adds up to what stands below it."""
    cast = ("--persona", "glenys", "--persona", "zurab", "--persona", "wiebe")
    for key in ("one", "other"):
        assert greenroom("imagine", "on a pier", *cast, "--run-key", key, *SMALL).returncode == 0
    with closing(sqlite3.connect(greenroom.home / "greenroom.db")) as rows, rows:
        ids = [row[0] for row in rows.execute("SELECT id FROM pictures ORDER BY id")]
        for number, cost in zip(ids, (1.334, 1.333, 1.333, 2.335, 2.335, 2.33), strict=True):
            rows.execute("UPDATE pictures SET cost = ?, seconds = ? WHERE id = ?", (cost, cost * 10, number))
    both = greenroom.told("runs", "compare", "one", "other")
    for side, whole in (("one", "4.0"), ("other", "7.0")):
        shares = [Decimal(repr(each[side]["cost"])) for each in both["personas"]]
        assert sum(shares) == Decimal(repr(both[side]["cost"])) == Decimal(whole)
        shown = greenroom.told("runs", "show", side)
        assert sum(Decimal(repr(line["cost"])) for line in shown["lines"]) == Decimal(repr(shown["cost"]))
        assert Decimal(repr(shown["cost"])) == Decimal(whole)
    drawn = [line.split() for line in greenroom("runs", "compare", "one", "other").stdout.splitlines()]
    # Of each side: seconds and cost.
    numbers = [[Decimal(one) for one in line if one.count(".") == 1 and one[-1].isdigit()] for line in drawn]
    *parts, total = [line for line in numbers if len(line) == 4]
    assert (len(parts), total) == (3, [Decimal(one) for one in ("40.0", "4.00", "70.0", "7.00")])
    assert [sum(column) for column in zip(*parts, strict=True)] == total
    listed = greenroom("runs", "show", "one").stdout
    assert sorted(cost for cost in ("1.33", "1.34") for _ in range(listed.count(f" {cost} "))) == [
        "1.33",
        "1.33",
        "1.34",
    ]


def test_a_stand_in_has_no_replay(made: Greenroom) -> None:
    refused = made("replay", "1")
    assert refused.returncode == 2
    assert "is a stand-in" in refused.stderr
    assert made("replay", "9999").returncode == 4


@pytest.mark.parametrize(
    ("order", "code", "says"),
    [
        (("backfill", "--limit", "0"), 2, "makes no picture"),
        (("backfill", "--limit", "-1"), 2, "makes no picture"),
        (("backfill", "--tag", "nobody-has-this"), 4, "Nobody has the tag"),
        (("backfill", "--run-key", "a b"), 2, "cannot be the key"),
        (("backfill", "--missing-only", "--force"), 2, "opposite things"),
        (("backfill", "--style", "nonsense"), 4, "There is no style"),
        (("imagine", "--persona", "nobody-at-all", "a garden"), 4, "Nobody here is called"),
        (("imagine", "--year", "99999", "a garden"), 2, "no year"),
        (("imagine", "--all", "--tag", "x", "a garden"), 2, "--all leaves nobody out"),
        (("imagine", "--all", "a garden", "--count", "2"), 2, "--count is for a single persona"),
        (("imagine", "--all", "a garden", "--out", "x.png"), 2, "--out is for a single persona"),
        (("imagine", "--all", "a", "garden"), 2, "in quotes"),
        (("imagine", "glenys", "a garden", "--limit", "3"), 2, "--limit is for many"),
        (("imagine", "glenys"), 2, "Missing argument"),
        (("imagine",), 2, "Missing argument"),
        (("imagine", "glenys", "a", "garden"), 2, "unexpected extra"),
    ],
)
def test_what_cannot_be_ordered_is_a_sentence(
    made: Greenroom, order: tuple[str, ...], code: int, says: str
) -> None:
    ended = made(*order)
    assert ended.returncode == code
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_somebody_of_a_cohort_is_made_by_id_slug_and_name(greenroom: Greenroom) -> None:
    who = {entry["slug"]: entry["id"] for entry in greenroom.told("personas", "list")}
    named = (
        "--persona",
        str(who["wiebe-terpstra"]),
        "--persona",
        "Glenys Prosser",
        "--persona",
        "zurab-lomtadze",
    )
    ended = greenroom.told("imagine", "mending a net", *named, *SMALL, "--seed", "5")
    assert ended["run"]["made"] == 3
    lines = greenroom.told("runs", "show", ended["key"])["lines"]
    assert {line["slug"] for line in lines} == {"wiebe-terpstra", "glenys-prosser", "zurab-lomtadze"}
    assert {line["seed"] for line in lines} == {5}


def open_jobs(greenroom: Greenroom) -> int:
    with closing(sqlite3.connect(greenroom.home / "greenroom.db")) as rows:
        found = rows.execute("SELECT count(*) FROM jobs WHERE state = 'queued' AND started_at IS NULL")
        return int(found.fetchone()[0])


def pictures(greenroom: Greenroom) -> int:
    try:
        with closing(sqlite3.connect(greenroom.home / "greenroom.db")) as rows:
            return int(rows.execute("SELECT count(*) FROM pictures").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # its tables are just being made


def until_some_are_made(greenroom: Greenroom, process: subprocess.Popen[str], least: int = 1) -> None:
    until = time.monotonic() + 60
    while pictures(greenroom) < least:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


#: Large ones: there is time to press a key.
LARGE = ("backfill", "--size", "1k")


def test_ctrl_c_pauses_and_the_same_command_makes_the_rest(greenroom: Greenroom) -> None:
    cast = many(greenroom)
    process = greenroom.starts(*LARGE)
    until_some_are_made(greenroom, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "is paused" in said
    assert "The same command goes on with it." in said
    assert "Traceback" not in said
    assert open_jobs(greenroom) == 0, "what nobody had begun left the line"
    [run] = greenroom.told("runs", "list")
    assert run["state"] == "paused"
    assert 0 < run["made"] < cast

    ended = greenroom.process(*LARGE)
    assert ended.returncode == 0, ended.stderr
    [run] = greenroom.told("runs", "list")
    assert (run["state"], run["made"], run["failed"], run["cancelled"]) == ("done", cast, 0, 0)
    assert pictures(greenroom) == cast


@pytest.mark.parametrize(
    ("order", "path", "says"),
    [
        (("imagine", "glenys", "on a pier", "--size", "2k", "--count", "4"), "/jobs", "Job 1 is cancelled."),
        (("imagine", "--all", "on a pier", "--size", "2k"), "/runs", "is paused"),
    ],
)
def test_ctrl_c_is_heard_from_the_moment_of_the_order(
    greenroom: Greenroom, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...], path: str, says: str
) -> None:
    """The key is pressed before the answer to the order is looked at."""
    post = Client.post

    async def pressed(self: Client, asked: str, **body: Any) -> Any:
        answer = await post(self, asked, **body)
        if asked == path:
            os.kill(os.getpid(), signal.SIGINT)
        return answer

    monkeypatch.setattr(Client, "post", pressed)
    ended = greenroom(*order)
    assert ended.returncode == 130, ended
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert open_jobs(greenroom) == 0


def test_a_run_is_paused_by_its_key_from_elsewhere_and_the_same_command_makes_the_rest(
    greenroom: Greenroom,
) -> None:
    cast = many(greenroom)
    process = greenroom.starts(*LARGE, "--run-key", "all")
    until_some_are_made(greenroom, process)
    paused = greenroom.told("runs", "pause", "all")
    assert (paused["name"], paused["state"]) == ("all@1", "paused")
    said, _ = process.communicate(timeout=60)
    assert "was paused elsewhere" in said
    assert 0 < greenroom.told("runs", "list")[0]["made"] < cast
    assert greenroom.process(*LARGE, "--run-key", "all").returncode == 0
    [run] = greenroom.told("runs", "list")
    assert (run["state"], run["made"]) == ("done", cast)
    assert "nothing to pause" in greenroom("runs", "pause", "all").stderr
    assert greenroom("runs", "pause", "nothing-like-it").returncode == 4


def test_killed_in_the_middle_the_same_command_goes_on_and_doubles_nothing(greenroom: Greenroom) -> None:
    cast = many(greenroom)
    process = greenroom.starts(*LARGE)
    until_some_are_made(greenroom, process)
    process.kill()
    process.communicate(timeout=60)
    ended = greenroom.process(*LARGE)
    assert ended.returncode == 0, ended.stderr
    [run] = greenroom.told("runs", "list")
    assert (run["state"], run["made"], run["pictures"]) == ("done", cast, cast)
    lines = greenroom.told("runs", "show", run["name"])["lines"]
    assert len({line["slug"] for line in lines}) == len(lines) == cast


@pytest.fixture
def owner(greenroom: Greenroom) -> Iterator[subprocess.Popen[str]]:
    process = greenroom.starts("up")
    until(process, "Open.")
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def test_beside_a_running_house_the_command_is_its_client(
    greenroom: Greenroom, owner: subprocess.Popen[str]
) -> None:
    ended = greenroom.told("backfill", "--limit", "2", *SMALL)
    assert (ended["run"]["made"], ended["run"]["state"]) == (2, "done")
    assert owner.poll() is None

    client = greenroom.starts(*LARGE)
    until_some_are_made(greenroom, client, least=3)
    client.send_signal(signal.SIGINT)
    _, said = client.communicate(timeout=60)
    assert client.returncode == 130
    assert "is paused" in said
    assert open_jobs(greenroom) == 0, "the house has nothing more of it in line"


def test_the_other_commands_start_without_what_these_need() -> None:
    script = "import sys; from bot.cli import run; run(['runs', '--help']); print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment(Path("x")),
    )
    assert not {"sqlalchemy", "rich", "httpx", "PIL"} & set(told.stdout.split())


def test_amounts_are_told_as_a_person_would() -> None:
    assert [money(cost) for cost in (0, 0.001, 0.04, 12.345)] == ["0", "less than 0.01", "0.04", "12.35"]
    assert [span(seconds) for seconds in (0, 0.2, 59, 75, 600, 3_600, 4_000)] == [
        "0 s",
        "1 s",
        "59 s",
        "1 min 15 s",
        "10 min",
        "1 h",
        "1 h 7 min",
    ]


def test_what_scripts_read_is_json_to_the_end(made: Greenroom) -> None:
    for asked in (("runs", "list"), ("runs", "show", "first"), ("runs", "compare", "noir@1", "noir@2")):
        json.loads(made(*asked, "--json").stdout)
    refused = made("runs", "show", "winter", "--json")
    assert json.loads(refused.stderr)["kind"] == "NotFound"


async def test_a_client_orders_follows_and_replays(settings: Settings) -> None:
    """As other programs do it, of a house that really paints."""
    async with open_house(settings, renderer=FakeRenderer()) as house:
        client = Client(house.address)
        try:
            plan = await client.post("/runs/plan", limit=2, wish={"style": "noir"})
            assert (plan["total"], plan["goes_on"]) == (2, None)
            run = (await client.post("/runs", limit=2, wish={"style": "noir"}))["run"]
            async with asyncio.timeout(30):
                while run["state"] != "done":
                    await asyncio.sleep(0.02)
                    run = await client.get(f"/runs/{run['id']}")
            assert (run["made"], run["left"], run["stand_ins"], run["reasons"]) == (2, 0, 0, [])
            job = await client.post("/pictures/1/replay", key="once")
            assert (await client.post("/pictures/1/replay", key="once"))["id"] == job["id"]
            ended = await until_ended(client, job, quiet=True)
            found = await client.get(f"/pictures/1/against/{ended['pictures'][0]['id']}")
            assert found == {"same": True, "differing": 0.0, "says": "The same to the last pixel, by fake."}
            with pytest.raises(BadRequest, match="is done"):
                await client.post(f"/runs/{run['id']}/pause")
            with pytest.raises(NotFound):
                await client.get("/runs/999")
            with pytest.raises(BadRequest):
                await client.post("/runs", wish={"hat": "red"})
        finally:
            await client.close()
