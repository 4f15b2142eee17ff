"""Somebody who has just come in, on a narrow terminal, and types what one types: nothing is lost, all is told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bot.command_line import Greenroom, environment, with_two_places

NARROW = "40"


def test_what_is_typed_later_is_whole_in_every_list_on_a_narrow_terminal(greenroom: Greenroom) -> None:
    with_two_places(greenroom)
    assert greenroom("imagine", "pilar", "at the sea").returncode == 0
    assert greenroom("backfill", "--limit", "1", "--run-key", "the-first-ones").returncode == 0
    assert greenroom("schedule", "add", "daily 09:00", "tea", "--place", "1", "--yes").returncode == 0
    assert greenroom("schedule", "run", "1").returncode == 0

    def listed(*command: str) -> str:
        ended = greenroom(*command, COLUMNS=NARROW)
        assert ended.returncode == 0, ended.stderr
        assert all(len(line) <= int(NARROW) for line in ended.stdout.splitlines() if "`" not in line)
        return ended.stdout

    assert "pilar-huenchumil" in listed("personas", "list")
    assert re.search(r"^ *job  1 *$", listed("jobs", "list"), re.MULTILINE)
    assert "the-first-ones@1" in listed("runs", "list")
    assert re.search(r"^ *id  1 *$", listed("schedule", "list"), re.MULTILINE)
    assert re.search(r"^ *id  1 *$", listed("posts", "list"), re.MULTILINE)
    [seed] = [str(line["seed"]) for line in greenroom.told("runs", "show", "the-first-ones")["lines"]]
    assert seed in listed("runs", "show", "the-first-ones")
    # Where a picture lies is told to its last letter, however many lines that takes.
    shown = "".join(line[11:].rstrip() for line in listed("jobs", "show", "1").splitlines())
    assert "1-1_pilar-huenchumil_" in shown
    assert "…" not in shown


def test_a_wide_terminal_has_a_table(greenroom: Greenroom) -> None:
    with_two_places(greenroom)
    assert re.search(r"^ *slug +name +age +work", greenroom("personas", "list").stdout, re.MULTILINE)


def test_of_a_model_nothing_is_cut_on_a_usual_terminal(greenroom: Greenroom) -> None:
    told = greenroom("models", "list", COLUMNS="80").stdout
    assert "llama-3.2-1b" in told
    assert "the smallest that holds a talk" in told
    assert "…" not in told


def test_a_time_without_its_quotes_is_told_how_it_is_written(greenroom: Greenroom) -> None:
    with_two_places(greenroom)
    ended = greenroom("schedule", "add", "daily", "09:00", "--place", "1", "--yes")
    assert ended.returncode == 2
    assert '`greenroom schedule add "daily 09:00" …`' in " ".join(ended.stderr.split())
    saved = greenroom("schedule", "add", "daily 09:00", "--place", "1", "--yes")
    assert "Schedule 1 is saved.\nNext: " in saved.stdout, "and when it is posted first is told at once"


def test_a_filter_that_nothing_passes_does_not_say_that_nothing_is_there(greenroom: Greenroom) -> None:
    assert greenroom("jobs", "list").stdout.startswith("No job yet.")
    assert greenroom("imagine", "pilar", "at the sea").returncode == 0
    assert greenroom("jobs", "list", "--state", "failed").stdout.startswith("No such job.")
    assert greenroom("posts", "list", "--state", "failed").stdout.startswith("No such post.")
    assert greenroom("runs", "list").stdout.startswith("No run yet.")
    assert greenroom("runs", "list", "--key", "spring").stdout.startswith("No such run.")
    assert "1 attempt\n" in re.sub(r" +\n", "\n", greenroom("jobs", "show", "1").stdout)


def test_a_backfill_of_posts_speaks_of_posts(greenroom: Greenroom) -> None:
    ended = greenroom("backfill", "--posts")
    assert ended.stdout.startswith("Posts: 0, 0 with a picture, 0 without.\n")
    assert "no published post lacks a picture" in ended.stdout
    assert "Personas" not in ended.stdout


def test_a_single_stand_in_is_told_as_one(greenroom: Greenroom) -> None:
    one = greenroom("backfill", "--limit", "1")
    assert "One of them is a stand-in: no picture model painted it." in one.stderr
    two = greenroom("backfill", "--limit", "2")
    assert "2 of them are stand-ins: no picture model painted them." in two.stderr


def test_nobody_is_not_asked_for_a_picture(greenroom: Greenroom) -> None:
    ended = greenroom("imagine", " ", "at the sea")
    assert ended.returncode == 2
    assert "PERSONA is empty" in ended.stderr


def test_a_home_that_is_a_file_is_not_mended_by_its_rights(greenroom: Greenroom) -> None:
    greenroom.home.write_text("not a folder")
    seen = greenroom("doctor")
    assert seen.returncode == 1
    assert "export GREENROOM_HOME=" in seen.stdout
    assert "chmod" not in seen.stdout


def test_the_help_cuts_no_sentence_about_a_command(greenroom: Greenroom) -> None:
    assert "..." not in greenroom("--help", COLUMNS="80").stdout.partition("Talk:")[2]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_what_is_written_to_a_full_disk_is_told_in_a_sentence(greenroom: Greenroom) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "bot.cli", "personas", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=greenroom.folder,
            env=environment(greenroom.home),
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[0] == "There is no space left where something was to be written."
