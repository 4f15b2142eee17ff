"""One file and the environment on top; every mistake is a sentence with its key and line, and no secret in it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SettingsError
from engine.settings import Settings
from engine.settings_file import read_settings
from personas.persona import Rating
from tests.surroundings import lay_bare

ROOT = Path(__file__).parents[2]

Read = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read these lines, with these variables."""
    lay_bare(monkeypatch)
    monkeypatch.setenv("GREENROOM_HOME", str(tmp_path))

    def reading(text: str | bytes = "", **variables: str) -> Settings:
        data = text.encode() if isinstance(text, str) else text
        (tmp_path / "greenroom.toml").write_bytes(data)
        for name, value in variables.items():
            monkeypatch.setenv(f"GREENROOM_{name}", value)
        return read_settings()

    return reading


def mistake(read: Read, text: str | bytes = "", **variables: str) -> str:
    with pytest.raises(SettingsError) as error:
        read(text, **variables)
    told = str(error.value)
    assert "Traceback" not in told
    assert "pydantic" not in told
    assert "Value error" not in told
    return told


def test_without_a_file_everything_is_as_it_ships(read: Read, tmp_path: Path) -> None:
    settings = read()
    (tmp_path / "greenroom.toml").unlink()
    assert read_settings() == settings
    assert settings.home == tmp_path
    assert settings.database_url == f"sqlite:///{tmp_path}/greenroom.db"


def test_a_file_is_read_and_the_environment_stands_above_it(read: Read) -> None:
    settings = read(
        '[pictures]\nwidth = 512\nsteps = 5\n[safety]\nrating = "mature"\nblocked_words = ["a", "b"]\n',
        PICTURES__WIDTH="768",
        PEOPLE__BLOCKED='["terminal:eve"]',
    )
    assert (settings.pictures.width, settings.pictures.steps) == (768, 5)
    assert settings.safety.rating is Rating.MATURE
    assert settings.safety.blocked_words == ("a", "b")
    assert settings.people.blocked == ("terminal:eve",)


def test_the_example_that_ships_says_what_is_the_default(read: Read) -> None:
    example = (ROOT / "data" / "greenroom.example.toml").read_text(encoding="utf-8")
    assert tomllib.loads(example), "it has settings in it"
    assert read(example) == read("")


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("[pictures]\nwidth = 512\nhieght = 5\n", 3, "did you mean 'height'"),
        ("\n\n[picture]\nwidth = 512\n", 3, "did you mean 'pictures'"),
        ("colour = 1\n", 1, "there is no such setting"),
        ("[limits]\nmessage_length = 'many'\n", 2, "limits.message_length"),
        ("[limits]\n# a remark\nmessage_length = -1\n", 3, "greater than or equal to 1"),
        ("limits.message_length = 1.5\n", 1, "limits.message_length"),
        ("[pictures]\nwidth = 1000\nheight = 1001\n", 3, "multiple of 8"),
        ("[web]\nhost = '0.0.0.0/0'\n", 2, "127.0.0.1"),
        ("[web]\nallowed_hosts = ['https://a.example']\n", 2, "greenroom.example"),
        ("[web]\ntrusted_proxies = ['a.example']\n", 2, "10.0.0.0/8"),
        ("[web]\nport = 70000\n", 2, "65535"),
        ("[safety]\nrating = 'wild'\n", 2, "mature"),
        ("[safety]\nblocked_words = 'one'\n", 2, "safety.blocked_words"),
        ("[log]\nlevel = 'loud'\n", 2, "warning"),
        ("web = 5\n", 1, "web"),
        ("home = '/x'\n", 1, "GREENROOM_HOME"),
        ("_env_file = '/etc/passwd'\n", 1, "no such setting"),
        ("_cli_parse_args = true\n", 1, "no such setting"),
        ("[chat]\nsystem = 1\n[chat.deep]\nx = 1\n", 3, "chat.deep"),
    ],
)
def test_a_mistake_is_told_with_its_line(read: Read, tmp_path: Path, text: str, line: int, told: str) -> None:
    words = mistake(read, text)
    assert f"{tmp_path}/greenroom.toml, line {line}: " in words
    assert told in words


def test_every_mistake_is_told_at_once(read: Read) -> None:
    told = mistake(read, "[web]\nport = 'x'\n[log]\nfiles = 0\n", PICTURES__STEPS="many", PICTURS__STEPS="5")
    assert len(told.splitlines()) == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[pictures\n", "line 1"),
        ("a = \n", "line 1"),
        ("[a]\n[a]\n", "line 2"),
        (b"\xff\xfe", "not UTF-8 text (byte 0)"),
        (b"a = 1\x00", "line 1"),
    ],
)
def test_a_file_that_is_no_toml_is_told(read: Read, tmp_path: Path, text: str | bytes, told: str) -> None:
    words = mistake(read, text)
    assert str(tmp_path / "greenroom.toml") in words
    assert told in words


def test_a_file_that_is_a_folder_is_told(read: Read, tmp_path: Path) -> None:
    read("")
    (tmp_path / "greenroom.toml").unlink()
    (tmp_path / "greenroom.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings()


def test_another_file_can_be_named_and_must_be_there(read: Read, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[web]\nport = 5\n")
    assert read("[web]\nport = 6\n", SETTINGS=str(other)).web.port == 5
    other.unlink()
    assert "GREENROOM_SETTINGS" in mistake(read)


def test_a_variable_is_told_by_its_name(read: Read) -> None:
    told = mistake(read, PICTURES__STEPS="many")
    assert told.startswith("GREENROOM_PICTURES__STEPS: pictures.steps: ")


def test_a_variable_that_is_misspelt_is_asked_back(read: Read) -> None:
    assert "did you mean GREENROOM_PICTURES__STEPS" in mistake(read, PICTURES__STEP="5")


def test_a_section_in_one_variable_is_told_by_its_name(read: Read) -> None:
    assert read(LOG='{"files": 3}').log.files == 3
    assert "GREENROOM_LOG" in mistake(read, LOG='{"files": 0}')


def test_a_section_that_is_no_json_is_told_without_its_value(read: Read) -> None:
    told = mistake(read, STORE="{'database': 'hunter2'")
    assert "store" in told.lower()
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("[store]\ndatabase = ['hunter2']\n", {}),
        ("[store]\npassword = 'hunter2'\n", {}),
        ("[store]\ndatabase = 'hunter2'\n[web]\nport = 'hunter2'\n", {}),
        ("", {"STORE__DATABSE": "postgresql://u:hunter2@h/x"}),
        ("", {"WEB__PORT": "hunter2"}),
        ("", {"STORE": '{"databas": "hunter2"}'}),
    ],
)
def test_what_might_be_a_secret_is_in_no_sentence(read: Read, text: str, variables: dict[str, str]) -> None:
    assert "hunter2" not in mistake(read, text, **variables)


def test_a_secret_is_not_shown_with_the_settings(read: Read) -> None:
    settings = read("[store]\ndatabase = 'postgresql://u:hunter2@h/x'\n")
    assert "hunter2" in settings.database_url
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@given(st.text(alphabet="[]a=\"'\n#.{}1é \\", max_size=40))
def test_any_text_is_settings_or_a_sentence(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENROOM_HOME", "/nowhere")
        patch.setattr("engine.settings_file._text_of", lambda _path: text)
        try:
            read_settings()
        except SettingsError as error:
            assert str(error)  # noqa: PT017 - either of the two is right
