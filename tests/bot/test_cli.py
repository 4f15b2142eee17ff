"""The command line as a person or a script meets it: real processes, a home of their own."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from bot.terminal.words import safe, safe_line
from engine.store import personas as store
from personas.cards import CardFormat, write_card
from personas.persona import Persona
from tests.bot.command_line import Greenroom, environment


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_the_help_names_every_command_and_imports_nothing_heavy(greenroom: Greenroom) -> None:
    script = "import sys; from bot.cli import run; run(['--help']); print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment(greenroom.home),
        check=True,
    )
    text, _, modules = ended.stdout.rstrip().rpartition("\n")
    for command in ("up", "chat", "imagine", "jobs", "personas", "status", "doctor"):
        assert re.search(rf"^  {command} ", text, re.MULTILINE)
    heavy = {
        "asyncio",
        "pydantic",
        "sqlalchemy",
        "rich",
        "prompt_toolkit",
        "fastapi",
        "httpx",
        "PIL",
        "structlog",
    }
    assert not heavy & set(modules.split())


def test_help_and_version_leave_no_home_behind(greenroom: Greenroom) -> None:
    assert greenroom("imagine", "--help").returncode == 0
    assert re.match(r"greenroom \d+\.\d+", greenroom("--version").stdout)
    assert not greenroom.home.exists()


def test_a_setting_that_is_wrong_is_told_with_its_line(greenroom: Greenroom) -> None:
    greenroom.home.mkdir()
    (greenroom.home / "greenroom.toml").write_text('[pictures]\nwidth = "wide"\n\n[chat]\npersonna = "ada"\n')
    ended = greenroom("personas", "list")
    assert ended.returncode == 3
    assert "line 2: pictures.width" in ended.stderr
    assert "line 5: chat.personna: there is no such setting; did you mean 'persona'?" in ended.stderr
    assert "Traceback" not in ended.stderr

    as_json = greenroom("jobs", "list", "--json")
    assert as_json.returncode == 3
    assert json.loads(as_json.stderr)["kind"] == "SettingsError"

    seen = greenroom("doctor")
    assert seen.returncode == 1
    assert "line 2: pictures.width" in " ".join(seen.stdout.split()), "however the table breaks its lines"


def test_the_doctor_finds_a_new_home_well(greenroom: Greenroom) -> None:
    told = greenroom.told("doctor")
    assert told["well"]
    found = {finding["what"]: finding for finding in told["findings"]}
    language = [finding["says"] for finding in told["findings"] if finding["what"] == "language"]
    assert any("llama.cpp computes on" in says for says in language)
    assert any("no language model" in says and "The understudy writes" in says for says in language)
    assert "no picture model" in found["picture model"]["says"]
    assert found["database"]["mend"] == "greenroom up"
    assert not greenroom.home.exists()


def test_the_doctor_says_what_mends_a_damaged_database_and_bad_styles(greenroom: Greenroom) -> None:
    greenroom.home.mkdir()
    (greenroom.home / "greenroom.db").write_bytes(b"no database at all, but long enough to be one" * 100)
    (greenroom.home / "styles.toml").write_text("[mine]\nname = 'Mine'\n")
    ended = greenroom("doctor", "--json")
    assert ended.returncode == 1
    found = {finding["what"]: finding for finding in json.loads(ended.stdout)["findings"]}
    assert found["database"]["state"] == "broken"
    assert found["database"]["mend"].startswith("mv ")
    assert "lacks `words`" in found["styles"]["says"]
    (greenroom.home / "styles.toml").unlink()
    (greenroom.home / "poses.toml").write_text("mine = 3\n")
    found = {one["what"]: one for one in json.loads(greenroom("doctor", "--json").stdout)["findings"]}
    assert "`mine` must be text" in found["styles"]["says"]


def test_a_picture_is_written_and_its_words_are_told(greenroom: Greenroom, tmp_path: Path) -> None:
    wish = ("imagine", "wiebe", "mending a cape", "--style", "film", "--seed", "7", "--size", "256")
    told = greenroom.told(*wish, "--out", "cape.png")
    [picture] = told["pictures"]
    assert size_of(tmp_path / "cape.png") == (256, 256)
    assert 100 <= picture["word_count"] <= 200
    assert (picture["style"], picture["seed"], picture["stand_in"]) == ("film", 7, True)

    refused = greenroom(*wish, "--out", "cape.png")
    assert refused.returncode == 2
    assert "--force" in refused.stderr

    again = greenroom(*wish, "--out", "cape.png", "--force")
    assert again.returncode == 0
    assert "film · 256×256 · seed 7" in again.stdout
    assert "stand-in" in again.stderr

    listed = greenroom.told("jobs", "list")
    assert [job["state"] for job in listed] == ["done", "done"]
    shown = greenroom("jobs", "show", "1")
    assert "mending a cape" in shown.stdout
    assert f"seed 7 · {picture['word_count']} words · stand-in · {picture['seconds']:.1f} s" in shown.stdout
    assert greenroom("jobs", "retry", "1").returncode == 2
    assert greenroom("jobs", "show", "99").returncode == 4


@pytest.mark.parametrize(
    ("wish", "code", "said"),
    [
        (("nobody-at-all", "a garden"), 4, "Nobody here is called"),
        (("wiebe", "a garden", "--style", "nonsense"), 4, "There is no style"),
        (("wiebe", "   "), 2, "nothing to read"),
        (("wiebe", "a garden", "--size", "huge"), 2, "is not a size"),
        (("wiebe", "a garden", "--out", "no/such/folder/x.png"), 2, "There is no folder"),
    ],
)
def test_a_wish_that_cannot_be_met_is_a_sentence(
    owner: subprocess.Popen[str], lived_in: Greenroom, wish: tuple[str, ...], code: int, said: str
) -> None:
    ended = lived_in("imagine", *wish)
    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_owner_is_refused_and_commands_go_to_the_first(
    owner: subprocess.Popen[str], lived_in: Greenroom
) -> None:
    second = lived_in.process("up")
    assert second.returncode == 6
    address = re.search(r"http://127\.0\.0\.1:\d+", second.stderr)
    assert address
    found = {one["what"]: one["says"] for one in lived_in.told("doctor")["findings"]}
    assert address[0] in found["running"]

    said = lived_in.process("chat", "wiebe", said="hello, I am Tom\n")
    assert said.returncode == 0
    assert "(understudy): " in said.stdout


def test_a_piped_talk_is_plain_and_waits_for_its_pictures(greenroom: Greenroom) -> None:
    typed = "hello, I am Tom\n\n/imagine a red door --size 128 --count 2\n/nonsense\n🌿\n/quit\nnever said\n"
    ended = greenroom.process("chat", "zurab", said=typed)
    assert ended.returncode == 0, ended.stderr
    assert "\x1b" not in ended.stdout
    assert len(re.findall(r"^\w.*\(understudy\): ", ended.stdout, re.MULTILINE)) == 2
    assert "There is no /nonsense here." in ended.stdout
    pictures = re.findall(r"^\[picture\] (.+\.png) · .* · stand-in$", ended.stdout, re.MULTILINE)
    assert [size_of(Path(path)) for path in pictures] == [(128, 128)] * 2
    assert "never said" not in ended.stdout

    again = greenroom.process("chat", said="")
    assert again.returncode == 0
    assert again.stdout == ""


def test_what_is_too_long_is_refused_in_a_sentence(greenroom: Greenroom) -> None:
    ended = greenroom.process("chat", said="a" * 100_000 + "\nhello\n")
    assert ended.returncode == 0
    assert "up to 8,000 can be read" in ended.stdout
    assert "(understudy)" in ended.stdout


def test_a_new_persona_is_shown_listed_and_deleted(lived_in: Greenroom) -> None:
    made = lived_in.told("personas", "new", "--type", "fitness", "--name", "Ottoline Vey", "--seed", "3")
    assert made["persona"]["name"] == "Ottoline Vey"
    assert made["origin"] == "made"
    slug = made["persona"]["slug"]
    assert slug in {one["slug"] for one in lived_in.told("personas", "list")}
    assert "Ottoline Vey" in lived_in("personas", "show", slug).stdout

    unasked = lived_in("personas", "delete", slug)
    assert unasked.returncode == 2
    assert "--yes" in unasked.stderr
    assert lived_in("personas", "delete", slug, "--yes").returncode == 0
    assert lived_in("personas", "show", slug).returncode == 4


@pytest.mark.parametrize("file_format", ["toml", "png"])
def test_a_persona_goes_out_and_comes_back_the_same(lived_in: Greenroom, file_format: str) -> None:
    file = lived_in.folder / f"glenys.{file_format}"
    assert lived_in("personas", "export", "glenys-prosser", "--out", file.name).returncode == 0
    before = lived_in.told("personas", "show", "glenys-prosser")["persona"]
    [joined] = lived_in.told("personas", "import", file.name)
    assert joined["slug"] not in ("glenys-prosser", "")
    after = lived_in.told("personas", "show", joined["slug"])["persona"]
    kept = ("name", "greetings") if file_format == "png" else tuple(before.keys() - {"slug"})
    assert {key: before[key] for key in kept} == {key: after[key] for key in kept}


def test_what_a_format_cannot_carry_is_said_and_nothing_is_overwritten(lived_in: Greenroom) -> None:
    out = lived_in("personas", "export", "jocelyn", "--format", "v1")
    assert out.returncode == 0
    assert "Left out:" in out.stderr
    again = lived_in("personas", "export", "jocelyn", "--format", "v1")
    assert again.returncode == 2
    assert (
        lived_in("personas", "export", "jocelyn", "--out", "-", "--format", "toml").stdout.count("slug") == 1
    )


def test_files_that_cannot_be_read_do_not_keep_others_out(lived_in: Greenroom) -> None:
    folder = lived_in.folder
    (folder / "wrong.toml").write_text('name = "Ada"\nheight = 3\n')
    (folder / "right.toml").write_text('name = "Ada"\nage = 40\n')
    ended = lived_in("personas", "import", "missing.json", "wrong.toml", "right.toml", "right.toml")
    assert ended.returncode == 1
    assert "missing.json: it cannot be read" in ended.stderr
    assert "'height' is not a field of a persona" in ended.stderr
    assert re.findall(r"joined the cast as (ada\S*)\.", ended.stdout) == ["ada", "ada-2"]


def test_a_persona_is_edited_and_a_draft_that_cannot_be_read_is_kept(lived_in: Greenroom) -> None:
    spoil = _editor(lived_in.folder, "spoil", "text.replace('age = ', 'aeg = ')")
    mend = _editor(lived_in.folder, "mend", "text.replace('aeg = ', 'age = 1')")
    spoilt = lived_in("personas", "edit", "irfan", EDITOR=spoil, VISUAL=spoil)
    assert spoilt.returncode == 1
    assert "did you mean 'age'?" in spoilt.stderr
    draft = Path(spoilt.stderr.rsplit("kept: ", 1)[1].strip())
    assert "aeg = " in draft.read_text()

    mended = lived_in("personas", "edit", "irfan", EDITOR=mend, VISUAL=mend)
    assert mended.returncode == 0, mended.stderr
    assert "Going on with your draft" in mended.stderr
    assert not draft.exists()
    shown = lived_in.told("personas", "show", "irfan")
    assert (shown["revision"], shown["persona"]["age"]) == (2, 157)

    same = lived_in("personas", "export", "irfan", "--out", "-", "--format", "toml").stdout
    (lived_in.folder / "irfan.toml").write_text(same.replace("age = 157", "age = 58"))
    assert lived_in("personas", "edit", "irfan", "--from", "irfan.toml").returncode == 0
    other = lived_in("personas", "edit", "irfan", "--from", "-", said=same.replace("irfan-naqvi", "someone"))
    assert other.returncode == 1
    assert "the slug stays" in other.stderr


def _editor(folder: Path, name: str, change: str) -> str:
    script = folder / f"{name}.py"
    script.write_text(
        "import sys, pathlib\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "text = file.read_text(encoding='utf-8')\n"
        f"file.write_text({change}, encoding='utf-8')\n"
    )
    return f"{sys.executable} {script}"


def test_text_of_others_never_commands_the_terminal(lived_in: Greenroom) -> None:
    evil = "Eve\x1b[2J\x1b]0;title\x07 [red]Mallory[/red] \u202etxet"
    persona = Persona(slug="eve", name="Eve [bold]M[/bold]", age=30, description=f"Says {evil}")
    (lived_in.folder / "eve.json").write_bytes(write_card(persona, CardFormat.V3).data)
    assert lived_in("personas", "import", "eve.json").returncode == 0
    shown = lived_in("personas", "show", "eve").stdout
    assert "[bold]M[/bold]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[1;31mred\x1b[0m", "ared"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred\x9d0;t\x9c!", "red!"),
        ("bell\x07 back\x08 null\x00", "bell back null"),
        ("\ud800", "\ufffd"),
        ("one\r\ntwo\u2028three", "one\ntwo\nthree"),
        ("👩‍🚀 café", "👩‍🚀 café"),
    ],
)
def test_what_is_printed_holds_nothing_but_text(text: str, shown: str) -> None:
    assert safe(text) == shown
    assert "\n" not in safe_line(text)


def test_a_cancelled_job_is_tried_again(greenroom: Greenroom, tmp_path: Path) -> None:
    _queue_one(greenroom)
    cancelled = greenroom.told("jobs", "cancel", "1")
    assert cancelled["state"] in ("cancelled", "running", "done")
    if cancelled["state"] == "cancelled":
        again = greenroom.told("jobs", "retry", "1")
        assert again["state"] == "done"


def test_two_commands_that_begin_at_once_share_one_owner(greenroom: Greenroom) -> None:
    both = [
        greenroom.starts("imagine", "irfan", f"sign {n}", "--size", size, "--json")
        for n, size in enumerate(("64", "1024"))
    ]
    try:
        told = [process.communicate(timeout=60) for process in both]
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert [process.returncode for process in both] == [0, 0], told
    assert {json.loads(out)["request"]["scene"] for out, _ in told} == {"sign 0", "sign 1"}


def _queue_one(greenroom: Greenroom) -> None:
    """A job that waits, as if the process that took it had been killed."""
    from bot.commands import wish_of
    from engine.engine import Engine
    from engine.settings import Settings

    async def ask() -> None:
        async with Engine.open(Settings(home=greenroom.home)) as engine:
            async with engine.database.read() as tx:
                record = await store.find(tx, "zurab")
            request = await engine.imagining.compose(record, wish_of("an oven --size 2048"))
            async with engine.database.write() as tx:
                await engine.imagining.put_in_line(tx, request, persona_id=record.id, person=None)

    asyncio.run(ask())
